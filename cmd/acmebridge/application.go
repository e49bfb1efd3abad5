package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) applicationCommand() *cobra.Command {
	return group("application", "Applications of members of an IB1 trust framework, which certificates are for",
		"  acmebridge application add https://directory.example.org/a/883391 --member https://directory.example.org/m/827252 --role https://registry.example.org/scheme/perseus/role/reader --certificate client\n"+
			"  acmebridge application list",
		p.applicationAddCommand(), p.applicationListCommand(), p.applicationShowCommand(), p.applicationRemoveCommand(), p.applicationImportCommand())
}

const theApplication = "the URL of an application"

func (p *program) applicationAddCommand() *cobra.Command {
	var x admin.Application
	var asJSON bool
	c := &cobra.Command{
		Use: "add URL --member ID", Short: "Add an application to a member, or replace what is said of it",
		Long: "Add an application to a member, or replace what is said of it.\n\n" +
			"Certificates name the URL, so it has at most 64 characters; that and everything else that no certificate could hold is refused here. " +
			"With less than before, the application's certificates that say more are revoked.",
		Example: "  acmebridge application add https://directory.example.org/a/883391 --member https://directory.example.org/m/827252 --role https://registry.example.org/scheme/perseus/role/reader --certificate client --certificate signing\n" +
			"  acmebridge application add https://directory.example.org/a/7 --member https://directory.example.org/m/1 --role https://registry.example.org/role/reader --certificate client --handle 7.app.example.org",
		Args: exactly(1, theApplication),
		RunE: func(c *cobra.Command, args []string) error {
			if x.URL = args[0]; x.Member == "" {
				return usage.Errorf("name the member that has the application, with --member")
			}
			member := x.Member
			x.Member = ""
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				done, err := admin.Post[admin.Application](c.Context(), a, memberPath(member, "applications"), x)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(done)
				}
				fmt.Fprintf(p.stdout, "application %s is at version %d; 'eab create --member %s --application %s' makes a key that binds accounts to it\n",
					show(done.URL), done.Version, show(member), show(done.URL))
				return nil
			})
		},
	}
	c.Flags().StringVar(&x.Member, "member", "", "member that has it")
	c.Flags().StringVar(&x.Name, "name", "", "name for people")
	c.Flags().StringArrayVar(&x.Roles, "role", nil, "URL of a role that it acts in, one of its member's (may be repeated)")
	c.Flags().StringArrayVar(&x.Certificates, "certificate", nil, "kind of certificate that it may have: client, signing or server (may be repeated)")
	c.Flags().StringVar(&x.Handle, "handle", "", "host name that clients may order in place of the URL; it is in no certificate")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// applications reads all of them, of one member when it is named.
func applications(c *cobra.Command, a *admin.Client, member string) (all []admin.Application, err error) {
	err = admin.All(c.Context(), a, "/v1/applications", nil, func(of []admin.Application) error {
		for _, x := range of {
			if member == "" || x.Member == member {
				all = append(all, x)
			}
		}
		return nil
	})
	return all, err
}

func (p *program) applicationListCommand() *cobra.Command {
	var member string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the applications of the members", Example: "  acmebridge application list\n  acmebridge application list --member https://directory.example.org/m/827252 --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := applications(c, a, member)
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "There is no application; 'application add' and 'member import' make some.", "APPLICATION\tMEMBER\tVERSION\tCERTIFICATES\tROLES\tHANDLE", func(w io.Writer, x admin.Application) {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\n", show(x.URL), show(x.Member), x.Version, show(strings.Join(x.Certificates, " ")), len(x.Holds), show(x.Handle))
				})
			})
		},
	}
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// find returns the application of that URL.
func findApplication(c *cobra.Command, a *admin.Client, url string) (x admin.Application, err error) {
	all, err := applications(c, a, "")
	if err != nil {
		return x, err
	}
	for _, x := range all {
		if x.URL == url {
			return x, nil
		}
	}
	return x, fmt.Errorf("there is no application %s; 'application list' shows those that there are", show(url))
}

func (p *program) applicationShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show URL", Short: "Show an application", Example: "  acmebridge application show https://directory.example.org/a/883391", Args: exactly(1, theApplication),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := findApplication(c, a, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(x)
				}
				p.fields("application", show(x.URL), "name", show(x.Name), "member", show(x.Member), "version", fmt.Sprint(x.Version),
					"certificates", show(strings.Join(x.Certificates, ", ")), "handle", show(x.Handle),
					"claims", show(strings.Join(x.Roles, ", ")), "holds", show(strings.Join(x.Holds, ", ")))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) applicationRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove URL", Short: "Take an application from its member, and revoke its certificates",
		Example: "  acmebridge application remove https://directory.example.org/a/883391", Args: exactly(1, theApplication),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := findApplication(c, a, args[0])
				if err != nil {
					return err
				}
				if _, err := admin.Post[admin.Member](c.Context(), a, memberPath(x.Member, "applications", "remove"), admin.RemoveApplication{URL: x.URL}); err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "removed application %s; its certificates are being revoked, which 'member show %s' tells of\n", show(x.URL), show(x.Member))
				return nil
			})
		},
	}
}

const applicationExample = `  - member: https://directory.example.org/m/827252
    url: https://directory.example.org/a/883391
    roles: [https://registry.example.org/scheme/perseus/role/reader]
    certificates: [client, signing]
    handle: 883391.app.example.org`

func (p *program) applicationImportCommand() *cobra.Command {
	var asJSON bool
	var from source
	c := &cobra.Command{
		Use: "import FILE", Short: "Bring applications up to date with a list, all of it or nothing",
		Long: "Bring applications up to date with a list, in YAML or JSON, all of it or nothing. Those that it does not name stay as they are.\n\n" +
			"For example:\n\n" + applicationExample,
		Example: "  acmebridge application import applications.yaml\n  acmebridge application import applications.jws --signed-by registry.pem", Args: exactly(1, "a file"),
		RunE: func(c *cobra.Command, args []string) error {
			var list []admin.MemberApplication
			text, mode, err := from.read(args[0])
			if err == nil {
				err = readList(args[0], text, listForm{keys: applicationKeys(), first: "member"}, &list)
			}
			if err != nil {
				return err
			}
			p.warnUndated(mode)
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				return p.importTo(c.Context(), a, "/v1/application-import", list, mode, asJSON)
			})
		},
	}
	from.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// applicationKeys are those of an entry, with the kind of value that each has.
func applicationKeys() map[string]yaml.Kind {
	return map[string]yaml.Kind{
		"member": yaml.ScalarNode, "url": yaml.ScalarNode, "name": yaml.ScalarNode, "roles": yaml.SequenceNode,
		"certificates": yaml.SequenceNode, "handle": yaml.ScalarNode,
	}
}
