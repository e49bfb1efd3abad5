package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/ib1/verify"
	"acmebridge/cmd/internal/usage"
)

func (p *program) ib1VerifyCommand() *cobra.Command {
	return group("verify", "Whether a certificate or a signed record of an IB1 framework may be believed",
		"  acmebridge ib1 verify client --root client-root.pem --crl lists.pem member.pem\n"+
			"  acmebridge ib1 verify provenance --framework https://registry.core.trust.ib1.org/trust-framework --root signing-root.pem --crl lists.pem record.json",
		p.ib1VerifyClientCommand(), p.ib1VerifyProvenanceCommand())
}

// ib1Trust is what the flags of both commands say.
type ib1Trust struct {
	roots, others, issuers, lists []string
	noRootCRL, asJSON             bool
	at                            string
}

func (i *ib1Trust) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&i.roots, "root", nil, "file with the root of the tree, in PEM (may be given again)")
	c.Flags().StringArrayVar(&i.others, "other-root", nil, "file with the root of another tree, for a clearer answer (may be given again)")
	c.Flags().StringArrayVar(&i.issuers, "issuer", nil, "file with issuers that are not presented, in PEM (may be given again)")
	c.Flags().StringArrayVar(&i.lists, "crl", nil, "file with revocation lists of issuer and root, in PEM or DER (may be given again)")
	c.Flags().BoolVar(&i.noRootCRL, "no-root-crl", false, "the root publishes no revocation list, so issuers are not looked up")
	c.Flags().StringVar(&i.at, "at", "", "verify as of that time, such as 2026-12-11T00:00:00Z (default: now)")
	c.Flags().BoolVar(&i.asJSON, "json", false, "as JSON")
}

