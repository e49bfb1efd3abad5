package engine_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// TestOrderToCertificate is the way of an order that nothing happens to.
func TestOrderToCertificate(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.ready(a, "www.example.org", "api.example.org")
		key := newKey(t)
		done, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, key, "www.example.org", "api.example.org"))
		if err != nil || done.Status != acme.OrderValid {
			t.Fatalf("finalize: %v, %v", done.Status, err)
		}
		c, chain, err := r.Certificate(t.Context(), a.ID, done.Certificate)
		if err != nil || len(c.Leaf) == 0 || len(chain.Certificates) == 0 {
			t.Fatalf("certificate %v, chain %v, error %v", c.ID, chain, err)
		}
		if n := w.fake.bought(); n != 1 {
			t.Errorf("%d certificates were bought", n)
		}
		if x := r.explain(o.ID); x.Job != nil || x.Submission == nil || x.Submission.CSR != nil {
			t.Errorf("a job or the CSR is left: %+v", x)
		}
	})
}

// TestHold: a CA that is done within the hold window needs no polling, one that
// is not gets `processing` and a truthful Retry-After (D13).
func TestHold(t *testing.T) {
	for _, test := range []struct {
		name       string
		issueAfter time.Duration
		want       acme.OrderStatus
		within     time.Duration
	}{
		{"fast", 0, acme.OrderValid, time.Second},
		{"within the window", 500 * time.Millisecond, acme.OrderValid, 3 * time.Second},
		{"slow", time.Hour, acme.OrderProcessing, 3100 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				w.fake.issueAfter = test.issueAfter
				r := w.start()
				defer r.end()
				a := r.account()
				o := r.ready(a, "a.example.org")
				begun := time.Now()
				o, retry, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
				if err != nil || o.Status != test.want {
					t.Fatalf("status %s, error %v; want %s", o.Status, err, test.want)
				}
				if took := time.Since(begun); took > test.within {
					t.Errorf("the answer took %s, want at most %s", took, test.within)
				}
				if o.Status == acme.OrderProcessing && retry <= 0 {
					t.Error("processing without Retry-After")
				}
				time.Sleep(4 * time.Hour)
				r.wantStatus(a, o.ID, acme.OrderValid)
			})
		})
	}
}

// TestValidation: what a client sees of targets that behave differently. One
// that may yet answer is tried again after a few seconds (R8555-8.2-1), a
// bounded number of times (R8555-8.2-4), and the client can look at any time
// meanwhile (R8555-7.5-5).
func TestValidation(t *testing.T) {
	for _, test := range []struct {
		host  string
		want  acme.AuthorizationStatus // when the answer to the response comes
		end   acme.AuthorizationStatus // a minute later
		tries int
	}{
		{"good", acme.AuthorizationValid, acme.AuthorizationValid, 1},
		{"wrong", acme.AuthorizationInvalid, acme.AuthorizationInvalid, 1},
		{"flaky", acme.AuthorizationPending, acme.AuthorizationValid, 3},
		{"down", acme.AuthorizationPending, acme.AuthorizationInvalid, 3},
		{"slow", acme.AuthorizationPending, acme.AuthorizationValid, 1},
		{"panics", acme.AuthorizationPending, acme.AuthorizationInvalid, 3},
	} {
		t.Run(test.host, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				defer r.end()
				a := r.account()
				name := test.host + ".example.org"
				o := r.order(a, name)
				begun := time.Now()
				authz, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01)
				if err != nil || authz.Status != test.want {
					t.Fatalf("answer: %s, %v; want %s", authz.Status, err, test.want)
				}
				if took := time.Since(begun); took > 3100*time.Millisecond {
					t.Errorf("the answer was held for %s", took)
				}
				time.Sleep(time.Minute)
				authz, _, err = r.Authorization(t.Context(), a.ID, o.Authorizations[0])
				if err != nil || authz.Status != test.end || w.targets.tried(name) != test.tries {
					t.Errorf("in the end: %s after %d tries, %v; want %s after %d", authz.Status, w.targets.tried(name), err, test.end, test.tries)
				}
				want := acme.OrderReady
				if test.end == acme.AuthorizationInvalid {
					want = acme.OrderInvalid
				}
				r.wantStatus(a, o.ID, want)
			})
		})
	}
}

