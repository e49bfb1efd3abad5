package acmetest

import (
	"slices"
	"time"
)

// reuseCases is about orders that rest on what was proved for an earlier one: a
// server may do that (R8555-7.4-10), and what hangs together then has to fall
// together (R8555-7.1.6-3).
func reuseCases() []Case {
	return []Case{
		{"R8555-7.4-10", "order-on-an-earlier-proof-is-born-ready", func(t *T) {
			first, second := t.reused()
			if second.obj.Status != "ready" || !slices.Equal(second.obj.Authorizations, first.obj.Authorizations) {
				t.Errorf("the order is %s with %v, want ready with %v", second.obj.Status, second.obj.Authorizations, first.obj.Authorizations)
			}
			second.issue(t.newKey())
			if created := second.obj.Authorizations; !slices.Equal(created, first.obj.Authorizations) {
				t.Errorf("the authorizations became %v (R8555-7.4-8)", created)
			}
			first.issue(t.newKey())
		}},
		{"R8555-7.4-10", "order-with-one-earlier-proof-waits-for-the-other", func(t *T) {
			first, _ := t.reused()
			proved, fresh := first.names()[0], t.newName()
			o := first.acct.newOrder(proved, fresh)
			if o.obj.Status != "pending" || len(o.obj.Authorizations) != 2 || !slices.Contains(o.obj.Authorizations, first.obj.Authorizations[0]) {
				t.Fatalf("the order is %s with %v, want pending with %s and another", o.obj.Status, o.obj.Authorizations, first.obj.Authorizations[0])
			}
			o.finalize(t.csr(t.newKey(), o.names(), nil)).refused(403, "orderNotReady")
			o.authorize().issue(t.newKey())
		}},
		{"R8555-7.1.6-3", "deactivation-ends-every-order-on-the-authorization", func(t *T) {
			first, second := t.reused()
			pending := first.acct.newOrder(first.names()[0], t.newName())
			issued := first.acct.newOrder(first.names()...)
			issued.authorize().issue(t.newKey())
			first.acct.post(first.obj.Authorizations[0], object{{"status", "deactivated"}}).must(200)
			for name, o := range map[string]*order{"it was made for": first, "ready on it": second, "pending beside it": pending} {
				if o.refresh(); o.obj.Status != "invalid" {
					t.Errorf("the order %s is %s, want invalid", name, o.obj.Status)
				}
			}
			if issued.refresh(); issued.obj.Status != "valid" {
				t.Errorf("the order that was issued is %s, want valid", issued.obj.Status)
			}
			second.finalize(t.csr(t.newKey(), second.names(), nil)).refused(403, "orderNotReady")
			if next := first.acct.newOrder(first.names()...); next.obj.Status != "pending" {
				t.Errorf("the next order is %s, want pending (R8555-7.5.2-2)", next.obj.Status)
			}
		}},
		{"R8555-7.4-9", "order-does-not-outlast-an-earlier-proof", func(t *T) {
			first, second := t.reused()
			ends, err := time.Parse(time.RFC3339, first.acct.authorization(first.obj.Authorizations[0]).Expires)
			if err != nil {
				t.Fatalf("expires of the authorization: %v", err)
			}
			if at, err := time.Parse(time.RFC3339, second.obj.Expires); err != nil || at.After(ends) {
				t.Errorf("the order expires at %q, its authorization at %s", second.obj.Expires, ends)
			}
		}},
		{"R8555-7.5-6", "proof-of-another-account-serves-nobody-else", func(t *T) {
			o := t.ready()
			other := t.newAccount().newOrder(o.names()...)
			if other.obj.Status != "pending" || slices.Contains(other.obj.Authorizations, o.obj.Authorizations[0]) {
				t.Errorf("the order of a stranger is %s with %v", other.obj.Status, other.obj.Authorizations)
			}
		}},
		{"R8555-7.5-8", "proof-by-http-serves-no-wildcard", func(t *T) {
			o := t.ready()
			resp := o.acct.post(o.acct.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers("*." + o.names()[0])}})
			if resp.status != 201 {
				resp.refused(400, "rejectedIdentifier")
				return
			}
			if obj := resp.order(); obj.Status != "pending" || slices.Contains(obj.Authorizations, o.obj.Authorizations[0]) {
				resp.fail("want a pending order with an authorization of its own")
			}
		}},
		{"R8555-8-4", "pending-authorization-serves-one-order", func(t *T) {
			a := t.newAccount()
			name := t.newName()
			first, second := a.newOrder(name), a.newOrder(name)
			if slices.Contains(second.obj.Authorizations, first.obj.Authorizations[0]) {
				t.NotApplicable("pending authorizations are shared between orders")
			}
			seen := map[string]bool{}
			for _, o := range []*order{first, second} {
				for _, c := range a.authorization(o.obj.Authorizations[0]).Challenges {
					if key := c.Type + c.Token; c.Token != "" && seen[key] {
						t.Errorf("token %s of %s serves two authorizations", c.Token, c.Type)
					} else {
						seen[key] = true
					}
				}
			}
		}},
	}
}

// reused returns an order that was proved and a second one for the same name
// that rests on it.
func (t *T) reused() (first, second *order) {
	first = t.ready()
	second = first.acct.newOrder(first.names()...)
	if !slices.Equal(first.obj.Authorizations, second.obj.Authorizations) {
		t.NotApplicable("every order is proved anew")
	}
	return first, second
}
