package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// batching is a fakeCA that takes several requests with one call.
type batching struct {
	searchable
	size int

	// Guarded by fakeCA.mu.
	uploads  [][]string // the names of each
	refusing bool       // no upload of several is taken
	spoils   string     // a batch of several with this name in it comes to nothing
	// meanwhile, when set, is called while a batch is under way.
	meanwhile func([]backends.Request)
}

const company = 2 * time.Second

func (b *batching) Batching() (int, time.Duration)  { return b.size, company }
func (b *batching) MayJoin(r backends.Request) bool { return !strings.HasPrefix(nameOf(r), "lonely.") }

func nameOf(r backends.Request) string { return r.Contract.Identifiers[0].Value }

func (b *batching) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	b.mu.Lock()
	b.uploads = append(b.uploads, []string{nameOf(r)})
	b.mu.Unlock()
	return b.searchable.Submit(ctx, r)
}

func (b *batching) SubmitBatch(_ context.Context, rs []backends.Request) (tickets []backends.Ticket, err error) {
	if b.meanwhile != nil {
		b.meanwhile(rs)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, r := range rs {
		names = append(names, nameOf(r))
		if r.Batch == "" || r.Batch != rs[0].Batch || len(rs) < 2 {
			return nil, errors.New("this is no batch")
		}
	}
	b.uploads = append(b.uploads, names)
	switch {
	case b.notSent > 0:
		b.notSent--
		return nil, backends.NotSent(errors.New("no route to the CA"))
	case b.refusing:
		return nil, backends.Refused("not these", nil)
	case b.dropRequests > 0:
		b.dropRequests--
		return nil, errBroken
	}
	for _, r := range rs {
		tickets = append(tickets, backends.Ticket(fmt.Sprint(len(b.purchases))))
		b.purchases = append(b.purchases, r)
	}
	if b.loseReplies > 0 {
		b.loseReplies--
		return nil, errBroken
	}
	return tickets, nil
}

func (b *batching) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	t, found, err := b.searchable.Find(ctx, r)
	if !found || err != nil {
		return t, found, err
	}
	var n int
	_, _ = fmt.Sscan(string(t), &n)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, p := range b.purchases { // the same request may have gone with others before
		if p.Key == r.Key && p.Batch == r.Batch {
			return backends.Ticket(fmt.Sprint(i)), true, nil
		}
	}
	return "", false, nil
}

func (b *batching) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	if b.spoiled(t) {
		return backends.Result{}, backends.RefusedAs(acme.BadCSR, "broken", fmt.Errorf("batch %s: %w", t, backends.ErrTogether))
	}
	b.mu.Lock()
	var n int
	_, _ = fmt.Sscan(string(t), &n)
	alone := b.spoils != "" && nameOf(b.purchases[n]) == b.spoils
	b.mu.Unlock()
	if alone {
		return backends.Result{}, backends.RefusedAs(acme.BadCSR, "broken", nil)
	}
	return b.searchable.Poll(ctx, t)
}

// spoiled says that the request went with the one that spoils batches.
func (b *batching) spoiled(t backends.Ticket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	var n int
	_, _ = fmt.Sscan(string(t), &n)
	batch := b.purchases[n].Batch
	return batch != "" && b.spoils != "" && slices.ContainsFunc(b.purchases, func(r backends.Request) bool { return r.Batch == batch && nameOf(r) == b.spoils })
}

// sizes are those of the uploads so far, the largest first.
func (b *batching) sizes() (all []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.uploads {
		all = append(all, -len(u))
	}
	slices.Sort(all)
	for i := range all {
		all[i] = -all[i]
	}
	return all
}

// together runs test on a CA that takes up to size requests at once.
func together(t *testing.T, size int, change func(*world, *batching), test func(*run, *batching)) {
	t.Helper()
	var ca *batching
	slow(t, func(w *world) {
		w.fake.issueAfter = time.Minute
		ca = &batching{searchable: searchable{w.fake}, size: size}
		w.backend = ca
		if change != nil {
			change(w, ca)
		}
	}, func(r *run) { test(r, ca) })
}

// party are orders of an account each, all finalized within the time in which
// they wait for each other.
type party []placedOrder

type placedOrder struct {
	account acme.Account
	id      acme.OrderID
}

