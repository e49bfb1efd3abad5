package digicert

import (
	"context"
	"time"
)

// watch is what was seen of the orders that wait, and since when the CA was
// asked what has changed: one call a minute for all of them, in place of one
// for each.
type watch struct {
	seen map[int64]*seen
	// asked is up to when changes are known, tried when they were last asked
	// for; busy is whether somebody does so.
	asked, tried time.Time
	busy         bool
}

// seen is an order as it was when somebody looked.
type seen struct {
	at          time.Time
	note        string
	status      string
	certificate int64 // to be fetched, when the CA has said so
	dirty       bool
}

const (
	// settled is how old an order is when it is no longer looked at by itself.
	settled = 5 * time.Minute
	// asking is how often the CA is asked what has changed.
	asking = time.Minute
	// unseen is after how long an order is looked at although nothing is said
	// to have changed.
	unseen = 30 * time.Minute
	// overlap is how far back the CA is asked, for its clock and its pace.
	overlap = 15 * time.Minute
	// watchedAtMost bounds the memory; what is not in it is looked at.
	watchedAtMost = 10_000
)

// look notes that an order was placed, and its certificate when it has one.
func (b *Backend) look(order, certificate int64) {
	if certificate == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch.seen[order] = &seen{at: b.cfg.Now(), certificate: certificate, dirty: true}
}

// saw notes that an order was looked at and goes on waiting.
func (b *Backend) saw(order int64, status, note string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.watch.seen) >= watchedAtMost {
		clear(b.watch.seen)
	}
	now := b.cfg.Now()
	if b.watch.asked.IsZero() {
		b.watch.asked = now
	}
	b.watch.seen[order] = &seen{at: now, status: status, note: note}
}

// unwatch forgets an order.
func (b *Backend) unwatch(order int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watch.seen, order)
}

// unchanged says whether an order is known to be as it was. certificate is one
// that the CA has named for it.
func (b *Backend) unchanged(ctx context.Context, t ticket) (quiet bool, certificate int64, note string, err error) {
	now := b.cfg.Now()
	b.mu.Lock()
	s := b.watch.seen[t.order]
	if s == nil || s.dirty || now.Sub(t.since) < settled || now.Sub(s.at) >= unseen {
		if s != nil {
			certificate, s.certificate = s.certificate, 0
		}
		b.mu.Unlock()
		return false, certificate, "", nil
	}
	due := now.Sub(b.watch.tried) >= asking && !b.watch.busy
	from := b.watch.asked
	if due {
		b.watch.busy, b.watch.tried = true, now
	}
	b.mu.Unlock()
	if due {
		if err := b.ask(ctx, from, now); err != nil {
			return false, 0, "", err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s = b.watch.seen[t.order]; s == nil || s.dirty {
		return false, 0, "", nil
	}
	return true, 0, s.note, nil
}

// ask marks the orders whose status has changed.
func (b *Backend) ask(ctx context.Context, from, now time.Time) error {
	changes, err := b.client.Changes(ctx, from.Add(-overlap), now.Add(overlap))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch.busy = false
	if err != nil {
		return err
	}
	b.watch.asked = now
	for _, c := range changes {
		if s := b.watch.seen[int64(c.Order)]; s != nil && (s.status != c.Status || c.Certificate != 0) {
			s.dirty = true
		}
	}
	return nil
}
