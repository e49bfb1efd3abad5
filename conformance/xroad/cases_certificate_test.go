package xroad_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"acmebridge/conformance/testport"
	"acmebridge/conformance/xroad"
)

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func finnish(server, cn string) []xroad.Attribute {
	return []xroad.Attribute{{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.SerialNumber, Value: server}, {Type: xroad.CommonName, Value: cn}}
}

// request is a CSR, and what becomes of it.
type request struct {
	number                   int
	name                     string
	directory, usage, member string
	key                      func(t *testing.T, host string) xroad.Key
	refused                  string
}

func requests() []request {
	const inFinland, serial = "FI-TEST:GOV:5550001", "FI-TEST/ss1/GOV"
	type attributes = []xroad.Attribute
	sign := func(code string) func(*testing.T, string) xroad.Key {
		return func(t *testing.T, h string) xroad.Key { return xroad.SignKey(signer(t), signSubjectOf(code), h, h) }
	}
	ejbca := func(country string) func(*testing.T, string) xroad.Key {
		return func(t *testing.T, h string) xroad.Key {
			return xroad.AuthKey(signer(t), attributes{{Type: xroad.Country, Value: country}, {Type: xroad.CommonName, Value: h}}, h)
		}
	}
	return []request{
		{23, "Finnish, the name in capitals", "fivrk", "auth", inFinland, func(t *testing.T, h string) xroad.Key {
			return xroad.AuthKey(rsaKey(t, 2048), finnish(serial, h), h, strings.ToUpper(h[:3])+h[3:])
		}, ""},
		{23, "Iceland", "is", "auth", "IS:GOV:5550001", func(t *testing.T, h string) xroad.Key {
			return xroad.AuthKey(signer(t), attributes{{Type: xroad.Country, Value: "IS"}, {Type: xroad.CommonName, Value: h}, {Type: xroad.SerialNumber, Value: "IS/GOV/5550001/ss1"}}, h)
		}, ""},
		{23, "EJBCA, whose country is an instance", "ejbca", "auth", inFinland, ejbca("FI-TEST"), ""},
		{24, "Finnish", "fivrk", "sign", inFinland, func(t *testing.T, h string) xroad.Key {
			return xroad.SignKey(rsaKey(t, 2048), finnish(serial, "5550001"), h, h)
		}, ""},
		{25, "authentication", "xroad", "auth", member, func(t *testing.T, h string) xroad.Key { return xroad.AuthKey(rsaKey(t, 2048), authSubject(h), h, h) }, ""},
		{25, "signing", "xroad", "sign", member, func(t *testing.T, h string) xroad.Key { return xroad.SignKey(rsaKey(t, 2048), signSubject(), h, h) }, ""},
		{26, "the CN is the name", "xroad", "auth", member, func(t *testing.T, h string) xroad.Key { return xroad.AuthKey(signer(t), authSubject(h), h) }, ""},
		{27, "a signing key by the other account", "xroad", "auth", member, sign("5550001"), "badCSR"},
		{27, "an authentication key by the other account", "xroad", "sign", member, func(t *testing.T, h string) xroad.Key { return xroad.AuthKey(signer(t), authSubject(h), h, h) }, "badCSR"},
		{27, "another member", "xroad", "sign", member, sign("5550002"), "unauthorized"},
		{27, "another instance", "fivrk", "sign", inFinland, func(t *testing.T, h string) xroad.Key {
			return xroad.SignKey(signer(t), finnish("FI/ss1/GOV", "5550001"), h, h)
		}, "unauthorized"},
		{27, "another instance, EJBCA", "ejbca", "auth", inFinland, ejbca("FI"), "unauthorized"},
		{28, "RSA 3072", "xroad", "sign", member, func(t *testing.T, h string) xroad.Key { return xroad.SignKey(rsaKey(t, 3072), signSubject(), h, h) }, ""},
		{28, "P-256", "xroad", "sign", member, sign("5550001"), ""},
		{28, "a name that was not ordered", "xroad", "auth", member, func(t *testing.T, h string) xroad.Key {
			return xroad.AuthKey(signer(t), authSubject(h), h, "evil.localhost")
		}, "badCSR"},
		{28, "two names", "xroad", "auth", member, func(t *testing.T, h string) xroad.Key {
			return xroad.AuthKey(signer(t), authSubject(h), h, h, "evil.localhost")
		}, "badCSR"},
		{28, "no SAN and a foreign CN", "xroad", "auth", member, func(t *testing.T, h string) xroad.Key {
			return xroad.AuthKey(signer(t), authSubject("evil.localhost"), h)
		}, "badCSR"},
	}
}

