package sectigotool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/cmd/internal/standincmd"
	"acmebridge/cmd/internal/usage"
)

// The stand-in's address and only user, unless it is told otherwise.
const (
	standinListen   = "127.0.0.1:8831"
	standinUser     = "bridge"
	standinPassword = "bridge-password"
)

// standinFlags are those of one imitation.
type standinFlags struct {
	standincmd.Flags
	layout  string
	subject map[string]string
}

// ServeCommand runs an imitation of the service, under that name below that of
// env.
func ServeCommand(use string, env Env) *cobra.Command {
	t := &tool{Env: env}
	var f standinFlags
	var cfg sectigotest.Config
	name := env.Name + " " + use
	c := &cobra.Command{
		Use: use, Short: "Imitate Sectigo IoT Manager",
		Long: `Imitate Sectigo IoT Manager: logins, balances, profiles, and batches that take their time and end in
certificates of a CA of its own. It runs until Ctrl-C. What it knows is forgotten then, unless it
has a folder (--state).

The journal gets a line of JSON for each request, login, purchase, certificate, download and
revocation. On the control port the same is done from outside while it runs: POST /faults, /next,
/plans, /hold, /release, /advance, /reject, /balance, /login and GET /journal, /counts, /roots.pem.

For acmebridge, write the password into the file pw (chmod 600 pw), get the roots with
'curl -o roots.pem http://127.0.0.1:8832/roots.pem' from the control port, and configure

  profiles: {tls: {backend: sectigo}}
  backends: {sectigo: {type: sectigo, url: 'http://127.0.0.1:8831', username: bridge,
    password_file: pw, profile: CipherTrace EE, roots_file: roots.pem}}
` + standincmd.Help(sectigotest.Endpoints(), sectigotest.FaultKinds(), sectigotest.Kinds(), "batches whose first common name") + `
Layouts of archives:
  ` + standincmd.Wrapped(sectigotest.Layouts()),
		Example: "  " + strings.Join([]string{
			name + " --listen 127.0.0.1:8831 --control 127.0.0.1:8832 --journal sectigo.jsonl",
			name + " --created 5s --processing 30s",
			name + " --fault upload:reset-after:count=1 --fault '*:status:status=503,probability=0.1'",
			name + " --outcome '*.slow.example=stuck' --outcome '*.bad.example=rejected:not yours'",
		}, "\n  "),
		Args: usage.NoArguments,
	}
	c.RunE = t.run(func(ctx context.Context, _ []string) error {
		// Those of the imitation that came before this one.
		for flag, variable := range map[string]string{"listen": "BIND_ADDR", "username": "AUTH_USERNAME", "password": "AUTH_PASSWORD"} {
			if v := lookup(env.Environ, "SIAS_"+variable); v != "" && !c.Flags().Changed(flag) && !c.Flags().Changed("addr") {
				if err := c.Flags().Set(flag, v); err != nil {
					return usage.Error(err)
				}
			}
		}
		return t.serve(ctx, f, cfg)
	})
	flags := c.Flags()
	f.Add(c, standinListen)
	f.AddTLS(c)
	flags.Lookup("listen").Usage = "where to answer ($SIAS_BIND_ADDR)"
	flags.StringVarP(&f.Listen, "addr", "a", standinListen, "the same")
	flags.StringVar(&cfg.StateDir, "state", "", "folder to keep everything in for the next start (default: none)")
	flags.StringVar(&cfg.Username, "username", standinUser, "name of the only user ($SIAS_AUTH_USERNAME)")
	flags.StringVar(&cfg.Password, "password", standinPassword, "password of that user; it guards nothing ($SIAS_AUTH_PASSWORD)")
	flags.DurationVar(&cfg.Created, "created", 2*time.Second, "how long a batch is CREATED")
	flags.DurationVar(&cfg.Processing, "processing", 5*time.Second, "how long a batch is PROCESSING")
	flags.DurationVar(&cfg.TTL, "ttl", 48*time.Hour, "how long an archive can be downloaded")
	flags.DurationVar(&cfg.ListDelay, "list-delay", 0, "how long a new batch does not show in the list")
	flags.DurationVar(&cfg.AccessLifetime, "access-lifetime", 600*time.Second, "lifetime of access tokens")
	flags.DurationVar(&cfg.RefreshLifetime, "refresh-lifetime", 7200*time.Second, "lifetime of refresh tokens")
	flags.DurationVar(&cfg.Validity, "validity", 396*24*time.Hour, "validity of certificates")
	flags.BoolVar(&cfg.SingleUse, "single-use", false, "let each refresh token work once")
	flags.BoolVar(&cfg.KeepRefreshToken, "keep-refresh-token", false, "give no new refresh token at a refresh")
	flags.StringVar(&cfg.Login, "login", "ok", "how logins are answered: ok, 401, 403 or 307")
	flags.IntVar(&cfg.LockAfter, "lock-after", 0, "lock the account after that many failed logins (0: never)")
	flags.Int64Var(&cfg.Balance, "balance", 1000, "certificates that each authority may have issued")
	flags.BoolVar(&cfg.RefundRejected, "refund-rejected", false, "give the balance of rejected batches back")
	flags.BoolVar(&cfg.RefuseDuplicates, "refuse-duplicates", false, "refuse an upload with the same common name twice")
	flags.BoolVar(&cfg.NoBatchName, "no-batch-name", false, "forget the names of batches")
	flags.StringVar(&cfg.List, "list", "", "shape of the batch list: items or content for pages, off for none (default: a plain list)")
	flags.IntVar(&cfg.PageSize, "page-size", 0, "size of pages")
	flags.StringVar(&f.layout, "layout", string(sectigotest.LayoutPEMChain), "how archives are made up")
	flags.StringToStringVar(&f.subject, "subject", nil, "what the template fixes in subjects, for example 'O=CipherTrace Inc,L=Menlo Park,ST=California,C=US' (default: nothing)")
	flags.StringVar(&cfg.Key, "key", "ec", "key of the CA: ec or rsa")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "makes faults by chance come the same way again")
	return c
}

