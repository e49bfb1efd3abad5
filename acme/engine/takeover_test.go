package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// reissuing is a fakeCA that brings what it has to another key, unless it will
// not.
type reissuing struct {
	searchable

	// Guarded by fakeCA.mu.
	refuses string // "at once" or "later"; empty when it does not
	taken   []backends.Request
}

func (f *reissuing) Traits() backends.Traits {
	return backends.Traits{HonoursNotAfter: true, TakesOver: true}
}

func (f *reissuing) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if r.TakesOver == "" {
		return f.searchable.Submit(ctx, r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = append(f.taken, r)
	if f.refuses == "at once" {
		return "", backends.Refused("no reissue", nil)
	}
	return backends.Ticket(fmt.Sprint("again-", len(f.taken)-1)), nil
}

func (f *reissuing) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	text, again := strings.CutPrefix(string(t), "again-")
	if !again {
		return f.searchable.Poll(ctx, t)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuses == "later" {
		return backends.Result{}, backends.Refused("no reissue", nil)
	}
	var n int
	if _, err := fmt.Sscan(text, &n); err != nil {
		return backends.Result{}, err
	}
	chain, err := f.issuing.Issue(f.taken[n])
	return backends.Result{Chain: chain}, err
}

func (f *reissuing) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	f.mu.Lock()
	for i, x := range f.taken {
		if x.Key == r.Key {
			f.mu.Unlock()
			return backends.Ticket(fmt.Sprint("again-", i)), true, nil
		}
	}
	f.mu.Unlock()
	return f.searchable.Find(ctx, r)
}

func (f *reissuing) tookOver() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.taken)
}

func takingOver(t *testing.T, refuses string, test func(*run, *reissuing)) {
	t.Helper()
	var ca *reissuing
	slow(t, func(w *world) {
		w.profile.Reattach, w.profile.ReattachWithin = acme.ReattachSwap, 24*time.Hour
		ca = &reissuing{searchable: searchable{w.fake}, refuses: refuses}
		w.backend = ca
	}, func(r *run) { test(r, ca) })
}

// TestTakeOverRefused: a CA that will not bring an issued certificate to another
// key is asked for that once. The next order buys.
func TestTakeOverRefused(t *testing.T) {
	for _, when := range []string{"at once", "later"} {
		t.Run(when, func(t *testing.T) {
			takingOver(t, when, func(r *run, ca *reissuing) {
				a := r.account()
				first := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
				time.Sleep(7 * time.Hour)
				r.wantStatus(a, first.ID, acme.OrderValid)
				second := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
				time.Sleep(time.Minute)
				r.wantStatus(a, second.ID, acme.OrderInvalid)
				if n := ca.tookOver(); n != 1 {
					r.w.t.Fatalf("%d were taken over", n)
				}
				r.wantBought(1)

				// Of two at once one buys, and the other one takes that over: the CA
				// has said no to the certificate, and to nothing else.
				ca.set(func(*fakeCA) { ca.refuses = "" })
				var both sync.WaitGroup
				var orders []acme.Order
				for range 2 {
					o, key := r.ready(a, "a.net"), newKey(r.w.t)
					orders = append(orders, o)
					both.Go(func() { _, _, _ = r.finalize(a, o, key) })
				}
				both.Wait()
				time.Sleep(10 * time.Hour)
				valid := 0
				for _, o := range orders {
					if r.explain(o.ID).Order.Status == acme.OrderValid {
						valid++
					}
				}
				if valid != 1 {
					r.w.t.Errorf("%d of two orders at once got a certificate", valid)
				}
				r.wantBought(2)
				r.wantStatus(a, first.ID, acme.OrderValid)
				ca.set(func(*fakeCA) {
					for _, x := range ca.taken[1:] {
						if x.TakesOver != "1" {
							r.w.t.Errorf("ticket %s was to be taken over again", x.TakesOver)
						}
					}
				})
			})
		})
	}
}

// TestTakeOverRefusedWhileOpen: as long as what was bought may be open at the CA,
// nothing else is bought for the need, whatever the CA said to a new key.
func TestTakeOverRefusedWhileOpen(t *testing.T) {
	takingOver(t, "at once", func(r *run, ca *reissuing) {
		a := r.account()
		r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		time.Sleep(time.Minute)
		second := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		time.Sleep(time.Minute)
		r.wantStatus(a, second.ID, acme.OrderInvalid)
		third := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		time.Sleep(time.Minute)
		r.wantStatus(a, third.ID, acme.OrderInvalid)
		r.wantBought(1)
		ca.set(func(*fakeCA) { ca.refuses = "" })
		fourth := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		time.Sleep(time.Minute)
		r.wantStatus(a, fourth.ID, acme.OrderValid)
		if n := ca.tookOver(); n != 3 {
			r.w.t.Errorf("%d were taken over", n)
		}
		r.wantBought(1)
	})
}
