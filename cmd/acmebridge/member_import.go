package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"acmebridge/internal/admin"
)

func (p *program) memberImportCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "import FILE", Short: "Bring the registry up to date with a list, all of it or nothing",
		Long: "Bring the registry up to date with a list of members, in YAML or JSON, all of it or nothing.\n\n" +
			"An entry has id, name, identifiers, profiles, attributes, open_orders and certificates. Members that the list does not name stay as they are; frozen ones stay frozen.\n\n" +
			"For example:\n\n" + memberExample,
		Example: "  acmebridge member import members.yaml\n  acmebridge member import members.json --json", Args: exactly(1, "a file"),
		RunE: func(c *cobra.Command, args []string) error {
			members, err := readMembers(args[0])
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
				return nil
			})
		},
	}
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
func readMembers(name string) (members []admin.MemberContent, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, importSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > importSize {
		return nil, fmt.Errorf("%s has more than %d bytes; import it in parts", name, importSize)
	}
	var root yaml.Node
	if err := loadYAML(text, &root); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	if err := checkMembers(&root); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := loadYAML(text, &members); err != nil {
		return nil, fmt.Errorf("%s is no list of members: %w", name, err)
	}
	return members, nil
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
