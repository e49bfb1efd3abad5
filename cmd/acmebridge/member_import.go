package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/internal/roster"
)

func (p *program) memberImportCommand() *cobra.Command {
	var asJSON bool
	var from source
	var directory directorySource
	c := &cobra.Command{
		Use: "import FILE", Short: "Bring the registry up to date with a list, all of it or nothing",
		Long: "Bring the registry up to date with a list of members, in YAML or JSON, all of it or nothing.\n\n" +
			"An entry has id, name, identifiers, profiles, attributes, open_orders and certificates, and for IB1 trust frameworks country, roles and applications. Members that the list does not name stay as they are; frozen ones stay frozen.\n\n" +
			"With --url the directory of an IB1 trust framework is the list: what it says of names, countries, roles and applications. The rest stays.\n\n" +
			"For example:\n\n" + memberExample,
		Example: "  acmebridge member import members.yaml\n  acmebridge member import members.json --json\n  acmebridge member import members.yaml --dry-run\n  acmebridge member import --url https://directory.core.trust.ib1.org/members.json", Args: fileUnless(&directory.url),
		RunE: func(c *cobra.Command, args []string) error {
			var members []admin.MemberContent
			mode := admin.ImportMode{DryRun: from.dryRun}
			var found []roster.Member
			var err error
			if directory.url != "" {
				found, err = p.readDirectory(c, &directory, from)
			} else {
				members, mode, err = from.members(args[0])
			}
			if err != nil {
				return err
			}
			p.warnUndated(mode)
			return p.operate(c.Context(), writes, func(a *admin.Client) error {
				if found != nil {
					return p.importDirectory(c.Context(), a, &directory, found, mode, asJSON)
				}
				return p.importTo(c.Context(), a, "/v1/member-import", members, mode, asJSON)
			})
		},
	}
	from.flags(c)
	directory.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// importTo has the server import a list, and tells what that did.
func (p *program) importTo(ctx context.Context, a *admin.Client, path string, list any, mode admin.ImportMode, asJSON bool) error {
	done, err := admin.Post[admin.Import](ctx, a, mode.Path(path), list)
	if err != nil {
		return err
	}
	if asJSON {
		return p.json(done)
	}
	p.imported(mode, done)
	return nil
}

// imported tells what an import did, or would do.
func (p *program) imported(mode admin.ImportMode, done admin.Import) {
	less := "member %s has less than before; those of its certificates that say more are revoked, which 'member show' tells of\n"
	if mode.DryRun {
		less = "member %s would have less than before, and those of its certificates that say more would be revoked\n"
		for _, id := range done.Created {
			fmt.Fprintf(p.stdout, "would create %s\n", show(id))
		}
		for _, id := range done.Changed {
			fmt.Fprintf(p.stdout, "would change %s\n", show(id))
		}
		fmt.Fprint(p.stdout, "nothing was changed, this was a dry run: ")
	}
	fmt.Fprintf(p.stdout, "%d created, %d changed, %d unchanged\n", len(done.Created), len(done.Changed), len(done.Unchanged))
	for _, id := range done.Removed {
		fmt.Fprintf(p.stderr, "member %s was removed for good, so the list was not followed there\n", show(id))
	}
	for _, id := range done.Narrowed {
		fmt.Fprintf(p.stderr, less, show(id))
	}
}

const memberExample = `  - id: vasp-17
    name: Example Exchange
    identifiers: [.vasp-17.example, pay.example]
    profiles: [tls]
    attributes: {class: exchange}
  - id: vasp-18`

// importSize bounds a file, a part of a directory and a page of a list (SL-29).
const importSize = 1 << 20

// fileUnless wants a file, unless there is an URL.
func fileUnless(url *string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if *url == "" {
			return exactly(1, "a file, or --url")(c, args)
		}
		return usage.NoArguments(c, args)
	}
}

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