// TestRespondTwice: a second response while the first is being tried starts no
// second validation (R8555-8.2-5), and both get the outcome.
func TestRespondTwice(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.order(a, "slow.example.org")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
					t.Errorf("respond: %v", err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if n := w.targets.tried("slow.example.org"); n != 1 {
			t.Errorf("tried %d times at once", n)
		}
		r.wantStatus(a, o.ID, acme.OrderReady)
	})
}

// TestFinalizeRace: of 64 finalizes at once, however many CSRs they bring, one
// buys (SP-11).
func TestFinalizeRace(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		for range 10 {
			before := w.fake.bought()
			o := r.ready(a, "race.example.org")
			same := csrFor(t, newKey(t), "race.example.org")
			var wg sync.WaitGroup
			for i := range 64 {
				csr := same
				if i%4 == 3 {
					csr = csrFor(t, newKey(t), "race.example.org")
				}
				wg.Go(func() { _, _, _ = r.Finalize(t.Context(), a, o.ID, csr) }) // the books below are the judge
			}
			wg.Wait()
			r.wantStatus(a, o.ID, acme.OrderValid)
			if n := w.fake.bought() - before; n != 1 {
				t.Fatalf("one order bought %d certificates", n)
			}
		}
	})
}

// TestFinalizeAgain: the same CSR gets the order, another one does not, and a
// bad one leaves the order ready (R8555-7.4F-6, SP-11).
func TestFinalizeAgain(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.ready(a, "a.example.org")
		_, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "b.example.org"))
		wantProblem(t, err, acme.BadCSR)
		r.wantStatus(a, o.ID, acme.OrderReady)
		csr := csrFor(t, newKey(t), "a.example.org")
		for range 2 {
			if o, _, err := r.Finalize(t.Context(), a, o.ID, csr); err != nil || o.Status != acme.OrderValid {
				t.Fatalf("finalize: %s, %v", o.Status, err)
			}
		}
		_, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
		wantProblem(t, err, acme.OrderNotReady)
		if n := w.fake.bought(); n != 1 {
			t.Errorf("%d certificates were bought", n)
		}
	})
}

// TestOwnership: whatever belongs to somebody else does not exist (SP-1).
func TestOwnership(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		mine, other := r.account(), r.account()
		o := r.ready(mine, "a.example.org")
		csr := csrFor(t, newKey(t), "a.example.org")
		o, _, err := r.Finalize(t.Context(), mine, o.ID, csr)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for name, steal := range map[string]func(acme.Account) error{
			"order":         func(a acme.Account) error { _, _, err := r.Order(ctx, a.ID, o.ID); return err },
			"authorization": func(a acme.Account) error { _, _, err := r.Authorization(ctx, a.ID, o.Authorizations[0]); return err },
			"deactivate": func(a acme.Account) error {
				_, err := r.DeactivateAuthorization(ctx, a.ID, o.Authorizations[0])
				return err
			},
			"respond": func(a acme.Account) error {
				_, _, err := r.Respond(ctx, a, o.Authorizations[0], acme.HTTP01)
				return err
			},
			"finalize":    func(a acme.Account) error { _, _, err := r.Finalize(ctx, a, o.ID, csr); return err },
			"certificate": func(a acme.Account) error { _, _, err := r.Certificate(ctx, a.ID, o.Certificate); return err },
		} {
			p := problemOf(t, steal(other), acme.Malformed)
			if p.Status != 404 || p.Detail != acme.NotFound().Detail {
				t.Errorf("%s: %d %s", name, p.Status, p.Detail)
			}
		}
	})
}

