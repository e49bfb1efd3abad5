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

func (p *program) memberTokenCommand() *cobra.Command {
	return group("token", "Tokens by which a member uses the member API",
		"  acmebridge member token create vasp --name ci\n  acmebridge member token list vasp\n  acmebridge member token revoke vasp TOKEN-ID",
		p.memberTokenCreateCommand(), p.memberTokenListCommand(), p.memberTokenRevokeCommand())
}

func (p *program) memberTokenCreateCommand() *cobra.Command {
	var body admin.NewMemberToken
	var expires string
	var asJSON bool
	c := &cobra.Command{
		Use: "create MEMBER --name NAME", Short: "Make a token; it is shown this once",
		Long: `Make a token by which the member uses the member API (member_api in the configuration). It is shown
this once, and kept as a hash. Its name tells in logs and in the history of orders who did something.`,
		Example: "  acmebridge member token create vasp --name ci\n  acmebridge member token create vasp --name inventory --scope read --expires 30d",
		Args:    exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(body.Name) == "" {
				return usage.Errorf("give the token a name, with --name")
			}
			d, err := config.ParseDuration(expires)
			if err != nil || d <= 0 {
				return usage.Errorf("--expires: write a duration such as 90d")
			}
			now, err := seams(p.env)
			if err != nil {
				return err
			}
			end := now().Add(d).Truncate(time.Second)
			body.Expires = &end
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				t, err := admin.Post[admin.CreatedMemberToken](c.Context(), a, memberPath(args[0], "tokens"), body)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(t)
				}
				fmt.Fprintf(p.stdout, "id: %s\ntoken: %s\n", t.ID, t.Token)
				fmt.Fprintf(p.stderr, "good until %s for: %s\n", when(t.Expires), strings.Join(t.Scopes, ", "))
				return nil
			})
		},
	}
	c.Flags().StringVar(&body.Name, "name", "", "what it is called in records")
	c.Flags().StringArrayVar(&body.Scopes, "scope", nil, "what it lets its bearer do: read, sign, revoke (may be repeated; default: all)")
	c.Flags().StringVar(&expires, "expires", "90d", "how long it is good for, at most 366d")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) memberTokenListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list MEMBER", Short: "List the tokens of a member, but not the tokens themselves",
		Example: "  acmebridge member token list vasp", Args: exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect[admin.MemberToken](c.Context(), a, memberPath(args[0], "tokens"), nil, nil)
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "The member has no token; 'member token create' makes one.", "ID\tNAME\tSTATUS\tSCOPES\tEXPIRES\tCREATED BY", func(w io.Writer, t admin.MemberToken) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, show(t.Name), t.Status, strings.Join(t.Scopes, " "), when(t.Expires), show(t.CreatedBy))
				})
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) memberTokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke MEMBER TOKEN-ID", Short: "End a token at once",
		Example: "  acmebridge member token revoke vasp 5d1f0c9a7be24e63",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage.Errorf("give the id of a member and that of its token, and nothing else")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				t, err := admin.Post[admin.MemberToken](c.Context(), a, memberPath(args[0], "tokens", url.PathEscape(args[1]), "revoke"), struct{}{})
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "revoked token %s (%s) of member %s\n", t.ID, show(t.Name), show(t.Member))
				return nil
			})
		},
	}
}
