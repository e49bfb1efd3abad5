package main

import (
	"io"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) exportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export", Short: "Write every record as one JSON object a line, without secrets",
		Long: `Write every record as one JSON object a line, without secrets. Each object has a kind: key, account,
order, authorization, submission, job, certificate or publication.

While a server runs, records that change during the export appear as they were when they were read.`,
		Example: "  acmebridge export --json > records.jsonl\n  acmebridge export --out records.jsonl", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				return p.write(out, 0o600, func(w io.Writer) error { return a.Stream(c.Context(), "/v1/export", w) })
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	c.Flags().Bool("json", true, "JSON lines, the one format there is")
	return c
}
