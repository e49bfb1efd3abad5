package main

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/cmd/internal/usage"
)

// ib1Number is the number of an authority: 0 for the root.
func ib1Number(text string) (int, error) {
	if text == "root" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usage.Errorf("--issuer: %q is neither the number of an issuer nor root", text)
	}
	return n, nil
}

func (p *program) ib1CRLRevokeCommand() *cobra.Command {
	i := &ib1Flags{}
	var file, serial, issuer, reason, at, notAfter string
	c := &cobra.Command{
		Use: "revoke --dir FOLDER --tree TREE --cert FILE --reason REASON", Short: "Note that a certificate is revoked; the next list has it",
		Long: `Note that a certificate is revoked. It takes effect with the next list: run 'ib1 crl sign' then.

The reasons are unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation and
privilegeWithdrawn; for an issuer, which its root revokes, a reason other than the first is needed.`,
		Example: "  acmebridge ib1 crl revoke --dir ib1 --tree client --cert member.pem --reason keyCompromise\n" +
			"  acmebridge ib1 crl revoke --dir ib1 --tree client --serial 108996695654363101578112178942988300290 --issuer 1 --reason superseded",
		Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			code, err := ib1.ReasonByName(reason)
			if err != nil {
				return usage.Errorf("--reason: %w", err)
			}
			if (file == "") == (serial == "") || (serial != "" && issuer == "") {
				return usage.Errorf("name the certificate, with --cert, or its number and who signed it, with --serial and --issuer")
			}
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				now, err := seams(p.env)
				if err != nil {
					return err
				}
				r := ib1.Revocation{Reason: code, At: now()}
				for text, to := range map[*string]*time.Time{&at: &r.At, &notAfter: &r.NotAfter} {
					if *text != "" {
						if *to, err = time.Parse(time.RFC3339, *text); err != nil {
							return usage.Errorf("write a time such as 2026-12-20T12:00:00Z: %w", err)
						}
					}
				}
				number := 0
				if file != "" {
					cert, err := p.ib1ReadCertificate(file)
					if err != nil {
						return err
					}
					if number, err = f.Authority(t, cert); err != nil {
						return err
					}
					r.Serial, r.NotAfter = cert.SerialNumber, cert.NotAfter
				} else {
					ok := false
					if r.Serial, ok = new(big.Int).SetString(serial, 10); !ok {
						return usage.Errorf("--serial: write the number in decimal")
					}
					if number, err = ib1Number(issuer); err != nil {
						return err
					}
				}
				if err := f.Revoke(t, number, r); err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "the certificate with the serial number %s is revoked as of the next list; sign it now\n", r.Serial)
				return nil
			})
		},
	}
	i.where(c)
	c.Flags().StringVar(&file, "cert", "", "file with the certificate, in PEM")
	c.Flags().StringVar(&serial, "serial", "", "its serial number, in decimal")
	c.Flags().StringVar(&issuer, "issuer", "", "with --serial: the number of the issuer that signed it, or root")
	c.Flags().StringVar(&notAfter, "not-after", "", "with --serial: the end of the certificate, so that it may leave the list some day")
	c.Flags().StringVar(&reason, "reason", "unspecified", "why")
	c.Flags().StringVar(&at, "at", "", "from when on, such as 2026-12-20T12:00:00Z (default: now)")
	return c
}

func (p *program) ib1CRLSignCommand() *cobra.Command {
	i := &ib1Flags{}
	var issuer string
	c := &cobra.Command{
		Use: "sign --dir FOLDER --tree TREE", Short: "Make the next revocation lists of a tree",
		Long: `Make the next revocation lists of a tree, of every CA whose key is here, or of one.

Where a server serves the folder it signs the lists of issuers, and only those of roots are made here.

The lists are put below public/ in the folder, together with a bundle of all of them in PEM for
servers that check every list of a chain. Those of issuers are good for a week, those of roots for
a year; make them daily, and at once after a revocation.`,
		Example: "  acmebridge ib1 crl sign --dir ib1 --tree client\n  acmebridge ib1 crl sign --dir ib1 --tree client --issuer root", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				numbers, err := ib1Signers(f, t, issuer)
				if err != nil {
					return err
				}
				for _, n := range numbers {
					l, err := f.SignList(t, n)
					if errors.Is(err, ceremony.ErrServed) && issuer == "" && len(numbers) > 1 && numbers[0] == 0 {
						fmt.Fprintf(p.stderr, "passed over issuer %d: %v\n", n, err)
						continue
					}
					if err != nil {
						return err
					}
					fmt.Fprintf(p.stdout, "list %s with %d entries, the next one by %s: %s\n", l.Number, l.Entries, when(&l.Next), l.File)
				}
				return nil
			})
		},
	}
	i.where(c)
	i.keys(c)
	c.Flags().StringVar(&issuer, "issuer", "", "number of an issuer, or root (default: all whose keys are here)")
	return c
}

// ib1Signers are the authorities to sign lists: the named one, or all that can.
func ib1Signers(f *ceremony.Folder, t ib1.Tree, issuer string) ([]int, error) {
	if issuer != "" {
		n, err := ib1Number(issuer)
		return []int{n}, err
	}
	all, err := f.List()
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, s := range all {
		if s.Tree != t {
			continue
		}
		if s.Root != nil && s.RootKey {
			numbers = append(numbers, 0)
		}
		for _, is := range s.Issuers {
			if is.Key && (is.Phase == ib1.Active || is.Phase == ib1.Retired) {
				numbers = append(numbers, is.Number)
			}
		}
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("no CA of the %s tree has its key here", t)
	}
	return numbers, nil
}

func (p *program) ib1CRLImportCommand() *cobra.Command {
	i := &ib1Flags{}
	var file string
	c := &cobra.Command{
		Use: "import --dir FOLDER --tree TREE --crl FILE", Short: "Take a list that was signed elsewhere, such as that of the root, to be published from here",
		Example: "  acmebridge ib1 crl import --dir ib1 --tree client --crl root.crl", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				return usage.Errorf("name the file with the list, with --crl")
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				published, err := f.ImportList(t, data)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "the list is published: %s\n", published)
				return nil
			})
		},
	}
	i.where(c)
	c.Flags().StringVar(&file, "crl", "", "file with the list, in DER or PEM")
	return c
}

func (p *program) ib1CRLBundleCommand() *cobra.Command {
	i := &ib1Flags{}
	c := &cobra.Command{
		Use: "bundle --dir FOLDER --tree TREE", Short: "Write the lists of a tree into one PEM file, for servers that check every list of a chain",
		Example: "  acmebridge ib1 crl bundle --dir ib1 --tree client", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				file, err := f.Bundle(t)
				if err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, file)
				return nil
			})
		},
	}
	i.where(c)
	return c
}
