package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// preAuthorizing returns a world in which names can be proved ahead of orders,
// and no proof serves a second order otherwise.
func preAuthorizing(t *testing.T) *world {
	w := newWorld(t)
	w.change = func(c *engine.Config) {
		for i := range c.Directories {
			c.Directories[i].PreAuthorization = true
		}
	}
	return w
}

// proveAhead proves a name ahead of any order.
func (r *run) proveAhead(a acme.Account, name string) acme.Authorization {
	r.w.t.Helper()
	authz, err := r.NewAuthorization(r.w.t.Context(), a, dns(name)[0])
	if err != nil || authz.Status != acme.AuthorizationPending {
		r.w.t.Fatalf("new authorization: %s, %v", authz.Status, err)
	}
	if authz, _, err = r.Respond(r.w.t.Context(), a, authz.ID, acme.HTTP01); err != nil {
		r.w.t.Fatal(err)
	}
	return authz
}

// TestPreAuthorization: what was proved ahead makes every later order for the
// name ready at once, until it expires or is withdrawn (RFC 8555, 7.4.1).
func TestPreAuthorization(t *testing.T) {
	w := preAuthorizing(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		authz := r.proveAhead(a, "a.example.org")
		if authz.Status != acme.AuthorizationValid || !authz.Expires.Equal(time.Now().Add(w.profile.AuthorizationLifetime).Truncate(time.Second)) {
			t.Fatalf("%s until %s", authz.Status, authz.Expires)
		}
		o := r.order(a, "a.example.org")
		if o.Status != acme.OrderReady || o.Authorizations[0] != authz.ID {
			t.Fatalf("the order is %s with %v", o.Status, o.Authorizations)
		}
		if done, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org")); err != nil || done.Status != acme.OrderValid {
			t.Fatalf("finalize: %s, %v", done.Status, err)
		}
		if o := r.order(r.account(), "a.example.org"); o.Status != acme.OrderPending {
			t.Error("a stranger's order is ready")
		}
		// What an order proves serves that order only: the profile reuses nothing.
		r.ready(a, "b.example.org")
		if o := r.order(a, "b.example.org"); o.Status != acme.OrderPending {
			t.Errorf("the order is %s", o.Status)
		}
		second := r.order(a, "a.example.org")
		if _, err := r.DeactivateAuthorization(t.Context(), a.ID, authz.ID); err != nil {
			t.Fatal(err)
		}
		r.wantStatus(a, second.ID, acme.OrderInvalid)
		r.wantStatus(a, o.ID, acme.OrderValid)
		if o := r.order(a, "a.example.org"); o.Status != acme.OrderPending {
			t.Errorf("the order after the withdrawal is %s", o.Status)
		}
		authz = r.proveAhead(a, "c.example.org")
		time.Sleep(time.Until(authz.Expires))
		if got, _, err := r.Authorization(t.Context(), a.ID, authz.ID); err != nil || got.Status != acme.AuthorizationExpired {
			t.Errorf("%s, %v", got.Status, err)
		}
		if o := r.order(a, "c.example.org"); o.Status != acme.OrderPending {
			t.Errorf("the order after the end is %s", o.Status)
		}
		time.Sleep(8 * 24 * time.Hour)
		if all, _, err := r.Operator().Jobs(t.Context()); err != nil || all != 0 {
			t.Errorf("%d jobs are left, %v", all, err)
		}
	})
}