func (r *run) party(names ...string) (p party) {
	r.w.t.Helper()
	type ready struct {
		account acme.Account
		order   acme.Order
	}
	var all []ready
	for _, n := range names {
		a := r.account()
		all = append(all, ready{a, r.ready(a, n)})
	}
	for _, x := range all {
		o := r.finalizes(x.account, x.order, newKey(r.w.t))
		p = append(p, placedOrder{x.account, o.ID})
	}
	return p
}

// TestTogetherByProfile: orders of two profiles that come by turns fill their
// uploads as if they had come one profile after the other; no upload has both.
// So it is after a restart, when nobody remembers who waits.
func TestTogetherByProfile(t *testing.T) {
	const size = 4
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("started anew ", restart), func(t *testing.T) {
			together(t, size, func(w *world, _ *batching) {
				w.change = func(c *engine.Config) {
					other := w.profile
					other.Name = "other"
					c.Profiles["other"] = other
					c.Directories[0].Profiles = append(c.Directories[0].Profiles, "other")
				}
			}, func(r *run, ca *batching) {
				type ready struct {
					account acme.Account
					order   acme.Order
				}
				var all []ready
				for i, n := range hosts(2 * size) {
					a := r.account()
					o, err := r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns(n), Profile: []acme.ProfileName{"tls", "other"}[i%2]})
					if err != nil {
						r.w.t.Fatal(err)
					}
					if _, _, err := r.Respond(r.w.t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
						r.w.t.Fatal(err)
					}
					all = append(all, ready{a, r.wantStatus(a, o.ID, acme.OrderReady)})
				}
				var p party
				for _, x := range all {
					o := r.finalizes(x.account, x.order, newKey(r.w.t))
					p = append(p, placedOrder{x.account, o.ID})
				}
				if restart {
					r.end()
					*r = *r.w.start()
				}
				time.Sleep(10 * time.Minute)
				r.wantAll(p)
				ca.boughtOnce(r.w.t, 2*size)
				if got := ca.sizes(); !slices.Equal(got, []int{size, size}) {
					r.w.t.Errorf("uploads %v", ca.uploads)
				}
				for _, x := range ca.purchases {
					if x.Contract.Profile != ca.purchases[0].Contract.Profile && x.Batch == ca.purchases[0].Batch {
						r.w.t.Errorf("an upload has orders of %s and %s", ca.purchases[0].Contract.Profile, x.Contract.Profile)
					}
				}
			})
		})
	}
}

func hosts(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("h%d.example.org", i))
	}
	return names
}

// wantAll wants each order of a party to have its own certificate.
func (r *run) wantAll(p party) {
	r.w.t.Helper()
	met := map[acme.CertificateID]bool{}
	for _, x := range p {
		o := r.wantStatus(x.account, x.id, acme.OrderValid)
		c, _, err := r.Certificate(r.w.t.Context(), x.account.ID, o.Certificate)
		if err != nil || met[c.ID] || len(c.Identifiers) != 1 || c.Identifiers[0] != o.Identifiers[0] {
			r.w.t.Errorf("order %s has the certificate of %v, %v", x.id, c.Identifiers, err)
		}
		met[c.ID] = true
	}
}

// boughtOnce wants each name to have been bought once.
func (b *batching) boughtOnce(t *testing.T, names int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	met := map[string]int{}
	for _, r := range b.purchases {
		met[nameOf(r)]++
	}
	if len(b.purchases) != names || len(met) != names {
		t.Errorf("%d were bought for %d names, want %d; uploads %v", len(b.purchases), len(met), names, b.uploads)
	}
}

// TestTogether: orders that come within a moment of each other go in as few calls
// as their number allows, whosever they are, and each gets its own certificate.
func TestTogether(t *testing.T) {
	for _, test := range []struct {
		orders, size int
		want         []int
	}{{1, 4, []int{1}}, {3, 4, []int{3}}, {4, 4, []int{4}}, {7, 3, []int{3, 3, 1}}, {3, 1, []int{1, 1, 1}}} {
		t.Run(fmt.Sprint(test.orders, " of ", test.size), func(t *testing.T) {
			together(t, test.size, nil, func(r *run, ca *batching) {
				p := r.party(hosts(test.orders)...)
				time.Sleep(10 * time.Minute)
				r.wantAll(p)
				ca.boughtOnce(r.w.t, test.orders)
				if got := ca.sizes(); !slices.Equal(got, test.want) {
					r.w.t.Errorf("uploads of %v, want %v", got, test.want)
				}
			})
		})
	}
}

