package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/internal/ratelimit"
)

// limited starts a world with limits, in a bubble whose time only moves when
// everybody waits.
func limited(t *testing.T, l engine.Limits, prepare func(*world), test func(r *run)) {
	w := newWorld(t)
	w.change = func(c *engine.Config) { c.Limits = l }
	if prepare != nil {
		prepare(w)
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer func() { r.end() }()
		test(r)
	})
}

// byRegistry makes orders ready as soon as they are placed.
func byRegistry(w *world) {
	w.profile.Authorization, w.profile.Challenges = acme.AuthorizeByRegistry, nil
}

// wantLimited checks a refusal by a limit: what it says, and that its wait is
// the truth (R8555-6.6-1, -2): the same request passes after it, and does not
// a moment before.
func (r *run) wantLimited(err error, says string, wait time.Duration, again func() error) {
	r.w.t.Helper()
	p := problemOf(r.w.t, err, acme.RateLimited)
	if p.Status != 429 || !strings.Contains(p.Detail, says) || !strings.Contains(p.Detail, "try again after ") {
		r.w.t.Errorf("%d %s; want a word of %q", p.Status, p.Detail, says)
	}
	if p.RetryAfter != wait {
		r.w.t.Errorf("Retry-After is %s, want %s", p.RetryAfter, wait)
	}
	if again == nil {
		return
	}
	time.Sleep(p.RetryAfter - time.Second)
	wantProblem(r.w.t, again(), acme.RateLimited)
	time.Sleep(time.Second)
	if err := again(); err != nil {
		r.w.t.Errorf("after the wait that was named: %v", err)
	}
}

// TestNewOrderRate: an account places so many orders in a time, another one is
// not concerned, and what was refused does not count (SL-18).
func TestNewOrderRate(t *testing.T) {
	limited(t, engine.Limits{NewOrders: ratelimit.Rate{Count: 3, Per: time.Hour}}, nil, func(r *run) {
		a := r.account()
		place := func() error { _, err := r.tryOrder(a, "a.net"); return err }
		for range 5 {
			_, err := r.tryOrder(a, "not a name")
			if err == nil {
				t.Fatal("accepted")
			}
			_, err = r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns("a.net"), Replaces: acme.CertID([]byte{1}, []byte{1})})
			wantProblem(r.w.t, err, acme.Malformed) // found out in the commit
		}
		for range 3 {
			if err := place(); err != nil {
				t.Fatal(err)
			}
		}
		r.wantLimited(place(), "3 in 1h", 20*time.Minute, place)
		r.order(r.account(), "a.net")
		if n := r.Limited()["new_orders"]; n != 2 {
			t.Errorf("counted %d refusals, want 2", n)
		}
	})
}

// TestRenewalsPass: a renewal in time passes the rate of new orders and the
// limit of a set of names, one before its window counts like any other, and so
// does one whose replaces is taken leniently (SL-40, R9773-5-6).
func TestRenewalsPass(t *testing.T) {
	l := engine.Limits{NewOrders: ratelimit.Rate{Count: 2, Per: 100 * 24 * time.Hour}, NameSet: ratelimit.Rate{Count: 1, Per: 90 * 24 * time.Hour}}
	limited(t, l, func(w *world) { w.profile.LenientReplaces = true }, func(r *run) {
		a := r.account()
		cert := r.certificate(a, "a.net")
		renew := func() (acme.Order, error) {
			return r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns("a.net"), Replaces: certIDOf(cert)})
		}
		_, err := renew() // on its first day
		wantProblem(r.w.t, err, acme.RateLimited)
		if _, err := r.tryOrder(a, "b.net"); err != nil { // takes the last one
			r.w.t.Fatal(err)
		}
		time.Sleep(65 * 24 * time.Hour)
		_, err = r.tryOrder(a, "a.net")
		wantProblem(r.w.t, err, acme.RateLimited)
		if _, err = r.tryOrder(a, "c.net"); err != nil { // 50 days give one back
			r.w.t.Fatal(err)
		}
		_, err = r.tryOrder(a, "d.net")
		wantProblem(r.w.t, err, acme.RateLimited)
		o, err := renew()
		if err != nil || !o.Renews || o.Replaces == "" {
			r.w.t.Fatalf("a renewal in time: %+v, %v", o, err)
		}
		// Nobody replaces it a second time, so this is no renewal.
		_, err = r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns("a.net", "e.net"), Replaces: certIDOf(cert)})
		if p := problemOf(r.w.t, err, acme.RateLimited); !strings.Contains(p.Detail, "too many orders") {
			t.Error(p.Detail)
		}
		r.prove(a, o)
		if o, _, err = r.Finalize(r.w.t.Context(), a, o.ID, csrFor(r.w.t, newKey(r.w.t), "a.net")); err != nil || o.Status != acme.OrderValid {
			r.w.t.Fatalf("%+v, %v", o, err)
		}
	})
}

