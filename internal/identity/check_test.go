package identity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/identity"
)

func result(findings []identity.Finding, check string) (result, detail string) {
	for _, f := range findings {
		if f.Check == check {
			return f.Result, f.Detail
		}
	}
	return "not checked", ""
}

func TestGoodIdentityPasses(t *testing.T) {
	t.Parallel()
	c := newCA(t, "Example")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e := identity.Expect{Names: []string{"api.vasp.example", "vasp.example"}, Server: true, Client: true, Roots: []*x509.Certificate{newCA(t, "Other").root, c.root}, Remaining: 90 * 24 * time.Hour, Now: now}
	key := newKey(t)
	for name, tt := range map[string]struct {
		id identity.Identity
		e  identity.Expect
	}{
		"both":   {identity.Identity{Key: key, Leaf: c.leaf(t, key.Public(), nil)}, e},
		"RSA":    {identity.Identity{Key: rsaKey, Leaf: c.leaf(t, rsaKey.Public(), func(x *x509.Certificate) { x.KeyUsage |= x509.KeyUsageKeyEncipherment })}, e},
		"server": {identity.Identity{Key: key, Leaf: c.leaf(t, key.Public(), func(x *x509.Certificate) { x.ExtKeyUsage = x.ExtKeyUsage[:1] })}, identity.Expect{Server: true, Roots: e.Roots, Now: now}},
		"client": {identity.Identity{Key: key, Leaf: c.leaf(t, key.Public(), func(x *x509.Certificate) { x.ExtKeyUsage = x.ExtKeyUsage[1:] })}, identity.Expect{Client: true, Roots: e.Roots, Now: now}},
		"IP": {identity.Identity{Key: key, Leaf: c.leaf(t, key.Public(), func(x *x509.Certificate) {
			x.Subject.CommonName, x.DNSNames, x.IPAddresses = "192.0.2.7", nil, []net.IP{ipOf("192.0.2.7")}
		})}, identity.Expect{Names: []string{"192.0.2.7"}, Server: true, Client: true, Roots: e.Roots, Now: now}},
	} {
		tt.id.Intermediates = []*x509.Certificate{c.intermediate}
		findings := identity.Check(tt.id, tt.e)
		for _, f := range findings {
			if f.Result != identity.OK {
				t.Errorf("%s: %s: %s %s", name, f.Check, f.Result, f.Detail)
			}
		}
		if r, _ := result(findings, "handshake"); r != identity.OK {
			t.Errorf("%s: the handshake was %s", name, r)
		}
	}
}

