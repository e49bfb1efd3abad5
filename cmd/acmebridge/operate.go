package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

// access says what a command needs when no server runs.
type access int

const (
	reads  access = iota // there must be data already
	writes               // an empty data folder is as good: it is filled as serve would
)

// operate calls fn with a client of the operator's API: that of the running
// server when there is one, otherwise one over the data folder itself, which
// is opened for as long as fn runs. So no command ever finds the data locked
// by a server, and there is one way in which anything is done.
func (p *program) operate(ctx context.Context, a access, fn func(*admin.Client) error) error {
	cfg, given, cfgErr := p.config()
	dataDir := p.data
	if dataDir == "" {
		if cfgErr != nil {
			return cfgErr
		}
		dataDir = cfg.DataDir
	}
	// While a server is starting or another command is at work, the data are
	// locked and nobody answers: that passes.
	deadline := time.Now().Add(patience)
	said := false
	for {
		c, err := admin.Dial(dataDir)
		if err == nil {
			return fn(c)
		}
		if !errors.Is(err, admin.ErrNotRunning) {
			return err
		}
		if cfgErr != nil {
			return cfgErr
		}
		if !said {
			p.sayDefaults(cfg, given)
			said = true
		}
		err = p.offline(ctx, cfg, a, fn)
		if !errors.Is(err, storage.ErrLocked) {
			return explainStart(err, dataDir)
		}
		if time.Now().After(deadline) {
			return told{fmt.Sprintf("another acmebridge has %s open and does not answer. Wait for it or end it", absolute(dataDir)), err}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// patience is how long a command waits for whoever has the data locked.
const patience = 10 * time.Second

func (p *program) offline(ctx context.Context, cfg *config.Config, a access, fn func(*admin.Client) error) error {
	if _, err := os.Stat(cfg.BoltPath()); errors.Is(err, fs.ErrNotExist) && a == reads {
		return fmt.Errorf("there is no database at %s. 'acmebridge serve' makes it; --config or --data name another server", cfg.BoltPath())
	}
	now, err := seams(p.env)
	if err != nil {
		return err
	}
	// What the engine logs of an operator's decision is in the answer too.
	log := newLogger(p.stderr, config.Log{Format: cfg.Log.Format, Level: "warn"})
	parts, err := assemble(ctx, cfg, log, now, use{offline: true})
	if err != nil {
		return err
	}
	h, err := parts.handler(true)
	if err == nil {
		err = fn(admin.InProcess(h))
	}
	if closeErr := parts.close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close the database: %w", closeErr)
	}
	return err
}

// json prints v for programs.
func (p *program) json(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows for people, or items for programs.
func table[T any](p *program, asJSON bool, items []T, empty string, head string, row func(io.Writer, T)) error {
	if asJSON {
		if items == nil {
			items = []T{}
		}
		return p.json(items)
	}
	if len(items) == 0 {
		fmt.Fprintln(p.stderr, empty)
		return nil
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, item := range items {
		row(w, item)
	}
	return w.Flush()
}

// collect reads a whole list.
func collect[T any](ctx context.Context, c *admin.Client, path string, query map[string][]string, keep func(T) bool) (all []T, err error) {
	err = admin.All(ctx, c, path, query, func(item T) error {
		if keep == nil || keep(item) {
			all = append(all, item)
		}
		return nil
	})
	return all, err
}

// show makes a value from a client or a CA fit for a terminal.
func show(s string) string {
	if s == "" {
		return "-"
	}
	return clean(s, 256) // SA-5
}

// when prints a time for people.
func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func (p *program) note(d admin.Done) {
	if d.Note != "" {
		fmt.Fprintln(p.stderr, d.Note)
	}
}

// told is an error in words for a person, who would learn nothing from its
// cause; programs do.
type told struct {
	text  string
	cause error
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.cause }

// counted is a number of things, each called one.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func absolute(path string) string { return config.Absolute(path) }

// fields prints names and values below each other.
func (p *program) fields(pairs ...string) {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(w, "%s\t%s\n", pairs[i], pairs[i+1])
	}
	_ = w.Flush() // standard output is gone if this fails
}

// oneOf refuses a value of a flag that nothing ever has: an empty list would
// read as an answer.
func oneOf(flag, value string, known ...string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return usage.Errorf("%s: there is no %s; it is one of %s", flag, show(value), strings.Join(known, ", "))
}
