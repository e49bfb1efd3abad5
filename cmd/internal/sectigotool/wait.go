package sectigotool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

// waiting is how a batch is waited for.
type waiting struct {
	wait              bool
	timeout, interval time.Duration
}

func (w waiting) check() error {
	if w.timeout <= 0 || w.interval < 0 {
		return usage.Errorf("--timeout and --interval: write a duration such as 30m")
	}
	return nil
}

// pause is how long to leave the service alone after age of waiting.
func (w waiting) pause(age time.Duration) time.Duration {
	const first, last = 5 * time.Second, time.Minute
	if w.interval > 0 {
		return w.interval
	}
	return min(max(age/2, first), last)
}

// await looks at a batch until it has ended, and tells when something changes.
// The error says that it did not end well.
func (t *tool) await(ctx context.Context, c *sectigo.Client, batch sectigo.Batch, w waiting) (sectigo.Batch, error) {
	id, began, told := batch.ID, t.Now(), ""
	progress := func(text string) {
		if text != told {
			t.note("%s", text)
			told = text
		}
	}
	for {
		status, ended, say, pause := sectigo.StatusUnknown, false, "", time.Duration(0)
		seen, err := c.Batch(ctx, id)
		if err == nil {
			batch = seen
			status, ended, err = c.StatusOf(ctx, batch)
		}
		switch {
		case ctx.Err() != nil:
			return batch, fmt.Errorf("wait for batch %d: %w; it goes on without us: 'batches -i %d --wait'", id, ctx.Err(), id)
		case final(err):
			return batch, err
		case err != nil:
			// A look costs nothing, so whatever may pass is looked past.
			say = fmt.Sprintf("batch %d: no answer: %v", id, err)
			var e *sectigo.Error
			if errors.As(err, &e) {
				pause = e.RetryAfter
			}
		case ended, status.Terminal():
			progress(fmt.Sprintf("batch %d: %s", id, word(batch, status)))
			return batch, verdict(batch, status)
		default:
			say = fmt.Sprintf("batch %d: %s%s", id, word(batch, status), counted(ctx, c, batch))
		}
		progress(say)
		age := t.Now().Sub(began)
		pause = max(pause, w.pause(age))
		if age+pause > w.timeout {
			return batch, fmt.Errorf("batch %d has not ended after %s; it goes on without us: 'batches -i %d --wait'", id, w.timeout, id)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// final reports whether to look again makes no sense.
func final(err error) bool {
	for _, known := range []error{sectigo.ErrNotFound, sectigo.ErrForbidden, sectigo.ErrBadRequest, sectigo.ErrLoginRefused, sectigo.ErrNoCredentials} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// word is the status for people: ours, or the service's when we know none.
func word(b sectigo.Batch, status sectigo.Status) string {
	if status == sectigo.StatusUnknown {
		return fmt.Sprintf("a status that is not known (%s)", show(b.Status))
	}
	return string(status)
}

// counted says how far a batch of several is. It is decoration, so its failure
// is none.
func counted(ctx context.Context, c *sectigo.Client, b sectigo.Batch) string {
	if b.Size < 2 {
		return ""
	}
	p, err := c.Processing(ctx, b.ID)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", %d of %d issued, %d failed", p.Success, b.Size, p.Failed)
}

// verdict is nil when there are certificates to download.
func verdict(b sectigo.Batch, status sectigo.Status) error {
	reason := ""
	if b.RejectReason != "" {
		reason = ": " + show(b.RejectReason)
	}
	switch {
	case status == sectigo.StatusPartial:
		return fmt.Errorf("batch %d is issued in part only; 'download -i %d' has that part%s", b.ID, b.ID, reason)
	case status.Downloadable(), status == sectigo.StatusUnknown:
		return nil // of an unknown status that has ended, something was issued
	}
	return fmt.Errorf("batch %d is %s%s", b.ID, status, reason)
}