// csrs is the case that has the requests of a number.
func csrs(number int) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		for n, r := range requests() {
			if r.number != number {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				server := s.securityServer(t, r.directory, r.usage, r.member)
				k := r.key(t, fmt.Sprintf("csr%d.localhost", n))
				if r.refused != "" {
					_, err := server.Order(t.Context(), k)
					wantRefusal(t, err, "order_finalization_failure", r.refused)
					return
				}
				wantUsage(t, obtained(t, server, k).Leaf, r.usage)
			})
		}
	}
}

// wantUsage wants the key usage that the issuing rules of 4.3 call safe, to the bit.
func wantUsage(t *testing.T, leaf *x509.Certificate, usage string) {
	t.Helper()
	want := x509.KeyUsageContentCommitment
	if usage == "auth" {
		want = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
		if _, ok := leaf.PublicKey.(*rsa.PublicKey); ok {
			want = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
		}
	}
	if leaf.KeyUsage != want {
		t.Errorf("key usage %b, want %b", leaf.KeyUsage, want)
	}
	if usage == "sign" && len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 {
		t.Errorf("extended key usage %v", leaf.ExtKeyUsage)
	}
}

func case30(t *testing.T, s *site) {
	const host = "thirty.localhost"
	for usage, k := range map[string]xroad.Key{
		"auth": xroad.AuthKey(signer(t), authSubject(host), host, host), "sign": xroad.SignKey(signer(t), signSubject(), host, host),
	} {
		got := obtained(t, s.securityServer(t, "xroad", usage, member), k)
		wantUsage(t, got.Leaf, usage)
		if len(got.Leaf.DNSNames) != 1 || got.Leaf.DNSNames[0] != host || len(got.Leaf.AuthorityKeyId) == 0 || got.Leaf.IsCA {
			t.Errorf("names %v, authority key %x", got.Leaf.DNSNames, got.Leaf.AuthorityKeyId)
		}
		// No leaf begins before the issuer, which is a minute older than the test.
		if got.Leaf.Issuer.String() != got.Chain[1].Subject.String() || got.Leaf.CheckSignatureFrom(got.Chain[1]) != nil || time.Since(got.Leaf.NotBefore) < 30*time.Second {
			t.Errorf("issued by %s from %s", got.Leaf.Issuer, got.Leaf.NotBefore)
		}
	}
}

// product is the profile of an order as its account sees it.
func product(t *testing.T, s *xroad.SecurityServer, issued *xroad.Issued) any {
	t.Helper()
	return read(t, s, issued.Order)["profile"]
}

// case29: the profile id selects among the products that the external account key
// and the CSR leave, and contradicts neither. The agent of each other request has
// none.
func case29(t *testing.T, s *site) {
	auth, sign := []string{"products-auth", "gold-auth"}, []string{"products-sign", "silver-sign"}
	both := slices.Concat(auth, sign)
	for n, tt := range []struct {
		name           string
		key            []string
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
			cfg := s.config("products")
			cfg.AuthProfileID, cfg.SignProfileID = tt.authID, tt.signID
			server := with(t, cfg, s.credential(t, "products", member, tt.key...))
			host := fmt.Sprintf("product%d.localhost", n)
			k := xroad.AuthKey(signer(t), authSubject(host), host, host)
			if tt.sign {
				k = xroad.SignKey(signer(t), signSubject(), host, host)
			}
			if tt.refused != "" {
				_, err := server.Order(t.Context(), k)
				wantRefusal(t, err, "order_finalization_failure", tt.refused)
				if !strings.Contains(err.Error(), "Central Server") {
					t.Errorf("nobody learns what to change: %v", err)
				}
				return
			}
			if got := product(t, server, obtained(t, server, k)); got != tt.want {
				t.Errorf("the order has profile %v, want %s", got, tt.want)
			}
		})
	}
	t.Run("remembered", func(t *testing.T) {
		t.Parallel()
		productsRemembered(t, s)
	})
}

