package main

import (
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/keyfile"
)

func (p *program) ib1IssuerRequestCommand() *cobra.Command {
	i := &ib1Flags{}
	c := &cobra.Command{
		Use: "request --dir FOLDER --tree TREE", Short: "Make the key of the next issuer and a request for its certificate",
		Long: `Make the key of the next issuer, encrypted with a passphrase, and a request for its certificate.

Do it on the machine that will issue, and take the request to the one with the root. While a
request waits for its certificate, the same one is shown again.`,
		Example: "  acmebridge ib1 issuer request --dir ib1 --tree client", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				r, err := f.RequestIssuer(t)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "issuer %d of the %s tree waits for its certificate; have this request signed: %s\n", r.Number, t, r.File)
				return nil
			})
		},
	}
	i.where(c)
	i.keys(c)
	i.framework(c)
	return c
}

func (p *program) ib1IssuerSignCommand() *cobra.Command {
	i := &ib1Flags{}
	var csr, out string
	c := &cobra.Command{
		Use: "sign --dir FOLDER --tree TREE --csr FILE", Short: "Sign a request for an issuer with the root",
		Example: "  acmebridge ib1 issuer sign --dir ib1 --tree client --csr issuer-1.csr.pem --out issuer-1.pem", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if csr == "" {
				return usage.Errorf("name the file with the request, with --csr")
			}
			request, err := p.ib1File(csr, "CERTIFICATE REQUEST")
			if err != nil {
				return err
			}
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				cert, err := f.SignIssuer(t, request)
				if err != nil {
					return err
				}
				data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
				if out == "" {
					_, err = p.stdout.Write(data)
					return err
				}
				if err := keyfile.Replace(out, 0o644, data); err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "signed an issuer of the %s tree; take it to where it was requested: %s\n", t, out)
				p.ib1Certificate(cert)
				return nil
			})
		},
	}
	i.where(c)
	i.keys(c)
	c.Flags().StringVar(&csr, "csr", "", "file with the request, in PEM; - for standard input")
	c.Flags().StringVar(&out, "out", "", "file for the certificate (default: standard output)")
	return c
}

func (p *program) ib1IssuerImportCommand() *cobra.Command {
	i := &ib1Flags{}
	var file, root string
	c := &cobra.Command{
		Use: "import --dir FOLDER --tree TREE --cert FILE", Short: "Take the certificate for a request, from whoever signed it",
		Long: `Take the certificate for a request that was made in this folder.

It may have been signed by 'ib1 issuer sign' or by other software: it is checked against the whole
profile, and what does not fit is named. The root is needed with the first issuer of a tree.`,
		Example: "  acmebridge ib1 issuer import --dir ib1 --tree client --cert issuer-1.pem --root root.pem", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				return usage.Errorf("name the file with the certificate, with --cert")
			}
			cert, err := p.ib1ReadCertificate(file)
			if err != nil {
				return err
			}
			above := cert
			if root == "" {
				above = nil
			} else if above, err = p.ib1ReadCertificate(root); err != nil {
				return err
			}
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				n, err := f.ImportIssuer(t, cert, above)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "issuer %d of the %s tree has its certificate\n", n, t)
				p.ib1Certificate(cert)
				return nil
			})
		},
	}
	i.where(c)
	c.Flags().StringVar(&file, "cert", "", "file with the certificate, in PEM")
	c.Flags().StringVar(&root, "root", "", "file with the certificate of the root, in PEM")
	return c
}

func (p *program) ib1IssuerRotateCommand() *cobra.Command {
	i := &ib1Flags{}
	c := &cobra.Command{
		Use: "rotate --dir FOLDER --tree TREE", Short: "Request, sign and import the next issuer, where the key of the root is at hand",
		Example: "  acmebridge ib1 issuer rotate --dir ib1 --tree client", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				n, cert, err := f.RotateIssuer(t)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "made issuer %d of the %s tree\n", n, t)
				p.ib1Certificate(cert)
				return nil
			})
		},
	}
	i.where(c)
	i.keys(c)
	return c
}

// errAlarm ends a check that found something.
var errAlarm = errors.New("something has to be done")