func TestEachFaultIsNamed(t *testing.T) {
	t.Parallel()
	c, other := newCA(t, "Example"), newCA(t, "Other")
	key := newKey(t)
	good := identity.Expect{Names: []string{"api.vasp.example", "vasp.example"}, Server: true, Client: true, Roots: []*x509.Certificate{c.root}, Now: now}
	type spoil func(*identity.Identity, *identity.Expect)
	leaf := func(change func(*x509.Certificate)) spoil {
		return func(id *identity.Identity, _ *identity.Expect) { id.Leaf = c.leaf(t, key.Public(), change) }
	}
	for _, tt := range []struct {
		check, result, says string
		spoil               spoil
	}{
		{"key", identity.Failed, "not the one", func(id *identity.Identity, _ *identity.Expect) { id.Key = newKey(t) }},
		{"certificate", identity.Failed, "a CA", leaf(func(x *x509.Certificate) { x.IsCA = true })},
		{"names", identity.Failed, "api.vasp.example is missing", leaf(func(x *x509.Certificate) { x.DNSNames = x.DNSNames[:1] })},
		{"names", identity.Failed, "else.example is too much", leaf(func(x *x509.Certificate) { x.DNSNames = append(x.DNSNames, "else.example") })},
		{"names", identity.Failed, "is missing, and", leaf(func(x *x509.Certificate) { x.DNSNames = []string{"vasp.example", "else.example"} })},
		{"names", identity.Failed, "no name", leaf(func(x *x509.Certificate) { x.DNSNames = nil })},
		{"names", identity.Warning, "common name", leaf(func(x *x509.Certificate) { x.Subject.CommonName = "VASP Ltd" })},
		{"server usage", identity.Failed, "serverAuth is missing", leaf(func(x *x509.Certificate) { x.ExtKeyUsage = x.ExtKeyUsage[1:] })},
		{"client usage", identity.Failed, "clientAuth is missing", leaf(func(x *x509.Certificate) { x.ExtKeyUsage = x.ExtKeyUsage[:1] })},
		{"client usage", identity.Failed, "clientAuth is missing", leaf(func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })},
		{"server usage", identity.Failed, "serverAuth is missing", leaf(func(x *x509.Certificate) { x.ExtKeyUsage = nil })},
		{"key usage", identity.Failed, "digitalSignature", leaf(func(x *x509.Certificate) { x.KeyUsage = x509.KeyUsageKeyAgreement })},
		{"chain", identity.Failed, "add the missing intermediate", func(id *identity.Identity, _ *identity.Expect) { id.Intermediates = nil }},
		{"chain", identity.Failed, "no intermediate", func(id *identity.Identity, e *identity.Expect) { id.Intermediates, e.Roots = nil, nil }},
		{"chain", identity.Warning, "not known", func(_ *identity.Identity, e *identity.Expect) { e.Roots = nil }},
		{"chain as client", identity.Warning, "not verified", func(_ *identity.Identity, e *identity.Expect) { e.Roots = nil }},
		{"chain as server", identity.Failed, "unknown authority", func(_ *identity.Identity, e *identity.Expect) { e.Roots = []*x509.Certificate{other.root} }},
		{"validity", identity.Failed, "has expired", func(_ *identity.Identity, e *identity.Expect) { e.Now = now.AddDate(1, 0, 1) }},
		{"validity", identity.Failed, "only", func(_ *identity.Identity, e *identity.Expect) { e.Now = now.AddDate(0, -2, 0) }},
		{"validity", identity.Failed, "less than the 400d asked for", func(_ *identity.Identity, e *identity.Expect) { e.Remaining = 400 * 24 * time.Hour }},
		{"validity", identity.Failed, "before the certificate", leaf(func(x *x509.Certificate) { x.NotAfter = now.AddDate(5, 0, 0) })},
	} {
		id := identity.Identity{Key: key, Leaf: c.leaf(t, key.Public(), nil), Intermediates: []*x509.Certificate{c.intermediate}}
		e := good
		tt.spoil(&id, &e)
		findings := identity.Check(id, e)
		r, detail := result(findings, tt.check)
		if r != tt.result || !strings.Contains(detail, tt.says) {
			t.Errorf("%s is %s: %q, want %s: %q", tt.check, r, detail, tt.result, tt.says)
		}
		if passed := identity.Passed(findings); passed != (tt.result == identity.Warning) {
			t.Errorf("%s %q: passed is %t", tt.check, tt.says, passed)
		}
	}
}

// An intermediate that is for servers only spoils an identity for clients,
// whatever the certificate itself says.
func TestUsagesOfTheChainCount(t *testing.T) {
	t.Parallel()
	c, key := newCA(t, "Example"), newKey(t)
	narrow := *c.intermediate
	narrow.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.intermediate = signed(t, &narrow, c.root, c.key.Public(), c.rootKey)
	findings := identity.Check(identity.Identity{Key: key, Leaf: c.leaf(t, key.Public(), nil), Intermediates: []*x509.Certificate{c.intermediate}},
		identity.Expect{Server: true, Client: true, Roots: []*x509.Certificate{c.root}, Now: now})
	if r, _ := result(findings, "chain as server"); r != identity.OK {
		t.Error("the chain as server is", r)
	}
	if r, _ := result(findings, "chain as client"); r != identity.Failed {
		t.Error("the chain as client is", r)
	}
}
