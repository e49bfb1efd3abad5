package sectigotool

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Env is what the tool shares with the outside.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Environ has the variables, as os.Environ returns them.
	Environ []string
	// Name is how the tool is called, for its examples; empty means "sectigo".
	Name string
	// Version is printed by --version.
	Version string
	// Now is the time, time.Now unless set.
	Now func() time.Time
	// Before is asked before a command does anything; its error ends it.
	Before func() error
}

// tool is one invocation.
type tool struct {
	Env

	account account
	// Flags of every command.
	output string
	json   bool
}

// Run carries out a command line and returns the exit code.
func Run(env Env, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal ends the program at once, whatever it is waiting for.
	context.AfterFunc(ctx, stop)

	root, began := Command(env), false
	// Errors from before a command was understood are about the command line.
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	root.TraverseChildren, root.SilenceUsage, root.SilenceErrors = true, true, true
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(env.Stderr, "%s: %v\n", cmd.CommandPath(), err)
	if !began || usage.Is(err) {
		fmt.Fprintf(env.Stderr, "Run '%s --help' for how it is used.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// Command is the whole tree. Its parent, if it gets one, must have
// TraverseChildren set: -p is the password of the account before the verb and
// something else after it.
func Command(env Env) *cobra.Command {
	if env.Name == "" {
		env.Name = "sectigo"
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	t := &tool{Env: env}
	root := &cobra.Command{
		Use:   "sectigo",
		Short: "Work with an account at Sectigo IoT Manager",
		Long: `Work with an account at Sectigo IoT Manager: see what it may order, buy certificates, watch and
fetch batches, find and revoke certificates.

The account is named by --username or $SECTIGO_USERNAME. Its password comes from --password-file,
$SECTIGO_PASSWORD or $SECTIGO_PASSWORD_FILE, and is asked for on a terminal when there is none.
After the first login the tokens are kept in a file that only you can read, so that the password is
rarely needed.

Without a terminal lists are JSON; on one they are tables. --json and --output choose.`,
		Example: t.examples(
			"auth", "authorities --balances", "upload -p 42 example.com.csr --wait", "download -i 24 -o certs/",
			"find -n example.com", "--environment testing profiles",
		),
		Version: env.Version,
		Args:    usage.KnownVerb,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },

		DisableFlagsInUseLine: true,
	}
	t.account.flags(root)
	root.PersistentFlags().BoolVar(&t.json, "json", false, "as JSON, also on a terminal")
	root.PersistentFlags().StringVar(&t.output, "output", "", "table, json or yaml (default: table on a terminal, JSON elsewhere)")
	root.AddCommand(
		t.authCommand(), t.authoritiesCommand(), t.balanceCommand(), t.licensesCommand(), t.profilesCommand(), t.organizationCommand(),
		t.createCommand(), t.uploadCommand(), t.batchesCommand(), t.downloadCommand(), t.findCommand(), t.revokeCommand(),
		ServeCommand("serve", env),
	)
	// The names that the documents of the service use.
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "env":
			name = "environment"
		case "url":
			name = "endpoint"
		}
		return pflag.NormalizedName(name)
	})
	// Before the verb cobra tells flags with a value from those without only
	// when they are merged.
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	_ = root.LocalFlags()
	return root
}

// examples are command lines, each with the name of the tool in front.
func (t *tool) examples(lines ...string) string {
	return "  " + t.Name + " " + strings.Join(lines, "\n  "+t.Name+" ")
}

// run is the body of a command.
func (t *tool) run(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if t.Before != nil {
			if err := t.Before(); err != nil {
				return err
			}
		}
		if err := t.checkOutput(); err != nil {
			return err
		}
		return fn(c.Context(), args)
	}
}

// call is the body of a command that needs the account.
func (t *tool) call(ctx context.Context, fn func(*sectigo.Client) error) error {
	client, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return fn(client)
}

// note tells something on standard error.
func (t *tool) note(format string, args ...any) { fmt.Fprintf(t.Stderr, format+"\n", args...) }
