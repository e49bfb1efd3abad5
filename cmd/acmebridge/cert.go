package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) certCommand() *cobra.Command {
	return group("cert", "Certificates that were issued",
		"  acmebridge cert list --expiring 30d\n  acmebridge cert revoke ID --reason superseded",
		p.certListCommand(), p.certShowCommand(), p.certRevokeCommand(), p.certExportCommand())
}

func (p *program) certListCommand() *cobra.Command {
	var account, member, expiring string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List certificates, oldest first; those that end soon, soonest first",
		Example: "  acmebridge cert list\n  acmebridge cert list --expiring 30d --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			query := url.Values{"account": {account}}
			if expiring != "" {
				d, err := config.ParseDuration(expiring)
				if err != nil || d <= 0 {
					return usage.Errorf("--expiring: write a duration such as 30d")
				}
				query.Set("expiring", d.String())
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect(c.Context(), a, "/v1/certificates", query, func(x admin.Certificate) bool {
					return (member == "" || x.Member == member) && (account == "" || x.Account == account)
				})
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "There is no such certificate.", "ID\tSERIAL\tSTATUS\tMEMBER\tENDS\tIDENTIFIERS", func(w io.Writer, x admin.Certificate) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Serial, standing(x), show(x.Member), when(x.NotAfter), show(namesOf(x.Identifiers)))
				})
			})
		},
	}
	c.Flags().StringVar(&account, "account", "", "only those of this account")
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().StringVar(&expiring, "expiring", "", "only those that end within this time, for example 30d")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func standing(x admin.Certificate) string {
	switch {
	case x.Revocation == nil:
		return "issued"
	case x.Revocation.DoneAt == nil:
		return "being revoked"
	default:
		return "revoked"
	}
}

// certificate finds one by its id or its serial number.
func certificate(c *cobra.Command, a *admin.Client, name string) (x admin.Certificate, err error) {
	id := name
	if !acme.ValidID(name) {
		if _, err := admin.ParseSerial(name); err != nil {
			return x, fmt.Errorf("%s is neither the id of a certificate nor a serial number in hexadecimal", show(name))
		}
		found, err := collect[admin.Certificate](c.Context(), a, "/v1/certificates", url.Values{"serial": {name}}, nil)
		switch {
		case err != nil:
			return x, err
		case len(found) == 0:
			return x, fmt.Errorf("no certificate has the serial number %s", show(name))
		case len(found) > 1:
			return x, fmt.Errorf("%d certificates of several CAs have that serial number; give the id of one, 'cert list' shows them", len(found))
		}
		id = found[0].ID
	}
	return admin.Get[admin.Certificate](c.Context(), a, "/v1/certificates/"+url.PathEscape(id))
}

func (p *program) certShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID|SERIAL", Short: "Show a certificate", Example: "  acmebridge cert show 5A:00:12:FE", Args: exactly(1, "the id or serial number of a certificate"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := certificate(c, a, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(x)
				}
				p.fields("id", x.ID, "status", standing(x), "identifiers", show(namesOf(x.Identifiers)), "serial", x.Serial,
					"valid from", when(x.NotBefore), "valid until", when(x.NotAfter), "issued", when(x.IssuedAt), "order", x.Order, "account", x.Account,
					"member", show(x.Member), "directory", x.Directory, "profile", x.Profile, "backend", x.Backend, "key hash", x.KeyHash)
				if r := x.Revocation; r != nil {
					p.fields("revoked", when(r.At), "reason", reasonName(r.Reason), "by", r.By, "told to the CA", when(r.DoneAt))
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// reasons are the names of RFC 5280, section 5.3.1, in the order of their
// numbers; those that no one can give are empty.
var reasons = []string{
	acme.Unspecified: "unspecified", acme.KeyCompromise: "keyCompromise", acme.CACompromise: "cACompromise",
	acme.AffiliationChanged: "affiliationChanged", acme.Superseded: "superseded", acme.CessationOfOperation: "cessationOfOperation",
	acme.CertificateHold: "certificateHold", acme.PrivilegeWithdrawn: "privilegeWithdrawn", acme.AACompromise: "aACompromise",
}

// reasonName has the number too, which is what CRLs and clients show.
func reasonName(n int) string {
	if n < 0 || n >= len(reasons) || reasons[n] == "" {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d (%s)", n, reasons[n])
}

func parseReason(text string) (int, error) {
	n := slices.IndexFunc(reasons, func(name string) bool { return name != "" && strings.EqualFold(name, text) })
	if n < 0 {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 0 || n >= len(reasons) || reasons[n] == "" {
			names := slices.DeleteFunc(slices.Clone(reasons), func(name string) bool { return name == "" })
			return 0, usage.Errorf("--reason is one of %s, or its number in RFC 5280", strings.Join(names, ", "))
		}
	}
	return n, nil
}

func (p *program) certRevokeCommand() *cobra.Command {
	var text string
	c := &cobra.Command{
		Use: "revoke ID|SERIAL", Short: "Revoke a certificate",
		Example: "  acmebridge cert revoke ID --reason keyCompromise", Args: exactly(1, "the id or serial number of a certificate"),
		RunE: func(c *cobra.Command, args []string) error {
			reason, err := parseReason(text)
			if err != nil {
				return err
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := certificate(c, a, args[0])
				if err != nil {
					return err
				}
				done, err := admin.Post[admin.Done](c.Context(), a, "/v1/certificates/"+url.PathEscape(x.ID)+"/revoke", admin.Revoke{Reason: reason})
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "revoked certificate %s with serial number %s\n", x.ID, x.Serial)
				p.note(done)
				return nil
			})
		},
	}
	c.Flags().StringVar(&text, "reason", "unspecified", "why, by the names or numbers of RFC 5280; keyCompromise also bars the key")
	return c
}

func (p *program) certExportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export ID|SERIAL", Short: "Write a certificate and its chain as PEM",
		Example: "  acmebridge cert export ID > chain.pem\n  acmebridge cert export ID --out chain.pem", Args: exactly(1, "the id or serial number of a certificate"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := certificate(c, a, args[0])
				if err != nil {
					return err
				}
				return p.write(out, 0o644, func(w io.Writer) error {
					_, err := io.WriteString(w, x.PEM)
					return err
				})
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return c
}

// write hands fn standard output, or a file that gets its name only when fn is
// through. A file that is there already is left alone.
func (p *program) write(path string, mode os.FileMode, fn func(io.Writer) error) (err error) {
	if path == "" || path == "-" {
		return fn(p.stdout)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already; choose another name or move it away", path)
	}
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = fn(f)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