// TestTogetherWhoMayNot: what could be mistaken for another, what its backend
// wants alone, and what comes much later, does not go along.
func TestTogetherWhoMayNot(t *testing.T) {
	together(t, 4, nil, func(r *run, ca *batching) {
		p := r.party("a.example.org", "lonely.example.org", "a.example.org", "b.example.org")
		time.Sleep(time.Minute)
		p = append(p, r.party("c.example.org")...)
		time.Sleep(10 * time.Minute)
		r.wantAll(p)
		for _, u := range ca.uploads {
			if len(u) > 1 && (!slices.Contains(u, "b.example.org") || !slices.Contains(u, "a.example.org") || len(u) != 2) {
				r.w.t.Errorf("together: %v", u)
			}
		}
		if len(ca.uploads) != 4 {
			r.w.t.Errorf("uploads %v", ca.uploads)
		}
	})
}

// TestTogetherOneDropsOut: what happens to one order while it waits for the
// others is no matter of theirs, and nothing is bought for it (SP-9).
func TestTogetherOneDropsOut(t *testing.T) {
	for name, drop := range map[string]func(*run, placedOrder) error{
		"account revoked": func(r *run, x placedOrder) error {
			_, err := r.Operator().RevokeAccount(r.w.t.Context(), x.account.ID)
			return err
		},
		"abandoned": func(r *run, x placedOrder) error {
			return r.Operator().Abandon(r.w.t.Context(), x.id, "a mistake")
		},
	} {
		for which := range 3 { // the first of them, one in between, the last
			t.Run(fmt.Sprint(name, " ", which), func(t *testing.T) {
				together(t, 4, nil, func(r *run, ca *batching) {
					p := r.party(hosts(3)...)
					if err := drop(r, p[which]); err != nil {
						r.w.t.Fatal(err)
					}
					time.Sleep(10 * time.Minute)
					out := p[which]
					r.wantAll(slices.Delete(slices.Clone(p), which, which+1))
					if o := r.explain(out.id).Order; o.Status != acme.OrderInvalid {
						r.w.t.Errorf("it is %s", o.Status)
					}
					ca.boughtOnce(r.w.t, 2)
					if got := ca.sizes(); !slices.Equal(got, []int{2}) {
						r.w.t.Errorf("uploads of %v", got)
					}
				})
			})
		}
	}
}

// TestTogetherNotSent: what did not leave us goes together the next time.
func TestTogetherNotSent(t *testing.T) {
	together(t, 4, func(w *world, _ *batching) { w.fake.notSent = 3 }, func(r *run, ca *batching) {
		p := r.party(hosts(4)...)
		time.Sleep(time.Hour)
		r.wantAll(p)
		ca.boughtOnce(r.w.t, 4)
		if got := ca.sizes(); !slices.Equal(got, []int{4, 4, 4, 4}) {
			r.w.t.Errorf("uploads of %v", got)
		}
	})
}

// TestTogetherEndedMeanwhile: an order that is ended while its batch is under way
// takes nothing with it. What was bought for it is told of, not lost.
func TestTogetherEndedMeanwhile(t *testing.T) {
	for name, fault := range map[string]func(*fakeCA){
		"taken": func(*fakeCA) {}, "not sent": func(f *fakeCA) { f.notSent = 1 }, "lost": func(f *fakeCA) { f.loseReplies = 1 },
	} {
		for which := range 3 {
			t.Run(fmt.Sprint(name, " ", which), func(t *testing.T) {
				together(t, 4, func(w *world, _ *batching) { fault(w.fake) }, func(r *run, ca *batching) {
					var ended atomic.Value // of acme.OrderID; the first is the one whose step does it for all
					var once sync.Once
					ca.meanwhile = func(rs []backends.Request) {
						once.Do(func() {
							ended.Store(rs[which].Order)
							if err := r.Operator().Abandon(r.w.t.Context(), rs[which].Order, "a mistake"); err != nil {
								r.w.t.Error(err)
							}
						})
					}
					p := r.party(hosts(3)...)
					time.Sleep(time.Hour)
					out, _ := ended.Load().(acme.OrderID)
					r.wantAll(slices.DeleteFunc(slices.Clone(p), func(x placedOrder) bool { return x.id == out }))
					if o := r.explain(out).Order; o.Status != acme.OrderInvalid {
						r.w.t.Errorf("it is %s", o.Status)
					}
					want := 3
					if name == "not sent" {
						want = 2
					}
					ca.boughtOnce(r.w.t, want)
					if n := r.Counters.Orphans.Load(); name == "taken" && n != 1 {
						r.w.t.Errorf("%d orphans were told of", n)
					}
				})
			})
		}
	}
}