func (t *tool) serve(ctx context.Context, f standinFlags, cfg sectigotest.Config) (err error) {
	cfg.Layout, cfg.Profiles = sectigotest.Layout(f.layout), sectigotest.TRISAProfiles()
	for i := range cfg.Profiles {
		cfg.Profiles[i].Subject = f.subject
	}
	if err := cfg.Check(); err != nil {
		return usage.Error(err)
	}
	journal, closing, err := f.OpenJournal()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	cfg.Journal = journal
	ca, err := sectigotest.New(cfg)
	if err != nil {
		return err
	}
	err = f.Arrange(ca, "rejected", func(pattern, kind, reason string) error {
		return ca.Plan(pattern, sectigotest.Outcome{Kind: sectigotest.Kind(kind), Reason: reason})
	})
	if err != nil {
		return err
	}
	l, origin, err := f.Open(standincmd.With(ca.ServerCertificate), ca.RootsPEM())
	if err != nil {
		return err
	}
	return f.Serve(ctx, ca, l, func(control string) {
		fmt.Fprintf(t.Stdout, "An imitation of Sectigo IoT Manager is running.\n  url      %s\n  user     %s, password %s\n", origin, cfg.Username, cfg.Password)
		if control != "" {
			fmt.Fprintf(t.Stdout, "  control  %s\n", control)
		}
		for _, profile := range cfg.Profiles {
			fmt.Fprintf(t.Stdout, "  profile  %d, authority %d, %s\n", profile.ID, profile.AuthorityID, profile.Name)
		}
		t.sayConfiguration(f, cfg, origin, control)
	})
}

// sayConfiguration prints what has acmebridge buy here.
func (t *tool) sayConfiguration(f standinFlags, cfg sectigotest.Config, url, controlURL string) {
	roots, ca, subject := "roots.pem", "", ""
	how := "get the roots with 'curl -o roots.pem " + controlURL + "/roots.pem'"
	switch {
	case f.TLSRoot != "":
		roots, ca, how = f.TLSRoot, fmt.Sprintf(" ca_file: %q,", f.TLSRoot), "the roots are in "+f.TLSRoot
	case controlURL == "":
		how = "get the roots from the control port (start this with --control 127.0.0.1:8832)"
	}
	if len(f.subject) > 0 {
		subject = ", subject: by_ca"
	}
	fmt.Fprintf(t.Stdout, `
For acmebridge, write the password into the file pw (chmod 600 pw), %s, and configure:
  profiles: {tls: {backend: sectigo%s}}
  backends: {sectigo: {type: sectigo, url: %q,%s username: %q, password_file: pw, profile: %q, roots_file: %q}}
`, how, subject, url, ca, cfg.Username, cfg.Profiles[0].Name, roots)
}
