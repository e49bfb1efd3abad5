package sectigotool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/standin"
)

// The stand-in's address and only user, unless it is told otherwise.
const (
	standinListen   = "127.0.0.1:8831"
	standinUser     = "bridge"
	standinPassword = "bridge-password"
)

// standinFlags are those of one imitation.
type standinFlags struct {
	listen, control, journal, tlsRoot string
	layout                            string
	faults, outcomes                  []string
	subject                           map[string]string
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

Faults are ENDPOINT:KIND or ENDPOINT:KIND:NAME=VALUE,... where * is every endpoint and the names
are status, message, retry-after, delay, skip, count and probability. Endpoints:
  ` + wrapped(sectigotest.Endpoints()) + `
Kinds:
  ` + strings.Join(sectigotest.FaultKinds(), "\n  ") + `

Outcomes are PATTERN=KIND or PATTERN=KIND:REASON for batches whose first common name fits the
pattern. Kinds:
  ` + wrapped(sectigotest.Kinds()) + `
Layouts of archives:
  ` + wrapped(sectigotest.Layouts()),
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
	flags.StringVar(&f.listen, "listen", standinListen, "where to answer ($SIAS_BIND_ADDR)")
	flags.StringVarP(&f.listen, "addr", "a", standinListen, "the same")
	flags.StringVar(&f.control, "control", "", "where to take orders from tests (default: nowhere)")
	flags.StringVar(&f.journal, "journal", "", "file to add the journal to (default: none)")
	flags.StringVar(&f.tlsRoot, "tls-root", "", "speak HTTPS, and write the root to trust to this file")
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
	flags.StringArrayVar(&f.faults, "fault", nil, "something that goes wrong (may be given again)")
	flags.StringArrayVar(&f.outcomes, "outcome", nil, "what becomes of some batches (may be given again)")
	return c
}

// wrapped writes names in lines of a width that terminals have.
func wrapped[T ~string](names []T) string {
	const width = 90
	var lines []string
	line := ""
	for _, n := range names {
		if len(line)+len(n) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += string(n)
	}
	return strings.Join(append(lines, line), "\n  ")
}

func (t *tool) serve(ctx context.Context, f standinFlags, cfg sectigotest.Config) (err error) {
	cfg.Layout, cfg.Profiles = sectigotest.Layout(f.layout), sectigotest.TRISAProfiles()
	for i := range cfg.Profiles {
		cfg.Profiles[i].Subject = f.subject
	}
	if err := cfg.Check(); err != nil {
		return usage.Error(err)
	}
	faults, plans, err := standinScript(f)
	if err != nil {
		return err
	}
	if f.journal != "" {
		journal, err := os.OpenFile(f.journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("open the journal: %w", err)
		}
		defer func() { err = errors.Join(err, journal.Close()) }()
		cfg.Journal = journal
	}
	ca, err := sectigotest.New(cfg)
	if err != nil {
		return err
	}
	for _, fault := range faults {
		if err := ca.Break(fault); err != nil {
			return usage.Error(err)
		}
	}
	for _, plan := range plans {
		if err := ca.Plan(plan.pattern, plan.outcome); err != nil {
			return usage.Error(err)
		}
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen for clients: %w; end what uses the port, or choose another with --listen", err)
	}
	scheme := "http"
	if f.tlsRoot != "" {
		if l, err = standinTLS(ca, l, f.tlsRoot); err != nil {
			return err
		}
		scheme = "https"
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	parts := 1
	ended := make(chan error, 2)
	go func() { ended <- ca.Serve(serving, l) }()
	fmt.Fprintf(t.Stdout, "An imitation of Sectigo IoT Manager is running.\n  url      %s://%s\n  user     %s, password %s\n", scheme, l.Addr(), cfg.Username, cfg.Password)
	controlURL := ""
	if f.control != "" {
		control, err := net.Listen("tcp", f.control)
		if err != nil {
			stop()
			return errors.Join(fmt.Errorf("listen for control: %w", err), <-ended)
		}
		parts++
		go func() { ended <- standin.ServeControl(serving, control, ca.Control()) }()
		controlURL = "http://" + control.Addr().String()
		fmt.Fprintf(t.Stdout, "  control  %s\n", controlURL)
	}
	for _, profile := range cfg.Profiles {
		fmt.Fprintf(t.Stdout, "  profile  %d, authority %d, %s\n", profile.ID, profile.AuthorityID, profile.Name)
	}
	t.sayConfiguration(f, cfg, scheme+"://"+l.Addr().String(), controlURL)
	for range parts {
		err = errors.Join(err, <-ended)
		stop()
	}
	return err
}

// sayConfiguration prints what has acmebridge buy here.
func (t *tool) sayConfiguration(f standinFlags, cfg sectigotest.Config, url, controlURL string) {
	roots, ca, subject := "roots.pem", "", ""
	how := "get the roots with 'curl -o roots.pem " + controlURL + "/roots.pem'"
	switch {
	case f.tlsRoot != "":
		roots, ca, how = f.tlsRoot, fmt.Sprintf(" ca_file: %q,", f.tlsRoot), "the roots are in "+f.tlsRoot
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

// standinTLS puts TLS on a listener, with a certificate of the stand-in's own
// CA, and writes the root to a file.
func standinTLS(ca *sectigotest.CA, l net.Listener, rootFile string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	cert, err := ca.ServerCertificate(host, "localhost", "127.0.0.1", "::1")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Clean(rootFile), ca.RootsPEM(), 0o600); err != nil {
		return nil, fmt.Errorf("write the root: %w", err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

type standinPlan struct {
	pattern string
	outcome sectigotest.Outcome
}

// standinScript reads what the command line says about faults and outcomes.
func standinScript(f standinFlags) (faults []sectigotest.Fault, plans []standinPlan, err error) {
	for _, text := range f.faults {
		fault, err := standinFault(text)
		if err != nil {
			return nil, nil, usage.Errorf("--fault %q: %w", text, err)
		}
		faults = append(faults, fault)
	}
	for _, text := range f.outcomes {
		pattern, what, ok := strings.Cut(text, "=")
		kind, reason, _ := strings.Cut(what, ":")
		if !ok || pattern == "" {
			return nil, nil, usage.Errorf("--outcome %q: it should look like '*.bad.example=rejected:reason'", text)
		}
		plans = append(plans, standinPlan{pattern, sectigotest.Outcome{Kind: sectigotest.Kind(kind), Reason: reason}})
	}
	return faults, plans, nil
}

func standinFault(text string) (f sectigotest.Fault, err error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		return f, errors.New("it should look like upload:reset-after:count=1")
	}
	f.Endpoint, f.Kind = parts[0], parts[1]
	if f.Endpoint == "*" {
		f.Endpoint = ""
	}
	if len(parts) == 2 {
		return f, nil
	}
	for _, setting := range strings.Split(parts[2], ",") {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return f, fmt.Errorf("%q has no value", setting)
		}
		var err error
		switch name {
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "message":
			f.Message = value
		case "retry-after":
			f.RetryAfter = value
		case "delay":
			err = f.Delay.UnmarshalText([]byte(value))
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "probability":
			f.Probability, err = strconv.ParseFloat(value, 64)
		default:
			return f, fmt.Errorf("there is no %q", name)
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}
