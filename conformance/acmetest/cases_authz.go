package acmetest

import (
	"regexp"
	"slices"
	"time"
)

// authorizationCases is R8555-7.5 and R8555-7.5.2.
func authorizationCases() []Case {
	badUpdate := func(payload string) func(*T) {
		return func(t *T) {
			a := t.newAccount()
			url := a.newOrder().obj.Authorizations[0]
			a.post(url, []byte(payload)).refused(400, "malformed")
			if got := a.authorization(url); got.Status != "pending" {
				t.Errorf("the authorization is now %s", got.Status)
			}
		}
	}
	deactivate := func(a *account, url string) authorizationObject {
		var authz authorizationObject
		a.post(url, object{{"status", "deactivated"}}).must(200).decode(&authz)
		return authz
	}
	return []Case{
		{"R8555-7.5-1", "pending-authorization-is-complete", func(t *T) {
			a := t.newAccount()
			name := t.newName()
			authz := a.authorization(a.newOrder(name).obj.Authorizations[0])
			if authz.Identifier != (identifier{"dns", name}) || authz.Status != "pending" || len(authz.Challenges) == 0 {
				t.Errorf("authorization is %+v, want pending for %s with challenges", authz, name)
			}
			if at, err := time.Parse(time.RFC3339, authz.Expires); err != nil || !at.After(time.Now()) {
				t.Errorf("expires is %q, want a time ahead", authz.Expires)
			}
		}},
		{"R8555-7.5-3", "valid-authorization-lists-what-succeeded", func(t *T) {
			c := t.sharedCertificate()
			authz := c.order.acct.authorization(c.order.obj.Authorizations[0])
			i := slices.IndexFunc(authz.Challenges, func(c challengeObject) bool { return c.Status == "valid" })
			if authz.Status != "valid" || i < 0 || authz.Expires == "" {
				t.Errorf("authorization is %+v, want valid with expires and its valid challenge", authz)
			}
		}},
		{"R8555-7.5.2-1", "deactivate-pending", func(t *T) {
			a := t.newAccount()
			url := a.newOrder().obj.Authorizations[0]
			if authz := deactivate(a, url); authz.Status != "deactivated" {
				t.Errorf("answer shows %q, want deactivated", authz.Status)
			}
			if authz := a.authorization(url); authz.Status != "deactivated" {
				t.Errorf("reads %q, want deactivated", authz.Status)
			}
		}},
		{"R8555-7.5.2-1", "deactivate-valid", func(t *T) {
			o := t.ready()
			if authz := deactivate(o.acct, o.obj.Authorizations[0]); authz.Status != "deactivated" {
				t.Errorf("answer shows %q, want deactivated", authz.Status)
			}
		}},
		{"R8555-7.1.6-3", "order-of-a-deactivated-authorization-is-invalid", func(t *T) {
			a := t.newAccount()
			o := a.newOrder()
			deactivate(a, o.obj.Authorizations[0])
			if o.refresh(); o.obj.Status != "invalid" {
				t.Errorf("the order is %q, want invalid", o.obj.Status)
			}
		}},
		{"R8555-7.5.2-2", "deactivated-authorization-does-not-count", func(t *T) {
			o := t.ready()
			deactivate(o.acct, o.obj.Authorizations[0])
			o.finalize(t.csr(t.newKey(), o.names(), nil)).refused(403, "orderNotReady")
			if o.refresh(); o.obj.Status != "invalid" {
				t.Errorf("the order is %q, want invalid", o.obj.Status)
			}
		}},
		{"R8555-7.5-7", "challenge-of-a-deactivated-authorization", func(t *T) {
			a := t.newAccount()
			url := a.newOrder().obj.Authorizations[0]
			c := a.pick(url, "http-01")
			deactivate(a, url)
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)))
			a.post(c.URL, object{}).refusedWith([]int{400, 404}, "malformed")
			if got := a.authorization(url); got.Status != "deactivated" {
				t.Errorf("the authorization is now %s", got.Status)
			}
		}},
		{"R8555-7.5.2-1", "status-valid-is-refused", badUpdate(`{"status":"valid"}`)},
		{"R8555-7.5.2-1", "status-pending-is-refused", badUpdate(`{"status":"pending"}`)},
		{"R8555-7.5.2-1", "status-revoked-is-refused", badUpdate(`{"status":"revoked"}`)},
		{"R8555-7.5.2-1", "status-a-number-is-refused", badUpdate(`{"status":1}`)},
		{"R8555-7.5.2-1", "empty-update-is-refused", badUpdate(`{}`)},
		{"R8555-7.5.2-1", "update-that-is-no-object-is-refused", badUpdate(`[]`)},
		{"R8555-8-4", "tokens-differ-and-are-strong", func(t *T) {
			a := t.newAccount()
			seen := map[string]bool{}
			for range 5 {
				for _, c := range a.authorization(a.newOrder().obj.Authorizations[0]).Challenges {
					if c.Token == "" {
						continue // some methods have none
					}
					// 22 characters of base64url are 128 bits.
					if !regexp.MustCompile(`^[A-Za-z0-9_-]{22,}$`).MatchString(c.Token) {
						t.Errorf("token %q of %s is too short or not base64url", c.Token, c.Type)
					}
					key := c.Type + " " + c.Token
					if seen[key] {
						t.Errorf("token %q was used before", c.Token)
					}
					seen[key] = true
				}
			}
		}},
		{"R8555-8-1", "challenges-are-complete", func(t *T) {
			a := t.newAccount()
			kinds := map[string]bool{}
			for _, c := range a.authorization(a.newOrder().obj.Authorizations[0]).Challenges {
				if c.Type == "" || c.URL == "" || c.Status != "pending" || c.Validated != "" || c.Error != nil || kinds[c.Type] {
					t.Errorf("challenge is %+v, want type, url, status pending, and each type once", c)
				}
				kinds[c.Type] = true
			}
		}},
	}
}
