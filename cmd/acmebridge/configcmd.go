package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "The configuration", "  acmebridge config init acmebridge.yaml\n  acmebridge config check acmebridge.yaml\n  acmebridge config print",
		p.configInitCommand(), p.configCheckCommand(), p.configPrintCommand(), p.configSchemaCommand())
}

// fileArgument lets the verbs of config take the file as an argument too.
func (p *program) fileArgument(args []string) {
	if len(args) == 1 {
		p.file = args[0]
	}
}

func (p *program) configInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init [FILE]", Short: "Write a commented configuration to start from, for a server that others use",
		Long: `Write a commented configuration to start from, for a server that others use: names are checked on the
standard ports, loopback is not asked, and only members with an external account key are admitted.

FILE is acmebridge.yaml when left out; - is standard output. A file that is there already is left alone.`,
		Example: "  acmebridge config init\n  acmebridge config init /etc/acmebridge.yaml", Args: atMostOne("a file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if p.file != "" || p.data != "" {
				return usage.Errorf("name the file to write as an argument; --config and --data do not apply")
			}
			file := "acmebridge.yaml"
			if len(args) == 1 && args[0] != "" {
				file = args[0]
			}
			if err := p.write(file, 0o644, func(w io.Writer) error {
				_, err := w.Write(config.Production())
				return err
			}); err != nil {
				return err
			}
			if file != "-" {
				fmt.Fprintf(p.stdout, "wrote %[1]s; adapt the lines marked \"change\", then run 'acmebridge config check %[1]s'\n", file)
			}
			return nil
		},
	}
}

func (p *program) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration, and the files that it names",
		Long: `Check a configuration, and the files that it names: that of the server's certificate and its key, of
passphrases and of the sealing key. Run it as the user who will run the server.`,
		Example: "  acmebridge config check acmebridge.yaml", Args: atMostOne("a file"),
		RunE: func(_ *cobra.Command, args []string) error {
			p.fileArgument(args)
			cfg, err := config.LoadAndLook(p.file, p.env)
			if all, ok := config.AsErrors(err); ok {
				for _, e := range all {
					fmt.Fprintln(p.stderr, e)
				}
				return fmt.Errorf("the configuration has %s", counted(len(all), "error"))
			}
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintf(p.stderr, "warning: %s\n", w)
			}
			for _, w := range cfg.OpenDirectories() {
				fmt.Fprintf(p.stderr, "warning: %s\n", w)
			}
			if file := p.configFile(); file != "" {
				fmt.Fprintf(p.stdout, "%s is valid\n", file)
			} else {
				fmt.Fprintln(p.stdout, "there is no configuration file; the defaults for a first try are valid")
			}
			return nil
		},
	}
}

func (p *program) configPrintCommand() *cobra.Command {
	return &cobra.Command{
		Use: "print [FILE]", Short: "Print what counts in the end: defaults filled in, environment applied, secrets hidden",
		Example: "  acmebridge config print\n  acmebridge config print acmebridge.yaml", Args: atMostOne("a file"),
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
		Example: "  acmebridge config schema > acmebridge.schema.json", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := p.stdout.Write(config.Schema())
			return err
		},
	}
}
