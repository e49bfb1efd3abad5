//go:build clients

package clients

import (
	"crypto"
	"errors"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/crypto/acme"
)

// client is one ACME client, ready to run against one directory. A nil function is
// something that the client's command line cannot do.
type client struct {
	issue         func(t *testing.T, names []string) // registers first
	renew         func(t *testing.T, names []string) // although it is not due
	files         func(t *testing.T, names []string) (chain, key string)
	revoke        func(t *testing.T, names []string)
	accountKey    func(t *testing.T) crypto.Signer
	updateContact func(t *testing.T, email string)
	rollover      func(t *testing.T)
	deactivate    func(t *testing.T)
	replaces      bool // says which certificate a renewal replaces (RFC 9773)
}

const (
	firstEmail  = "first@example.org"
	secondEmail = "second@example.org"
)

// live takes a client through the life of an account and its certificate. What the
// client claims is never enough: each step is checked from outside.
func live(t *testing.T, st setup, c client, names ...string) {
	t.Helper()
	c.issue(t, names)
	first := load(t, c, names)
	first.check(t, st.server.IssuingRootPEM, names)
	wantContact(t, st, c.accountKey(t), firstEmail)

	c.renew(t, names)
	second := load(t, c, names)
	second.check(t, st.server.IssuingRootPEM, names)
	if first.leaf.SerialNumber.Cmp(second.leaf.SerialNumber) == 0 {
		t.Error("after the renewal the client still has the first certificate")
	}
	if c.replaces && st.server.Replaced != nil {
		st.server.Replaced(t, first.leaf)
	}

	if c.updateContact != nil {
		c.updateContact(t, secondEmail)
		wantContact(t, st, c.accountKey(t), secondEmail)
	}
	if c.rollover != nil {
		before := c.accountKey(t)
		uri := account(t, st, before).URI
		c.rollover(t)
		if after := account(t, st, c.accountKey(t)); after.URI != uri {
			t.Errorf("after the key change the account is %s, want %s", after.URI, uri)
		}
		wantNoAccount(t, st, before)
	}
	if c.revoke != nil {
		c.revoke(t, names)
		st.server.Revoked(t, second)
	}
	if c.deactivate != nil {
		key := c.accountKey(t)
		uri := account(t, st, key).URI
		c.deactivate(t)
		wantDeactivated(t, st, key, uri)
	}
}

// account asks the server about the client's account with the client's own key.
func account(t *testing.T, st setup, key crypto.Signer) *acme.Account {
	t.Helper()
	a, err := st.acmeClient(t, key).GetReg(t.Context(), "")
	if err != nil {
		t.Fatalf("ask for the client's account: %v", err)
	}
	return a
}

func wantContact(t *testing.T, st setup, key crypto.Signer, email string) {
	t.Helper()
	if a := account(t, st, key); !slices.Equal(a.Contact, []string{"mailto:" + email}) {
		t.Errorf("the account's contact is %v, want %s", a.Contact, email)
	}
}

// wantNoAccount: a key that was replaced belongs to no account any more (R8555-7.3.5).
func wantNoAccount(t *testing.T, st setup, key crypto.Signer) {
	t.Helper()
	if _, err := st.acmeClient(t, key).GetReg(t.Context(), ""); !errors.Is(err, acme.ErrNoAccount) {
		t.Errorf("the replaced key gives %v, want accountDoesNotExist", err)
	}
}

// wantDeactivated: a deactivated account can do nothing more (R8555-7.3.6), asked with
// the account URL, as a client does that has not heard of it.
func wantDeactivated(t *testing.T, st setup, key crypto.Signer, uri string) {
	t.Helper()
	c := st.acmeClient(t, key)
	c.KID = acme.KeyID(uri)
	_, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("deactivated.localhost"))
	var refused *acme.Error
	if !errors.As(err, &refused) || (refused.StatusCode != http.StatusUnauthorized && refused.StatusCode != http.StatusForbidden) ||
		refused.ProblemType != "urn:ietf:params:acme:error:unauthorized" {
		t.Errorf("an order of the deactivated account gives %v, want unauthorized", err)
	}
}