// TestForeignReplacesDoesNotPass: the certificate of somebody else, or of other
// names, makes no renewal (SL-40).
func TestForeignReplacesDoesNotPass(t *testing.T) {
	limited(t, engine.Limits{NewOrders: ratelimit.Rate{Count: 1, Per: 1000 * 24 * time.Hour}}, func(w *world) { w.profile.LenientReplaces = true }, func(r *run) {
		cert := r.certificate(r.account(), "a.net")
		time.Sleep(65 * 24 * time.Hour)
		a := r.account()
		for range 2 {
			_, err := r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns("a.net"), Replaces: certIDOf(cert)})
			var p *acme.Problem
			if err != nil && !errors.As(err, &p) {
				r.w.t.Fatal(err)
			}
		}
		_, err := r.tryOrder(a, "a.net")
		wantProblem(r.w.t, err, acme.RateLimited)
	})
}

// TestFailedValidations: an account that fails to prove a name again and again
// has to wait, for that name alone; so it says at newOrder, and at a challenge
// of an order from before (SL-14, R8555-8.2-4).
func TestFailedValidations(t *testing.T) {
	limited(t, engine.Limits{FailedValidations: ratelimit.Rate{Count: 2, Per: time.Hour}}, nil, func(r *run) {
		a, ctx := r.account(), r.w.t.Context()
		before := r.order(a, "wrong.net", "fine.net")
		for range 2 {
			o := r.order(a, "wrong.net")
			if _, _, err := r.Respond(ctx, a, o.Authorizations[0], acme.HTTP01); err != nil {
				r.w.t.Fatal(err)
			}
			r.wantStatus(a, o.ID, acme.OrderInvalid)
		}
		tries := r.w.targets.tried("wrong.net")
		_, _, err := r.Respond(ctx, a, before.Authorizations[0], acme.HTTP01)
		r.wantLimited(err, "2 in 1h", 30*time.Minute, nil)
		if n := r.w.targets.tried("wrong.net"); n != tries {
			t.Error("the name was tried all the same")
		}
		if _, _, err := r.Respond(ctx, a, before.Authorizations[1], acme.HTTP01); err != nil {
			t.Errorf("another name of that order: %v", err)
		}
		r.order(r.account(), "wrong.net")
		place := func() error { _, err := r.tryOrder(a, "fine.net", "wrong.net"); return err }
		r.wantLimited(place(), "wrong.net", 30*time.Minute, place)
	})
}

// TestOpenOrders: an account has so many orders that are not over, and what
// ends one of them makes room (SL-16).
func TestOpenOrders(t *testing.T) {
	limited(t, engine.Limits{OpenOrders: 3}, nil, func(r *run) {
		a, ctx := r.account(), r.w.t.Context()
		place := func() error { _, err := r.tryOrder(a, "a.net"); return err }
		first := r.order(a, "a.net")
		time.Sleep(time.Hour)
		second := r.ready(a, "b.net")
		third := r.ready(a, "c.net")
		r.wantLimited(place(), "3 orders that are not over", 23*time.Hour, nil)
		r.order(r.account(), "a.net")
		if _, err := r.DeactivateAuthorization(ctx, a.ID, first.Authorizations[0]); err != nil {
			t.Fatal(err)
		}
		r.order(a, "d.net")
		wantProblem(t, place(), acme.RateLimited)
		if _, _, err := r.Finalize(ctx, a, third.ID, csrFor(r.w.t, newKey(r.w.t), "c.net")); err != nil {
			t.Fatal(err)
		}
		r.order(a, "e.net")
		// The first of those that are left to expire.
		r.wantLimited(place(), "", time.Until(second.Expires), place)
	})
}

