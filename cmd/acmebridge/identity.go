package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/identity"
	"acmebridge/internal/keyfile"
	"acmebridge/internal/secret"
)

const (
	private = 0o600
	public  = 0o644
	// maxIdentityFile is far more than any chain has.
	maxIdentityFile = 1 << 20
)

func (p *program) identityCommand() *cobra.Command {
	return group("identity", "One file with private key, certificate and chain: make it, check it, renew it",
		"  acmebridge identity export --out vasp.pem vasp.key vasp.crt chain.pem\n"+
			"  acmebridge identity check vasp.pem --root x9-root.pem --dns vasp.example",
		p.identityExportCommand(), p.identityCheckCommand(), p.identityRenewCommand())
}

// identityFlags say what an identity is expected to be.
type identityFlags struct {
	names, roots           []string
	server, client, asJSON bool
	remaining              string
	passphraseFile         string
}

func (f *identityFlags) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.names, "dns", nil, "name that the certificate has to be for, and no other (may be given again; IP addresses too)")
	c.Flags().StringArrayVar(&f.roots, "root", nil, "file with the root that counterparties trust, in PEM (may be given again)")
	c.Flags().BoolVar(&f.server, "server", false, "it is shown by servers only (default: by servers and clients)")
	c.Flags().BoolVar(&f.client, "client", false, "it is shown by clients only (default: by servers and clients)")
	c.Flags().StringVar(&f.remaining, "remaining", "", "how long it has to be valid yet, such as 30d")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "file, readable by its owner only, with the passphrase of an encrypted key (default: ask)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "the checks as JSON")
}

// expect reads the flags. When neither side is named, it is both.
func (f *identityFlags) expect(now time.Time) (e identity.Expect, err error) {
	e = identity.Expect{Server: f.server || !f.client, Client: f.client || !f.server, Now: now}
	if len(f.names) > 0 {
		if e.Names, err = identity.Names(f.names); err != nil {
			return e, usage.Errorf("--dns: %w", err)
		}
	}
	if f.remaining != "" {
		if e.Remaining, err = config.ParseDuration(f.remaining); err != nil || e.Remaining < 0 {
			return e, usage.Errorf("--remaining: write a duration such as 30d")
		}
	}
	for _, path := range f.roots {
		data, err := readLimited(path)
		if err != nil {
			return e, err
		}
		b, err := identity.ReadBundle(nil, data)
		if err != nil {
			return e, fmt.Errorf("%s: %w", path, err)
		}
		before := len(e.Roots)
		for _, c := range b.Certificates {
			// Issuers beside a root are left out: whoever trusts the root may not
			// have them, and an identity has to bring its own.
			if c.IsCA && c.CheckSignatureFrom(c) == nil {
				e.Roots = append(e.Roots, c)
			}
		}
		if len(e.Roots) == before {
			return e, fmt.Errorf("%s holds no root, which is a certificate of a CA that signed itself", path)
		}
	}
	return e, nil
}

func (p *program) identityExportCommand() *cobra.Command {
	f := &identityFlags{}
	var out string
	var withRoot, force bool
	c := &cobra.Command{
		Use: "export --out FILE FILE...", Short: "Put private key, certificate and chain into one file, in that order and checked",
		Long: `Put exactly one private key (PKCS #8, unencrypted), its certificate and the chain of that into one
file that only you can read, in that order and with nothing else. The files may hold them in any
order and form; an encrypted key is opened. The root is left out, as servers do, unless asked for.

Everything that 'identity check' looks at is checked before, and nothing is written when something
fails. The same file may be installed as TLS server identity and as mTLS client identity when it is
good for both.`,
		Example: "  acmebridge identity export --out vasp.pem --root x9-root.pem vasp.key vasp.crt chain.pem\n" +
			"  acmebridge identity export --client --out client.pem vasp.key client.crt",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" || len(args) == 0 {
				return usage.Errorf("name the file to write with --out, and the files that hold key, certificate and chain")
			}
			return p.exportIdentity(f, args, out, withRoot, force)
		},
	}
	f.flags(c)
	c.Flags().StringVar(&out, "out", "", "file to write")
	c.Flags().BoolVar(&withRoot, "with-root", false, "put the root at the end")
	c.Flags().BoolVar(&force, "force", false, "replace the file when it is there")
	return c
}

