package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// surveyed is a fakeCA that can be looked at. What a look shows is told by shows.
type surveyed struct {
	searchable
	shows *sights
}

// sights are guarded by the mutex of the fakeCA.
type sights struct {
	facts   map[string]string
	unseen  []string
	found   []backends.Finding
	others  []backends.Sighting // beside its purchases
	err     error
	looks   int
	blocked chan struct{}
}

func (f surveyed) Survey(ctx context.Context) (backends.Survey, error) {
	f.mu.Lock()
	s := *f.shows
	f.shows.looks++
	f.mu.Unlock()
	if s.blocked != nil {
		select {
		case <-s.blocked:
		case <-ctx.Done():
			return backends.Survey{}, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lockedOut {
		return backends.Survey{}, fmt.Errorf("log in: %w", backends.ErrCredentials)
	}
	seen := backends.Survey{Subject: "profile 1", Facts: maps.Clone(s.facts), Unseen: s.unseen, Findings: s.found, Requests: s.others}
	for i, p := range f.purchases {
		seen.Requests = append(seen.Requests, backends.Sighting{Key: p.Key, Label: fmt.Sprint("batch ", i)})
	}
	return seen, s.err
}

func newSurveyed(t *testing.T) (*world, *sights) {
	t.Helper()
	w := newWorld(t)
	shows := &sights{facts: map[string]string{"profile/ca": "Issuing CA 1"}}
	w.backend = surveyed{searchable{w.fake}, shows}
	return w, shows
}

// standing is how the CA of the world stands.
func (r *run) standing() engine.Standing {
	r.w.t.Helper()
	s, err := r.Operator().Backend("ca")
	if err != nil {
		r.w.t.Fatal(err)
	}
	return s
}

// refusesOrders wants a new order to be refused with 503 and these words.
func (r *run) refusesOrders(a acme.Account, words string) {
	r.w.t.Helper()
	_, err := r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns("new.example.org")})
	wantStopped(r.w.t, err, words)
}

func wantStopped(t *testing.T, err error, words string) {
	t.Helper()
	p := problemOf(t, err, acme.ServerInternal)
	if p.Status != 503 || p.RetryAfter <= 0 || !strings.Contains(p.Detail, words) {
		t.Errorf("%d after %s: %q, want 503 with %q", p.Status, p.RetryAfter, p.Detail, words)
	}
}

// TestProfileDrift: a profile that somebody edits at the CA is not bought under
// until a person agrees to it: no new order, no finalize, and what is finalized
// already waits (SC-19). That outlives a restart.
func TestProfileDrift(t *testing.T) {
	w, shows := newSurveyed(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a, o := r.finalized("first.example.org")
		r.wantStatus(a, o.ID, acme.OrderValid)
		open := r.ready(a, "open.example.org")
		w.fake.set(func(f *fakeCA) { f.notSent = 5 })
		waiting := r.finalizes(a, r.ready(a, "waiting.example.org"), newKey(t))
		w.fake.set(func(*fakeCA) { shows.facts = map[string]string{"profile/ca": "Issuing CA 2"} })
		if _, err := r.Operator().Survey(t.Context(), "ca"); err != nil {
			t.Fatal(err)
		}
		r.refusesOrders(a, "has changed this profile")
		_, _, err := r.Finalize(t.Context(), a, open.ID, csrFor(t, newKey(t), "open.example.org"))
		wantStopped(t, err, "has changed this profile")
		r.wantStatus(a, open.ID, acme.OrderReady)
		time.Sleep(2 * time.Hour)
		if x := r.explain(waiting.ID); x.Order.Status != acme.OrderProcessing || x.Job.Parked != "" || !strings.Contains(x.Job.LastError, `was "Issuing CA 1" and is "Issuing CA 2"`) {
			t.Errorf("%s, %+v", x.Order.Status, x.Job)
		}
		r.end()

		r = w.start()
		time.Sleep(2 * time.Minute)
		r.refusesOrders(a, "has changed this profile")
		if n := w.fake.bought(); n != 1 {
			t.Errorf("%d purchases under a profile that has changed", n-1)
		}
		if s, err := r.Operator().AcceptProfile(t.Context(), "ca"); err != nil || s.Stops() != backends.StopNothing || len(s.Drift) != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(5 * time.Minute)
		r.wantStatus(a, waiting.ID, acme.OrderValid)
		o, _, err = r.Finalize(t.Context(), a, open.ID, csrFor(t, newKey(t), "open.example.org"))
		if err != nil || o.Status != acme.OrderValid {
			t.Errorf("%s, %v", o.Status, err)
		}
		r.end()

		// What was agreed to is what counts from now on.
		w.fake.set(func(*fakeCA) { shows.facts = map[string]string{"profile/ca": "Issuing CA 1"} })
		r = w.start()
		defer r.end()
		time.Sleep(time.Minute)
		r.refusesOrders(a, "has changed this profile")
		w.fake.set(func(*fakeCA) { shows.facts = map[string]string{"profile/ca": "Issuing CA 2"} })
		time.Sleep(3 * time.Minute)
		r.order(a, "again.example.org") // the CA took it back, and nobody had to do anything
	})
}

