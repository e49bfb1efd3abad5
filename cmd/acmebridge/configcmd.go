package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "The configuration", "  acmebridge config check acmebridge.yaml\n  acmebridge config print",
		p.configCheckCommand(), p.configPrintCommand(), p.configSchemaCommand())
}

// fileArgument lets the verbs of config take the file as an argument too.
func (p *program) fileArgument(args []string) {
	if len(args) == 1 {
		p.file = args[0]
	}
}

func (p *program) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration and show everything that is wrong with it",
		Example: "  acmebridge config check acmebridge.yaml", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p.fileArgument(args)
			cfg, given, err := p.config()
			if all, ok := config.AsErrors(err); ok {
				for _, e := range all {
					fmt.Fprintln(p.stderr, e)
				}
				return fmt.Errorf("the configuration has %d errors", len(all))
			}
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintf(p.stderr, "warning: %s\n", w)
			}
			for name, profile := range cfg.AcmeProfiles() {
				for _, t := range profile.Challenges {
					if t != acme.HTTP01 {
						return fmt.Errorf("profiles.%s.challenges: this program does not validate %s yet", name, t)
					}
				}
			}
			what := "the configuration"
			if !given {
				what = "there is no configuration file; the defaults for a first try"
			}
			fmt.Fprintf(p.stdout, "%s: in order\n", what)
			return nil
		},
	}
}

func (p *program) configPrintCommand() *cobra.Command {
	return &cobra.Command{
		Use: "print [FILE]", Short: "Print what counts in the end: defaults filled in, environment applied, secrets hidden",
		Example: "  acmebridge config print\n  acmebridge config print acmebridge.yaml", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p.fileArgument(args)
			cfg, _, err := p.config()
			if err != nil {
				return err
			}
			return cfg.Print(p.stdout)
		},
	}
}

func (p *program) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the configuration, for editors",
		Example: "  acmebridge config schema > acmebridge.schema.json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := p.stdout.Write(config.Schema())
			return err
		},
	}
}
