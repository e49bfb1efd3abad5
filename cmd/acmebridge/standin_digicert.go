package main

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

	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/cmd/internal/usage"
)

// digicertFlags are those of one imitation.
type digicertFlags struct {
	listen, control, journal, tlsRoot string
	faults, outcomes, domains         []string
}

func (p *program) standinDigicertCommand() *cobra.Command {
	var f digicertFlags
	var cfg digicerttest.Config
	c := &cobra.Command{
		Use: "digicert", Short: "Imitate DigiCert CertCentral",
		Long: `Imitate the Services API of DigiCert CertCentral: a key, products, organizations, domains, and X9 orders
that take their time and end in certificates of a CA of its own. It runs until Ctrl-C, and forgets
everything then.

The journal gets a line of JSON for each request, purchase, reissue, swap, cancel, certificate,
download and revocation. On the control port the same is done from outside while it runs: POST
/faults, /next, /plans, /hold, /release, /advance, /approve, /reject, /products, /organization,
/domain and GET /journal, /counts, /roots.pem.

Faults are ENDPOINT:KIND or ENDPOINT:KIND:NAME=VALUE,... where * is every endpoint and the names
are status, code, retry-after, delay, skip, count and probability. Endpoints:
  ` + strings.Join(digicerttest.Endpoints(), " ") + `
Kinds:
  ` + strings.Join(digicerttest.FaultKinds(), "\n  ") + `

Outcomes are PATTERN=KIND or PATTERN=KIND:REASON for orders whose common name fits the pattern. Kinds:
  ` + kindsOf(digicerttest.Kinds()),
		Example: `  acmebridge standin digicert --tls-root x9-roots.pem --processing 5s --journal orders.jsonl
  acmebridge standin digicert --fault order:reset-after:count=1
  acmebridge standin digicert --outcome '*.slow.example.org=stuck' --control 127.0.0.1:8842`,
		Args: usage.NoArguments,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if p.file != "" || p.data != "" {
			return usage.Errorf("it has neither a configuration nor data of a server; leave out --config and --data")
		}
		return p.standDigicert(c.Context(), f, cfg)
	}
	flags := c.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8841", "where to answer")
	flags.StringVar(&f.control, "control", "", "where to take orders from tests (default: nowhere)")
	flags.StringVar(&f.journal, "journal", "", "file to add the journal to (default: none)")
	flags.StringVar(&f.tlsRoot, "tls-root", "", "speak HTTPS, and write the root to trust to this file")
	flags.StringVar(&cfg.Key, "key", "digicert-key", "the API key; it guards nothing")
	flags.DurationVar(&cfg.Processing, "processing", 5*time.Second, "how long a validated order takes (0s: the answer has the certificate)")
	flags.StringVar(&cfg.Answer, "answer", "chain", "what the answer has to an order that takes no time: chain or id")
	flags.DurationVar(&cfg.Visibility, "visibility", 0, "how long an order does not show by its alternative id")
	flags.BoolVar(&cfg.ForgetAlternative, "forget-alternative", false, "drop alternative ids without a word")
	flags.BoolVar(&cfg.NoSwap, "no-swap", false, "have no call that swaps a CSR")
	flags.BoolVar(&cfg.NoApproval, "no-approval", false, "have each order wait for an administrator")
	flags.BoolVar(&cfg.RevokeByRequest, "revoke-by-request", false, "have each revocation wait for an administrator")
	flags.BoolVar(&cfg.RSA, "rsa", false, "RSA keys for the CA")
	flags.StringArrayVar(&f.domains, "domain", nil, "a further validated domain besides example.org, example.com and localhost (may be given again)")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "makes faults by chance come the same way again")
	flags.StringArrayVar(&f.faults, "fault", nil, "something that goes wrong (may be given again)")
	flags.StringArrayVar(&f.outcomes, "outcome", nil, "what becomes of some orders (may be given again)")
	return c
}

func kindsOf[T ~string](names []T) string {
	var all []string
	for _, n := range names {
		all = append(all, string(n))
	}
	return strings.Join(all, " ")
}

func (p *program) standDigicert(ctx context.Context, f digicertFlags, cfg digicerttest.Config) (err error) {
	if err := cfg.Check(); err != nil {
		return usage.Errorf("%w", err)
	}
	if f.journal != "" {
		journal, err := os.OpenFile(f.journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("open the journal: %w", err)
		}
		defer func() { err = errors.Join(err, journal.Close()) }()
		cfg.Journal = journal
	}
	ca, err := digicerttest.New(cfg)
	if err != nil {
		return err
	}
	if err := f.arrange(ca); err != nil {
		return err
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen for clients: %w; end what uses the port, or choose another with --listen", err)
	}
	scheme := "http"
	if f.tlsRoot != "" {
		if l, err = digicertTLS(ca, l, f.tlsRoot); err != nil {
			return err
		}
		scheme = "https"
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	parts, ended := 1, make(chan error, 2)
	go func() { ended <- ca.Serve(serving, l) }()
	url := fmt.Sprintf("%s://%s/services/v2", scheme, l.Addr())
	fmt.Fprintf(p.stdout, "An imitation of DigiCert CertCentral is running.\n  url           %s\n  API key       %s\n  organization  117\n", url, cfg.Key)
	if f.control != "" {
		control, err := net.Listen("tcp", f.control)
		if err != nil {
			stop()
			return errors.Join(fmt.Errorf("listen for control: %w", err), <-ended)
		}
		parts++
		go func() { ended <- ca.ServeControl(serving, control) }()
		fmt.Fprintf(p.stdout, "  control       http://%s\n", control.Addr())
	}
	for range parts {
		err = errors.Join(err, <-ended)
		stop()
	}
	return err
}

// digicertTLS puts TLS on a listener, with a certificate of the stand-in's own
// CA, and writes the root to a file.
func digicertTLS(ca *digicerttest.CA, l net.Listener, rootFile string) (net.Listener, error) {
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

// arrange does what the command line says about faults, outcomes and domains.
func (f digicertFlags) arrange(ca *digicerttest.CA) error {
	for _, name := range f.domains {
		ca.SetDomain(name, ca.Now().AddDate(1, 0, 0))
	}
	for _, text := range f.faults {
		fault, err := digicertFault(text)
		if err == nil {
			err = ca.Break(fault)
		}
		if err != nil {
			return usage.Errorf("--fault %q: %w", text, err)
		}
	}
	for _, text := range f.outcomes {
		pattern, what, ok := strings.Cut(text, "=")
		kind, reason, _ := strings.Cut(what, ":")
		if !ok || pattern == "" {
			return usage.Errorf("--outcome %q: it should look like '*.bad.example.org=rejected:reason'", text)
		}
		if err := ca.Plan(pattern, digicerttest.Outcome{Kind: digicerttest.Kind(kind), Reason: reason}); err != nil {
			return usage.Errorf("--outcome %q: %w", text, err)
		}
	}
	return nil
}

func digicertFault(text string) (f digicerttest.Fault, err error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		return f, errors.New("it should look like order:reset-after:count=1")
	}
	f.Endpoint, f.Kind = parts[0], parts[1]
	if f.Endpoint == "*" {
		f.Endpoint = ""
	}
	if len(parts) == 2 {
		return f, nil
	}
	for setting := range strings.SplitSeq(parts[2], ",") {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return f, fmt.Errorf("%q has no value", setting)
		}
		switch name {
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "code":
			f.Code = value
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
