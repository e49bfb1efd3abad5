package acmetest

import (
	"net/http"
	"slices"
	"time"
)

// preAuthorizationCases is R8555-7.4.1, where the directory lists newAuthz.
func preAuthorizationCases() []Case {
	refused := func(payload string, status int, types ...string) func(*T) {
		return func(t *T) {
			a := t.preAuthorizer()
			a.post(a.ep.dir.NewAuthz, []byte(payload)).refused(status, types...)
		}
	}
	return []Case{
		{"R8555-7.4.1-4", "created", func(t *T) {
			a := t.preAuthorizer()
			name := t.newName()
			resp := a.post(a.ep.dir.NewAuthz, object{{"identifier", identifier{"dns", name}}}).must(http.StatusCreated)
			resp.wantNonce().wantIndex(a.ep.url)
			var authz authorizationObject
			resp.decode(&authz)
			if authz.Identifier != (identifier{"dns", name}) || authz.Status != "pending" || len(authz.Challenges) == 0 || authz.Wildcard != nil {
				resp.fail("want a pending authorization for %s with challenges", name)
			}
			if at, err := time.Parse(time.RFC3339, authz.Expires); err != nil || !at.After(time.Now()) {
				resp.fail("expires is %q, want a time ahead", authz.Expires)
			}
			if again := a.authorization(resp.location()); again.Status != authz.Status || again.Identifier != authz.Identifier {
				resp.fail("reads %+v", again)
			}
		}},
		{"R8555-7.4.1-2", "makes-a-later-order-ready", func(t *T) {
			a := t.preAuthorizer()
			name := t.newName()
			url := a.proveAhead(name)
			o := a.newOrder(name)
			if o.obj.Status != "ready" || !slices.Equal(o.obj.Authorizations, []string{url}) {
				t.Fatalf("the order is %s with %v, want ready with %s", o.obj.Status, o.obj.Authorizations, url)
			}
			o.issue(t.newKey())
		}},
		{"R8555-7.4.1-2", "serves-one-name-of-an-order", func(t *T) {
			a := t.preAuthorizer()
			name := t.newName()
			url := a.proveAhead(name)
			o := a.newOrder(t.newName(), name)
			if o.obj.Status != "pending" || !slices.Contains(o.obj.Authorizations, url) {
				t.Fatalf("the order is %s with %v, want pending with %s and another", o.obj.Status, o.obj.Authorizations, url)
			}
			o.authorize().issue(t.newKey())
		}},
		{"R8555-7.5.2-2", "pre-authorization-that-is-withdrawn-does-not-count", func(t *T) {
			a := t.preAuthorizer()
			name := t.newName()
			url := a.proveAhead(name)
			o := a.newOrder(name)
			var authz authorizationObject
			a.post(url, object{{"status", "deactivated"}}).must(http.StatusOK).decode(&authz)
			if authz.Status != "deactivated" {
				t.Errorf("the authorization is %s", authz.Status)
			}
			if o.refresh(); o.obj.Status != "invalid" {
				t.Errorf("the order on it is %s, want invalid (R8555-7.1.6-3)", o.obj.Status)
			}
			if next := a.newOrder(name); next.obj.Status != "pending" {
				t.Errorf("the next order is %s, want pending", next.obj.Status)
			}
		}},
		{"R8555-7.4.1-2", "failed-validation", func(t *T) {
			a := t.preAuthorizer()
			url := a.post(a.ep.dir.NewAuthz, object{{"identifier", identifier{"dns", t.newName()}}}).must(http.StatusCreated).location()
			c := a.pick(url, "http-01")
			t.suite.http01.answer(c.Token, text(http.StatusOK, c.Token+".wrong"))
			a.post(c.URL, object{}).must(http.StatusOK)
			var authz authorizationObject
			t.poll("the authorization to fail", func() (bool, string) {
				authz = a.authorization(url)
				return authz.Status != "pending", "authorization is " + authz.Status
			})
			if authz.Status != "invalid" {
				t.Errorf("the authorization is %s, want invalid", authz.Status)
			}
		}},
		{"R8555-7.5-6", "pre-authorization-of-another-account", func(t *T) {
			a := t.preAuthorizer()
			name := t.newName()
			url := a.proveAhead(name)
			other := t.newAccount()
			other.read(url).refused(http.StatusNotFound, "malformed")
			if o := other.newOrder(name); o.obj.Status != "pending" {
				t.Errorf("a stranger's order is %s, want pending", o.obj.Status)
			}
		}},
		{"R8555-7.4.1-1", "identifier-type-unknown", refused(`{"identifier":{"type":"acmetest","value":"x"}}`, http.StatusForbidden, "unsupportedIdentifier")},
		{"R8555-7.4.1-4", "identifier-missing", refused(`{}`, http.StatusBadRequest, "malformed")},
		{"R8555-7.4.1-4", "identifier-null", refused(`{"identifier":null}`, http.StatusBadRequest, "malformed")},
		{"R8555-7.4.1-4", "identifier-a-string", refused(`{"identifier":"a.example.org"}`, http.StatusBadRequest, "malformed")},
		{"R8555-7.4.1-4", "identifier-a-list", refused(`{"identifier":[{"type":"dns","value":"a.example.org"}]}`, http.StatusBadRequest, "malformed")},
		{"R8555-7.4.1-4", "identifier-without-value", refused(`{"identifier":{"type":"dns"}}`, http.StatusBadRequest, "malformed")},
		{"R8555-7.4.1-4", "identifier-of-an-order", refused(`{"identifiers":[{"type":"dns","value":"a.example.org"}]}`, http.StatusBadRequest, "malformed")},
	}
}

// preAuthorizer is an account where names can be proved ahead of orders.
func (t *T) preAuthorizer() *account {
	if t.suite.main.dir.NewAuthz == "" {
		t.NotApplicable("the directory lists no newAuthz")
	}
	return t.newAccount()
}

// proveAhead proves a name ahead of any order, and returns the authorization.
func (a *account) proveAhead(name string) (url string) {
	t := a.t
	url = a.post(a.ep.dir.NewAuthz, object{{"identifier", identifier{"dns", name}}}).must(http.StatusCreated).location()
	c := a.pick(url, "http-01")
	t.suite.http01.answer(c.Token, text(http.StatusOK, a.key.keyAuthorization(c.Token)))
	a.post(c.URL, object{}).must(http.StatusOK)
	t.poll("the authorization to be valid", func() (bool, string) {
		authz := a.authorization(url)
		if authz.Status == "invalid" {
			t.Fatalf("the authorization is invalid: %+v", authz)
		}
		return authz.Status == "valid", "authorization is " + authz.Status
	})
	return url
}
