package engine_test

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// slow runs a test against a CA that takes five hours.
func slow(t *testing.T, change func(*world), test func(*run)) {
	t.Helper()
	w := newWorld(t)
	w.fake.issueAfter, w.profile.Hold = 5*time.Hour, 0
	if change != nil {
		change(w)
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		test(r)
		r.end()
	})
}

// finalize finalizes an order that is ready, with that key.
func (r *run) finalize(a acme.Account, o acme.Order, key crypto.Signer) (acme.Order, time.Duration, error) {
	r.w.t.Helper()
	names := make([]string, len(o.Identifiers))
	for i, id := range o.Identifiers {
		names[i] = id.Value
	}
	slices.Sort(names) // the first is the common name
	return r.Finalize(r.w.t.Context(), a, o.ID, csrFor(r.w.t, key, names...))
}

// finalizes is finalize that has to succeed.
func (r *run) finalizes(a acme.Account, o acme.Order, key crypto.Signer) acme.Order {
	r.w.t.Helper()
	o, _, err := r.finalize(a, o, key)
	if err != nil {
		r.w.t.Fatal(err)
	}
	synctest.Wait()
	return o
}

func (r *run) wantBought(want int) {
	r.w.t.Helper()
	if n := r.w.fake.bought(); n != want {
		r.w.t.Errorf("%d were bought, want %d", n, want)
	}
}

// TestReattachSameKey: a client that gave up, and came back with the key it had,
// gets the certificate that is under way, or that is there by now; the CA hears
// of it once (D9). Both orders point at the one certificate.
func TestReattachSameKey(t *testing.T) {
	slow(t, func(w *world) { w.profile.ReattachWithin = 24 * time.Hour }, func(r *run) {
		a, key := r.account(), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net", "b.net"), key)
		time.Sleep(time.Minute)
		// The order of the names, and a signature of its own, do not matter.
		second := r.finalizes(a, r.ready(a, "b.net", "a.net"), key)
		if second.Status != acme.OrderProcessing || second.AttachedTo != first.ID {
			r.w.t.Fatalf("the second order is %s and attached to %q", second.Status, second.AttachedTo)
		}
		if _, wait, err := r.Order(r.w.t.Context(), a.ID, second.ID); err != nil || wait < 3*time.Second {
			r.w.t.Errorf("its client shall look again in %s, %v", wait, err)
		}
		if x := r.explain(first.ID); len(x.Attached) != 1 || x.Attached[0] != second.ID {
			r.w.t.Errorf("attached to the first order are %v", x.Attached)
		}
		if x := r.explain(second.ID); x.Job == nil || x.Job.Subject != string(first.ID) {
			r.w.t.Errorf("the second order waits for job %+v", x.Job)
		}
		time.Sleep(7 * time.Hour)
		one, two := r.wantStatus(a, first.ID, acme.OrderValid), r.wantStatus(a, second.ID, acme.OrderValid)
		if one.Certificate == "" || one.Certificate != two.Certificate {
			r.w.t.Errorf("certificates %q and %q", one.Certificate, two.Certificate)
		}
		third := r.finalizes(a, r.ready(a, "a.net", "b.net"), key)
		if third.Status != acme.OrderValid || third.Certificate != one.Certificate {
			r.w.t.Errorf("the third order is %s with certificate %q", third.Status, third.Certificate)
		}
		r.wantBought(1)
		time.Sleep(24 * time.Hour)
		if late := r.finalizes(a, r.ready(a, "a.net", "b.net"), key); late.Status != acme.OrderProcessing || late.AttachedTo != "" {
			r.w.t.Errorf("a day later the order is %s, attached to %q", late.Status, late.AttachedTo)
		}
		r.wantBought(2)
	})
}