// TestExpire: an order that nobody finalizes ends (R8555-7.4-11), also in the
// store.
func TestExpire(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.ready(a, "a.example.org")
		time.Sleep(25 * time.Hour)
		r.wantStatus(a, o.ID, acme.OrderInvalid)
		_, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
		wantProblem(t, err, acme.OrderNotReady)
		time.Sleep(time.Minute)
		if all, _, err := r.Operator().Jobs(t.Context()); err != nil || all != 0 {
			t.Errorf("%d jobs are left, %v", all, err)
		}
	})
}

// TestDates: what cannot be granted exactly is refused with the range
// (R8555-7.4-12).
func TestDates(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		now := time.Now()
		for name, bad := range map[string]engine.OrderRequest{
			"notAfter in the past":    {NotAfter: now.Add(-time.Hour)},
			"notAfter too late":       {NotAfter: now.Add(91 * 24 * time.Hour)},
			"notBefore in the future": {NotBefore: now.Add(time.Hour)},
			"notAfter before notBefore": {
				NotBefore: now.Add(4 * time.Minute), NotAfter: now.Add(3 * time.Minute),
			},
		} {
			bad.Identifiers = dns("a.example.org")
			if _, err := r.NewOrder(t.Context(), a, bad); err == nil {
				t.Errorf("%s was accepted", name)
			} else {
				wantProblem(t, err, acme.Malformed)
			}
		}
		end := now.Add(24 * time.Hour).Truncate(time.Second)
		o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org"), NotAfter: end})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		o, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := r.Certificate(t.Context(), a.ID, o.Certificate)
		if err != nil || !c.NotAfter.Equal(end) {
			t.Errorf("the certificate ends at %s, want exactly %s (%v)", c.NotAfter, end, err)
		}
	})
}

// TestUpperBound: a CA that decides the end of its certificates itself can keep
// a latest end that lies far enough ahead, and no other (R8555-7.4-2, C-XR-1).
func TestUpperBound(t *testing.T) {
	w := newWorld(t)
	w.profile.Dates, w.fake.ownEnd = acme.DatesUpperBound, true
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		// Valid for 90 days from the moment it is issued, which may be when the
		// order's day and the CA's week have passed.
		enough := time.Now().Add((90 + 1 + 7) * 24 * time.Hour)
		_, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org"), NotAfter: enough})
		wantProblem(t, err, acme.Malformed)
		if _, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org"), NotAfter: enough.Add(time.Second)}); err != nil {
			t.Error(err)
		}
	})
}

// TestXRoadWishes: whoever chooses the end of certificates, a Security Server's
// order is none to be refused for it, and lasts as long as others (C-XR-1).
func TestXRoadWishes(t *testing.T) {
	for _, rule := range []acme.DatesRule{acme.DatesUpperBound, acme.DatesWish} {
		t.Run(string(rule), func(t *testing.T) {
			xroadRun(t, func(w *world) { w.profile.Dates, w.fake.ownEnd = rule, true }, func(r *run, a acme.Account) {
				for _, wish := range []time.Duration{365 * 24 * time.Hour, time.Hour} {
					o, err := r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns("ss1.example.org"), NotAfter: time.Now().Add(wish)})
					if err != nil || !o.NotAfter.IsZero() || o.Expires.Before(time.Now().Add(2*time.Hour)) {
						t.Errorf("%s: %+v, %v", wish, o, err)
					}
				}
			})
		})
	}
}

// TestShortNotAfter: an order ends when the certificate that it asks for would
// have ended.
func TestShortNotAfter(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		end := time.Now().Add(time.Hour).Truncate(time.Second)
		o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org"), NotAfter: end})
		if err != nil || !o.Expires.Equal(end) {
			t.Fatalf("the order expires at %s, want %s (%v)", o.Expires, end, err)
		}
		time.Sleep(61 * time.Minute)
		r.wantStatus(a, o.ID, acme.OrderInvalid)
	})
}
