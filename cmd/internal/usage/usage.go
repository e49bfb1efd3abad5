// Package usage says what is wrong with a command line.
package usage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

// Errorf is a mistake in the command line.
func Errorf(format string, args ...any) error { return mistake{fmt.Errorf(format, args...)} }

// Error makes err a mistake in the command line.
func Error(err error) error { return mistake{err} }

// Is reports whether err is a mistake in the command line.
func Is(err error) bool {
	var m mistake
	return errors.As(err, &m)
}

// KnownVerb refuses a word that no subcommand has as its name; cobra asks it only
// then.
func KnownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	const slips = 2
	c.SuggestionsMinimumDistance = slips
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return Errorf("unknown command %q%s", args[0], hint)
}

// NoArguments is for commands that have flags only.
func NoArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Errorf("wants no argument; %q is too much", args[0])
	}
	return nil
}