// TestProcessing: an account has so many orders with a CA, and so many for the
// same names; an order that has to wait stays ready (SL-17).
func TestProcessing(t *testing.T) {
	limited(t, engine.Limits{Processing: 3, SameNames: 2}, func(w *world) {
		w.fake.issueAfter, w.profile.Hold, w.profile.Reattach = 5*time.Hour, 0, acme.ReattachNew
	}, func(r *run) {
		a, ctx := r.account(), r.w.t.Context()
		finalize := func(o acme.Order, name string) error {
			_, _, err := r.Finalize(ctx, a, o.ID, csrFor(r.w.t, newKey(r.w.t), name))
			return err
		}
		for range 2 {
			if err := finalize(r.ready(a, "a.net"), "a.net"); err != nil {
				t.Fatal(err)
			}
		}
		again, other := r.ready(a, "a.net"), r.ready(a, "b.net")
		r.wantLimited(finalize(again, "a.net"), "exactly these names", time.Minute, nil)
		r.wantStatus(a, again.ID, acme.OrderReady)
		if err := finalize(other, "b.net"); err != nil {
			t.Fatal(err)
		}
		last := r.ready(a, "c.net")
		r.wantLimited(finalize(last, "c.net"), "3 orders with a CA", time.Minute, nil)
		synctest.Wait()
		if bought := r.w.fake.bought(); bought != 3 {
			t.Errorf("%d purchases, want 3", bought)
		}
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		for o, name := range map[acme.OrderID]string{again.ID: "a.net", last.ID: "c.net"} {
			if err := finalize(acme.Order{ID: o}, name); err != nil {
				t.Errorf("when the CA is done: %v", err)
			}
		}
	})
}

// TestNameSet: so many certificates for one set of names, whoever orders them,
// and those of before a restart count (SL-21).
func TestNameSet(t *testing.T) {
	limited(t, engine.Limits{NameSet: ratelimit.Rate{Count: 2, Per: 24 * time.Hour}}, nil, func(r *run) {
		one, two := r.account(), r.account()
		late := r.ready(two, "a.net", "b.net")
		r.certificate(one, "a.net", "b.net")
		time.Sleep(time.Hour)
		r.certificate(two, "b.net", "a.net")
		w := r.w
		r.end()
		*r = *w.start()
		place := func() error { _, err := r.tryOrder(one, "a.net", "b.net"); return err }
		wantProblem(t, place(), acme.RateLimited)
		// An order from before is held back at its end.
		_, _, err := r.Finalize(w.t.Context(), two, late.ID, csrFor(w.t, newKey(w.t), "a.net", "b.net"))
		wantProblem(t, err, acme.RateLimited)
		r.wantStatus(two, late.ID, acme.OrderReady)
		r.order(one, "a.net")
		r.wantLimited(place(), "exactly these names: the limit is 2 in 24h", 23*time.Hour, place)
	})
}

// TestRevocationRate: an account revokes so many certificates in a time (SL-23).
func TestRevocationRate(t *testing.T) {
	limited(t, engine.Limits{Revocations: ratelimit.Rate{Count: 1, Per: time.Hour}}, nil, func(r *run) {
		a, ctx := r.account(), r.w.t.Context()
		first, second := r.certificate(a, "a.net"), r.certificate(a, "b.net")
		revoke := func(c acme.Certificate) error {
			return r.Revoke(ctx, engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: a.ID})
		}
		if err := revoke(first); err != nil {
			t.Fatal(err)
		}
		again := func() error { return revoke(second) }
		r.wantLimited(again(), "1 in 1h", time.Hour, again)
		// That it is revoked already is no revocation, and costs none.
		time.Sleep(time.Hour)
		wantProblem(r.w.t, revoke(first), acme.AlreadyRevoked)
		wantProblem(r.w.t, revoke(first), acme.AlreadyRevoked)
	})
}