// productsRemembered: renewals carry no profile id, and get the product of the first
// order all the same: by what they replace, and without that, or after the
// certificate was lost to the server, by what the account had.
func productsRemembered(t *testing.T, s *site) {
	cfg := s.config("products")
	cfg.AuthProfileID, cfg.SignProfileID = "gold", "silver"
	c := s.credential(t, "products", member, "products-auth", "gold-auth", "products-sign", "silver-sign")
	server := with(t, cfg, c)
	const host = "remembered.localhost"
	newAuth := func() xroad.Key { return xroad.AuthKey(signer(t), authSubject(host), host, host) }
	newSign := func() xroad.Key { return xroad.SignKey(signer(t), signSubject(), host, host) }
	first, seal := obtained(t, server, newAuth()), obtained(t, server, newSign())
	unknown := *first.Leaf
	unknown.AuthorityKeyId = []byte("nobody")
	lost := with(t, cfg, c) // a new keystore
	for _, renewal := range []struct {
		name string
		by   *xroad.SecurityServer
		old  *x509.Certificate
		key  xroad.Key
		want string
	}{
		{"by what it replaces", server, first.Leaf, newAuth(), "gold-auth"},
		{"signing, by what it replaces", server, seal.Leaf, newSign(), "silver-sign"},
		{"by what the account had", server, &unknown, newAuth(), "gold-auth"},
		{"signing, by what the account had", server, &unknown, newSign(), "silver-sign"},
		{"by another account of the key", lost, first.Leaf, newAuth(), "gold-auth"},
		{"signing, by another account of the key", lost, seal.Leaf, newSign(), "silver-sign"},
	} {
		issued, err := renewal.by.RenewNow(t.Context(), renewal.old, renewal.key)
		if err != nil {
			t.Fatalf("%s: %v", renewal.name, err)
		}
		if got := product(t, renewal.by, issued); got != renewal.want {
			t.Errorf("%s: profile %v, want %s", renewal.name, got, renewal.want)
		}
	}
}

// case31: the answer to the first question, right after the download, is good and
// fresh. The credentials are those that an operator pastes.
func case31(t *testing.T, s *site) {
	const host = "ss31.localhost"
	credentials := s.bridge.acmeYML(t, member, host)
	for usage, key := range map[string]xroad.Key{
		"auth": xroad.AuthKey(signer(t), authSubject(host), host, host), "sign": xroad.SignKey(signer(t), signSubject(), host, host),
	} {
		server := with(t, s.config("xroad"), credentials[usage])
		issued := obtained(t, server, key)
		state, err := server.Activate(t.Context(), issued.Leaf, issued.Chain[1], xroad.Global{})
		if err != nil {
			t.Fatalf("%s: %v", usage, err)
		}
		if state.Certificate == nil || time.Since(state.ThisUpdate) > 31*time.Minute {
			t.Errorf("%s: of %s, signed by %v", usage, state.ThisUpdate, state.Certificate)
		}
		// A responder of the Central Server is asked first, and one that does not
		// answer is passed over.
		if _, err := server.Activate(t.Context(), issued.Leaf, issued.Chain[1], xroad.Global{Responders: []string{"http://" + testport.Address(t) + "/"}}); err != nil {
			t.Errorf("%s, by way of another responder: %v", usage, err)
		}
		s.bridge.command(t, "cert", "revoke", fmt.Sprintf("%x", issued.Leaf.SerialNumber), "--reason", "keyCompromise")
		state, err = server.Activate(t.Context(), issued.Leaf, issued.Chain[1], xroad.Global{})
		if err == nil || state == nil || state.Status != ocsp.Revoked || state.RevocationReason != ocsp.KeyCompromise {
			t.Errorf("%s, revoked: %v, %v", usage, state, err)
		}
	}
}

