package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/cmd/internal/usage"
)

// digicertFlags are those of one imitation.
type digicertFlags struct {
	serviceFlags
	tlsRoot string
	domains []string
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
` + faultHelp(digicerttest.Endpoints(), digicerttest.FaultKinds(), kindsOf(digicerttest.Kinds()), "common name"),
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
	f.common(c, "127.0.0.1:8841")
	flags := c.Flags()
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
	journal, closing, err := f.openJournal()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	cfg.Journal = journal
	ca, err := digicerttest.New(cfg)
	if err != nil {
		return err
	}
	for _, name := range f.domains {
		ca.SetDomain(name, ca.Now().AddDate(1, 0, 0))
	}
	err = f.arrange(ca, "rejected", func(pattern, kind, reason string) error {
		return ca.Plan(pattern, digicerttest.Outcome{Kind: digicerttest.Kind(kind), Reason: reason})
	})
	if err != nil {
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
	url := fmt.Sprintf("%s://%s/services/v2", scheme, l.Addr())
	return f.serve(ctx, ca, l, func(control string) {
		fmt.Fprintf(p.stdout, "An imitation of DigiCert CertCentral is running.\n  url           %s\n  API key       %s\n  organization  117\n%s", url, cfg.Key, control)
	})
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
