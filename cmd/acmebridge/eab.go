package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) eabCommand() *cobra.Command {
	return group("eab", "External account keys, which bind ACME accounts to members",
		"  acmebridge eab create --member DEV/GOV/1234\n  acmebridge eab list",
		p.eabCreateCommand(), p.eabListCommand(), p.eabShowCommand(), p.eabRevokeCommand())
}

func (p *program) eabCreateCommand() *cobra.Command {
	n := admin.NewExternalKey{}
	var expires string
	var asJSON bool
	c := &cobra.Command{
		Use:   "create --member ID",
		Short: "Make an external account key; its MAC key is shown this once",
		Example: `  acmebridge eab create --member DEV/GOV/1234
  acmebridge eab create --directory xroad --member m1 --profile tls --identifier .example.org --uses 1 --expires 30d`,
		Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if n.Member == "" {
				return usage.Errorf("name the member that the key is for, with --member")
			}
			if err := checkMemberID(n.Member); err != nil {
				return usage.Error(err)
			}
			if expires != "" {
				d, err := config.ParseDuration(expires)
				if err != nil || d <= 0 {
					return usage.Errorf("--expires: write a duration such as 30d or 12h")
				}
				now, err := seams(p.env)
				if err != nil {
					return err
				}
				end := now().Add(d).Truncate(time.Second)
				n.Expires = &end
			}
			return p.operate(c.Context(), writes, func(a *admin.Client) error {
				k, err := admin.Post[admin.CreatedExternalKey](c.Context(), a, "/v1/external-keys", n)
				if err != nil {
					return err
				}
				if k.Warning != "" {
					fmt.Fprintf(p.stderr, "warning: %s\n", clean(k.Warning, wholeError))
				}
				if asJSON {
					return p.json(k)
				}
				fmt.Fprintf(p.stdout, "kid: %s\nhmac_key: %s\n", k.ID, k.HMACKey)
				// With =, because base64url may start with a hyphen.
				fmt.Fprintf(p.stdout, "\nfor certbot: --eab-kid=%[1]s --eab-hmac-key=%[2]s\nfor lego 5:  --eab --eab.kid=%[1]s --eab.hmac=%[2]s\nfor lego 4:  --eab --kid=%[1]s --hmac=%[2]s\n", k.ID, k.HMACKey)
				return nil
			})
		},
	}
	c.Flags().StringVar(&n.Directory, "directory", "default", "directory that the key is for")
	c.Flags().StringVar(&n.Member, "member", "", "member on whose behalf its accounts order")
	c.Flags().StringArrayVar(&n.Profiles, "profile", nil, "profile that its accounts may order (may be repeated; default: those of the directory)")
	c.Flags().StringArrayVar(&n.Identifiers, "identifier", nil, "name that they may order: a.example.org is that name, *.example.org that wildcard name, .example.org everything below example.org, * any name (may be repeated; default: any)")
	c.Flags().StringVar(&n.Application, "application", "", "URL of the application of the member that they order for, in an IB1 trust framework")
	c.Flags().IntVar(&n.Uses, "uses", 1, "how many accounts it may bind; 0 is any number")
	c.Flags().StringVar(&expires, "expires", "", "how long it may be used, for example 30d (default: until revoked)")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) eabListCommand() *cobra.Command {
	var member string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List external account keys", Example: "  acmebridge eab list\n  acmebridge eab list --member m1 --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect(c.Context(), a, "/v1/external-keys", nil, func(k admin.ExternalKey) bool { return member == "" || k.Member == member })
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "There is no external account key; 'eab create' makes one.", "KID\tDIRECTORY\tMEMBER\tSTATUS\tUSED\tEXPIRES", func(w io.Writer, k admin.ExternalKey) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Directory, show(k.Member), k.Status, used(k), when(k.Expires))
				})
			})
		},
	}
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func used(k admin.ExternalKey) string {
	if k.Uses == 0 {
		return fmt.Sprintf("%d of any", k.Used)
	}
	return fmt.Sprintf("%d of %d", k.Used, k.Uses)
}

func (p *program) eabShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show KID", Short: "Show an external account key, but not its MAC key", Example: "  acmebridge eab show qk0Vn3yYVXhc0LxKEyLDKw", Args: exactly(1, "the key id"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				k, err := admin.Get[admin.ExternalKey](c.Context(), a, "/v1/external-keys/"+url.PathEscape(args[0]))
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(k)
				}
				p.fields(
					"kid", k.ID, "directory", k.Directory, "member", show(k.Member), "status", k.Status, "used", used(k),
					"profiles", orAny(k.Profiles), "application", show(k.Application), "identifiers", orAny(k.Identifiers),
					"created", when(k.CreatedAt), "expires", when(k.Expires), "revoked", when(k.RevokedAt),
				)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func orAny(all []string) string {
	if len(all) == 0 {
		return "any"
	}
	return show(strings.Join(all, ", "))
}

func (p *program) eabRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke KID", Short: "End an external account key; the accounts that it bound order nothing more",
		Example: "  acmebridge eab revoke qk0Vn3yYVXhc0LxKEyLDKw", Args: exactly(1, "the key id"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				k, err := admin.Post[admin.ExternalKey](c.Context(), a, "/v1/external-keys/"+url.PathEscape(args[0])+"/revoke", struct{}{})
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "revoked %s of member %s\n", k.ID, show(k.Member))
				return nil
			})
		},
	}
}
