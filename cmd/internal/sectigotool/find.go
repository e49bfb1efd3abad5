package sectigotool

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

func (t *tool) findCommand() *cobra.Command {
	var q sectigo.Query
	var all bool
	c := &cobra.Command{
		Use:   "find",
		Short: "Find certificates by common name or serial number",
		Long: `Find certificates by common name or serial number; with neither, all of them. The certificates
themselves are in the archives of their batches and nowhere else.`,
		Example: t.examples("find -n example.com", "find -s 0A1B2C3D4E5F60718293A4B5C6D7E8F9", "find --all"),
		Args:    usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			if all && (q.CommonName != "" || q.SerialNumber != "") {
				return usage.Errorf("--all: leave out --common-name and --serial-number")
			}
			if q.SerialNumber != "" {
				serial, err := sectigo.ParseSerial(q.SerialNumber)
				if err != nil {
					return usage.Error(err)
				}
				q.SerialNumber = sectigo.FormatSerial(serial)
			}
			return t.call(ctx, func(c *sectigo.Client) error {
				found, err := search(ctx, c, q)
				if err != nil {
					return err
				}
				found.Items = list(found.Items)
				if n := int64(len(found.Items)); found.Total > n {
					t.note("note: the service knows of %d and lists %d of them; say more of what is looked for", found.Total, n)
				}
				return t.print(found, func(w io.Writer) {
					fmt.Fprintln(w, "SERIAL NUMBER\tCOMMON NAME\tSTATUS\tCREATED\tDEVICE")
					for _, cert := range found.Items {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", show(cert.SerialNumber), show(cert.CommonName), show(cert.Status), when(cert.Created.Time), show(cert.DeviceID))
					}
				})
			})
		}),
	}
	c.Flags().StringVarP(&q.CommonName, "common-name", "n", "", "the common name")
	c.Flags().StringVarP(&q.SerialNumber, "serial-number", "s", "", "the serial number, in hexadecimal digits")
	c.Flags().BoolVar(&all, "all", false, "say that all of them are meant")
	return c
}

// search looks a second time without the leading zero of a serial number: the
// programs of the service disagree on whether it belongs to it.
func search(ctx context.Context, c *sectigo.Client, q sectigo.Query) (sectigo.Found, error) {
	found, err := c.Find(ctx, q)
	short := strings.TrimPrefix(q.SerialNumber, "0")
	if err != nil || len(found.Items) > 0 || short == q.SerialNumber {
		return found, err
	}
	q.SerialNumber = short
	return c.Find(ctx, q)
}