// TestTogetherDoubt: a batch whose reply is lost is found for each that was in
// it, also by a server that sends nothing together any more; one that never
// arrived is sent for none of them without a person's word (D8, SC-4).
func TestTogetherDoubt(t *testing.T) {
	for name, restart := range map[string]bool{"same settings": false, "started anew, each alone": true} {
		t.Run("lost, "+name, func(t *testing.T) {
			together(t, 4, func(w *world, _ *batching) { w.fake.loseReplies, w.fake.hiddenFor = 1, 100*time.Second }, func(r *run, ca *batching) {
				p := r.party(hosts(4)...)
				time.Sleep(10 * time.Second)
				if restart {
					r.end()
					ca.size = 1
					*r = *r.w.start()
				}
				time.Sleep(time.Hour)
				r.wantAll(p)
				ca.boughtOnce(r.w.t, 4)
				if got := ca.sizes(); !slices.Equal(got, []int{4}) {
					r.w.t.Errorf("uploads of %v", got)
				}
			})
		})
	}
	t.Run("never arrived", func(t *testing.T) {
		together(t, 4, func(w *world, _ *batching) { w.fake.dropRequests = 1 }, func(r *run, ca *batching) {
			p := r.party(hosts(3)...)
			time.Sleep(24 * time.Hour)
			jobs, _, err := r.Operator().Parked(r.w.t.Context(), storage.Page{})
			if err != nil || len(jobs) != 3 || ca.bought() != 0 {
				r.w.t.Fatalf("%d jobs are parked, %d were bought, %v", len(jobs), ca.bought(), err)
			}
			for _, x := range p {
				if err := r.Operator().Retry(r.w.t.Context(), x.id, true); err != nil {
					r.w.t.Fatal(err)
				}
			}
			time.Sleep(time.Hour)
			r.wantAll(p)
			ca.boughtOnce(r.w.t, 3)
		})
	})
}

// TestTogetherSpoiled: one request that a CA will not have does not cost the
// others anything but time: each is sent alone, whether the CA refuses the call
// or gives up the batch later.
func TestTogetherSpoiled(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		together(t, 4, func(_ *world, ca *batching) { ca.refusing = true }, func(r *run, ca *batching) {
			p := r.party(hosts(3)...)
			time.Sleep(time.Hour)
			r.wantAll(p)
			ca.boughtOnce(r.w.t, 3)
			if got := ca.sizes(); !slices.Equal(got, []int{3, 1, 1, 1}) {
				r.w.t.Errorf("uploads of %v", got)
			}
		})
	})
	t.Run("broken", func(t *testing.T) {
		together(t, 4, func(_ *world, ca *batching) { ca.spoils = "h1.example.org" }, func(r *run, ca *batching) {
			p := r.party(hosts(3)...)
			time.Sleep(time.Hour)
			r.wantAll(party{p[0], p[2]})
			o := r.wantStatus(p[1].account, p[1].id, acme.OrderInvalid)
			if o.Problem == nil || o.Problem.Type != acme.BadCSR {
				r.w.t.Errorf("the one at fault: %v", o.Problem)
			}
			if got := ca.sizes(); !slices.Equal(got, []int{3, 1, 1, 1}) {
				r.w.t.Errorf("uploads of %v", got)
			}
		})
	})
}

