package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) memberCommand() *cobra.Command {
	return group("member", "Members of the ecosystem, and what the registry gives them",
		"  acmebridge member import members.yaml\n  acmebridge member freeze DEV/GOV/1234 --reason \"fees not paid\"",
		p.memberCreateCommand(), p.memberShowCommand(), p.memberListCommand(), p.memberUpdateCommand(),
		p.memberStopCommand("freeze", "Stop a member until it is thawed: it orders and renews nothing from now on", "froze"),
		p.memberThawCommand(),
		p.memberStopCommand("remove", "Stop a member for good", "removed"),
		p.memberImportCommand(), p.memberNoticesCommand(), p.memberTokenCommand())
}

func memberPath(id string, more ...string) string {
	return strings.Join(append([]string{"/v1/members/" + url.PathEscape(id)}, more...), "/")
}

const theMember = "the id of a member"

// contentFlags are the flags for what the registry says of a member.
func contentFlags(f *pflag.FlagSet, m *admin.MemberContent) {
	f.StringVar(&m.Name, "name", "", "name for people")
	f.StringArrayVar(&m.Identifiers, "identifier", nil, "name that it may have certificates for: a.example.org is that name, .example.org everything below example.org, * any name (may be repeated)")
	f.StringArrayVar(&m.Profiles, "profile", nil, "profile that it may order (may be repeated; default: those of the directory)")
	f.IntVar(&m.OpenOrders, "open-orders", 0, "orders that it may have at a time that are not over (default: no limit)")
	f.IntVar(&m.Certificates, "certificates", 0, "live certificates that it may have at a time; a renewal takes the place of the old one (default: no limit)")
	f.StringVar(&m.Country, "country", "", "its country, for members of an IB1 trust framework, such as GB")
	f.StringArrayVar(&m.Roles, "role", nil, "URL of a role that it has in an IB1 trust framework (may be repeated)")
	f.StringToStringVar(&m.Attributes, "attribute", nil, "what else is known of it, as key=value (may be repeated)")
}

func (p *program) memberCreateCommand() *cobra.Command {
	var m admin.MemberContent
	var asJSON bool
	c := &cobra.Command{
		Use: "create ID", Short: "Add a member to the registry",
		Example: `  acmebridge member create DEV/GOV/1234 --name "Ministry" --identifier .gov.example
  acmebridge member create m1 --identifier a.example.org --profile tls --attribute class=GOV`,
		Args: exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			m.ID = args[0]
			if err := checkMemberID(m.ID); err != nil {
				return usage.Error(err)
			}
			return p.operate(c.Context(), writes, func(a *admin.Client) error {
				x, err := admin.Post[admin.Member](c.Context(), a, "/v1/members", m)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(x)
				}
				fmt.Fprintf(p.stdout, "created member %s; 'eab create --member %s' makes a key that binds accounts to it\n", show(x.ID), show(x.ID))
				return nil
			})
		},
	}
	contentFlags(c.Flags(), &m)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) memberListCommand() *cobra.Command {
	var status string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the members of the registry", Example: "  acmebridge member list\n  acmebridge member list --status frozen --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := oneOf("--status", status, "active", "frozen", "removed"); err != nil {
				return err
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect(c.Context(), a, "/v1/members", nil, func(m admin.Member) bool { return status == "" || m.Status == status })
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "There is no such member; 'member create' and 'member import' make some.", "ID\tSTATUS\tVERSION\tCHANGED\tNAME\tIDENTIFIERS", func(w io.Writer, m admin.Member) {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", show(m.ID), m.Status, m.Version, when(m.ChangedAt), show(m.Name), show(strings.Join(m.Identifiers, " ")))
				})
			})
		},
	}
	c.Flags().StringVar(&status, "status", "", "only those that are active, frozen or removed")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) memberShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show a member, and how far a freeze or a removal has got", Example: "  acmebridge member show DEV/GOV/1234", Args: exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				m, err := admin.Get[admin.Member](c.Context(), a, memberPath(args[0]))
				if err != nil {
					return err
				}
				return p.showMember(m, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) showMember(m admin.Member, asJSON bool) error {
	if asJSON {
		return p.json(m)
	}
	var attributes []string
	for _, k := range slices.Sorted(maps.Keys(m.Attributes)) {
		attributes = append(attributes, k+"="+m.Attributes[k])
	}
	fields := []string{
		"id", show(m.ID), "name", show(m.Name), "status", m.Status, "reason", show(m.Reason), "version", fmt.Sprint(m.Version), "changed", when(m.ChangedAt),
		"identifiers", show(strings.Join(m.Identifiers, ", ")), "profiles", orAny(m.Profiles), "attributes", show(strings.Join(attributes, ", ")),
		"open orders", atMost(m.OpenOrders), "certificates", atMost(m.Certificates),
	}
	if m.Country != "" || len(m.Roles)+len(m.Applications) > 0 {
		fields = append(fields, "country", show(m.Country), "roles", show(strings.Join(m.Roles, ", ")))
		for _, a := range m.Applications {
			fields = append(fields, "application", show(a.URL), "  certificates", show(strings.Join(a.Certificates, ", ")), "  holds", show(strings.Join(a.Holds, ", ")), "  handle", show(a.Handle))
		}
	}
	p.fields(fields...)
	if x := m.Review; x != nil {
		p.fields("has less since", when(x.Since), "certificates revoked for it", fmt.Sprint(x.Revoked), "all looked at", fmt.Sprint(x.Done))
	}
	if x := m.Progress; x != nil {
		p.fields("stopped", when(x.Since), "revoke certificates", fmt.Sprint(x.Revoke), "orders open", fmt.Sprint(x.Open), "orders at a CA", fmt.Sprint(x.Processing),
			"certificates standing", fmt.Sprint(x.Standing), "being revoked", fmt.Sprint(x.Revoking), "revoked", fmt.Sprint(x.Revoked), "done", fmt.Sprint(x.Done))
	}
	return nil
}

