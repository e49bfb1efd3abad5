package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

// The exit codes. The last two are those of sysexits.h, which supervisors know:
// 75 asks for a restart, 78 for a person.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitRestart   = 75
	exitNewerData = 78
)

// program is one invocation: everything that it shares with the outside.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string

	// Flags of every command.
	data, file string
	// began is set once the command line was understood; errors from before
	// that are about the command line.
	began bool
}

// run carries out a command line and returns the exit code.
func run(p program, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal ends the program at once, whatever it is waiting for.
	context.AfterFunc(ctx, stop)

	root := p.command()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(p.stderr, "%s: %v%s\n", cmd.CommandPath(), err, whereToLook(err))
	code := p.exitCode(err)
	if code == exitUsage {
		fmt.Fprintf(p.stderr, "Run '%s --help' for how it is used.\n", cmd.CommandPath())
	}
	return code
}

// whereToLook names the command that lists the ids of a kind, when somebody
// gave one that is not there.
func whereToLook(err error) string {
	var answer *admin.Error
	if !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		return ""
	}
	for _, l := range [][2]string{{"order ", "order"}, {"certificate ", "cert"}, {"member ", "member"}, {"account ", "account"}, {"external account key ", "eab"}, {"backend ", "backend"}} {
		if strings.HasPrefix(answer.Text, l[0]) {
			return "; see 'acmebridge " + l[1] + " list'"
		}
	}
	return ""
}

func (p *program) exitCode(err error) int {
	switch {
	case !p.began, usage.Is(err):
		return exitUsage
	case errors.Is(err, storage.ErrUnknown):
		return exitRestart // SS-4
	case errors.Is(err, storage.ErrNewer):
		return exitNewerData // SS-18
	default:
		return exitFailed
	}
}

// command is the whole tree.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "acmebridge",
		Short: "An ACME server in front of any certificate authority",
		Long: `An ACME server in front of any certificate authority.

For a first look run 'acmebridge demo': it starts a server in a temporary folder,
has a certificate issued to a standard client and shows each step.`,
		Example:          "  acmebridge demo\n  acmebridge serve --config acmebridge.yaml\n  acmebridge order list",
		SilenceUsage:     true,
		SilenceErrors:    true,
		PersistentPreRun: func(*cobra.Command, []string) { p.began = true },
		Args:             usage.KnownVerb,
		RunE:             func(c *cobra.Command, _ []string) error { return c.Help() },
		// 'sectigo -p' means one thing before its verb and another after it.
		TraverseChildren: true,

		DisableFlagsInUseLine: true,
	}
	root.PersistentFlags().StringVar(&p.data, "data", "", "data folder, in place of that of the configuration")
	root.PersistentFlags().StringVar(&p.file, "config", "", "configuration file (default $ACMEBRIDGE_CONFIG, and without that the defaults for a first try)")
	root.AddCommand(
		p.serveCommand(), p.demoCommand(), p.configCommand(),
		p.memberCommand(), p.applicationCommand(), p.xroadCommand(), p.eabCommand(),
		p.accountCommand(), p.orderCommand(), p.certCommand(), p.renewalsCommand(),
		p.caCommand(), p.backendCommand(), p.ib1Command(), p.sectigoCommand(), p.standinCommand(),
		p.csrCommand(), p.identityCommand(),
		p.dbCommand(), p.exportCommand(), p.versionCommand(),
	)
	completion(root)
	root.AddCommand(p.doctorCommand())
	withoutEmptyDefaults(root)
	return root
}

// withoutEmptyDefaults keeps "(default [])", which tells nobody anything, out
// of the help on flags that take names with values.
func withoutEmptyDefaults(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		// Of flags that are lists the empty one is left out anyway, but an empty
		// text would be said: "(default )".
		if f.DefValue == "[]" && f.Value.Type() == "stringToString" {
			f.DefValue = ""
		}
	})
	for _, verb := range c.Commands() {
		withoutEmptyDefaults(verb)
	}
}

// completion is cobra's command of that name, which answers mistakes as ours do.
func completion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args, c.RunE = verbless(c.Commands())
		for _, shell := range c.Commands() {
			shell.Args = usage.NoArguments
		}
	}
}

// group is a noun: it does nothing without a verb.
func group(use, short, example string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example}
	c.Args, c.RunE = verbless(verbs)
	c.AddCommand(verbs...)
	return c
}

// verbless answers a noun without one of its verbs.
func verbless(verbs []*cobra.Command) (cobra.PositionalArgs, func(*cobra.Command, []string) error) {
	return usage.KnownVerb, func(*cobra.Command, []string) error {
		var names []string
		for _, v := range verbs {
			names = append(names, v.Name())
		}
		return usage.Errorf("missing subcommand: one of %s", strings.Join(names, ", "))
	}
}

// exactly wants n arguments, which are called what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage.Errorf("give %s, and nothing else", what)
		}
		return nil
	}
}

// atMostOne wants one argument, which is called what, or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage.Errorf("give %s or nothing; %q is too much", what, args[1])
		}
		return nil
	}
}

// config reads the configuration. given is false when there is no file, so that
// the defaults for a first try are in force.
func (p *program) config() (cfg *config.Config, given bool, err error) {
	cfg, err = config.Load(p.file, p.env)
	if err != nil {
		return nil, false, err
	}
	if p.data != "" {
		cfg.DataDir = p.data
	}
	return cfg, p.configFile() != "", nil
}

// configFile is the file that the configuration comes from, or empty.
func (p *program) configFile() string {
	if p.file != "" {
		return p.file
	}
	return lookup(p.env, config.Prefix+"CONFIG")
}

// sayDefaults tells that the data are those of a first try, which are rarely
// what somebody means who has a server elsewhere.
func (p *program) sayDefaults(cfg *config.Config, given bool) {
	if !given && p.data == "" && lookup(p.env, config.Prefix+"DATA_DIR") == "" {
		fmt.Fprintf(p.stderr, "using %s, the defaults; pass --config or --data for another server\n", cfg.DataDir)
	}
}

// lookup returns the last value of a variable, as os/exec would.
func lookup(env []string, name string) string {
	value := ""
	for _, entry := range env {
		if len(entry) > len(name) && entry[:len(name)] == name && entry[len(name)] == '=' {
			value = entry[len(name)+1:]
		}
	}
	return value
}
