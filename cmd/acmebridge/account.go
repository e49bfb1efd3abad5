package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) accountCommand() *cobra.Command {
	return group("account", "ACME accounts", "  acmebridge account list",
		p.accountListCommand(), p.accountShowCommand(), p.accountRevokeCommand())
}

func (p *program) accountListCommand() *cobra.Command {
	var member, directory string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List accounts, oldest first", Example: "  acmebridge account list\n  acmebridge account list --member m1 --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect(c.Context(), a, "/v1/accounts", nil, func(x admin.Account) bool {
					return (member == "" || x.Member == member) && (directory == "" || x.Directory == directory)
				})
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "There is no account yet.", "ID\tDIRECTORY\tSTATUS\tMEMBER\tCREATED\tCONTACT", func(w io.Writer, x admin.Account) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Directory, x.Status, show(x.Member), when(x.CreatedAt), show(strings.Join(x.Contact, " ")))
				})
			})
		},
	}
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().StringVar(&directory, "directory", "", "only those of this directory")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) accountShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show an account", Example: "  acmebridge account show ID", Args: exactly(1, "the id of an account"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := admin.Get[admin.Account](c.Context(), a, "/v1/accounts/"+url.PathEscape(args[0]))
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(x)
				}
				if x.ForCSRs {
					p.fields("id", x.ID, "directory", x.Directory, "status", x.Status, "member", show(x.Member), "application", show(x.Application),
						"created", when(x.CreatedAt), "stands for", "CSRs that come without ACME")
					return nil
				}
				p.fields("id", x.ID, "directory", x.Directory, "status", x.Status, "member", show(x.Member), "external key", show(x.ExternalKey),
					"contact", show(strings.Join(x.Contact, " ")), "created", when(x.CreatedAt), "terms agreed", when(x.TermsAgreedAt), "thumbprint", x.Thumbprint)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) accountRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End an account, and the orders that it has open",
		Example: "  acmebridge account revoke ID", Args: exactly(1, "the id of an account"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := admin.Post[admin.Account](c.Context(), a, "/v1/accounts/"+url.PathEscape(args[0])+"/revoke", struct{}{})
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "revoked account %s; its certificates stand, 'cert list --account %s' shows them\n", x.ID, x.ID)
				return nil
			})
		},
	}
}
