package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/cmd/internal/standincmd"
	"acmebridge/cmd/internal/usage"
)

func (p *program) standinGoDaddyCommand() *cobra.Command {
	var f standincmd.Flags
	var cfg godaddytest.Config
	var from string
	c := &cobra.Command{
		Use: "godaddy", Short: "Imitate GoDaddy",
		Long: `Imitate version 1 of the certificates API of GoDaddy: credits, dry runs, orders for RSA keys that take their
time, and certificates of a CA of its own whose usages nobody can choose. It runs until Ctrl-C, and
forgets everything then.

The journal gets a line of JSON for each request, purchase, renewal, reissue, certificate and
revocation. On the control port the same is done from outside while it runs: POST /faults, /next,
/plans, /advance, /credits, /server-only and GET /journal, /counts, /roots.pem.
` + standincmd.Help(godaddytest.Endpoints(), godaddytest.FaultKinds(), godaddytest.Kinds(), "orders whose common name"),
		Example: `  acmebridge standin godaddy --tls-root roots.pem --processing 5s --journal orders.jsonl
  acmebridge standin godaddy --tls-root roots.pem --server-only-from ''
  acmebridge standin godaddy --fault order:reset-after:count=1 --credits 3`,
		Args: usage.NoArguments,
	}
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if p.file != "" || p.data != "" {
			return usage.Errorf("it has neither a configuration nor data of a server; leave out --config and --data")
		}
		if from != "" {
			if cfg.ServerOnlyFrom, err = time.Parse(time.DateOnly, from); err != nil {
				return usage.Errorf("--server-only-from %q: it should look like 2026-06-15", from)
			}
		}
		return p.standGoDaddy(c.Context(), f, cfg)
	}
	f.Add(c, "127.0.0.1:8861")
	f.AddTLS(c)
	flags := c.Flags()
	flags.StringVar(&cfg.Key, "key", "godaddy-key", "the API key; it guards nothing")
	flags.StringVar(&cfg.Secret, "secret", "godaddy-secret", "the secret of the API key; it guards nothing")
	flags.Int64Var(&cfg.Shopper, "shopper", 1234567, "number of the account")
	flags.Int64Var(&cfg.Credits, "credits", 1_000_000, "how many certificates were paid for")
	flags.DurationVar(&cfg.Processing, "processing", 5*time.Second, "how long an order takes")
	flags.DurationVar(&cfg.Visibility, "visibility", 0, "how long an order does not show in the list")
	flags.StringVar(&from, "server-only-from", "2026-06-15", "day from which certificates are for servers only (empty: never)")
	flags.DurationVar(&cfg.RenewWithin, "renew-within", 0, "how long before its end a certificate can be renewed (0s: always)")
	flags.BoolVar(&cfg.ShowCSR, "show-csr", false, "have orders show the CSR that they are for")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "makes faults by chance come the same way again")
	return c
}

func (p *program) standGoDaddy(ctx context.Context, f standincmd.Flags, cfg godaddytest.Config) (err error) {
	if err := cfg.Check(); err != nil {
		return usage.Errorf("%w", err)
	}
	journal, closing, err := f.OpenJournal()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	cfg.Journal = journal
	ca, err := godaddytest.New(cfg)
	if err != nil {
		return err
	}
	if err := f.Arrange(ca, "refused", func(pattern, kind, reason string) error {
		return ca.Plan(pattern, godaddytest.Outcome{Kind: godaddytest.Kind(kind), Reason: reason})
	}); err != nil {
		return err
	}
	l, origin, err := f.Open(func(host string) (*tls.Config, error) { return ca.TLS(host) }, ca.RootsPEM())
	if err != nil {
		return err
	}
	return f.Serve(ctx, ca, l, func(control string) {
		fmt.Fprintf(p.stdout, "An imitation of GoDaddy is running.\n  url           %s\n  API key       %s\n  API secret    %s\n  shopper       %d\n%s",
			origin, cfg.Key, cfg.Secret, cfg.Shopper, standincmd.ControlLine(control))
	})
}
