package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// reserving is a fakeCA that takes reservations, and sells one certificate for
// each when it is continued.
type reserving struct {
	*fakeCA
	mu       *sync.Mutex
	lost     *int // so many reservations are made and their replies lost
	reserved *int
	sold     map[backends.Ticket]backends.Ticket // what was bought under which reservation
}

func (r reserving) Submit(context.Context, backends.Request) (backends.Ticket, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.reserved++
	if *r.lost > 0 {
		*r.lost--
		return "", errBroken
	}
	return backends.Ticket(fmt.Sprint("reservation ", *r.reserved)), nil
}

func (r reserving) Continue(ctx context.Context, q backends.Request, t backends.Ticket) (backends.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bought, ok := r.sold[t]
	if !ok {
		var err error
		if bought, err = r.fakeCA.Submit(ctx, q); err != nil {
			return backends.Result{}, err
		}
		r.sold[t] = bought
	}
	return r.Poll(ctx, bought)
}

// TestContinuer: where Submit buys nothing, a lost reply is no reason to ask a
// person, and what was bought is bought under a ticket that is stored.
func TestContinuer(t *testing.T) {
	w := newWorld(t)
	lost, reserved := 2, 0
	w.backend = reserving{w.fake, &sync.Mutex{}, &lost, &reserved, map[backends.Ticket]backends.Ticket{}}
	w.fake.set(func(f *fakeCA) { f.issueAfter, f.notSent = 30*time.Second, 1 })
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, o := r.finalized("a.example.org")
		time.Sleep(time.Hour)
		r.wantStatus(a, o.ID, acme.OrderValid)
		if n := w.fake.bought(); n != 1 || reserved != 3 {
			t.Errorf("%d were bought and %d reserved, want 1 and 3", n, reserved)
		}
		if x := r.explain(o.ID); x.Submission.Ticket != "reservation 3" || x.Submission.Evidence != "" {
			t.Errorf("%+v", x.Submission)
		}
	})
}