func (p *program) exportIdentity(f *identityFlags, files []string, out string, withRoot, force bool) error {
	e, err := f.expect(time.Now())
	if err != nil {
		return err
	}
	b, err := p.readBundle(f.passphraseFile, files...)
	if err != nil {
		return err
	}
	b.Certificates = append(b.Certificates, rootsOf(b, e.Roots)...)
	id, err := identity.Assemble(b)
	if err != nil {
		return err
	}
	findings := identity.Check(id, e)
	if err := p.showFindings(findings, f.asJSON); err != nil {
		return err
	}
	content, err := id.Encode(withRoot)
	if err != nil {
		return err
	}
	if force {
		err = keyfile.Replace(out, private, content)
	} else {
		err = p.write(out, private, func(w io.Writer) error { _, err := w.Write(content); return err })
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s: written; it holds the private key, so keep it as one\n", out)
	return nil
}

// rootsOf are the roots that certified something in the bundle, so that they can
// stand at the end.
func rootsOf(b identity.Bundle, roots []*x509.Certificate) (used []*x509.Certificate) {
	for _, r := range roots {
		known := slices.ContainsFunc(b.Certificates, r.Equal) || slices.ContainsFunc(used, r.Equal)
		if !known && slices.ContainsFunc(b.Certificates, func(c *x509.Certificate) bool { return c.CheckSignatureFrom(r) == nil }) {
			used = append(used, r)
		}
	}
	return used
}

func (p *program) identityCheckCommand() *cobra.Command {
	f := &identityFlags{}
	c := &cobra.Command{
		Use: "check FILE...", Short: "Check an identity as its counterparties will: usages, names, chain, validity, handshake",
		Long: `Check an identity as its counterparties will: the key is the one of the certificate, names are
exactly those given, both usages are there, the chain leads to a root for each of them, nothing has
expired, and a TLS 1.2 and 1.3 handshake works in both roles. What is missing is named; the exit
code is 1 when a check failed. Give the root that your network admits with --root: without it the
chain is only checked link by link.`,
		Example: "  acmebridge identity check vasp.pem --root x9-root.pem --dns vasp.example --remaining 30d\n  acmebridge identity check --server server.pem",
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage.Errorf("name the file with the identity")
			}
			e, err := f.expect(time.Now())
			if err != nil {
				return err
			}
			b, err := p.readBundle(f.passphraseFile, args...)
			if err != nil {
				return err
			}
			id, err := identity.Assemble(b)
			if err != nil {
				return err
			}
			findings := identity.Check(id, e)
			if len(args) == 1 {
				findings = append(findings, p.fileFinding(args[0], b, id))
			}
			return p.showFindings(findings, f.asJSON)
		},
	}
	f.flags(c)
	return c
}

// fileFinding is about the file itself: what else is in it, and who can read it.
func (p *program) fileFinding(path string, b identity.Bundle, id identity.Identity) identity.Finding {
	found := identity.Finding{Check: "file", Result: identity.Warning}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		found.Detail = err.Error()
	case keyfile.Private(path, info) != nil:
		found.Detail = "others than you can read it, and it holds the private key: chmod 600 " + path
	case len(b.Strange) > 0:
		found.Detail = "it also holds a " + b.Strange[0] + ", which some programs stumble over; 'identity export' leaves that out"
	case !inOrder(b, id):
		found.Detail = "the certificate is not the first, or its chain is out of order; 'identity export' puts them right"
	default:
		found.Result = identity.OK
	}
	return found
}

func inOrder(b identity.Bundle, id identity.Identity) bool {
	chain := append([]*x509.Certificate{id.Leaf}, id.Intermediates...)
	for i, c := range chain {
		if i >= len(b.Certificates) || !b.Certificates[i].Equal(c) {
			return false
		}
	}
	return true
}

// errChecks is the one line below a table that says it all.
var errChecks = errors.New("a check failed")

// showFindings prints the checks, and is an error when one failed.
func (p *program) showFindings(findings []identity.Finding, asJSON bool) error {
	if asJSON {
		if err := p.json(findings); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		for _, f := range findings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Check, f.Result, f.Detail)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if !identity.Passed(findings) {
		return errChecks
	}
	return nil
}

// readBundle reads files with keys and certificates, and asks for a passphrase
// when there is none in a file.
func (p *program) readBundle(passphraseFile string, paths ...string) (identity.Bundle, error) {
	var all [][]byte
	for _, path := range paths {
		data, err := readLimited(path)
		if err != nil {
			return identity.Bundle{}, err
		}
		all = append(all, data)
	}
	return identity.ReadBundle(func() ([]byte, error) {
		if passphraseFile != "" {
			s, err := secret.FromFile(passphraseFile)
			if err != nil {
				return nil, err
			}
			return s.Reveal(), nil
		}
		stdin, ok := p.stdin.(*os.File)
		if !ok || !term.IsTerminal(int(stdin.Fd())) {
			return nil, errors.New("there is nobody to ask: use --passphrase-file")
		}
		fmt.Fprint(p.stderr, "Passphrase of the private key: ")
		defer fmt.Fprintln(p.stderr)
		return term.ReadPassword(int(stdin.Fd()))
	}, all...)
}

// readLimited reads a file that holds keys, certificates or the like.
func readLimited(path string) ([]byte, error) { return readAtMost(path, maxIdentityFile) }

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes, which no file of this kind is", path, limit)
	}
	return data, nil
}
