package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/cmd/internal/standincmd"
	"acmebridge/cmd/internal/usage"
)

func (p *program) standinGlobalSignCommand() *cobra.Command {
	var f standincmd.Flags
	var cfg globalsigntest.Config
	var folder string
	var domains []string
	c := &cobra.Command{
		Use: "globalsign", Short: "Imitate GlobalSign Atlas",
		Long: `Imitate the HVCA interface of GlobalSign Atlas: mutual TLS, tokens, a validation policy, claimed domains, a
quota, and certificates of a CA of its own. It runs until Ctrl-C, and forgets everything then.

Into the folder it writes what a client needs: roots.pem (of what is issued), tls-root.pem (of the
service), client.pem and client-key.pem.

The journal gets a line of JSON for each request, purchase, certificate and revocation. On the
control port the same is done from outside while it runs: POST /faults, /next, /plans, /hold,
/release, /advance, /expire, /server-only, /quota, /domain and GET /journal, /counts, /roots.pem,
/machines.pem.
` + standincmd.Help(globalsigntest.Endpoints(), globalsigntest.FaultKinds(), globalsigntest.Kinds(), "orders whose first name"),
		Example: `  acmebridge standin globalsign --folder globalsign --processing 5s --journal orders.jsonl
  acmebridge standin globalsign --folder globalsign --server-only
  acmebridge standin globalsign --folder globalsign --fault order:status-after:status=503,count=1`,
		Args: usage.NoArguments,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if p.file != "" || p.data != "" {
			return usage.Errorf("it has neither a configuration nor data of a server; leave out --config and --data")
		}
		if folder == "" && !cfg.Clear {
			return usage.Errorf("give a --folder for the certificates that a client needs, or --clear to do without")
		}
		return p.standGlobalSign(c.Context(), f, cfg, folder, domains)
	}
	f.Add(c, "127.0.0.1:8851")
	flags := c.Flags()
	flags.StringVar(&folder, "folder", "", "where to write the certificates that a client needs")
	flags.StringVar(&cfg.Key, "key", "hvca-key", "the API key; it guards nothing")
	flags.StringVar(&cfg.Secret, "secret", "hvca-secret", "the secret of the API key; it guards nothing")
	flags.DurationVar(&cfg.Processing, "processing", 2*time.Second, "how long a certificate takes")
	flags.DurationVar(&cfg.Visibility, "visibility", 0, "how long a certificate does not show in the statistics")
	flags.BoolVar(&cfg.ServerOnly, "server-only", false, "have no clientAuth in the policy")
	flags.BoolVar(&cfg.StaticUsages, "static-usages", false, "put the usages of the policy into each certificate")
	flags.BoolVar(&cfg.Curves, "curves", false, "take EC keys, and no RSA keys")
	flags.StringVar(&cfg.Organization, "organization", "", "put this organization into each subject")
	flags.Int64Var(&cfg.Quota, "quota", 1_000_000, "how many certificates may be issued")
	flags.BoolVar(&cfg.Clear, "clear", false, "speak without TLS, and let everybody in")
	flags.StringArrayVar(&domains, "domain", nil, "a further verified domain besides example.org, example.com and localhost (may be given again)")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "makes faults by chance come the same way again")
	return c
}

func (p *program) standGlobalSign(ctx context.Context, f standincmd.Flags, cfg globalsigntest.Config, folder string, domains []string) (err error) {
	if err := cfg.Check(); err != nil {
		return usage.Errorf("%w", err)
	}
	journal, closing, err := f.OpenJournal()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	cfg.Journal = journal
	ca, err := globalsigntest.New(cfg)
	if err != nil {
		return err
	}
	for _, name := range domains {
		ca.SetDomain(name, ca.Now().AddDate(1, 0, 0))
	}
	if err := f.Arrange(ca, "refused", func(pattern, kind, reason string) error {
		return ca.Plan(pattern, globalsigntest.Outcome{Kind: globalsigntest.Kind(kind), Reason: reason})
	}); err != nil {
		return err
	}
	if folder != "" {
		if err := writeCredentials(ca, folder); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	scheme, address := "http", l.Addr()
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	config, err := ca.TLS(host)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if config != nil {
		scheme, l = "https", tls.NewListener(l, config)
	}
	return f.Serve(ctx, ca, l, func(control string) {
		fmt.Fprintf(p.stdout, "An imitation of GlobalSign Atlas is running.\n  url           %s://%s/v2\n  API key       %s\n  API secret    %s\n", scheme, address, cfg.Key, cfg.Secret)
		if folder != "" {
			fmt.Fprintf(p.stdout, "  folder        %s\n", folder)
		}
		fmt.Fprint(p.stdout, standincmd.ControlLine(control))
	})
}

// writeCredentials writes what a client of the imitation needs.
func writeCredentials(ca *globalsigntest.CA, folder string) error {
	cert, err := ca.ClientCertificate()
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	var chain []byte
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	if err := os.MkdirAll(filepath.Clean(folder), 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	for name, content := range map[string][]byte{
		"roots.pem": ca.RootsPEM(), "tls-root.pem": ca.MachinesPEM(), "client.pem": chain,
		"client-key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(filepath.Clean(folder), name), content, 0o600); err != nil {
			return fmt.Errorf("write what a client needs: %w", err)
		}
	}
	return nil
}
