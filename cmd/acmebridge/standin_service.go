package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/standin"
)

// serviceFlags are those that imitations have in common.
type serviceFlags struct {
	listen, control, journal string
	faults, outcomes         []string
}

// common adds them, with the address that this one has unless told otherwise.
func (f *serviceFlags) common(c *cobra.Command, listen string) {
	flags := c.Flags()
	flags.StringVar(&f.listen, "listen", listen, "where to answer")
	flags.StringVar(&f.control, "control", "", "where to take orders from tests (default: nowhere)")
	flags.StringVar(&f.journal, "journal", "", "file to add the journal to (default: none)")
	flags.StringArrayVar(&f.faults, "fault", nil, "something that goes wrong (may be given again)")
	flags.StringArrayVar(&f.outcomes, "outcome", nil, "what becomes of some orders (may be given again)")
}

// faultHelp says how faults and outcomes are written.
func faultHelp(endpoints, faults []string, kinds, pattern string) string {
	return `
Faults are ENDPOINT:KIND or ENDPOINT:KIND:NAME=VALUE,... where * is every endpoint and the names
are status, code, retry-after, delay, skip, count and probability. Endpoints:
  ` + strings.Join(endpoints, " ") + `
Kinds:
  ` + strings.Join(faults, "\n  ") + `

Outcomes are PATTERN=KIND or PATTERN=KIND:REASON for orders whose ` + pattern + ` fits the pattern. Kinds:
  ` + kinds
}

// imitation is a service that runs.
type imitation interface {
	Serve(ctx context.Context, l net.Listener) error
	Control() http.Handler
	Break(f standin.Fault) error
}

// openJournal opens the file that journal lines are added to.
func (f serviceFlags) openJournal() (w io.Writer, closing func() error, err error) {
	if f.journal == "" {
		return nil, func() error { return nil }, nil
	}
	file, err := os.OpenFile(f.journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the journal: %w", err)
	}
	return file, file.Close, nil
}

// arrange does what the command line says about faults and outcomes; example is
// one of the kinds of outcomes.
func (f serviceFlags) arrange(ca imitation, example string, plan func(pattern, kind, reason string) error) error {
	for _, text := range f.faults {
		fault, err := serviceFault(text)
		if err == nil {
			err = ca.Break(fault)
		}
		if err != nil {
			return usage.Errorf("--fault %q: %w", text, err)
		}
	}
	for _, text := range f.outcomes {
		pattern, what, ok := strings.Cut(text, "=")
		kind, reason, _ := strings.Cut(what, ":")
		if !ok || pattern == "" {
			return usage.Errorf("--outcome %q: it should look like '*.bad.example.org=%s:reason'", text, example)
		}
		if err := plan(pattern, kind, reason); err != nil {
			return usage.Errorf("--outcome %q: %w", text, err)
		}
	}
	return nil
}

// serve answers on l, and on the control port, until ctx ends. say is called when
// both are open.
func (f serviceFlags) serve(ctx context.Context, ca imitation, l net.Listener, say func(control string)) (err error) {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	parts, ended := 1, make(chan error, 2)
	go func() { ended <- ca.Serve(serving, l) }()
	control := ""
	if f.control != "" {
		open, err := net.Listen("tcp", f.control)
		if err != nil {
			stop()
			return errors.Join(fmt.Errorf("listen for control: %w", err), <-ended)
		}
		parts++
		go func() { ended <- standin.ServeControl(serving, open, ca.Control()) }()
		control = fmt.Sprintf("  control       http://%s\n", open.Addr())
	}
	say(control)
	for range parts {
		err = errors.Join(err, <-ended)
		stop()
	}
	return err
}

func serviceFault(text string) (f standin.Fault, err error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		return f, errors.New("it should look like order:reset-after:count=1")
	}
	f.Endpoint, f.Kind = parts[0], parts[1]
	if f.Endpoint == "*" {
		f.Endpoint = ""
	}
	if len(parts) == 2 {
		return f, nil
	}
	for setting := range strings.SplitSeq(parts[2], ",") {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return f, fmt.Errorf("%q has no value", setting)
		}
		switch name {
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "code":
			f.Code = value
		case "retry-after":
			f.RetryAfter = value
		case "delay":
			err = f.Delay.UnmarshalText([]byte(value))
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "probability":
			f.Probability, err = strconv.ParseFloat(value, 64)
		default:
			return f, fmt.Errorf("there is no %q", name)
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}