// TestPreAuthorizationValidation: it is tried like that of an order, and ends as one does.
func TestPreAuthorizationValidation(t *testing.T) {
	w := preAuthorizing(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		for host, want := range map[string]acme.AuthorizationStatus{
			"good": acme.AuthorizationValid, "wrong": acme.AuthorizationInvalid, "flaky": acme.AuthorizationValid,
			"down": acme.AuthorizationInvalid, "slow": acme.AuthorizationValid, "panics": acme.AuthorizationInvalid,
		} {
			authz := r.proveAhead(a, host+".example.org")
			time.Sleep(time.Minute)
			got, _, err := r.Authorization(t.Context(), a.ID, authz.ID)
			if err != nil || got.Status != want {
				t.Errorf("%s: %s, %v; want %s", host, got.Status, err, want)
			}
		}
		// One that nobody answers for waits no longer than an order would.
		authz, err := r.NewAuthorization(t.Context(), a, dns("late.example.org")[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(w.profile.OrderLifetime)
		_, _, err = r.Respond(t.Context(), a, authz.ID, acme.HTTP01)
		wantProblem(t, err, acme.Malformed)
	})
}

// TestPreAuthorizationRefused: what an account may not order, it may not prove
// (R8555-7.4.1-1, -3).
func TestPreAuthorizationRefused(t *testing.T) {
	w := preAuthorizing(t)
	w.profile.Identifiers.Wildcard, w.profile.Identifiers.Suffixes = true, []string{"example.org"}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		refused := func(a acme.Account, id acme.Identifier, want acme.ProblemType, status int) {
			t.Helper()
			_, err := r.NewAuthorization(t.Context(), a, id)
			if p := problemOf(t, err, want); p.Status != status {
				t.Errorf("%s: status %d, want %d", id.Value, p.Status, status)
			}
		}
		refused(a, dns("*.example.org")[0], acme.Malformed, 400)
		refused(a, dns("a..example.org")[0], acme.Malformed, 400)
		refused(a, dns("a.example.net")[0], acme.RejectedIdentifier, 403)
		refused(a, acme.Identifier{Type: acme.IPIdentifier, Value: "192.0.2.1"}, acme.UnsupportedIdentifier, 403)
		if _, err := r.DeactivateAccount(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		refused(a, dns("a.example.org")[0], acme.Unauthorized, 401)
	})
	t.Run("members", func(t *testing.T) {
		w := preAuthorizing(t)
		w.profile.Authorization = acme.AuthorizeByBoth
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			r := w.start()
			defer r.end()
			r.enrol("m1", ".m1.net")
			a := r.memberAccount("m1")
			_, err := r.NewAuthorization(t.Context(), a, dns("a.m2.net")[0])
			if p := problemOf(t, err, acme.RejectedIdentifier); p.Status != 403 {
				t.Errorf("status %d", p.Status)
			}
			r.proveAhead(a, "a.m1.net")
			if o := r.order(a, "a.m1.net"); o.Status != acme.OrderReady {
				t.Errorf("the order is %s", o.Status)
			}
		})
	})
	t.Run("off", func(t *testing.T) {
		w := newWorld(t)
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			r := w.start()
			defer r.end()
			_, err := r.NewAuthorization(t.Context(), r.account(), dns("a.example.org")[0])
			if p := problemOf(t, err, acme.Malformed); p.Status != 404 {
				t.Errorf("status %d", p.Status)
			}
		})
	})
}

// TestPreAuthorizationCrash lets the process die at each commit on the way from
// nothing to an order that rests on what was proved ahead of it.
func TestPreAuthorizationCrash(t *testing.T) {
	for at := 1; at <= 4; at++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
				w := preAuthorizing(t)
				memory := w.store
				synctest.Test(t, func(t *testing.T) {
					w.t = t
					r := w.start()
					a := r.account()
					r.end()
					store := &crashStore{Store: memory, at: at, applied: applied}
					w.store = store
					r = w.start()
					var authz acme.Authorization
					goOn := func(r *run) (err error) { // as clients do: on from what they were told
						if authz.ID == "" {
							if authz, err = r.NewAuthorization(t.Context(), a, dns("flaky.example.org")[0]); err != nil {
								authz = acme.Authorization{}
								return err
							}
						}
						for range 20 {
							got, _, err := r.Respond(t.Context(), a, authz.ID, acme.HTTP01)
							if err != nil {
								return err
							}
							if got.Status != acme.AuthorizationPending {
								_, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("flaky.example.org")})
								return err
							}
							time.Sleep(time.Minute)
						}
						return nil
					}
					if err := goOn(r); !checkEnd(t, r, store) {
						t.Fatalf("nothing crashed: %v", err)
					}
					w.store = memory
					r = w.start()
					defer r.end()
					if err := goOn(r); err != nil {
						t.Fatal(err)
					}
					checkUsers(t, w, a.ID)
					orders, _, err := r.Orders(t.Context(), a.ID, "", 10)
					if err != nil || len(orders) == 0 {
						t.Fatalf("%d orders, %v", len(orders), err)
					}
					o := r.wantStatus(a, orders[0], acme.OrderReady)
					if o.Authorizations[0] != authz.ID {
						t.Errorf("the order rests on %s, proved was %s", o.Authorizations[0], authz.ID)
					}
					if all, parked, err := r.Operator().Jobs(t.Context()); err != nil || parked != 0 || all != len(orders) {
						t.Errorf("%d jobs, %d parked, %d orders, %v", all, parked, len(orders), err)
					}
				})
			})
		}
	}
}

// TestNothingToPreAuthorize: a directory whose default profile wants nothing
// proved cannot offer to prove it.
func TestNothingToPreAuthorize(t *testing.T) {
	w := preAuthorizing(t)
	w.profile.Authorization = acme.AuthorizeByRegistry
	cfg := engine.Config{
		Store: w.store, Sealer: sealer{}, Holder: "h",
		Directories: []acme.Directory{{Name: "default", Profiles: []acme.ProfileName{"tls"}, PreAuthorization: true}},
		Profiles:    map[acme.ProfileName]acme.Profile{"tls": w.profile},
	}
	if _, err := engine.New(cfg); err == nil {
		t.Error("accepted")
	}
}