// TestRetryAfterOfProfile: a profile may make clients stay that count their
// looks, from the answer to finalize on.
func TestRetryAfterOfProfile(t *testing.T) {
	slow(t, func(w *world) { w.profile.RetryAfter = 7 * time.Minute }, func(r *run) {
		a := r.account()
		o, wait, err := r.finalize(a, r.ready(a, "a.net"), newKey(r.w.t))
		if err != nil || wait != 7*time.Minute {
			r.w.t.Errorf("finalize says to wait %s, %v", wait, err)
		}
		if _, wait, err := r.Order(r.w.t.Context(), a.ID, o.ID); err != nil || wait != 7*time.Minute {
			r.w.t.Errorf("the order says to wait %s, %v", wait, err)
		}
		time.Sleep(7 * time.Hour)
		if _, wait, err := r.Order(r.w.t.Context(), a.ID, o.ID); err != nil || wait != 0 {
			r.w.t.Errorf("the order that is valid says to wait %s, %v", wait, err)
		}
	})
}

// TestNotShared: what differs in anything that matters is asked for by itself.
func TestNotShared(t *testing.T) {
	slow(t, func(w *world) { w.profile.ReattachWithin, w.fake.issueAfter = 24*time.Hour, 0 }, func(r *run) {
		ctx := r.w.t.Context()
		a, key := r.account(), newKey(r.w.t)
		r.finalizes(a, r.ready(a, "a.net"), key)
		first := r.wantStatus(a, r.lastOrder(a), acme.OrderValid)
		r.finalizes(a, r.ready(a, "b.net"), key) // other names
		r.wantBought(2)
		b := r.account()
		r.finalizes(b, r.ready(b, "a.net"), key) // somebody else
		r.wantBought(3)
		// Whoever replaces the certificate wants another one.
		cert, _, err := r.Certificate(ctx, a.ID, first.Certificate)
		if err != nil {
			r.w.t.Fatal(err)
		}
		o, err := r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: dns("a.net"), Replaces: acme.CertID(cert.AuthorityKeyID, cert.Serial)})
		if err != nil {
			r.w.t.Fatal(err)
		}
		if _, _, err := r.Respond(ctx, a, o.Authorizations[0], acme.HTTP01); err != nil {
			r.w.t.Fatal(err)
		}
		r.finalizes(a, o, key)
		r.wantBought(4)
		// A revoked certificate helps nobody.
		second := r.wantStatus(a, o.ID, acme.OrderValid)
		if err := r.Operator().RevokeCertificate(ctx, second.Certificate, acme.Superseded); err != nil {
			r.w.t.Fatal(err)
		}
		if o := r.finalizes(a, r.ready(a, "a.net"), key); o.Certificate == second.Certificate {
			r.w.t.Error("an order got a revoked certificate")
		}
	})
}

func (r *run) lastOrder(a acme.Account) acme.OrderID {
	r.w.t.Helper()
	ids, _, err := r.Orders(r.w.t.Context(), a.ID, "", 1000)
	if err != nil || len(ids) == 0 {
		r.w.t.Fatalf("%d orders, %v", len(ids), err)
	}
	return ids[len(ids)-1]
}

// TestReattachNewKey: what a profile says of an order with a new key while the
// CA is at work. Only "new" buys twice; one that waits stays ready, is told when
// to come again, and comes through when the first is over.
func TestReattachNewKey(t *testing.T) {
	for rule, bought := range map[acme.ReattachRule]int{"": 1, "nonsense": 1, acme.ReattachRefuse: 1, acme.ReattachSwap: 1, acme.ReattachNew: 2} {
		t.Run("rule "+string(rule), func(t *testing.T) {
			slow(t, func(w *world) { w.profile.Reattach = rule }, func(r *run) {
				a := r.account()
				r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
				again, key := r.ready(a, "a.net"), newKey(r.w.t)
				_, _, err := r.finalize(a, again, key)
				synctest.Wait()
				r.wantBought(bought)
				if bought == 2 {
					if err != nil {
						r.w.t.Error(err)
					}
					return
				}
				if p := problemOf(r.w.t, err, acme.RateLimited); p.RetryAfter < time.Second {
					r.w.t.Errorf("retry after %s", p.RetryAfter)
				}
				r.wantStatus(a, again.ID, acme.OrderReady)
				time.Sleep(7 * time.Hour)
				r.finalizes(a, again, key)
				r.wantBought(2)
			})
		})
	}
}

