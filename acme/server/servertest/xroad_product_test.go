package servertest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/conformance/xroad"
)

// keyFor makes an external account key for several profiles, as an operator does
// who gives a member one key.
func (i *instance) keyFor(t *testing.T, directory acme.DirectoryName, profiles ...acme.ProfileName) xroad.Credential {
	t.Helper()
	k, mac, err := i.Engine.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: directory, Member: member, Profiles: profiles})
	if err != nil {
		t.Fatal(err)
	}
	return xroad.Credential{KID: string(k.ID), MAC: mac}
}

// profileOf is the profile of an order as its account sees it.
func profileOf(t *testing.T, s *xroad.SecurityServer, issued *xroad.Issued) string {
	t.Helper()
	a, err := s.Post(t.Context(), issued.Order, "", "application/json")
	if err != nil {
		t.Fatal(err)
	}
	var o struct{ Profile string }
	if err := json.Unmarshal(a.Body, &o); err != nil {
		t.Fatal(err)
	}
	return o.Profile
}

// TestXRoadProducts is case 29: the profile id selects among the products that the
// external account key and the CSR leave, and contradicts neither. The agent of
// each other request has none.
func TestXRoadProducts(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	auth, sign := []acme.ProfileName{"products-auth", "gold-auth"}, []acme.ProfileName{"products-sign", "silver-sign"}
	both := append(append([]acme.ProfileName{}, auth...), sign...)
	for _, tt := range []struct {
		name           string
		key            []acme.ProfileName
		authID, signID string
		sign           bool
		want, refused  string
	}{
		{"the plain agent, authentication", auth, "", "", false, "products-auth", ""},
		{"the plain agent, signing", sign, "", "", true, "products-sign", ""},
		{"one key for both, authentication", both, "", "", false, "products-auth", ""},
		{"one key for both, signing", both, "", "", true, "products-sign", ""},
		{"a product", auth, "gold", "silver", false, "gold-auth", ""},
		{"a product for signing", sign, "gold", "silver", true, "silver-sign", ""},
		{"one key, and a product for signing", both, "gold", "silver", true, "silver-sign", ""},
		{"null, for lack of a signing id", sign, "gold", "", true, "products-sign", ""},
		{"the signing id alone is not sent", sign, "", "silver", true, "products-sign", ""},
		{"ids of another CA on the host", both, "auth", "sign", true, "products-sign", ""},
		{"a product that the key is not for", auth[:1], "gold", "silver", false, "", "unauthorized"},
		{"a product of the other usage", both, "gold", "gold", true, "", "unauthorized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := i.config("products")
			cfg.AuthProfileID, cfg.SignProfileID = tt.authID, tt.signID
			s := i.with(t, cfg, i.keyFor(t, "products", tt.key...))
			host := fmt.Sprintf("p%x.localhost", strings.ReplaceAll(tt.name, " ", "")[:8])
			k := xroad.AuthKey(newSigner(t), basicAuth(host), host, host)
			if tt.sign {
				k = xroad.SignKey(newSigner(t), basicSign("5550001"), host, host)
			}
			if tt.refused != "" {
				_, err := s.Order(t.Context(), k)
				wantRefusal(t, err, "order_finalization_failure", tt.refused)
				if !strings.Contains(err.Error(), "Central Server") {
					t.Errorf("nobody learns what to change: %v", err)
				}
				return
			}
			if got := profileOf(t, s, obtained(t, s, k)); got != tt.want {
				t.Errorf("the order has profile %s, want %s", got, tt.want)
			}
		})
	}
}

// TestXRoadRemembersProducts: renewals carry no profile id, and get the product of
// the first order all the same: by what they replace, and without that, or after
// the certificate was lost to the server, by what the account had.
func TestXRoadRemembersProducts(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	cfg := i.config("products")
	cfg.AuthProfileID, cfg.SignProfileID = "gold", "silver"
	c := i.keyFor(t, "products", "products-auth", "gold-auth", "products-sign", "silver-sign")
	s := i.with(t, cfg, c)
	const host = "remembered.localhost"
	newAuth := func() xroad.Key { return xroad.AuthKey(newSigner(t), basicAuth(host), host, host) }
	newSign := func() xroad.Key { return xroad.SignKey(newSigner(t), basicSign("5550001"), host, host) }
	first, seal := obtained(t, s, newAuth()), obtained(t, s, newSign())
	unknown := *first.Leaf
	unknown.AuthorityKeyId = []byte("nobody")
	lost := i.with(t, cfg, c) // a new keystore
	for _, renewal := range []struct {
		name string
		by   *xroad.SecurityServer
		old  *xroad.Issued
		key  xroad.Key
		want string
	}{
		{"by what it replaces", s, first, newAuth(), "gold-auth"},
		{"signing, by what it replaces", s, seal, newSign(), "silver-sign"},
		{"by what the account had", s, &xroad.Issued{Leaf: &unknown}, newAuth(), "gold-auth"},
		{"signing, by what the account had", s, &xroad.Issued{Leaf: &unknown}, newSign(), "silver-sign"},
		{"by another account of the key", lost, first, newAuth(), "gold-auth"},
		{"signing, by another account of the key", lost, seal, newSign(), "silver-sign"},
	} {
		issued, err := renewal.by.RenewNow(t.Context(), renewal.old.Leaf, renewal.key)
		if err != nil {
			t.Fatalf("%s: %v", renewal.name, err)
		}
		if got := profileOf(t, renewal.by, issued); got != renewal.want {
			t.Errorf("%s: profile %s, want %s", renewal.name, got, renewal.want)
		}
	}
}
