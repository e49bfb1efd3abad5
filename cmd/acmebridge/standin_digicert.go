package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/cmd/internal/standincmd"
	"acmebridge/cmd/internal/usage"
)

// digicertFlags are those of one imitation.
type digicertFlags struct {
	standincmd.Flags
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
` + standincmd.Help(digicerttest.Endpoints(), digicerttest.FaultKinds(), digicerttest.Kinds(), "orders whose common name") + `
What an order is issued again as, which is ready unless said, may follow its kind: no-client+stuck.`,
		Example: `  acmebridge standin digicert --tls-root x9-roots.pem --processing 5s --journal orders.jsonl
  acmebridge standin digicert --fault order:reset-after:count=1
  acmebridge standin digicert --outcome '*.slow.example.org=stuck' --control 127.0.0.1:8842
  acmebridge standin digicert --outcome '*.once.example.org=no-client' --outcome '*.twice.example.org=no-client+no-client'`,
		Args: usage.NoArguments,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if p.file != "" || p.data != "" {
			return usage.Errorf("it has neither a configuration nor data of a server; leave out --config and --data")
		}
		return p.standDigicert(c.Context(), f, cfg)
	}
	f.Add(c, "127.0.0.1:8841")
	f.AddTLS(c)
	flags := c.Flags()
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

func (p *program) standDigicert(ctx context.Context, f digicertFlags, cfg digicerttest.Config) (err error) {
	if err := cfg.Check(); err != nil {
		return usage.Errorf("%w", err)
	}
	journal, closing, err := f.OpenJournal()
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
	err = f.Arrange(ca, "rejected", func(pattern, kind, reason string) error {
		return ca.Plan(pattern, digicertOutcome(kind, reason))
	})
	if err != nil {
		return err
	}
	l, origin, err := f.Open(standincmd.With(ca.ServerCertificate), ca.RootsPEM())
	if err != nil {
		return err
	}
	return f.Serve(ctx, ca, l, func(control string) {
		fmt.Fprintf(p.stdout, "An imitation of DigiCert CertCentral is running.\n  url           %s/services/v2\n  API key       %s\n  organization  117\n%s", origin, cfg.Key, standincmd.ControlLine(control))
	})
}

// digicertOutcome reads a kind with what the order is issued again as, "no-client+stuck".
func digicertOutcome(kind, reason string) digicerttest.Outcome {
	first, again, said := strings.Cut(kind, "+")
	if said && again == "" {
		again = "+" // which is no kind, where nothing at all would be the usual one
	}
	return digicerttest.Outcome{Kind: digicerttest.Kind(first), Reason: reason, Reissue: digicerttest.Kind(again)}
}
