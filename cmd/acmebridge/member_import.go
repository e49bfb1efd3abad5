package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"acmebridge/internal/admin"
)

func (p *program) memberImportCommand() *cobra.Command {
	var asJSON bool
	var from source
	c := &cobra.Command{
		Use: "import FILE", Short: "Bring the registry up to date with a list, all of it or nothing",
		Long: "Bring the registry up to date with a list of members, in YAML or JSON, all of it or nothing.\n\n" +
			"An entry has id, name, identifiers, profiles, attributes, open_orders and certificates, and for IB1 trust frameworks country, roles and applications. Members that the list does not name stay as they are; frozen ones stay frozen.\n\n" +
			"For example:\n\n" + memberExample,
		Example: "  acmebridge member import members.yaml\n  acmebridge member import members.json --json", Args: exactly(1, "a file"),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := from.read(args[0])
			if err != nil {
				return err
			}
			members, err := readMembers(args[0], text)
			if err != nil {
				return err
			}
			return p.operate(c.Context(), writes, func(a *admin.Client) error {
				done, err := admin.Post[admin.Import](c.Context(), a, "/v1/member-import", members)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(done)
				}
				fmt.Fprintf(p.stdout, "%d created, %d changed, %d unchanged\n", len(done.Created), len(done.Changed), len(done.Unchanged))
				for _, id := range done.Removed {
					fmt.Fprintf(p.stderr, "member %s was removed for good, so the list was not followed there\n", show(id))
				}
				for _, id := range done.Narrowed {
					fmt.Fprintf(p.stderr, "member %s has less than before; those of its certificates that say more are revoked, which 'member show' tells of\n", show(id))
				}
				return nil
			})
		},
	}
	from.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

const memberExample = `  - id: vasp-17
    name: Example Exchange
    identifiers: [.vasp-17.example, pay.example]
    profiles: [tls]
    attributes: {class: exchange}
  - id: vasp-18`

// importSize bounds a list: it is what the server takes in one piece (SL-29).
const importSize = 1 << 20

// readMembers reads a list of members. JSON is YAML too.
func readMembers(name string, text []byte) (members []admin.MemberContent, err error) {
	return members, readList(name, text, memberForm(), &members)
}

// readList reads a list of entries of that form.
func readList(name string, text []byte, form listForm, into any) error {
	var root yaml.Node
	if err := loadYAML(text, &root); err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, err)
	}
	if err := form.check(&root); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := loadYAML(text, into); err != nil {
		return fmt.Errorf("%s is no such list: %w", name, err)
	}
	return nil
}

func loadYAML(text []byte, into any) error {
	limits := loaderlimits.New(loaderlimits.DepthValue(16), loaderlimits.AliasNone())
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(limits), yaml.WithKnownFields(true))
	if err != nil {
		return err
	}
	if err := loader.Load(into); !errors.Is(err, io.EOF) {
		return err
	}
	return errors.New("there is nothing in it")
}