// anotherMember: the registry has the servers of each member, so nobody gets a
// certificate for the server of somebody else, even if its name leads to him; and
// what was refused, for whom and where, is told to whoever asks here.
func anotherMember(t *testing.T, s *site) {
	const first, second = "EX:COM:5550011", "EX:COM:5550012"
	own, other := s.bridge.acmeYML(t, first, "own.localhost"), s.bridge.acmeYML(t, second, "other.localhost")
	sign := func(host string) xroad.Key { return xroad.SignKey(signer(t), signSubjectOf("5550011"), host, host) }
	for name, tt := range map[string]struct {
		by         xroad.Credential
		key        xroad.Key
		code, kind string
	}{
		"another member's server":  {own["sign"], sign("other.localhost"), "order_creation_failure", "rejectedIdentifier"},
		"a server that nobody has": {own["sign"], sign("third.localhost"), "order_creation_failure", "rejectedIdentifier"},
		"another member's code":    {other["sign"], sign("other.localhost"), "order_finalization_failure", "unauthorized"},
	} {
		_, err := with(t, s.config("xroad"), tt.by).Order(t.Context(), tt.key)
		var seen *xroad.Error
		if !errors.As(err, &seen) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantRefusal(t, err, tt.code, tt.kind)
	}
	var refused []listed
	if err := json.Unmarshal([]byte(s.bridge.command(t, "order", "list", "--member", second, "--json")), &refused); err != nil || len(refused) != 1 || refused[0].Status != "ready" {
		t.Fatal(refused, err)
	}
	says := s.bridge.command(t, "order", "explain", refused[0].ID)
	for _, want := range []string{"other.localhost", second, "SIGN key", `"5550011"`, "acme.yml", "order again"} {
		if !strings.Contains(says, want) {
			t.Errorf("order explain does not say %q:\n%s", want, says)
		}
	}
	found := false
	for line := range strings.Lines(s.bridge.log.String()) {
		found = found || strings.Contains(line, refused[0].ID) && strings.Contains(line, second) && strings.Contains(line, "other.localhost") && strings.Contains(line, "5550011")
	}
	if !found {
		t.Error("the log does not say which order, member and server it refused")
	}
}

// anotherInstance: a profile may be for the members of one instance. The subjects of
// BasicACME do not say of which they are, so the member of the external account key
// decides (SP-3).
func anotherInstance(t *testing.T, s *site) {
	newAuth := func(host string) xroad.Key { return xroad.AuthKey(signer(t), authSubject(host), host, host) }
	// With one key for everything, the profile of the member's own instance is meant,
	// though another one comes first.
	server := with(t, s.config("instances"), s.credential(t, "instances", member))
	if got := product(t, server, obtained(t, server, newAuth("home.localhost"))); got != "home-auth" {
		t.Errorf("the order has profile %v", got)
	}
	// Where there is none, nothing is issued.
	_, err := with(t, s.config("test"), s.credential(t, "test", member)).Order(t.Context(), newAuth("away.localhost"))
	wantRefusal(t, err, "order_finalization_failure", "unauthorized")
	if err == nil || !strings.Contains(err.Error(), `members of instance "EX-TEST"`) || !strings.Contains(err.Error(), "acme.yml") {
		t.Errorf("nobody learns what to change: %v", err)
	}
	// And nobody is given a key that is good for nothing.
	for profile, wrong := range map[string]bool{"test-auth": true, "home-auth": false} {
		_, err := s.bridge.try(t, "eab", "create", "--directory", "instances", "--member", member, "--profile", profile)
		if wrong != (err != nil && strings.Contains(err.Error(), "xroad.instance")) {
			t.Errorf("a key for %s: %v", profile, err)
		}
	}
}