// ib1Listed is a tree as programs read it.
type ib1Listed struct {
	Tree     ib1.Tree          `json:"tree"`
	Root     string            `json:"root,omitempty"` // the end of its validity
	RootKey  bool              `json:"root_key"`
	Issuers  []ib1ListedIssuer `json:"issuers"`
	Requests []int             `json:"requests"`
	Alarms   []ib1ListedAlarm  `json:"alarms"`
}

type ib1ListedIssuer struct {
	Number   int       `json:"number"`
	Phase    ib1.Phase `json:"phase"`
	Serial   string    `json:"serial"`
	NotAfter string    `json:"not_after"`
	// SignsUntil is the end of being active.
	SignsUntil string `json:"signs_until"`
	Key        bool   `json:"key"`
}

type ib1ListedAlarm struct {
	Urgent bool   `json:"urgent"`
	Due    string `json:"due"`
	Text   string `json:"text"`
}

func (p *program) ib1IssuerListCommand() *cobra.Command {
	i := &ib1Flags{}
	var asJSON, check bool
	c := &cobra.Command{
		Use: "list --dir FOLDER", Short: "Show roots, issuers and requests, and what has to be done",
		Long: `Show roots, issuers and requests, and what has to be done.

With --check the exit code is 1 when there is an alarm: before an issuer can no longer cover the full
validity of a certificate, and before the root can no longer cover that of an issuer.`,
		Example: "  acmebridge ib1 issuer list --dir ib1\n  acmebridge ib1 issuer list --dir ib1 --check", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, true, func(f *ceremony.Folder, t ib1.Tree) error {
				all, err := f.List()
				if err != nil {
					return err
				}
				listed, alarm := []ib1Listed{}, false
				for _, s := range all {
					if t == "" || s.Tree == t {
						listed = append(listed, ib1List(f.Framework(), s))
						alarm = alarm || len(s.Alarms) > 0
					}
				}
				if asJSON {
					err = p.json(listed)
				} else {
					p.ib1Print(listed)
				}
				if err == nil && check && alarm {
					return errAlarm
				}
				return err
			})
		},
	}
	i.where(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&check, "check", false, "exit with 1 when something has to be done")
	return c
}

func ib1List(f *ib1.Framework, s ceremony.TreeState) ib1Listed {
	l := ib1Listed{Tree: s.Tree, RootKey: s.RootKey, Issuers: []ib1ListedIssuer{}, Requests: append([]int{}, s.Requests...), Alarms: []ib1ListedAlarm{}}
	if s.Root != nil {
		l.Root = when(&s.Root.NotAfter)
	}
	for _, is := range s.Issuers {
		until := f.LastStart(s.Tree, is.Certificate)
		l.Issuers = append(l.Issuers, ib1ListedIssuer{is.Number, is.Phase, is.Certificate.SerialNumber.String(), when(&is.Certificate.NotAfter), when(&until), is.Key})
	}
	for _, a := range s.Alarms {
		l.Alarms = append(l.Alarms, ib1ListedAlarm{a.Urgent, when(&a.Due), a.Text})
	}
	return l
}

func (p *program) ib1Print(all []ib1Listed) {
	here := map[bool]string{true: "its key is here", false: "its key is not here"}
	if len(all) == 0 {
		fmt.Fprintln(p.stdout, "there is no root and no request yet")
	}
	for _, l := range all {
		fmt.Fprintf(p.stdout, "%s\n  root      to %s, %s\n", l.Tree, show(l.Root), here[l.RootKey])
		for _, is := range l.Issuers {
			fmt.Fprintf(p.stdout, "  issuer %-2d %s, signs certificates until %s, ends %s, %s\n", is.Number, is.Phase, is.SignsUntil, is.NotAfter, here[is.Key])
		}
		for _, n := range l.Requests {
			fmt.Fprintf(p.stdout, "  issuer %-2d waits for its certificate\n", n)
		}
		for _, a := range l.Alarms {
			word := "note"
			if a.Urgent {
				word = "URGENT"
			}
			fmt.Fprintf(p.stdout, "  %s: %s\n", word, a.Text)
		}
	}
}
