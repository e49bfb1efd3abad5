package main

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/localca"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) caCommand() *cobra.Command {
	return group("ca", "The CA that signs here (backends of type localca)",
		"  acmebridge ca status\n  acmebridge ca rotate",
		p.caInitCommand(), p.caRotateCommand(), p.caPublishCommand(), p.caStatusCommand())
}

// signing picks the CA that a command is about: the one that is named, or the
// only one.
func signing(names []string, args []string) (string, error) {
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("no backend is of type %s, so no CA signs here", config.TypeLocalCA)
	case len(args) == 1 && slices.Contains(names, args[0]):
		return args[0], nil
	case len(args) == 1:
		return "", fmt.Errorf("no backend called %q signs here; there are: %s", args[0], strings.Join(names, ", "))
	case len(names) > 1:
		return "", usage.Errorf("name one of the CAs that sign here: %s", strings.Join(names, ", "))
	}
	return names[0], nil
}

func (p *program) caInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init [BACKEND]", Short: "Make the root and the first issuing key",
		Long: `Make the root and the first issuing key in the folder of the backend.

'serve' does the same when there is no CA yet. To do it beforehand lets you move root.key to a
safe place before anything is connected; it is wanted again for 'ca rotate' only.`,
		Example: "  acmebridge ca init\n  acmebridge ca init local --config acmebridge.yaml", Args: atMostOne("the name of a backend"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, given, err := p.config()
			if err != nil {
				return err
			}
			p.sayDefaults(cfg, given)
			now, err := seams(p.env)
			if err != nil {
				return err
			}
			var names []string
			for name := range maps.Keys(cfg.Backends) {
				if cfg.Backends[name].Type == config.TypeLocalCA {
					names = append(names, name)
				}
			}
			name, err := signing(names, args)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
				return err
			}
			ca := localCAConfig(cfg, name, now)
			if err := localca.Init(ca); err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "made a CA in %s\n", absolute(ca.Dir))
			return nil
		},
	}
}

func (p *program) caRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rotate [BACKEND]", Short: "Make a new issuing key below the same root, and issue with it from now on",
		Example: "  acmebridge ca rotate", Args: atMostOne("the name of a backend"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				name, err := runningCA(c, a, args)
				if err != nil {
					return err
				}
				done, err := admin.Post[admin.Done](c.Context(), a, "/v1/cas/"+url.PathEscape(name)+"/rotate", struct{}{})
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "%s issues with a new key\n", name)
				p.note(done)
				return nil
			})
		},
	}
}

func runningCA(c *cobra.Command, a *admin.Client, args []string) (string, error) {
	all, err := collect[admin.CAStatus](c.Context(), a, "/v1/cas", nil, nil)
	if err != nil {
		return "", err
	}
	var names []string
	for _, ca := range all {
		names = append(names, ca.Name)
	}
	return signing(names, args)
}

func (p *program) caPublishCommand() *cobra.Command {
	return &cobra.Command{
		Use: "publish", Short: "Make new revocation lists now",
		Example: "  acmebridge ca publish", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				done, err := admin.Post[admin.Done](c.Context(), a, "/v1/publish", struct{}{})
				if err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, "new revocation lists are being made")
				p.note(done)
				return nil
			})
		},
	}
}

func (p *program) caStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status [BACKEND]", Short: "Show the keys of the CA, those that sign its OCSP answers, and its revocation lists",
		Example: "  acmebridge ca status\n  acmebridge ca status --json", Args: atMostOne("the name of a backend"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect(c.Context(), a, "/v1/cas", nil, func(s admin.CAStatus) bool { return len(args) == 0 || s.Name == args[0] })
				if err != nil {
					return err
				}
				if len(all) == 0 && len(args) > 0 {
					return fmt.Errorf("no backend called %q signs here", args[0])
				}
				if asJSON {
					return p.json(all)
				}
				for _, ca := range all {
					fmt.Fprintf(p.stdout, "%s\n", ca.Name)
					for _, k := range ca.Keys {
						fmt.Fprintf(p.stdout, "  %-8s %s\n           %s to %s, %s, key: %s (%s)\n", k.Role, show(k.Subject),
							when(&k.NotBefore), when(&k.NotAfter), k.KeyType, k.Key, k.File)
					}
					for _, s := range ca.Signers {
						fmt.Fprintf(p.stdout, "  ocsp     %s\n           %s to %s, number %d, another by %s (%s)\n", show(s.Subject),
							when(&s.NotBefore), when(&s.NotAfter), s.Number, s.Next, s.Name)
					}
					for _, l := range ca.Lists {
						fmt.Fprintf(p.stdout, "  list     %s number %d of %s, next list by %s\n", l.Name, l.Number, l.At, l.Next)
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}
