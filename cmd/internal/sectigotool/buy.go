package sectigotool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

// purchase is a batch that is about to be paid for.
type purchase struct {
	// name finds it again. It is ours alone when unique is set.
	name   string
	unique bool
	wait   waiting
}

// uniqueName is a name for a batch that no other has, within what the service
// takes.
func uniqueName(kind string) string {
	const random = 4
	b := make([]byte, random)
	rand.Read(b) // never fails
	tail := fmt.Sprintf("-%x", b)
	return kind[:min(len(kind), sectigo.MaxBatchName-len(tail))] + tail
}

// lookAgain bounds the search for a batch after its reply was lost.
const lookAgain = time.Minute

// buy pays. When nobody knows whether it was paid for it looks once, and never
// pays again by itself (SC-5).
func (t *tool) buy(ctx context.Context, c *sectigo.Client, p purchase, pay func() (sectigo.Batch, error)) error {
	batch, err := pay()
	if err != nil {
		if sectigo.OutcomeOf(err) != sectigo.Unknown {
			return err
		}
		// Also after Ctrl-C: what was bought is worth more than a second.
		looking, stop := context.WithTimeout(context.WithoutCancel(ctx), lookAgain)
		defer stop()
		if batch, err = t.lookFor(looking, c, p, err); err != nil {
			return err
		}
	}
	return t.follow(ctx, c, batch, p.wait)
}

// lookFor finds the batch whose reply was lost.
func (t *tool) lookFor(ctx context.Context, c *sectigo.Client, p purchase, lost error) (sectigo.Batch, error) {
	if p.name == "" {
		return sectigo.Batch{}, fmt.Errorf("%w; it may have been bought all the same: look with 'batches' before you try again", lost)
	}
	advice := fmt.Sprintf("look with 'batches --name %s' before you try again", strconv.Quote(p.name))
	known, err := c.Batches(ctx)
	if err != nil {
		return sectigo.Batch{}, fmt.Errorf("%w; it may have been bought all the same: %s (looking for it has failed too: %w)", lost, advice, err)
	}
	var ids []string
	for _, b := range known.Batches {
		if b.Name == p.name {
			if p.unique {
				t.note("the reply was lost (%v), and what was bought is batch %d: it has the name of this request", lost, b.ID)
				return b, nil
			}
			ids = append(ids, strconv.FormatInt(b.ID, 10))
		}
	}
	if len(ids) > 0 {
		return sectigo.Batch{}, fmt.Errorf("%w; it may have been bought all the same: the batches of that name are %s; %s", lost, strings.Join(ids, ", "), advice)
	}
	return sectigo.Batch{}, fmt.Errorf("%w; it may have been bought all the same, though no batch has its name yet: %s", lost, advice)
}

// follow prints a batch, after waiting for its end if that was asked for.
func (t *tool) follow(ctx context.Context, c *sectigo.Client, batch sectigo.Batch, w waiting) error {
	var failed error
	if w.wait {
		batch, failed = t.await(ctx, c, batch, w)
	}
	return errors.Join(t.printBatch(batch), failed)
}

func (t *tool) printBatch(b sectigo.Batch) error {
	return t.print(b, func(w io.Writer) {
		fields(w, "batch", strconv.FormatInt(b.ID, 10), "name", show(b.Name), "status", show(b.Status), "reason", show(b.RejectReason),
			"profile", show(b.Profile), "size", strconv.FormatInt(b.Size, 10), "order", strconv.FormatInt(b.Order, 10), "created", when(b.Created.Time))
	})
}

// params are those of --param, on top of others.
func params(base map[string]string, given []string) error {
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return usage.Errorf("--param %q: it should look like organizationName=Example", text)
		}
		base[name] = value
	}
	return nil
}

func waitFlags(c *cobra.Command, w *waiting) {
	c.Flags().BoolVar(&w.wait, "wait", false, "wait until the batch has ended")
	c.Flags().DurationVar(&w.timeout, "timeout", 30*time.Minute, "how long to wait")
	c.Flags().DurationVar(&w.interval, "interval", 0, "how often to look (default: every 5 s at first, later every minute)")
}
