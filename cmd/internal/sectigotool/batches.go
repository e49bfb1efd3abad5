package sectigotool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

// looking is what 'batches' is told.
type looking struct {
	id          int64
	list, info  bool
	audit       bool
	status      string
	name, since string
	wait        waiting
}

// anyStatus is --status without a value.
const anyStatus = "ask"

func (t *tool) batchesCommand() *cobra.Command {
	var f looking
	c := &cobra.Command{
		Use:     "batches",
		Aliases: []string{"batch"},
		Short:   "List batches, or show one, its status or how far it is",
		Long: `List batches, newest first as the service gives them; or, with --id, show one, ask for its status or
for how far it is, or wait for its end. The exit code after --wait is 0 when there are certificates to
download.

Statuses are CREATED, PROCESSING, READY, COLLECTED (downloaded before), PARTIAL, FAILED, BROKEN,
REJECTING, REJECTED, EXPIRED, REVOKING, REVOKE_ERROR, REVOKED; the service has several spellings of
each, and all are understood.`,
		Example: t.examples("batches", "batches --status=PROCESSING --since 48h", "batches --name upload-20260301", "batches -i 24", "batches -i 24 --status", "batches -i 24 --info", "batches -i 24 --audit", "batches -i 24 --wait --timeout 2h"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && c.Flags().Changed("status") {
				return usage.Errorf("wants no argument; write --status=%s", args[0])
			}
			return usage.NoArguments(c, args)
		},
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.batches(ctx, f) }),
	}
	flags := c.Flags()
	flags.Int64VarP(&f.id, "id", "i", 0, "number of a batch (default: list them)")
	flags.BoolVar(&f.list, "list", false, "say that a list is meant")
	flags.BoolVarP(&f.info, "info", "I", false, "how many of its certificates are under way, issued and failed")
	flags.BoolVar(&f.audit, "audit", false, "what the service has written down about it; not every service has that")
	flags.StringVarP(&f.status, "status", "s", "", "of a batch: its status in a word; of the list: only those in this one, --status=READY")
	flags.Lookup("status").NoOptDefVal = anyStatus
	flags.StringVar(&f.name, "name", "", "only those with this in their name")
	flags.StringVar(&f.since, "since", "", "only those made after this date, 2026-03-01, or within this time, 48h")
	waitFlags(c, &f.wait)
	return c
}

func (t *tool) batches(ctx context.Context, f looking) error {
	if err := f.wait.check(); err != nil {
		return err
	}
	if f.id == 0 {
		return t.listBatches(ctx, f)
	}
	asked := 0
	for _, b := range []bool{f.info, f.audit, f.status != "", f.wait.wait} {
		if b {
			asked++
		}
	}
	switch {
	case f.id < 0:
		return usage.Errorf("--id %d: a number that the service has given", f.id)
	case f.list || f.name != "" || f.since != "" || (f.status != "" && f.status != anyStatus):
		return usage.Errorf("--list, --name, --since and --status=... are about the list; leave out --id")
	case asked > 1:
		return usage.Errorf("--info, --audit, --status and --wait: choose one")
	}
	return t.call(ctx, func(c *sectigo.Client) error {
		switch {
		case f.info:
			return t.showProcessing(ctx, c, f.id)
		case f.audit:
			return t.showAudit(ctx, c, f.id)
		case f.status != "":
			return t.showStatus(ctx, c, f.id)
		case f.wait.wait:
			return t.follow(ctx, c, sectigo.Batch{ID: f.id}, f.wait)
		}
		b, err := c.Batch(ctx, f.id)
		if err != nil {
			return err
		}
		return t.printBatch(b)
	})
}

func (t *tool) showProcessing(ctx context.Context, c *sectigo.Client, id int64) error {
	p, err := c.Processing(ctx, id)
	if err != nil {
		return err
	}
	return t.print(p, func(w io.Writer) {
		fields(w, "active", strconv.FormatInt(p.Active, 10), "success", strconv.FormatInt(p.Success, 10), "failed", strconv.FormatInt(p.Failed, 10))
	})
}

// showAudit prints what came, because nothing says what that should be.
func (t *tool) showAudit(ctx context.Context, c *sectigo.Client, id int64) error {
	log, err := c.Audit(ctx, id)
	if err != nil {
		return err
	}
	return t.print(log, func(w io.Writer) {
		var entries []map[string]any
		if json.Unmarshal(log, &entries) != nil {
			fmt.Fprintln(w, show(string(log)))
			return
		}
		for _, e := range entries {
			var parts []string
			for _, name := range slices.Sorted(maps.Keys(e)) {
				parts = append(parts, show(name)+"="+show(fmt.Sprint(e[name])))
			}
			fmt.Fprintln(w, strings.Join(parts, "\t"))
		}
	})
}

// showStatus prints the service's sentence as one word: lines of text are what
// the documents of the service show here.
func (t *tool) showStatus(ctx context.Context, c *sectigo.Client, id int64) error {
	sentence, err := c.BatchStatus(ctx, id)
	if err != nil {
		return err
	}
	v := struct {
		Batch   int64          `json:"batchId"`
		Status  sectigo.Status `json:"status"`
		Service string         `json:"says"`
	}{id, sectigo.ParseStatus(sentence), sentence}
	return t.tell(v, func(w io.Writer) { fmt.Fprintln(w, strings.ToUpper(strings.ReplaceAll(show(sentence), " ", "_"))) })
}

func (t *tool) listBatches(ctx context.Context, f looking) error {
	if f.info || f.audit || f.wait.wait || f.status == anyStatus {
		return usage.Errorf("which batch? Give its number with --id")
	}
	since, err := t.since(f.since)
	if err != nil {
		return err
	}
	status := sectigo.ParseStatus(f.status)
	if f.status != "" && status == sectigo.StatusUnknown {
		return usage.Errorf("--status=%s: it is none; 'batches --help' lists them", f.status)
	}
	return t.call(ctx, func(c *sectigo.Client) error {
		all, err := c.Batches(ctx)
		if err != nil {
			return err
		}
		if !all.Complete {
			t.note("note: the service has not listed all of them")
		}
		fitting := []sectigo.Batch{}
		for _, b := range all.Batches {
			if (f.status == "" || b.Canonical() == status) && strings.Contains(b.Name, f.name) && (since.IsZero() || b.Created.After(since)) {
				fitting = append(fitting, b)
			}
		}
		return t.print(fitting, func(w io.Writer) {
			fmt.Fprintln(w, "BATCH\tNAME\tSTATUS\tSIZE\tPROFILE\tCREATED\tREASON")
			for _, b := range fitting {
				fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", b.ID, show(b.Name), show(b.Status), b.Size, show(b.Profile), when(b.Created.Time), show(b.RejectReason))
			}
		})
	})
}

// since reads a date, a time, or how long ago.
func (t *tool) since(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago <= 0 {
		return time.Time{}, usage.Errorf("--since %q: write a date such as 2026-03-01 or a time such as 48h", text)
	}
	return t.Now().Add(-ago), nil
}