// TestMemberLimits: the record of a member says how many open orders and how
// many certificates it may have, over all of its accounts; a renewal takes the
// place of what it renews (SL-22).
func TestMemberLimits(t *testing.T) {
	limited(t, engine.Limits{}, byRegistry, func(r *run) {
		ctx, operator := r.w.t.Context(), r.Operator()
		m, err := operator.CreateMember(ctx, acme.Member{ID: "m1", Identifiers: []string{".m1.net"}, OpenOrders: 2, Certificates: 3})
		if err != nil {
			t.Fatal(err)
		}
		one, two := r.memberAccount("m1"), r.memberAccount("m1")
		r.enrol("m2", ".m2.net")
		stranger := r.memberAccount("m2")
		first := r.order(one, "a.m1.net")
		r.order(two, "b.m1.net")
		_, err = r.tryOrder(one, "c.m1.net")
		r.wantLimited(err, "your member has 2 orders that are not over", 24*time.Hour, nil)
		r.order(stranger, "a.m2.net")
		cert := r.finish(one, first)
		second := r.order(one, "c.m1.net") // one certificate, two open orders
		_, err = r.tryOrder(two, "d.m1.net")
		wantProblem(t, err, acme.RateLimited)
		r.finish(one, second)
		if p := problemOf(t, func() error { _, err := r.tryOrder(two, "d.m1.net"); return err }(), acme.RateLimited); !strings.Contains(p.Detail, "3 certificates") {
			t.Errorf("2 certificates and an open order: %s", p.Detail)
		}

		// A renewal passes when it is time, and the count stays.
		time.Sleep(70 * 24 * time.Hour) // the open order expires
		r.finish(two, r.order(two, "d.m1.net"))
		place := func() error { _, err := r.tryOrder(two, "e.m1.net"); return err }
		p := problemOf(t, place(), acme.RateLimited)
		// The date is in the detail; nobody is told to sleep until then, for
		// room may come at any time.
		if until := cert.NotAfter.UTC().Format("2006-01-02"); p.RetryAfter != 24*time.Hour || !strings.Contains(p.Detail, "try again after "+until) {
			t.Errorf("Retry-After is %s, the first certificate ends on %s: %s", p.RetryAfter, until, p.Detail)
		}
		o, err := r.NewOrder(ctx, one, engine.OrderRequest{Identifiers: dns("a.m1.net"), Replaces: certIDOf(cert)})
		if err != nil || !o.Renews {
			t.Fatalf("renewal: %+v, %v", o, err)
		}
		renewed := r.finish(one, o)
		wantProblem(t, place(), acme.RateLimited)
		// Revoking makes room.
		if err := r.Revoke(ctx, engine.Revocation{Directory: "members", Certificate: renewed.Leaf, Owner: one.ID}); err != nil {
			t.Fatal(err)
		}
		late, err := r.tryOrder(two, "e.m1.net")
		if err != nil {
			t.Fatal(err)
		}
		// What the operator takes away counts at finalize.
		m.Certificates = 1
		if _, err := operator.UpdateMember(ctx, m); err != nil {
			t.Fatal(err)
		}
		_, _, err = r.Finalize(ctx, two, late.ID, csrFor(r.w.t, newKey(r.w.t), "e.m1.net"))
		wantProblem(t, err, acme.RateLimited)
		r.wantStatus(two, late.ID, acme.OrderReady)
	})
}

// TestConcurrentOrders: however many accounts of a member order at once, it
// gets as many as it may, and not one more (SL-16, SL-22).
func TestConcurrentOrders(t *testing.T) {
	for name, tt := range map[string]struct {
		member acme.Member
		limits engine.Limits
		want   int64
	}{
		"open orders of a member":  {acme.Member{OpenOrders: 7}, engine.Limits{}, 7},
		"certificates of a member": {acme.Member{Certificates: 5}, engine.Limits{}, 5},
		"open orders of accounts":  {acme.Member{}, engine.Limits{OpenOrders: 2}, 8},
		"rate of accounts":         {acme.Member{}, engine.Limits{NewOrders: ratelimit.Rate{Count: 3, Per: time.Hour}}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			limited(t, tt.limits, byRegistry, func(r *run) {
				tt.member.ID, tt.member.Identifiers = "m1", []string{"*"}
				if _, err := r.Operator().CreateMember(r.w.t.Context(), tt.member); err != nil {
					t.Fatal(err)
				}
				var placed, refused atomic.Int64
				var all sync.WaitGroup
				for range 4 {
					a := r.memberAccount("m1")
					for i := range 8 {
						all.Go(func() {
							o, err := r.tryOrder(a, fmt.Sprintf("n%d.net", i))
							if err != nil {
								if p := (*acme.Problem)(nil); !errors.As(err, &p) || p.Type != acme.RateLimited {
									t.Errorf("%v", err)
								}
								refused.Add(1)
								return
							}
							placed.Add(1)
							if i%2 == 0 && tt.member.Certificates > 0 { // a certificate counts as its order did
								if _, _, err := r.Finalize(r.w.t.Context(), a, o.ID, csrFor(r.w.t, newKey(r.w.t), fmt.Sprintf("n%d.net", i))); err != nil {
									t.Error(err)
								}
							}
						})
					}
				}
				all.Wait()
				if placed.Load() != tt.want || placed.Load()+refused.Load() != 32 {
					t.Errorf("%d placed and %d refused, want %d placed", placed.Load(), refused.Load(), tt.want)
				}
			})
		})
	}
}

