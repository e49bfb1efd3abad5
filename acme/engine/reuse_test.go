package engine_test

import (
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

// reusing returns a world in which a proof serves for twelve hours.
func reusing(t *testing.T) *world {
	w := newWorld(t)
	w.profile.ReuseAuthorizations = 12 * time.Hour
	return w
}

// TestReuse: an order for a name that was proved lately is ready at once, and
// ends in a certificate without anybody being asked again.
func TestReuse(t *testing.T) {
	w := reusing(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		first := r.ready(a, "a.example.org")
		time.Sleep(time.Hour)
		second := r.order(a, "a.example.org")
		if second.Status != acme.OrderReady || !slices.Equal(second.Authorizations, first.Authorizations) {
			t.Fatalf("the order is %s with %v, want ready with %v", second.Status, second.Authorizations, first.Authorizations)
		}
		for _, o := range []acme.Order{second, first} {
			o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
			if err != nil || o.Status != acme.OrderValid {
				t.Fatalf("finalize: %s, %v", o.Status, err)
			}
		}
		if n := w.targets.tried("a.example.org"); n != 1 {
			t.Errorf("the name was tried %d times", n)
		}
	})
}

// TestNoReuse: where an order has to be proved all the same.
func TestNoReuse(t *testing.T) {
	for _, test := range []struct {
		name string
		// between is what happens between the proof and the next order; it
		// returns who orders.
		between func(w *world, r *run, a acme.Account, o acme.Order) acme.Account
		profile func(*acme.Profile)
	}{
		{"reuse is off", nil, func(p *acme.Profile) { p.ReuseAuthorizations = 0 }},
		{"the proof is too old", func(*world, *run, acme.Account, acme.Order) acme.Account {
			time.Sleep(12*time.Hour + time.Second)
			return acme.Account{}
		}, nil},
		{"the authorization expires soon", func(*world, *run, acme.Account, acme.Order) acme.Account {
			time.Sleep(23*time.Hour + time.Minute)
			return acme.Account{}
		}, func(p *acme.Profile) { p.ReuseAuthorizations, p.AuthorizationLifetime = 24*time.Hour, 24*time.Hour }},
		{"another account asks", func(_ *world, r *run, _ acme.Account, _ acme.Order) acme.Account { return r.account() }, nil},
		{"the authorization was deactivated", func(w *world, r *run, a acme.Account, o acme.Order) acme.Account {
			if _, err := r.DeactivateAuthorization(w.t.Context(), a.ID, o.Authorizations[0]); err != nil {
				w.t.Fatal(err)
			}
			return acme.Account{}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := reusing(t)
			if test.profile != nil {
				test.profile(&w.profile)
			}
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				defer r.end()
				a := r.account()
				o := r.ready(a, "a.example.org")
				if test.between != nil {
					if other := test.between(w, r, a, o); other.ID != "" {
						a = other
					}
				}
				again := r.order(a, "a.example.org")
				if again.Status != acme.OrderPending || again.Authorizations[0] == o.Authorizations[0] {
					t.Errorf("the order is %s, its authorization that of the order before: %t", again.Status, again.Authorizations[0] == o.Authorizations[0])
				}
			})
		})
	}
}

// TestReuseAmongOthers: of two names one is proved, so the order waits for the
// other, and ends with whichever authorization ends first.
func TestReuseAmongOthers(t *testing.T) {
	w := reusing(t)
	w.profile.AuthorizationLifetime = 26 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		first := r.ready(a, "a.example.org")
		proof, _, err := r.Authorization(t.Context(), a.ID, first.Authorizations[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Hour)
		o := r.order(a, "b.example.org", "a.example.org")
		if o.Status != acme.OrderPending || o.Authorizations[1] != proof.ID || o.Authorizations[0] == proof.ID || !o.Expires.Equal(proof.Expires) {
			t.Fatalf("%s until %s with %v; the proof is %s until %s", o.Status, o.Expires, o.Authorizations, proof.ID, proof.Expires)
		}
		if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		r.wantStatus(a, o.ID, acme.OrderReady)
		time.Sleep(16 * time.Hour)
		r.wantStatus(a, o.ID, acme.OrderInvalid)
		_, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "b.example.org", "a.example.org"))
		wantProblem(t, err, acme.OrderNotReady)
	})
}

// TestDeactivateShared: every order that hangs on a withdrawn authorization is
// over, and none that is past needing it (R8555-7.1.6-3).
func TestDeactivateShared(t *testing.T) {
	w := reusing(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		own := r.ready(a, "a.example.org")
		valid, processing := r.order(a, "a.example.org"), r.order(a, "a.example.org")
		ready, pending := r.order(a, "a.example.org"), r.order(a, "a.example.org", "b.example.org")
		for _, o := range []acme.Order{valid, processing} {
			if _, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org")); err != nil {
				t.Fatal(err)
			}
			w.fake.issueAfter = time.Hour
		}
		if _, err := r.DeactivateAuthorization(t.Context(), a.ID, own.Authorizations[0]); err != nil {
			t.Fatal(err)
		}
		for _, o := range []acme.Order{own, ready, pending} {
			if o := r.wantStatus(a, o.ID, acme.OrderInvalid); o.Problem == nil || o.Problem.Type != acme.Unauthorized {
				t.Errorf("the problem is %v", o.Problem)
			}
		}
		r.wantStatus(a, valid.ID, acme.OrderValid)
		r.wantStatus(a, processing.ID, acme.OrderProcessing)
		time.Sleep(2 * time.Hour)
		r.wantStatus(a, processing.ID, acme.OrderValid)
		if o := r.order(a, "a.example.org"); o.Status != acme.OrderPending {
			t.Errorf("the next order is %s", o.Status)
		}
	})
}

