package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// TestEachNameItsOwnOutcome proves many names at once, each of which ends in
// its own way and in its own time. Every outcome stands at the name that it is
// about (SP-17): in 2020 another CA looked at one name as often as it had names.
func TestEachNameItsOwnOutcome(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		ways := []string{"good", "wrong", "flaky", "down", "slow", "panics"}
		wants := map[string]acme.AuthorizationStatus{
			"good": acme.AuthorizationValid, "flaky": acme.AuthorizationValid, "slow": acme.AuthorizationValid,
			"wrong": acme.AuthorizationInvalid, "down": acme.AuthorizationInvalid, "panics": acme.AuthorizationInvalid,
		}
		says := map[string]string{"wrong": "404", "down": "refused", "panics": "inside of the server"}
		// One order for each name, so that one that fails ends no other, and
		// one order of names that are all proved.
		type one struct {
			name  string
			authz acme.AuthorizationID
			order acme.OrderID
		}
		var all []one
		for i := range 5 {
			for _, way := range ways {
				name := fmt.Sprintf("%s.n%d.example.org", way, i)
				o := r.order(a, name)
				all = append(all, one{name, o.Authorizations[0], o.ID})
			}
		}
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("good.m%d.example.org", (i*7)%20))
		}
		together, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(names...)})
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range together.Authorizations {
			all = append(all, one{names[i], id, together.ID})
		}
		for _, x := range all {
			go func() { _, _, _ = r.Respond(t.Context(), a, x.authz, acme.HTTP01) }() // looked at below
		}
		time.Sleep(time.Hour)
		proofs := map[string]string{}
		for _, x := range all {
			way, _, _ := strings.Cut(x.name, ".")
			authz, _, err := r.Authorization(t.Context(), a.ID, x.authz)
			if err != nil {
				t.Fatal(err)
			}
			if authz.Identifier.Value != x.name || authz.Status != wants[way] {
				t.Errorf("%s: the authorization is for %s and %s, want %s", x.name, authz.Identifier.Value, authz.Status, wants[way])
			}
			// No token serves two of them, so what proves one proves no other
			// (R8555-8-4, R8555-10.2-1).
			for _, c := range r.explain(x.order).Authorizations {
				if c.ID != x.authz {
					continue
				}
				token, shown := c.Challenges[0].Token, c.Challenges[0].KeyAuthorization
				if other, taken := proofs[token]; taken || token == "" || !strings.HasPrefix(shown, token+".") {
					t.Errorf("%s has token %q and key authorization %q, as has %q", x.name, token, shown, other)
				}
				proofs[token] = x.name
			}
			tries := w.targets.tried(x.name)
			if want := map[string]int{"good": 1, "wrong": 1, "slow": 1, "flaky": 3, "down": 3, "panics": 3}[way]; tries != want {
				t.Errorf("%s was tried %d times, want %d", x.name, tries, want)
			}
			if p := authz.Challenges[0].Problem; wants[way] == acme.AuthorizationInvalid {
				if p == nil || !strings.Contains(p.Detail, says[way]) {
					t.Errorf("%s: the problem is %v", x.name, p)
				}
				o := r.wantStatus(a, x.order, acme.OrderInvalid)
				if len(o.Problem.Subproblems) != 1 || o.Problem.Subproblems[0].Identifier.Value != x.name {
					t.Errorf("%s: the order's problem is about %+v", x.name, o.Problem.Subproblems)
				}
			} else if p != nil {
				t.Errorf("%s: is valid, with problem %v", x.name, p)
			}
		}
		if len(proofs) != len(all) {
			t.Errorf("%d tokens for %d names", len(proofs), len(all))
		}
		r.wantStatus(a, together.ID, acme.OrderReady)
	})
}