func (i *ib1Trust) trust() (verify.Trust, error) {
	t := verify.Trust{NoRootCRL: i.noRootCRL, CRLs: verify.NewCRLs(verify.CRLConfig{})}
	if len(i.roots) == 0 {
		return t, usage.Errorf("give the root of the tree with --root")
	}
	if i.at != "" {
		at, err := time.Parse(time.RFC3339, i.at)
		if err != nil {
			return t, usage.Errorf("--at %q is no time like 2026-12-11T00:00:00Z", i.at)
		}
		t.Now = func() time.Time { return at }
	}
	for _, f := range []struct {
		names []string
		into  *[]*x509.Certificate
	}{{i.roots, &t.Roots}, {i.others, &t.OtherRoots}, {i.issuers, &t.Issuers}} {
		for _, name := range f.names {
			all, err := ib1Certificates(name)
			if err != nil {
				return t, err
			}
			*f.into = append(*f.into, all...)
		}
	}
	for _, name := range i.lists {
		blocks, err := ib1Blocks(name, "X509 CRL")
		if err != nil {
			return t, err
		}
		for _, der := range blocks {
			if err := t.CRLs.Add(der); err != nil {
				return t, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return t, nil
}

func (p *program) ib1VerifyClientCommand() *cobra.Command {
	var (
		flags    ib1Trust
		roles    []string
		clientID string
	)
	c := &cobra.Command{
		Use: "client FILE", Short: "Verify a client certificate, which may have its issuers after it",
		Long: "Verify a client certificate, in PEM, which may have its issuers after it in the same file.\n\n" +
			"The exit code is 1 when it may not be believed; the name of the check that failed comes first in the message.",
		Example: "  acmebridge ib1 verify client --root client-root.pem --crl lists.pem member.pem\n" +
			"  acmebridge ib1 verify client --root client-root.pem --crl lists.pem --role https://registry.core.trust.ib1.org/scheme/energy/role/auditor --json member.pem",
		Args: exactly(1, "a file with a certificate"),
		RunE: func(c *cobra.Command, args []string) error {
			trust, err := flags.trust()
			if err != nil {
				return err
			}
			client, err := verify.NewClient(trust)
			if err != nil {
				return err
			}
			presented, err := ib1Certificates(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", verify.CertificateMalformed, err)
			}
			id, err := client.Verify(c.Context(), presented)
			if err == nil && len(roles) > 0 {
				err = id.RequireRole(roles...)
			}
			if err == nil && clientID != "" {
				err = id.RequireClientID(clientID)
			}
			if err != nil {
				return err
			}
			if flags.asJSON {
				return p.json(ib1ClientJSON{id, id.Path[0].SerialNumber.String(), id.Path[0].NotAfter})
			}
			p.ib1Identity("", id)
			return nil
		},
	}
	flags.flags(c)
	c.Flags().StringArrayVar(&roles, "role", nil, "a role that is needed (given again: one of them is needed)")
	c.Flags().StringVar(&clientID, "client-id", "", "the client_id of the OAuth token that was used with it")
	return c
}

func (p *program) ib1VerifyProvenanceCommand() *cobra.Command {
	var (
		flags     ib1Trust
		framework string
		raw       bool
	)
	c := &cobra.Command{
		Use: "provenance FILE", Short: "Verify a signed provenance record that brings its certificates",
		Long: "Verify a signed provenance record, in JSON, that brings its certificates.\n\n" +
			"The exit code is 1 when it may not be believed; the message has the name of the check that failed.",
		Example: "  acmebridge ib1 verify provenance --framework https://registry.core.trust.ib1.org/trust-framework --root signing-root.pem --crl lists.pem record.json",
		Args:    exactly(1, "a file with a record"),
		RunE: func(c *cobra.Command, args []string) error {
			if framework == "" {
				return usage.Errorf("give the URL of the trust framework with --framework")
			}
			trust, err := flags.trust()
			if err != nil {
				return err
			}
			verifier, err := verify.NewProvenance(verify.ProvenanceConfig{Trust: trust, Framework: framework, RawSignatures: raw})
			if err != nil {
				return err
			}
			text, err := ib1File(args[0])
			if err != nil {
				return err
			}
			record, err := verifier.Verify(c.Context(), text)
			if err != nil {
				return err
			}
			if flags.asJSON {
				return p.json(record)
			}
			for _, s := range record.Steps {
				fmt.Fprintf(p.stdout, "step %s, %s, signed %s\n", show(s.ID), show(s.Type), s.Signed.Time.Format(time.RFC3339))
				p.ib1Identity("  ", s.Signed.Identity)
				for _, by := range s.IncludedBy {
					fmt.Fprintf(p.stdout, "  included by %s, %s\n", show(by.Identity.Application), by.Time.Format(time.RFC3339))
				}
			}
			return nil
		},
	}
	flags.flags(c)
	c.Flags().StringVar(&framework, "framework", "", "URL of the trust framework that the record must be of")
	c.Flags().BoolVar(&raw, "raw-signatures", false, "accept signatures in the form of JWS too")
	return c
}

// ib1Identity prints in whose name a certificate speaks.
func (p *program) ib1Identity(indent string, id verify.Identity) {
	fmt.Fprintf(p.stdout, "%sapplication %s\n%smember      %s\n", indent, show(id.Application), indent, show(id.Member))
	for _, role := range id.Roles {
		fmt.Fprintf(p.stdout, "%srole        %s\n", indent, show(role))
	}
}

// ib1ClientJSON is what is known of a certificate that was verified.
type ib1ClientJSON struct {
	verify.Identity
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
}

func ib1Certificates(name string) (all []*x509.Certificate, err error) {
	blocks, err := ib1Blocks(name, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	for _, der := range blocks {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// ib1Blocks reads what is in a file: blocks of PEM of one kind, with words
// between them as other tools write them, or one DER.
func ib1Blocks(name, kind string) (blocks [][]byte, err error) {
	text, err := ib1File(name)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(text, []byte("-----BEGIN ")) {
		return [][]byte{text}, nil
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != kind {
			return nil, fmt.Errorf("%s has a %s, and %s is wanted", name, show(block.Type), strings.ToLower(kind))
		}
		blocks = append(blocks, block.Bytes)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("%s has no %s", name, strings.ToLower(kind))
	}
	return blocks, nil
}

// ib1File reads a file of a size that lists and records can have.
func ib1File(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return text, nil
}