func atMost(n int) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("at most %d", n)
}

func (p *program) memberUpdateCommand() *cobra.Command {
	var given admin.MemberContent
	var version int
	var asJSON bool
	c := &cobra.Command{
		Use: "update ID", Short: "Change what the registry says of a member; what no flag names stays",
		Example: "  acmebridge member update m1 --identifier a.example.org --identifier .b.example.org\n  acmebridge member update m1 --name \"New name\" --version 3", Args: exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				var m admin.Member
				once := func() (err error) {
					if m, err = admin.Get[admin.Member](c.Context(), a, memberPath(args[0])); err != nil {
						return err
					}
					next := admin.UpdateMember{MemberContent: m.MemberContent, Version: m.Version}
					for flag, take := range map[string]func(){
						"name": func() { next.Name = given.Name }, "identifier": func() { next.Identifiers = given.Identifiers },
						"profile": func() { next.Profiles = given.Profiles }, "attribute": func() { next.Attributes = given.Attributes },
						"open-orders": func() { next.OpenOrders = given.OpenOrders }, "certificates": func() { next.Certificates = given.Certificates },
						"country": func() { next.Country = given.Country }, "role": func() { next.Roles = given.Roles },
						"version": func() { next.Version = version },
					} {
						if c.Flags().Changed(flag) {
							take()
						}
					}
					m, err = admin.Post[admin.Member](c.Context(), a, memberPath(args[0]), next)
					return err
				}
				again := change
				if c.Flags().Changed("version") { // then others' changes are to be heard of
					again = func(once func() error) error { return once() }
				}
				if err := again(once); err != nil {
					return err
				}
				if asJSON {
					return p.json(m)
				}
				fmt.Fprintf(p.stdout, "member %s is at version %d\n", show(m.ID), m.Version)
				return nil
			})
		},
	}
	contentFlags(c.Flags(), &given)
	c.Flags().IntVar(&version, "version", 0, "refuse the change unless the member is at this version (default: whatever it is at)")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// memberStopCommand is freeze or remove.
func (p *program) memberStopCommand(verb, short, did string) *cobra.Command {
	var stop admin.StopMember
	var reason string
	var asJSON bool
	c := &cobra.Command{
		Use: verb + " ID", Short: short,
		Long: short + ".\n\nIts open orders end, and its clients are told to renew at once, so that they hear why they cannot. " +
			"With --revoke every certificate of it is revoked too; 'member show' tells how far that is. To ask again is safe.",
		Example: fmt.Sprintf("  acmebridge member %s DEV/GOV/1234 --reason \"left\"\n  acmebridge member %s DEV/GOV/1234 --revoke --revocation-reason privilegeWithdrawn", verb, verb),
		Args:    exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if stop.RevocationReason, err = parseReason(reason); err != nil {
				return err
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				m, err := admin.Post[admin.Member](c.Context(), a, memberPath(args[0], verb), stop)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(m)
				}
				fmt.Fprintf(p.stdout, "%s member %s; 'member show %s' tells what is still being done\n", did, show(m.ID), show(m.ID))
				return nil
			})
		},
	}
	c.Flags().StringVar(&stop.Reason, "reason", "", "why, for the record; clients do not see it")
	c.Flags().BoolVar(&stop.Revoke, "revoke", false, "revoke every certificate of the member")
	c.Flags().StringVar(&reason, "revocation-reason", "cessationOfOperation", "why they are revoked, by the names or numbers of RFC 5280")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) memberThawCommand() *cobra.Command {
	var stop admin.StopMember
	c := &cobra.Command{
		Use: "thaw ID", Short: "Let a frozen member order again", Example: "  acmebridge member thaw DEV/GOV/1234 --reason \"fees paid\"", Args: exactly(1, theMember),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				m, err := admin.Post[admin.Member](c.Context(), a, memberPath(args[0], "thaw"), stop)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "member %s is %s; orders that were ended and certificates that were revoked stay so\n", show(m.ID), m.Status)
				return nil
			})
		},
	}
	c.Flags().StringVar(&stop.Reason, "reason", "", "why, for the record")
	return c
}
