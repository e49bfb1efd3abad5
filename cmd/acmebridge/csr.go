package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/identity"
	"acmebridge/internal/keyfile"
)

const csrType = "CERTIFICATE REQUEST"

func (p *program) csrCommand() *cobra.Command {
	return group("csr", "Make and check a CSR, on the machine that the key is for; submit one, where the server runs",
		"  acmebridge csr new --dns vasp.example --key vasp.key --out vasp.csr\n  acmebridge csr check vasp.csr\n  acmebridge csr submit vasp.csr --member vasp --out vasp.pem",
		p.csrNewCommand(), p.csrCheckCommand(), p.csrSubmitCommand())
}

func (p *program) csrNewCommand() *cobra.Command {
	var dns, ip []string
	var key, out, kind string
	c := &cobra.Command{
		Use: "new --dns NAME... --key FILE --out FILE", Short: "Make a private key, and a CSR that asks for both usages, client and server",
		Long: `Make a private key (PKCS #8, unencrypted, readable by you alone) and a CSR. The first name is the
common name, all are subject alternative names, and both usages are requested: TLS server and TLS
client. A file that is there is never written over; when only the key is there, it is used again.

CAs with an API take the usages from the order and not from the CSR; in a web form tick both.`,
		Example: "  acmebridge csr new --dns vasp.example --key vasp.key --out vasp.csr\n" +
			"  acmebridge csr new --dns vasp.example --dns api.vasp.example --key-type p256 --key vasp.key --out vasp.csr",
		Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if len(dns)+len(ip) == 0 {
				return usage.Errorf("name what the certificate is for, with --dns")
			}
			if key == "" || out == "" {
				return usage.Errorf("name the files to write, with --key and --out")
			}
			if filepath.Clean(key) == filepath.Clean(out) {
				return usage.Errorf("--key and --out name the same file; a CSR goes to the CA, and the key never does")
			}
			names, err := identity.Names(append(dns, ip...))
			if err != nil {
				return usage.Error(err)
			}
			return p.newCSR(names, kind, key, out)
		},
	}
	c.Flags().StringArrayVar(&dns, "dns", nil, "name that the certificate is for (may be given again; the first is the common name)")
	c.Flags().StringArrayVar(&ip, "ip", nil, "IP address that it is for (may be given again)")
	c.Flags().StringVar(&key, "key", "", "file to write the private key to, or the one that it is in")
	c.Flags().StringVar(&out, "out", "", "file to write the CSR to")
	c.Flags().StringVar(&kind, "key-type", identity.KeyTypes()[0], "one of "+strings.Join(identity.KeyTypes(), ", "))
	return c
}

func (p *program) newCSR(names []string, kind, keyPath, out string) error {
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s is there already; choose another name or move it away", out)
	}
	b, err := p.readBundle("", keyPath)
	key := b.Key
	switch {
	case errors.Is(err, os.ErrNotExist):
		if key, err = identity.NewKey(kind); err != nil {
			return usage.Error(err)
		}
		encoded, err := identity.EncodeKey(key)
		if err != nil {
			return err
		}
		if err := p.write(keyPath, private, func(w io.Writer) error { _, err := w.Write(encoded); return err }); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "%s: the private key; it stays on this machine\n", keyPath)
	case err != nil:
		return err
	case key == nil:
		return fmt.Errorf("%s is there already, and holds no private key; choose another name or move it away", keyPath)
	default:
		fmt.Fprintf(p.stderr, "%s: the private key that was there is used again\n", keyPath)
	}
	der, err := identity.NewRequest(names, key)
	if err != nil {
		return err
	}
	if err := p.write(out, public, func(w io.Writer) error { return pem.Encode(w, &pem.Block{Type: csrType, Bytes: der}) }); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s: the CSR, for %s\n", out, strings.Join(names, ", "))
	return nil
}

func (p *program) csrCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "check FILE", Short: "Show what a CSR asks for, and what a CA may stumble over",
		Example: "  acmebridge csr check vasp.csr", Args: exactly(1, "the file with the CSR"),
		RunE: func(_ *cobra.Command, args []string) error {
			der, err := readCSR(args[0])
			if err != nil {
				return err
			}
			r, err := identity.ReadRequest(der)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if asJSON {
				return p.json(r)
			}
			fmt.Fprintf(p.stdout, "key          %s\ncommon name  %s\nnames        %s\nusages       %s\n", r.Key, show(r.CommonName), show(strings.Join(r.Names, ", ")), usages(r))
			for _, w := range r.Warnings {
				fmt.Fprintf(p.stdout, "warning      %s\n", w)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func usages(r identity.Request) string {
	var all []string
	if r.ServerAuth {
		all = append(all, "serverAuth")
	}
	if r.ClientAuth {
		all = append(all, "clientAuth")
	}
	return show(strings.Join(all, ", "))
}

// readCSR reads one CSR, in PEM or DER.
func readCSR(path string) ([]byte, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return data, nil
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, fmt.Errorf("%s: the PEM in it is damaged", path)
	case block.Type == keyfile.PlainType || block.Type == keyfile.SealedType:
		return nil, fmt.Errorf("%s holds a private key, which no CA wants to see; give the CSR", path)
	case block.Type != csrType && block.Type != "NEW "+csrType:
		return nil, fmt.Errorf("%s holds a %s and no CSR", path, block.Type)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, fmt.Errorf("%s holds more than one CSR; give each in a file of its own", path)
	}
	return block.Bytes, nil
}