// TestSharingIsBounded: an authorization serves so many open orders and no
// more; those that are over make room.
func TestSharingIsBounded(t *testing.T) {
	w := reusing(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		own := r.ready(a, "a.example.org")
		var mu sync.Mutex
		var shared, alone []acme.Order
		var wg sync.WaitGroup
		for range acme.MaxSharing + 8 {
			wg.Go(func() {
				o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org")})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if o.Authorizations[0] == own.Authorizations[0] {
					shared = append(shared, o)
				} else {
					alone = append(alone, o)
				}
			})
		}
		wg.Wait()
		if len(shared) != acme.MaxSharing || len(alone) != 8 || alone[0].Status != acme.OrderPending {
			t.Fatalf("%d orders share the authorization, %d do not", len(shared), len(alone))
		}
		if _, _, err := r.Finalize(t.Context(), a, shared[3].ID, csrFor(t, newKey(t), "a.example.org")); err != nil {
			t.Fatal(err)
		}
		if o := r.order(a, "a.example.org"); o.Authorizations[0] != own.Authorizations[0] {
			t.Error("the place of a finished order is not given to the next")
		}
		if o := r.order(a, "a.example.org"); o.Authorizations[0] == own.Authorizations[0] {
			t.Error("one order too many shares the authorization")
		}
	})
}

// TestReuseAfterTheRegistry: orders that the registry entitles to leave valid
// authorizations behind that nobody proved. They serve no other order, and do
// not hide a proof (R8555-7.4.1-5).
func TestReuseAfterTheRegistry(t *testing.T) {
	w := reusing(t)
	byRegistry := w.profile
	byRegistry.Name, byRegistry.Authorization, byRegistry.OrderLifetime = "roster", acme.AuthorizeByRegistry, 90*24*time.Hour
	w.change = func(c *engine.Config) {
		c.Profiles["roster"] = byRegistry
		c.Directories[1].Profiles = append(c.Directories[1].Profiles, "roster")
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.enrol("m1", "a.example.org")
		a := r.memberAccount("m1")
		given := func() acme.Order {
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org"), Profile: "roster"})
			if err != nil || o.Status != acme.OrderReady {
				t.Fatalf("by the registry: %s, %v", o.Status, err)
			}
			return o
		}
		given()
		if o := r.order(a, "a.example.org"); o.Status != acme.OrderPending {
			t.Fatalf("the registry's word made an order %s that wants proofs", o.Status)
		}
		proof := r.ready(a, "a.example.org").Authorizations[0]
		for range 5 {
			if o := given(); o.Authorizations[0] == proof {
				t.Fatal("an order by the registry took the proof of another one")
			}
		}
		if o := r.order(a, "a.example.org"); o.Authorizations[0] != proof {
			t.Error("the registry's authorizations hide the proof")
		}
	})
}

// TestReuseCrash lets the process die at each commit of placing an order on an
// earlier proof and withdrawing that: whatever is stored, an order that hangs
// on an authorization is named by it, and goes down with it.
func TestReuseCrash(t *testing.T) {
	for at := 1; at <= 3; at++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
				w := reusing(t)
				memory := w.store
				synctest.Test(t, func(t *testing.T) {
					w.t = t
					r := w.start()
					a := r.account()
					proof := r.ready(a, "a.example.org").Authorizations[0]
					r.end()
					store := &crashStore{Store: memory, at: at, applied: applied}
					w.store = store
					r = w.start()
					for range 2 {
						_, _ = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("a.example.org")}) // the store is the judge
					}
					_, _ = r.DeactivateAuthorization(t.Context(), a.ID, proof)
					if !checkEnd(t, r, store) {
						t.Error("nothing crashed")
					}
					w.store = memory
					r = w.start()
					defer r.end()
					checkUsers(t, w, a.ID)
					if _, err := r.DeactivateAuthorization(t.Context(), a.ID, proof); err != nil {
						t.Error(err)
					}
					checkUsers(t, w, a.ID)
				})
			})
		}
	}
}

// checkUsers looks at every order of an account: one that is ready has valid
// authorizations only, and each names it.
func checkUsers(t *testing.T, w *world, account acme.AccountID) {
	t.Helper()
	err := w.store.View(t.Context(), func(tx storage.Tx) error {
		orders, _, err := tx.Orders().ByAccount(account, storage.Page{})
		for _, o := range orders {
			for _, id := range o.Authorizations {
				a, err := tx.Authorizations().Get(id)
				if err != nil {
					return err
				}
				if o.Status == acme.OrderReady && (a.Status != acme.AuthorizationValid || !slices.Contains(a.Users(), o.ID)) {
					t.Errorf("order %s is ready, its authorization is %s and names %v", o.ID, a.Status, a.Users())
				}
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