// TestSwap: a request that has not left yet is dropped for the later one, and
// all orders that waited for it are told.
func TestSwap(t *testing.T) {
	slow(t, func(w *world) { w.profile.Reattach, w.fake.notSent = acme.ReattachSwap, 1000 }, func(r *run) {
		a, lost, key := r.account(), newKey(r.w.t), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net"), lost)
		second := r.finalizes(a, r.ready(a, "a.net"), lost)
		third := r.finalizes(a, r.ready(a, "a.net"), key)
		for _, o := range []acme.OrderID{first.ID, second.ID} {
			o := r.wantStatus(a, o, acme.OrderInvalid)
			wantProblem(r.w.t, o.Problem, acme.Unauthorized)
		}
		r.w.fake.set(func(f *fakeCA) { f.notSent = 0 })
		time.Sleep(7 * time.Hour)
		o := r.wantStatus(a, third.ID, acme.OrderValid)
		c, _, err := r.Certificate(r.w.t.Context(), a.ID, o.Certificate)
		if err != nil {
			r.w.t.Fatal(err)
		}
		if c.Order != third.ID {
			r.w.t.Errorf("the certificate is that of order %s", c.Order)
		}
		r.wantBought(1)
	})
}

// TestOneFate: whatever ends the request ends all orders that wait for it.
func TestOneFate(t *testing.T) {
	for name, end := range map[string]func(*run, acme.OrderID){
		"the operator": func(r *run, id acme.OrderID) {
			if err := r.Operator().Abandon(r.w.t.Context(), id, "enough"); err != nil {
				r.w.t.Error(err)
			}
		},
		"the deadline": func(*run, acme.OrderID) { time.Sleep(8 * 24 * time.Hour) },
		"a wrong certificate": func(r *run, _ acme.OrderID) {
			r.w.fake.set(func(f *fakeCA) { f.mutate = func(c [][]byte) [][]byte { return c[1:] } })
			time.Sleep(7 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t, func(w *world) { w.fake.issueAfter = 5 * time.Hour }, func(r *run) {
				if name == "the deadline" {
					r.w.fake.set(func(f *fakeCA) { f.issueAfter = 1000 * time.Hour })
				}
				a, key := r.account(), newKey(r.w.t)
				first := r.finalizes(a, r.ready(a, "a.net"), key)
				second := r.finalizes(a, r.ready(a, "a.net"), key)
				end(r, first.ID)
				r.wantStatus(a, first.ID, acme.OrderInvalid)
				r.wantStatus(a, second.ID, acme.OrderInvalid)
				if all, _, err := r.Operator().Jobs(r.w.t.Context()); err != nil || all != 0 {
					r.w.t.Errorf("%d jobs are left, %v", all, err)
				}
			})
		})
	}
}

// TestResume: a client that comes back after the deadline takes over what the CA
// still has, and the CA is not asked again.
func TestResume(t *testing.T) {
	slow(t, func(w *world) {
		w.fake.issueAfter, w.profile.IssuanceDeadline, w.profile.ReattachWithin = 30*time.Hour, 24*time.Hour, 24*time.Hour
	}, func(r *run) {
		a, key := r.account(), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		time.Sleep(25 * time.Hour)
		r.wantStatus(a, first.ID, acme.OrderInvalid)
		second := r.finalizes(a, r.ready(a, "a.net"), key)
		third := r.finalizes(a, r.ready(a, "a.net"), key)
		if second.AttachedTo != "" || third.AttachedTo != second.ID {
			r.w.t.Errorf("the second order is attached to %q, the third to %q", second.AttachedTo, third.AttachedTo)
		}
		time.Sleep(7 * time.Hour)
		one, two := r.wantStatus(a, second.ID, acme.OrderValid), r.wantStatus(a, third.ID, acme.OrderValid)
		if one.Certificate != two.Certificate {
			r.w.t.Error("there are two certificates")
		}
		r.wantStatus(a, first.ID, acme.OrderInvalid)
		r.wantBought(1)
		if all, _, err := r.Operator().Jobs(r.w.t.Context()); err != nil || all != 0 {
			r.w.t.Errorf("%d jobs are left, %v", all, err)
		}
	})
}