// certificate takes an account to a certificate.
func (r *run) certificate(a acme.Account, names ...string) acme.Certificate {
	r.w.t.Helper()
	return r.finish(a, r.ready(a, names...))
}

// finish finalizes an order that is ready and returns its certificate.
func (r *run) finish(a acme.Account, o acme.Order) acme.Certificate {
	r.w.t.Helper()
	ctx := r.w.t.Context()
	names := make([]string, len(o.Identifiers))
	for i, id := range o.Identifiers {
		names[i] = id.Value
	}
	if _, _, err := r.Finalize(ctx, a, o.ID, csrFor(r.w.t, newKey(r.w.t), names...)); err != nil {
		r.w.t.Fatal(err)
	}
	o = r.wantStatus(a, o.ID, acme.OrderValid)
	c, _, err := r.Certificate(ctx, a.ID, o.Certificate)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return c
}

// prove responds to every challenge of an order.
func (r *run) prove(a acme.Account, o acme.Order) {
	r.w.t.Helper()
	for _, id := range o.Authorizations {
		if _, _, err := r.Respond(r.w.t.Context(), a, id, acme.HTTP01); err != nil {
			r.w.t.Fatal(err)
		}
	}
}

// TestOwnDoingIsNoRenewal: who revokes what he got, or asks for a certificate
// that ends at once, has not made it due for renewal: what replaces it counts
// (SL-18, SL-21, SL-40). Where the operator revokes, the replacement passes.
func TestOwnDoingIsNoRenewal(t *testing.T) {
	l := engine.Limits{NameSet: ratelimit.Rate{Count: 1, Per: 80 * 24 * time.Hour}}
	limited(t, l, func(w *world) { w.profile.Dates = acme.DatesExact }, func(r *run) {
		ctx, a := r.w.t.Context(), r.account()
		replace := func(c acme.Certificate) error {
			_, err := r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: c.Identifiers, Replaces: certIDOf(c)})
			return err
		}
		for _, revocation := range []engine.Revocation{{Owner: a.ID}, {}} {
			c := r.certificate(a, fmt.Sprintf("a%d.net", len(revocation.Owner)))
			if revocation.Owner == "" {
				revocation.Key = c.KeyHash
			}
			revocation.Directory, revocation.Certificate = "default", c.Leaf
			if err := r.Revoke(ctx, revocation); err != nil {
				r.w.t.Fatal(err)
			}
			time.Sleep(time.Hour)
			wantProblem(r.w.t, replace(c), acme.RateLimited)
		}

		o, err := r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: dns("short.net"), NotAfter: time.Now().Add(time.Hour)})
		if err != nil {
			r.w.t.Fatal(err)
		}
		r.prove(a, o)
		short := r.finish(a, o)
		time.Sleep(2 * time.Hour)
		wantProblem(r.w.t, replace(short), acme.RateLimited)
		time.Sleep(60 * 24 * time.Hour) // when one of the usual life would be due
		if err := replace(short); err != nil {
			t.Errorf("a renewal in its time: %v", err)
		}

		c := r.certificate(a, "b.net")
		if err := r.Operator().RevokeCertificate(ctx, c.ID, acme.Superseded); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := replace(c); err != nil {
			t.Errorf("the operator revoked it: %v", err)
		}
	})
}

// TestRenewalOfWhatHasEnded: a certificate that has expired has no place among
// those of its member that another could take, so its renewal cannot go past
// those that were promised to open orders (SL-22).
func TestRenewalOfWhatHasEnded(t *testing.T) {
	limited(t, engine.Limits{}, byRegistry, func(r *run) {
		ctx := r.w.t.Context()
		if _, err := r.Operator().CreateMember(ctx, acme.Member{ID: "m1", Identifiers: []string{".m1.net"}, Certificates: 1}); err != nil {
			t.Fatal(err)
		}
		a := r.memberAccount("m1")
		old := r.finish(a, r.order(a, "a.m1.net"))
		time.Sleep(time.Until(old.NotAfter) + time.Hour)
		r.order(a, "b.m1.net") // takes the only place
		_, err := r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: dns("a.m1.net"), Replaces: certIDOf(old)})
		wantProblem(r.w.t, err, acme.RateLimited)
	})
}