// TestDriftOutlivesARestart: a drift that was seen stops purchases in the next
// run too, also while the CA cannot be looked at there, or shows less of itself
// than before. What a person agrees to then is what was seen (SC-19).
func TestDriftOutlivesARestart(t *testing.T) {
	unreachable := func(s *sights) { s.err = errors.New("connection refused") }
	for name, blind := range map[string]func(*sights){
		"unreachable": unreachable,
		"out of sight": func(s *sights) {
			s.facts, s.unseen = map[string]string{"account/name": "us"}, []string{"profile"}
		},
		"all of it out of sight": func(s *sights) {
			s.facts, s.unseen = nil, []string{"profile", "account"}
		},
	} {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", started anew ", restart), func(t *testing.T) {
				w, shows := newSurveyed(t)
				drifted := map[string]string{"profile/ca": "Issuing CA 2", "account/name": "us"}
				shows.facts["account/name"] = "us"
				synctest.Test(t, func(t *testing.T) {
					w.t = t
					r := w.start()
					a := r.account()
					open := r.ready(a, "open.example.org")
					w.fake.set(func(f *fakeCA) { f.notSent = 1 })
					waiting := r.finalizes(a, r.ready(a, "waiting.example.org"), newKey(t))
					w.fake.set(func(*fakeCA) { shows.facts = drifted })
					if _, err := r.Operator().Survey(t.Context(), "ca"); err != nil {
						t.Fatal(err)
					}
					w.fake.set(func(*fakeCA) { blind(shows) })
					if restart {
						r.end()
						r = w.start()
					}
					defer func() { r.end() }()
					time.Sleep(6 * time.Hour)
					if w.fake.bought() != 0 {
						t.Fatal("bought under a profile that has changed")
					}
					r.wantStatus(a, waiting.ID, acme.OrderProcessing)
					r.refusesOrders(a, "has changed this profile")
					_, _, err := r.Finalize(t.Context(), a, open.ID, csrFor(t, newKey(t), "open.example.org"))
					wantStopped(t, err, "has changed this profile")
					if s := r.standing(); len(s.Drift) != 1 || !strings.Contains(s.Drift[0], `is "Issuing CA 2"`) {
						t.Errorf("drift %q", s.Drift)
					}

					if s, err := r.Operator().AcceptProfile(t.Context(), "ca"); err != nil || s.Has(backends.FindingDrift) {
						t.Errorf("%+v, %v", s, err)
					}
					time.Sleep(30 * time.Minute)
					r.wantStatus(a, waiting.ID, acme.OrderValid)

					// Agreed to is what was seen, not what comes into sight next.
					w.fake.set(func(*fakeCA) {
						shows.facts, shows.unseen, shows.err = map[string]string{"profile/ca": "Issuing CA 3", "account/name": "us"}, nil, nil
					})
					time.Sleep(2 * time.Hour)
					r.refusesOrders(a, "has changed this profile")
					w.fake.set(func(*fakeCA) { shows.facts = drifted })
					time.Sleep(5 * time.Minute)
					r.end()
					w.fake.set(func(*fakeCA) { unreachable(shows) })
					r = w.start()
					time.Sleep(time.Minute)
					r.order(a, "again.example.org") // it was taken back, and that was kept as well
				})
			})
		}
	}
}

