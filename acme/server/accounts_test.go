package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
)

// TestRefusedMakesNoAccount: whatever a newAccount request is refused for, no
// account comes of it: neither where terms bind and nobody agreed
// (R8555-7.3-6), nor where a binding is missing, wrong or somebody else's
// (R8555-7.3.4-9).
func TestRefusedMakesNoAccount(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Directories: []acme.Directory{
		{Name: "default", Path: "/directory", Profiles: []acme.ProfileName{"tls"}, TermsOfService: "https://example.org/terms"},
		{Name: "eab", Path: "/eab/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"tls"}},
	}})
	for _, tt := range []struct {
		directory acme.DirectoryName
		payload   string
		status    int
		kind      acme.ProblemType
	}{
		{"default", `{}`, 403, acme.UserActionRequired},
		{"default", `{"termsOfServiceAgreed":false}`, 403, acme.UserActionRequired},
		{"default", `{"termsOfServiceAgreed":true,"contact":["tel:1"]}`, 400, acme.UnsupportedContact},
		{"default", `{"termsOfServiceAgreed":true,"contact":["mailto:"]}`, 400, acme.InvalidContact},
		{"default", `{"termsOfServiceAgreed":"yes"}`, 400, acme.Malformed},
		{"eab", `{}`, 403, acme.ExternalAccountRequired},
		{"eab", `{"externalAccountBinding":null}`, 403, acme.ExternalAccountRequired},
		{"eab", `{"externalAccountBinding":{}}`, 400, acme.Malformed},
		{"eab", `{"externalAccountBinding":{"protected":"e30","payload":"","signature":""}}`, 400, acme.Malformed},
	} {
		c := f.client(t, tt.directory)
		r := c.register(t, tt.payload)
		wantProblem(t, r, tt.status, tt.kind)
		if r.header.Get("Location") != "" {
			t.Errorf("%s: a refusal has a Location", tt.payload)
		}
		wantProblem(t, c.register(t, `{"onlyReturnExisting":true}`), http.StatusBadRequest, acme.AccountDoesNotExist)
	}
	// With agreement the same key gets its account: it was not used up.
	c := f.client(t, "default")
	wantProblem(t, c.register(t, `{}`), 403, acme.UserActionRequired)
	if r := c.register(t, `{"termsOfServiceAgreed":true}`); r.status != http.StatusCreated {
		t.Errorf("with agreement: %d %s", r.status, r.body)
	}
}

// TestWithdrawnByOperator: an account that the operator has revoked is refused on
// every route like one that ended by itself, in words that say who ended it; the
// operator sees it as revoked, and its client cannot take that back (R8555-7.3.6-4).
func TestWithdrawnByOperator(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	owned := things(t, c)
	id := acme.AccountID(c.kid[strings.LastIndexByte(c.kid, '/')+1:])
	if _, err := f.Engine.Operator().RevokeAccount(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	urls := []string{c.url["newOrder"], c.url["keyChange"], c.url["revokeCert"]}
	for _, url := range owned {
		urls = append(urls, url)
	}
	for _, url := range urls {
		for _, payload := range []string{"", "{}", `{"status":"valid"}`, `{"status":"deactivated"}`} {
			p := wantProblem(t, c.post(t, url, payload), http.StatusUnauthorized, acme.Unauthorized)
			if !strings.Contains(p.Detail, "revoked by the operator") {
				t.Errorf("%s: %s", url, p.Detail)
			}
		}
	}
	// By its key it is not found again, nor made anew.
	for _, payload := range []string{`{}`, `{"onlyReturnExisting":true}`} {
		wantProblem(t, f.do(t, post(c.url["newAccount"], c.withKey(t, c.url["newAccount"], payload))), http.StatusUnauthorized, acme.Unauthorized)
	}
	if a, err := f.Engine.Operator().Account(t.Context(), id); err != nil || a.Status != acme.AccountRevoked {
		t.Errorf("the operator sees %q, %v", a.Status, err)
	}
}

// TestKeysAreHandedOutAsTheyAreUsed: what the operator hands out binds an account
// when it is used as the clients use it, base64url without padding
// (R8555-7.3.4-14); the account then shows its binding.
func TestKeysAreHandedOutAsTheyAreUsed(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	k, secret, err := f.Engine.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "eab", Member: "m1", Uses: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := f.client(t, "eab")
	binding := bindingOf(t, c, string(k.ID), secret)
	r := c.register(t, `{"externalAccountBinding":`+binding+`}`)
	if r.status != http.StatusCreated || !strings.Contains(string(r.body), `"externalAccountBinding"`) {
		t.Fatalf("%d %s", r.status, r.body)
	}
	// Once, and with the right secret only.
	for name, tt := range map[string]struct {
		kid    string
		secret []byte
	}{
		"again": {string(k.ID), secret}, "another secret": {string(k.ID), make([]byte, 32)}, "an unknown key": {"nobody", secret},
	} {
		other := f.client(t, "eab")
		wantProblem(t, other.register(t, `{"externalAccountBinding":`+bindingOf(t, other, tt.kid, tt.secret)+`}`), http.StatusForbidden, acme.Unauthorized)
		wantProblem(t, other.register(t, `{"onlyReturnExisting":true}`), http.StatusBadRequest, acme.AccountDoesNotExist)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// bindingOf is an external account binding of the key of a client (RFC 8555, 7.3.4).
func bindingOf(tb testing.TB, c *client, kid string, secret []byte) string {
	tb.Helper()
	protected := encode(marshal(tb, map[string]string{"alg": "HS256", "kid": kid, "url": c.url["newAccount"]}))
	payload := encode(marshal(tb, jwk(tb, &c.key.PublicKey)))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(protected + "." + payload))
	return string(marshal(tb, map[string]string{"protected": protected, "payload": payload, "signature": encode(mac.Sum(nil))}))
}

// TestAccountURLStays: whatever happens to an account, its URL is the one that it
// was given: DNS records of its owner are made of it (RDAL-3).
func TestAccountURLStays(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	url := c.kid
	at := func(what string, r reply) {
		t.Helper()
		if r.status != http.StatusOK || r.header.Get("Location") != url {
			t.Errorf("%s: %d, at %s, was %s", what, r.status, r.header.Get("Location"), url)
		}
	}
	at("read", c.post(t, url, ""))
	at("other contacts", c.post(t, url, `{"contact":["mailto:a@example.org"]}`))
	next := newKey(t)
	at("another key", c.post(t, c.url["keyChange"], keyChange(t, f, next, url, c)))
	c.key = next
	at("read by it", c.post(t, url, ""))
	at("found by it", f.do(t, post(c.url["newAccount"], c.withKey(t, c.url["newAccount"], `{"onlyReturnExisting":true}`))))
	at("ended", c.post(t, url, `{"status":"deactivated"}`))
}