// TestTogetherCrashAtEveryCommit lets the server die at each commit of four
// orders that go together, before it and after it, and once more in the recovery.
// Each order is bought once, and has its own certificate in the end (D8, SC-1).
func TestTogetherCrashAtEveryCommit(t *testing.T) {
	for _, how := range []string{"taken", "spoiled"} {
		t.Run(how, func(t *testing.T) {
			last := 0
			for at := 1; last == 0; at++ {
				crashed := false
				for _, applied := range []bool{false, true} {
					t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
						crashed = crashTogether(t, how, at, applied) || crashed
					})
				}
				if !crashed || t.Failed() {
					last = at
				}
			}
			if last < 8 {
				t.Errorf("only %d commits were crashed", last-1)
			}
		})
	}
}

func crashTogether(t *testing.T, how string, at int, applied bool) (crashed bool) {
	w := newWorld(t)
	w.profile.Hold = 0
	w.fake.issueAfter = time.Minute
	ca := &batching{searchable: searchable{w.fake}, size: 4}
	w.backend = ca
	const n = 3
	if how == "spoiled" {
		ca.spoils = "nobody.example.org"
		ca.refusing = true
	}
	memory := w.store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		var accounts []acme.Account
		var orders []acme.Order
		for _, name := range hosts(n) {
			a := r.account()
			accounts, orders = append(accounts, a), append(orders, r.ready(a, name))
		}
		r.end()
		csrs := make([][]byte, n)
		for i, name := range hosts(n) {
			csrs[i] = csrFor(t, newKey(t), name)
		}
		for life := range 3 {
			store := &crashStore{Store: memory, applied: applied}
			switch {
			case life == 0:
				store.at = at
			case life == 1 && crashed:
				store.at = 2
			}
			w.store = store
			r = w.start()
			for i := range orders {
				_, _, _ = r.Finalize(t.Context(), accounts[i], orders[i].ID, csrs[i])
			}
			time.Sleep(time.Hour)
			if died := checkEnd(t, r, store); life == 0 {
				crashed = died
			}
		}
		w.store = memory
		r = w.start()
		defer r.end()
		time.Sleep(time.Hour)
		jobs, _, err := r.Operator().Parked(t.Context(), storage.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			// The answer may be lost with the process that got it: then the CA has
			// nothing, and a person says so.
			if err := r.Operator().Retry(t.Context(), acme.OrderID(j.Subject), true); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour)
		var p party
		for i := range orders {
			p = append(p, placedOrder{accounts[i], orders[i].ID})
		}
		r.wantAll(p)
		ca.boughtOnce(t, n)
	})
	return crashed
}

// TestNothingToBuyWith: an order that could not be sent for want of balance, or
// of credentials that the CA takes, is not ended when its time is over: it waits
// for a person, and goes on with the time that it had in the beginning (SC-16).
// One that was simply not let through in time ends as before.
func TestNothingToBuyWith(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(*fakeCA, bool)
		ends  bool
	}{
		"balance":     {func(f *fakeCA, on bool) { f.exhausted = on }, false},
		"credentials": {func(f *fakeCA, on bool) { f.lockedOut = on }, false},
		"no network": {func(f *fakeCA, on bool) {
			if f.away = nil; on {
				f.away = errors.New("no route to host")
			}
		}, true},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", started anew ", restart), func(t *testing.T) {
				slow(t, func(w *world) {
					w.profile.IssuanceDeadline, w.fake.issueAfter = 24*time.Hour, time.Minute
					test.fault(w.fake, true)
				}, func(r *run) {
					a := r.account()
					o := r.finalizes(a, r.ready(a, "a.example.org"), newKey(r.w.t))
					time.Sleep(20 * time.Hour)
					if restart {
						r.end()
						*r = *r.w.start()
					}
					time.Sleep(20 * time.Hour)
					if test.ends {
						r.wantStatus(a, o.ID, acme.OrderInvalid)
						return
					}
					r.wantStatus(a, o.ID, acme.OrderProcessing)
					if x := r.explain(o.ID); x.Job == nil || !strings.Contains(x.Job.Parked, "put right at the CA") {
						r.w.t.Fatalf("nobody is asked: %+v", x.Job)
					}
					r.w.fake.set(func(f *fakeCA) { test.fault(f, false) })
					time.Sleep(24 * time.Hour)
					r.wantBought(0)
					if err := r.Operator().Retry(r.w.t.Context(), o.ID, false); err != nil {
						r.w.t.Fatal(err)
					}
					time.Sleep(time.Hour)
					r.wantStatus(a, o.ID, acme.OrderValid)
					r.wantBought(1)
				})
			})
		}
	}
}