// TestDamagedAgreement: when nobody can read what the profile was taken for,
// nothing is bought until a person agrees to what it is.
func TestDamagedAgreement(t *testing.T) {
	w, _ := newSurveyed(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		r.end()
		err := w.store.Update(t.Context(), func(tx storage.Tx) error { return tx.Meta().Put("agreed/ca", []byte("not a record")) })
		if err != nil {
			t.Fatal(err)
		}
		r = w.start()
		defer r.end()
		time.Sleep(6 * time.Hour)
		r.refusesOrders(a, "has changed this profile")
		if _, err := r.Operator().AcceptProfile(t.Context(), "ca"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		r.order(a, "a.example.org")
		if s := r.standing(); s.AgreedAt.IsZero() || len(s.Findings) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestDriftBeforeTheFirstLook: a profile that was edited while no server ran is
// noticed before anything is bought, however long the look takes.
func TestDriftBeforeTheFirstLook(t *testing.T) {
	w, shows := newSurveyed(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		w.fake.set(func(f *fakeCA) { f.notSent = 100 })
		a, o := r.finalized("a.example.org")
		time.Sleep(time.Minute)
		r.end()
		shows.blocked = make(chan struct{})
		w.fake.set(func(f *fakeCA) {
			f.notSent = 0
			shows.facts = map[string]string{"profile/ca": "Issuing CA 2"}
		})
		r = w.start()
		defer r.end()
		time.Sleep(20 * time.Second)
		if w.fake.bought() != 0 {
			t.Error("bought before anybody had looked")
		}
		close(shows.blocked)
		time.Sleep(5 * time.Minute)
		if r.wantStatus(a, o.ID, acme.OrderProcessing); w.fake.bought() != 0 {
			t.Error("bought under a profile that had changed")
		}
	})
}

// TestBalanceForRenewals: what is kept for renewals is bought by renewals only,
// whether or not their clients say that they are some; and when nothing is left
// they too are told to wait (SC-16).
func TestBalanceForRenewals(t *testing.T) {
	w, shows := newSurveyed(t)
	low := func(stops backends.Stop) func(*fakeCA) {
		return func(*fakeCA) {
			shows.found = []backends.Finding{{Kind: backends.FindingBalance, Stops: stops, Text: "few left"}}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, o := r.finalized("a.example.org")
		r.wantStatus(a, o.ID, acme.OrderValid)
		w.fake.set(low(backends.StopNew))
		time.Sleep(2 * time.Hour)
		r.refusesOrders(a, "kept for renewals")
		_, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org")})
		wantStopped(t, err, "kept for renewals") // much too early to be a renewal

		time.Sleep(85 * 24 * time.Hour)
		r.refusesOrders(a, "kept for renewals")
		o = r.finalizes(a, r.ready(a, "a.example.org"), newKey(t))
		r.wantStatus(a, o.ID, acme.OrderValid)
		w.fake.set(func(f *fakeCA) {
			if n := len(f.purchases); n != 2 || !f.purchases[1].Renewal || f.purchases[0].Renewal {
				t.Errorf("%d purchases: %+v", n, f.purchases)
			}
		})

		w.fake.set(low(backends.StopAll))
		time.Sleep(85 * 24 * time.Hour)
		_, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org")})
		wantStopped(t, err, "has to order more")
		w.fake.set(func(*fakeCA) { shows.found = nil })
		time.Sleep(3 * time.Minute)
		r.order(a, "a.example.org")
	})
}

// TestExhaustedAtSubmit: the CA may know before we do that nothing is left. The
// order waits for as long as that lasts, no job is parked for it, and others are
// told at once.
func TestExhaustedAtSubmit(t *testing.T) {
	w, shows := newSurveyed(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		ready := r.ready(a, "a.example.org")
		w.fake.set(func(f *fakeCA) {
			f.exhausted = true
			shows.err = errors.New("gone away") // so that no look clears it up
		})
		o := r.finalizes(a, ready, newKey(t))
		r.refusesOrders(a, "kept for renewals")
		time.Sleep(12 * time.Hour)
		if x := r.explain(o.ID); x.Order.Status != acme.OrderProcessing || x.Job.Parked != "" {
			t.Errorf("%s, %+v", x.Order.Status, x.Job)
		}
		w.fake.set(func(f *fakeCA) { f.exhausted, shows.err = false, nil })
		time.Sleep(30 * time.Minute)
		r.wantStatus(a, o.ID, acme.OrderValid)
		if w.fake.bought() != 1 {
			t.Errorf("%d purchases", w.fake.bought())
		}
	})
}

// TestLockedOutOfTheCA: a CA that does not let us in takes no new orders, and what is
// under way waits. When the credentials are right again, all goes on.
func TestLockedOutOfTheCA(t *testing.T) {
	w, _ := newSurveyed(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		ready := r.ready(a, "a.example.org")
		w.fake.set(func(f *fakeCA) { f.lockedOut = true })
		o := r.finalizes(a, ready, newKey(t)) // waits with us, as long as it takes
		time.Sleep(time.Minute)
		r.refusesOrders(a, "does not let this server in")
		if s := r.standing(); !s.Has(backends.FindingLogin) {
			t.Errorf("%+v", s.Findings)
		}
		time.Sleep(12 * time.Hour)
		if x := r.explain(o.ID); x.Order.Status != acme.OrderProcessing || x.Job.Parked != "" || !x.Job.Credentials {
			t.Errorf("%s, %+v", x.Order.Status, x.Job)
		}
		w.fake.set(func(f *fakeCA) { f.lockedOut = false })
		time.Sleep(15 * time.Minute)
		r.wantStatus(a, o.ID, acme.OrderValid)
		r.order(a, "b.example.org")
	})
}