// TestCrashAtResume: the process dies at each commit from the second finalize
// on, before and after it; the control is the last of the loop.
func TestCrashAtResume(t *testing.T) {
	last := 0
	for at, crashed := 1, true; crashed; at++ {
		crashed = false
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
				w := newWorld(t)
				w.fake.issueAfter, w.profile.Hold = 30*time.Hour, 0
				w.profile.IssuanceDeadline, w.profile.ReattachWithin = 24*time.Hour, 24*time.Hour
				memory := w.store
				synctest.Test(t, func(t *testing.T) {
					w.t = t
					r := w.start()
					a, key := r.account(), newKey(t)
					r.finalizes(a, r.ready(a, "a.net"), key)
					time.Sleep(25 * time.Hour)
					second := r.ready(a, "a.net")
					r.end()
					store := &crashStore{Store: memory, at: at, applied: applied}
					w.store = store
					r = w.start()
					_, _, _ = r.finalize(a, second, key) // cut off, or not
					time.Sleep(7 * time.Hour)
					crashed = checkEnd(t, r, store) || crashed
					w.store = memory
					r = w.start()
					defer r.end()
					if o, _, err := r.Order(t.Context(), a.ID, second.ID); err != nil || o.Status == acme.OrderReady {
						r.finalizes(a, second, key)
					}
					time.Sleep(7 * time.Hour)
					r.wantStatus(a, second.ID, acme.OrderValid)
					r.wantBought(1)
				})
			})
		}
		last = at
	}
	if last < 5 {
		t.Errorf("only %d commits were crashed", last-1)
	}
}

// TestAttachedEndsAlone: an operator may end one of the orders that wait; the
// others still get the certificate. There is nothing to retry in it.
func TestAttachedEndsAlone(t *testing.T) {
	slow(t, nil, func(r *run) {
		ctx := r.w.t.Context()
		a, key := r.account(), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		second, third := r.finalizes(a, r.ready(a, "a.net"), key), r.finalizes(a, r.ready(a, "a.net"), key)
		if err := r.Operator().Retry(ctx, second.ID, true); err == nil {
			r.w.t.Error("an attached order was retried")
		}
		if err := r.Operator().Abandon(ctx, second.ID, "enough"); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(7 * time.Hour)
		r.wantStatus(a, first.ID, acme.OrderValid)
		r.wantStatus(a, second.ID, acme.OrderInvalid)
		r.wantStatus(a, third.ID, acme.OrderValid)
		r.wantBought(1)
	})
}

// TestAttachedAtMost: the orders that wait for one certificate are bounded,
// because they end in one commit.
func TestAttachedAtMost(t *testing.T) {
	slow(t, nil, func(r *run) {
		a, key := r.account(), newKey(r.w.t)
		for range 17 {
			r.finalizes(a, r.ready(a, "a.net"), key)
		}
		o := r.ready(a, "a.net")
		_, _, err := r.finalize(a, o, key)
		wantProblem(r.w.t, err, acme.RateLimited)
		r.wantStatus(a, o.ID, acme.OrderReady)
		r.wantBought(1)
	})
}

// TestAttachedIsHeld: the finalize of an attached order waits for the other
// one's certificate, as its own would (D13).
func TestAttachedIsHeld(t *testing.T) {
	slow(t, func(w *world) { w.fake.issueAfter, w.profile.Hold = 2*time.Second, 8*time.Second }, func(r *run) {
		a, key := r.account(), newKey(r.w.t)
		orders := []acme.Order{r.ready(a, "a.net"), r.ready(a, "a.net")}
		var wg sync.WaitGroup
		begun := time.Now()
		for _, o := range orders {
			wg.Go(func() {
				if o, _, err := r.finalize(a, o, key); err != nil || o.Status != acme.OrderValid {
					r.w.t.Errorf("the order is %s, %v", o.Status, err)
				}
			})
		}
		wg.Wait()
		r.wantBought(1)
		if took := time.Since(begun); took >= 8*time.Second {
			r.w.t.Errorf("the answers came after %s", took)
		}
	})
}

