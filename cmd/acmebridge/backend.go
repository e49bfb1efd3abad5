package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) backendCommand() *cobra.Command {
	return group("backend", "The CAs behind the profiles, and how they stand",
		"  acmebridge backend list\n  acmebridge backend show trisa --look",
		p.backendListCommand(), p.backendShowCommand(), p.backendAcceptCommand())
}

func (p *program) backendListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the CAs that the server looks at, and what it stopped there", Example: "  acmebridge backend list", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect[admin.Backend](c.Context(), a, "/v1/backends", nil, nil)
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "No backend has anything that could be looked at.", "NAME\tSEEN\tLEFT\tSTOPPED\tFOUND", func(w io.Writer, b admin.Backend) {
					found := "-"
					if n := len(b.Findings); n > 0 {
						found = show(b.Findings[0].Text)
						if n > 1 {
							found += fmt.Sprintf(" (and %d more)", n-1)
						}
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", b.Name, when(b.SeenAt), left(b), b.Stops, found)
				})
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func left(b admin.Backend) string {
	if b.Balance == nil {
		return "-"
	}
	return fmt.Sprint(*b.Balance)
}

func (p *program) backendShowCommand() *cobra.Command {
	var look, asJSON bool
	c := &cobra.Command{
		Use: "show NAME", Short: "Show how a CA stands, and what its profile is like", Example: "  acmebridge backend show trisa --look", Args: exactly(1, "the name of a backend"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				path := "/v1/backends/" + url.PathEscape(args[0])
				get := func() (admin.Backend, error) { return admin.Get[admin.Backend](c.Context(), a, path) }
				if look {
					get = func() (admin.Backend, error) {
						return admin.Post[admin.Backend](c.Context(), a, path+"/survey", struct{}{})
					}
				}
				b, err := get()
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(b)
				}
				p.showBackend(b)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&look, "look", false, "have the server look at the CA now")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) showBackend(b admin.Backend) {
	p.fields("backend", b.Name, "looks at", show(b.Subject), "last seen", when(b.SeenAt), "left to buy", left(b), "stopped", b.Stops, "agreed on", when(b.AgreedAt))
	for _, f := range b.Findings {
		fmt.Fprintf(p.stdout, "\n%s (stops %s)\n  %s\n", f.Kind, f.Stops, clean(f.Text, wholeError))
	}
	if len(b.Facts) > 0 {
		fmt.Fprintln(p.stdout, "\nWhat the CA says of the profile")
	}
	for _, name := range slices.Sorted(maps.Keys(b.Facts)) {
		fmt.Fprintf(p.stdout, "  %s: %s\n", show(name), show(b.Facts[name]))
	}
}

func (p *program) backendAcceptCommand() *cobra.Command {
	return &cobra.Command{
		Use: "accept NAME", Short: "Agree to a profile as the CA has it now, so that it is bought under again",
		Long: `Agree to a profile as the CA has it now, so that it is bought under again.

What a profile is like is remembered when it is first seen. When somebody changes it at the CA, nothing is
bought under it until the CA takes that back or you agree: to what 'backend show NAME' shows, and
not to what it may have become since. Without a running server, what is seen at the next start is agreed on.`,
		Example: "  acmebridge backend accept trisa", Args: exactly(1, "the name of a backend"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				b, err := admin.Post[admin.Backend](c.Context(), a, "/v1/backends/"+url.PathEscape(args[0])+"/accept", struct{}{})
				if err != nil {
					return err
				}
				if b.SeenAt == nil {
					fmt.Fprintf(p.stdout, "the profile of %s is agreed on as it is when the CA is next looked at\n", b.Name)
					return nil
				}
				fmt.Fprintf(p.stdout, "agreed to the profile of %s as it was seen %s\n", b.Name, when(b.SeenAt))
				return nil
			})
		},
	}
}
