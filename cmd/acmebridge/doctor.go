package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

// The results of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

// checked is one thing that was looked at.
type checked struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	// Found says what was seen and, unless that is well, what to do.
	Found string `json:"found"`
}

// doctor looks at everything that could fail later. It changes nothing, makes
// nothing and buys nothing.
type doctor struct {
	cfg *config.Config
	env []string
	now func() time.Time
	// running is the server on the data folder, nil when there is none.
	running *admin.Client
	all     []checked
}

func (d *doctor) report(result, check, format string, args ...any) {
	d.all = append(d.all, checked{check, result, fmt.Sprintf(format, args...)})
}

func (p *program) doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "Check everything that can fail later, without buying anything",
		Long: `Check everything that can fail later, without buying anything: configuration, data folder, disk, clock,
database, certificate, listeners, base_url, name servers, and each CA behind the profiles.

Run it as the user who runs the server, before it is started or while it runs. With a running server its
CAs are asked by the server, so that nobody logs in twice.

Exit codes: 0 when nothing fails, warnings or not; 1 when something does; 2 wrong usage.`,
		Example: "  acmebridge doctor --config /etc/acmebridge.yaml\n  acmebridge doctor --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := p.examine(c.Context())
			if err != nil {
				return err
			}
			if err := p.showChecks(all, asJSON); err != nil {
				return err
			}
			failed := 0
			for _, x := range all {
				if x.Result == checkFail {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%s", counted(failed, "check")+" failed")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// examine makes all checks. Without a configuration that can be read there is
// nothing else to check.
func (p *program) examine(ctx context.Context) ([]checked, error) {
	now, err := seams(p.env)
	if err != nil {
		return nil, err
	}
	d := &doctor{env: p.env, now: now}
	if d.cfg, err = config.LoadAndLook(p.file, p.env); err != nil {
		found, ok := config.AsErrors(err)
		if !ok {
			return nil, err
		}
		for _, e := range found {
			d.report(checkFail, "configuration", "%v", e)
		}
		return d.all, nil
	}
	if p.data != "" {
		d.cfg.DataDir = p.data
	}
	d.configuration(p.configFile())
	c, err := admin.Dial(d.cfg.DataDir)
	switch {
	case err == nil:
		d.running = c
		d.server(ctx)
	case !errors.Is(err, admin.ErrNotRunning):
		d.report(checkFail, "server", "%v", err)
	}
	d.dataFolder()
	d.disk()
	d.clock()
	if d.running == nil {
		d.database(ctx)
	}
	d.certificate()
	d.listeners(ctx)
	d.baseURL(ctx)
	d.resolvers(ctx)
	d.profiles()
	d.backends(ctx)
	return d.all, nil
}

func (d *doctor) configuration(file string) {
	warnings := append(d.cfg.Warnings(), d.cfg.OpenDirectories()...)
	for _, w := range warnings {
		d.report(checkWarn, "configuration", "%s", w)
	}
	switch {
	case file == "":
		d.report(checkOK, "configuration", "no file: the defaults for a first try")
	default:
		d.report(checkOK, "configuration", "%s is valid", file)
	}
}

// server asks one that runs how it is.
func (d *doctor) server(ctx context.Context) {
	s, err := admin.Get[admin.Status](ctx, d.running, "/v1/status")
	if err != nil {
		d.report(checkFail, "server", "one runs on the data folder and does not answer: %v", err)
		return
	}
	d.report(checkOK, "server", "runs as process %d, version %s", s.PID, s.Version)
	if s.Parked > 0 {
		d.report(checkWarn, "orders", "%s for a person: 'acmebridge order list --parked' shows why", waits(s.Parked))
	}
}

func waits(n int) string {
	if n == 1 {
		return "1 job waits"
	}
	return fmt.Sprintf("%d jobs wait", n)
}

func (p *program) showChecks(all []checked, asJSON bool) error {
	if asJSON {
		return p.json(all)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, x := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.Result, x.Check, clean(x.Found, wholeError))
	}
	return w.Flush()
}
