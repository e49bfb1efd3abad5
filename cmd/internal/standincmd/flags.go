package standincmd

import (
	"strings"

	"github.com/spf13/cobra"
)

// Flags are those that imitations have in common.
type Flags struct {
	Listen, Control, Journal string
	// TLSRoot is the file to write the root to that the service is known by;
	// empty speaks in the clear.
	TLSRoot          string
	Faults, Outcomes []string
}

// Add adds them, all but TLSRoot, with the address that this one has unless told
// otherwise.
func (f *Flags) Add(c *cobra.Command, listen string) {
	flags := c.Flags()
	flags.StringVar(&f.Listen, "listen", listen, "where to answer")
	flags.StringVar(&f.Control, "control", "", "where to take orders from tests (default: nowhere)")
	flags.StringVar(&f.Journal, "journal", "", "file to add the journal to (default: none)")
	flags.StringArrayVar(&f.Faults, "fault", nil, "something that goes wrong (may be given again)")
	flags.StringArrayVar(&f.Outcomes, "outcome", nil, "what becomes of some orders (may be given again)")
}

// AddTLS adds TLSRoot.
func (f *Flags) AddTLS(c *cobra.Command) {
	c.Flags().StringVar(&f.TLSRoot, "tls-root", "", "speak HTTPS, and write the root to trust to this file")
}

// Help says how faults and outcomes are written. fits is what the pattern of an
// outcome fits, "orders whose common name".
func Help[T ~string](endpoints, faults []string, kinds []T, fits string) string {
	return `
Faults are ENDPOINT:KIND or ENDPOINT:KIND:NAME=VALUE,... where * is every endpoint and the names
are status, code, message, retry-after, delay, skip, count and probability. Endpoints:
  ` + Wrapped(endpoints) + `
Kinds:
  ` + strings.Join(faults, "\n  ") + `

Outcomes are PATTERN=KIND or PATTERN=KIND:REASON for ` + fits + ` fits the pattern. Kinds:
  ` + Wrapped(kinds)
}

// Wrapped writes names in lines of a width that terminals have.
func Wrapped[T ~string](names []T) string {
	const width = 90
	var lines []string
	line := ""
	for _, n := range names {
		if len(line)+len(n) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += string(n)
	}
	return strings.Join(append(lines, line), "\n  ")
}