// TestReattachAtOnce: of any number of finalize requests at one moment, with one
// key or with many, one is a purchase.
func TestReattachAtOnce(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprintf("same key %t", same), func(t *testing.T) {
			slow(t, nil, func(r *run) {
				a, shared := r.account(), newKey(r.w.t)
				var orders []acme.Order
				for range 8 {
					orders = append(orders, r.ready(a, "a.net"))
				}
				var mu sync.Mutex
				limited := 0
				var wg sync.WaitGroup
				for _, o := range orders {
					key := shared
					if !same {
						key = newKey(r.w.t)
					}
					wg.Go(func() {
						_, _, err := r.finalize(a, o, key)
						var p *acme.Problem
						mu.Lock()
						defer mu.Unlock()
						if errors.As(err, &p) && p.Type == acme.RateLimited {
							limited++
						} else if err != nil {
							r.w.t.Error(err)
						}
					})
				}
				wg.Wait()
				time.Sleep(7 * time.Hour)
				r.wantBought(1)
				if want := map[bool]int{true: 0, false: 7}[same]; limited != want {
					r.w.t.Errorf("%d were told to wait, want %d", limited, want)
				}
			})
		})
	}
}

// TestCrashWhileAttached: a client places two orders with one key, and the
// process dies at each commit in turn, before it and after it. There is one
// purchase and one certificate, both orders have it, and no work is left. The
// control is a run without a crash: the last of the loop.
func TestCrashWhileAttached(t *testing.T) {
	last := 0
	for at, crashed := 1, true; crashed; at++ {
		crashed = false
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
				crashed = crashAttached(t, at, applied) || crashed
			})
		}
		last = at
	}
	if last < 12 {
		t.Errorf("only %d commits were crashed", last-1)
	}
}

func crashAttached(t *testing.T, at int, applied bool) (crashed bool) {
	w := newWorld(t)
	w.fake.issueAfter, w.profile.Hold = 5*time.Minute, 0
	w.profile.ReattachWithin = 24 * time.Hour
	w.profile.ResubmitOnDoubt = true // it would show if the engine sent again too lightly
	memory := w.store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		key := newKey(t)
		one := client{w: w, key: newKey(t), csr: csrFor(t, key, "a.example.org")}
		two := client{w: w, key: one.key, csr: csrFor(t, key, "a.example.org")}
		both := func(r *run) {
			var wg sync.WaitGroup
			one.goOn(r)
			two.account = one.account
			if one.account.ID != "" {
				wg.Go(func() { two.goOn(r) })
			}
			wg.Wait()
		}
		one.stopAt, two.pause = acme.OrderProcessing, time.Second
		store := &crashStore{Store: memory, at: at, applied: applied}
		w.store = store
		r := w.start()
		both(r)
		crashed = checkEnd(t, r, store)
		one.stopAt = ""
		w.store = memory
		r = w.start()
		defer r.end()
		one.goOn(r)
		both(r)
		a, b := r.wantStatus(one.account, one.order, acme.OrderValid), r.wantStatus(one.account, two.order, acme.OrderValid)
		if a.Certificate != b.Certificate {
			t.Errorf("two certificates: %s and %s", a.Certificate, b.Certificate)
		}
		if n := w.fake.bought(); n != 1 {
			t.Errorf("%d were bought", n)
		}
		certs, _, err := r.Operator().Certificates(t.Context(), one.account.ID, storage.Page{})
		if err != nil || len(certs) != 1 {
			t.Errorf("%d certificates are stored, %v", len(certs), err)
		}
		for _, id := range []acme.OrderID{a.ID, b.ID} {
			if x := r.explain(id); x.Job != nil || len(x.Attached) > 0 {
				t.Errorf("order %s is valid, with job %+v and %d attached", id, x.Job, len(x.Attached))
			}
		}
	})
	return crashed
}
