package upstream_test

import (
	"crypto/x509"
	"slices"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
	"acmebridge/backends"
	"acmebridge/conformance/pebbletest"
)

func idOf(t *testing.T, chain [][]byte) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return acme.CertID(leaf.AuthorityKeyId, acme.SerialOctets(leaf.SerialNumber))
}

// TestReplaces: the CA hears which of its certificates a renewal takes the place of
// (R9773-5-1). Where it does not want to, the renewal goes on without, and whatever
// gets lost on the way, one certificate is bought.
func TestReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{RejectNonces: 10})
	m := between(t, w)
	b := open(t, w.cfg)
	renew := func(name, replaces string) [][]byte {
		t.Helper()
		r := requestFor(t, name)
		r.Replaces = replaces
		before := m.bought()
		var ticket backends.Ticket
		var err error
		for range 3 { // as the engine does with what bought nothing
			if ticket, err = b.Submit(t.Context(), r); err == nil || !backends.IsNotSent(err) {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		chain, err := carryOn(t, b, r, ticket)
		if err != nil {
			t.Fatal(err)
		}
		if n := m.bought() - before; n != 1 {
			t.Errorf("%s: %d purchases", name, n)
		}
		return chain
	}
	// A nonce that is refused has the same order sent again.
	told := func(what string, want ...string) {
		t.Helper()
		if got := slices.Compact(m.told()); !slices.Equal(got, want) {
			t.Errorf("%s: the CA was told %q, want %q", what, got, want)
		}
	}

	first := idOf(t, renew("a.example.org", ""))
	told("a first order", "")
	m.loseReply(newOrderPath)
	second := idOf(t, renew("a.example.org", first))
	told("a renewal, with a reply that got lost", first)
	renew("a.example.org", first)
	told("what was replaced already", first, "")
	renew("b.example.org", second)
	told("a certificate for other names", second, "")
	renew("a.example.org", "AAAA.AQ")
	told("another CA's certificate", "AAAA.AQ", "")

	m.set(func() { m.bare = true })
	b = open(t, w.cfg)
	renew("a.example.org", second)
	told("a CA without renewal information", "")
}

// TestReplacesNot: a no that is not about what is replaced stays one, and a CA that
// wants to be left alone hears nothing more.
func TestReplacesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	b := open(t, w.cfg)
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := requestFor(t, "a.example.org")
	r.Replaces = "AAAA.AQ"
	for _, test := range []struct {
		status  int
		problem string
		refused bool
		asked   int
	}{
		{400, "rejectedIdentifier", true, 2}, {500, "serverInternal", false, 2}, {429, "rateLimited", false, 1},
		{503, "serverInternal", false, 1}, {403, "unauthorized", false, 2}, // after which the account is looked at first
	} {
		m.told()
		m.refuse(test.status, test.problem)
		_, err := b.Submit(t.Context(), r)
		if _, refused := backends.RefusalDetail(err); err == nil || refused != test.refused || backends.IsNotSent(err) == refused {
			t.Errorf("%d %s: %v", test.status, test.problem, err)
		}
		if n := len(m.told()); n != test.asked {
			t.Errorf("%d %s: asked %d times, want %d", test.status, test.problem, n, test.asked)
		}
		m.mend()
	}
}

// TestReplacesSecond: another acmebridge notes what is replaced, and lets nothing be
// replaced twice.
func TestReplacesSecond(t *testing.T) {
	t.Parallel()
	s := startSecond(t, servertest.Options{})
	b := open(t, s.cfg)
	const name = "renewed.localhost"
	chain, _, err := obtain(t, b, local(t, name))
	if err != nil {
		t.Fatal(err)
	}
	replaced := idOf(t, chain)
	for _, want := range []string{replaced, ""} {
		r := local(t, name)
		r.Replaces = replaced
		if chain, _, err = obtain(t, b, r); err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(chain[0])
		if err != nil {
			t.Fatal(err)
		}
		certs, err := s.Engine.Operator().CertificatesBySerial(t.Context(), acme.SerialOctets(leaf.SerialNumber))
		if err != nil || len(certs) != 1 {
			t.Fatalf("%d certificates, %v", len(certs), err)
		}
		x, err := s.Engine.Operator().Explain(t.Context(), certs[0].Order)
		if err != nil {
			t.Fatal(err)
		}
		if x.Order.Replaces != want {
			t.Errorf("the order replaces %q, want %q", x.Order.Replaces, want)
		}
	}
}