// TestOrphans: what is at the CA under our name and unknown here is told, and
// left alone; so is the second of two that are one request (SC-7).
func TestOrphans(t *testing.T) {
	w, shows := newSurveyed(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.finalized("a.example.org")
		w.fake.set(func(f *fakeCA) {
			shows.others = []backends.Sighting{
				{Key: "0123", Label: "batch 77"}, {Key: "4567", Label: "batch 78", Over: true}, {Key: f.purchases[0].Key, Label: "the first of two"},
				{Key: "89ab", Label: "of another server", Elsewhere: true},
			}
		})
		time.Sleep(2 * time.Hour)
		s := r.standing()
		var labels []string
		for _, o := range s.Orphans {
			labels = append(labels, o.Label)
		}
		if fmt.Sprint(labels) != "[batch 77 batch 0]" || s.Stops() != backends.StopNothing {
			t.Errorf("%v, %+v", labels, s.Findings)
		}
		w.fake.set(func(*fakeCA) { shows.others = nil })
		time.Sleep(2 * time.Hour)
		if s := r.standing(); len(s.Orphans) != 0 || len(s.Findings) != 0 {
			t.Errorf("%+v", s)
		}
		w.fake.set(func(f *fakeCA) {
			if len(f.purchases) != 1 || len(f.revoked) != 0 {
				t.Error("a look changed something")
			}
		})
	})
}

// TestLooks: a CA that cannot be looked at stops nothing, is looked at again
// soon, and otherwise every hour.
func TestLooks(t *testing.T) {
	w, shows := newSurveyed(t)
	shows.err = errors.New("connection refused")
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a, o := r.finalized("a.example.org")
		r.wantStatus(a, o.ID, acme.OrderValid)
		if s := r.standing(); !s.Has(backends.FindingUnreachable) || s.Stops() != backends.StopNothing {
			t.Errorf("%+v", s.Findings)
		}
		w.fake.set(func(*fakeCA) { shows.err = nil })
		time.Sleep(2 * time.Minute)
		if s := r.standing(); len(s.Findings) != 0 || s.AgreedAt.IsZero() {
			t.Errorf("%+v", s)
		}
		var before, n int
		w.fake.set(func(*fakeCA) { before = shows.looks })
		time.Sleep(24 * time.Hour)
		w.fake.set(func(*fakeCA) { n = shows.looks - before })
		if n < 18 || n > 32 {
			t.Errorf("%d looks in a day", n)
		}
		r.end()
	})
}

// TestAgreementCrash dies before and after what was seen is stored: either way
// the next run knows what to expect.
func TestAgreementCrash(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w, shows := newSurveyed(t)
		memory := w.store
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			w.store = &crashStore{Store: memory, at: 2, applied: applied} // the first schedules publications
			r := w.start()
			synctest.Wait()
			if err := r.close(); !errors.Is(err, storage.ErrUnknown) {
				t.Fatalf("the run ended with %v", err)
			}
			w.store = memory
			if applied {
				w.fake.set(func(*fakeCA) { shows.facts = map[string]string{"profile/ca": "another"} })
			}
			r = w.start()
			defer r.end()
			synctest.Wait()
			if s := r.standing(); s.Has(backends.FindingDrift) != applied || s.AgreedAt.IsZero() {
				t.Errorf("applied %t: %+v", applied, s)
			}
		})
	}
}

// TestRefusalWords: the client gets the type of problem that the backend gives
// and our words; the operator has the CA's as well (SC-18).
func TestRefusalWords(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.refuse, w.fake.refuseAs = "the CSR is not what it issues for", acme.BadCSR
		r := w.start()
		defer r.end()
		a, o := r.finalized("a.example.org")
		o = r.wantStatus(a, o.ID, acme.OrderInvalid)
		if o.Problem.Type != acme.BadCSR || strings.Contains(o.Problem.Detail, "-2017") {
			t.Errorf("%+v", o.Problem)
		}
		history := fmt.Sprint(r.explain(o.ID).Order.History)
		if !strings.Contains(history, "code -2017") {
			t.Errorf("the operator does not learn what the CA said: %s", history)
		}
	})
}
