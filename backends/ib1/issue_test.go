package ib1_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*ib1.Settings)
		want   string
	}{
		{"fits", func(*ib1.Settings) {}, ""},
		{"names of their own", func(s *ib1.Settings) {
			s.RootNames = map[ib1.Tree]string{ib1.Client: "Core (sandbox) Trust Framework client CA"}
		}, ""},
		{"no label", func(s *ib1.Settings) { s.Label = "" }, "no label"},
		{"country that is in use and is none", func(s *ib1.Settings) { s.Country = "UK" }, "such as GB"},
		{"country in small letters", func(s *ib1.Settings) { s.Country = "gb" }, "such as GB"},
		{"label too long for the names", func(s *ib1.Settings) { s.Label = strings.Repeat("x", 50) }, "64 is the most"},
		{"https", func(s *ib1.Settings) { s.PublicURL = "https://pki.example.org" }, "with http"},
		{"slash at the end", func(s *ib1.Settings) { s.PublicURL += "/" }, "without a slash"},
		{"no host", func(s *ib1.Settings) { s.PublicURL = "http://" }, "public URL"},
		{"regeneration too short for the lists of load balancers", func(s *ib1.Settings) { s.RegenerationDays = 13 }, "14 to 1000"},
		{"one name in two trees", func(s *ib1.Settings) {
			s.RootNames = map[ib1.Tree]string{ib1.Client: "One", ib1.Signing: "One"}
		}, "tells their certificates apart"},
		{"root and issuer of one name", func(s *ib1.Settings) {
			s.RootNames, s.IssuerNames = map[ib1.Tree]string{ib1.Client: "One"}, map[ib1.Tree]string{ib1.Client: "One"}
		}, "have one name"},
	} {
		s := settings()
		tt.change(&s)
		_, err := ib1.New(s)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestDates: both ends count, so every validity is a second short of the sum
// (section 2 has the dates).
func TestDates(t *testing.T) {
	t.Parallel()
	for tree, want := range map[ib1.Tree][3]string{
		ib1.Client: {"2051-12-01T23:59:59Z", "2028-02-28T23:59:59Z", "2027-11-30T23:59:59Z"},
		ib1.Server: {"2051-12-01T23:59:59Z", "2027-03-01T23:59:59Z", "2026-12-01T23:59:59Z"},
	} {
		w := newWorld(t, tree)
		leaf := issue(t, w, tree, birth)
		for i, c := range []*x509.Certificate{w.root.Certificate(), w.issuer.Certificate(), leaf} {
			if got := c.NotAfter.UTC().Format(time.RFC3339); got != want[i] {
				t.Errorf("%s: ends on %s, want %s", c.Subject, got, want[i])
			}
		}
		if w.framework.Phase(tree, w.issuer.Certificate(), birth.Add(90*day)) != ib1.Active {
			t.Errorf("%s: not active in the last second", tree)
		}
	}
}

func issue(t *testing.T, w world, tree ib1.Tree, now time.Time) *x509.Certificate {
	t.Helper()
	if tree == ib1.Server {
		return must(w.issuer.IssueServer([]string{"www.example.org", "example.org"}, newKey(t, elliptic.P256()).Public(), at(now)))
	}
	return must(w.issuer.IssueMember(holder(), newKey(t, elliptic.P256()).Public(), at(now)))
}

// TestNothingOutlivesItsIssuer: at the edge it is issued in full, and a second
// later not at all.
func TestNothingOutlivesItsIssuer(t *testing.T) {
	t.Parallel()
	for _, tree := range ib1.Trees() {
		w := newWorld(t, tree)
		edge := w.framework.LastStart(tree, w.issuer.Certificate())
		if edge != birth.Add(90*day) {
			t.Errorf("%s: the last start is %s", tree, edge)
		}
		if leaf := issue(t, w, tree, edge.Add(time.Second-1)); !leaf.NotAfter.Equal(w.issuer.Certificate().NotAfter) {
			t.Errorf("%s: ends on %s, want the end of the issuer", tree, leaf.NotAfter)
		}
		key := newKey(t, elliptic.P256()).Public()
		var err error
		if tree == ib1.Server {
			_, err = w.issuer.IssueServer([]string{"www.example.org"}, key, at(edge.Add(time.Second)))
		} else {
			_, err = w.issuer.IssueMember(holder(), key, at(edge.Add(time.Second)))
		}
		if !errors.Is(err, ib1.ErrRotate) {
			t.Errorf("%s: a second too late: got %v", tree, err)
		}
		late := w.root.Certificate().NotAfter.Add(time.Second - w.framework.IssuerValidity(tree))
		if _, err := w.root.CreateIssuer(key, at(late)); err != nil {
			t.Errorf("%s: the last issuer that fits: %v", tree, err)
		}
		if _, err := w.root.CreateIssuer(key, at(late.Add(time.Second))); !errors.Is(err, ib1.ErrRotate) {
			t.Errorf("%s: an issuer that would outlive the root: got %v", tree, err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	client, server := newWorld(t, ib1.Client), newWorld(t, ib1.Server)
	key := newKey(t, elliptic.P256()).Public()
	member := func(change func(*ib1.Holder)) error {
		h := holder()
		change(&h)
		_, err := client.issuer.IssueMember(h, key, at(birth))
		return err
	}
	for name, err := range map[string]error{
		"64 characters is the most": member(func(h *ib1.Holder) {
			h.Application = "https://directory.core.trust.ib1.org/scheme/perseus/application/38936455"
		}),
		"legal name: 64 is the most":     member(func(h *ib1.Holder) { h.Organization = strings.Repeat("é", 65) }),
		"country: such as GB":            member(func(h *ib1.Holder) { h.Country = "UK" }),
		"application over http":          member(func(h *ib1.Holder) { h.Application = "http://directory.example/a/1" }),
		"application that Go rewrites":   member(func(h *ib1.Holder) { h.Application = "HTTPS://directory.example/a/1" }),
		"no role":                        member(func(h *ib1.Holder) { h.Roles = nil }),
		"member over http":               member(func(h *ib1.Holder) { h.Member = "http://directory.example/m/1" }),
		"P-384":                          second(client.issuer.IssueMember(holder(), newKey(t, elliptic.P384()).Public(), at(birth))),
		"the issuer's own key":           second(client.issuer.IssueMember(holder(), client.ownKey.Public(), at(birth))),
		"no serial number":               second(client.issuer.IssueMember(holder(), key, ib1.Issuance{Now: birth})),
		"serial number of the issuer":    second(client.issuer.IssueMember(holder(), key, ib1.Issuance{Serial: client.issuer.Certificate().SerialNumber, Now: birth})),
		"serial number not drawn for it": second(client.issuer.IssueMember(holder(), key, ib1.Issuance{Serial: big.NewInt(0), Now: birth})),
		"before the issuer":              second(client.issuer.IssueMember(holder(), key, at(birth.Add(-time.Second)))),
		"by the root":                    second(client.root.IssueMember(holder(), key, at(birth))),
		"an issuer below an issuer":      second(client.issuer.CreateIssuer(key, at(birth))),
		"a member in the server tree":    second(server.issuer.IssueMember(holder(), key, at(birth))),
		"a server in the client tree":    second(client.issuer.IssueServer([]string{"www.example.org"}, key, at(birth))),
		"a wildcard":                     second(server.issuer.IssueServer([]string{"*.example.org"}, key, at(birth))),
		"no host":                        second(server.issuer.IssueServer(nil, key, at(birth))),
		"an address":                     second(server.issuer.IssueServer([]string{"https://www.example.org"}, key, at(birth))),
		"capitals":                       second(server.issuer.IssueServer([]string{"WWW.example.org"}, key, at(birth))),
		"a root with P-256":              second(client.framework.CreateRoot(ib1.Client, newKey(t, elliptic.P256()), at(birth))),
		"a root of no tree":              second(client.framework.CreateRoot("other", newKey(t, elliptic.P384()), at(birth))),
	} {
		if err == nil {
			t.Errorf("%s: it was issued", name)
		}
	}
	// 64 characters fit.
	edge := holder()
	edge.Application = "https://directory.core.development.trust.ib1.org/member/tezdi16s"
	if _, err := client.issuer.IssueMember(edge, key, at(birth)); err != nil {
		t.Errorf("64 characters: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestSerial(t *testing.T) {
	t.Parallel()
	asked := 0
	for range 200 {
		serial, err := ib1.NewSerial(rand.Reader, func(*big.Int) (bool, error) { asked++; return asked%3 == 0, nil })
		if err != nil {
			t.Fatal(err)
		}
		if b := serial.Bytes(); len(b) != 16 || b[0]>>6 != 1 {
			t.Fatalf("%x is not of 16 octets that begin 01", b)
		}
	}
	if asked <= 200 {
		t.Error("a number that was in use was not drawn again")
	}
	if _, err := ib1.NewSerial(rand.Reader, func(*big.Int) (bool, error) { return true, nil }); !errors.Is(err, ib1.ErrSerial) {
		t.Errorf("all in use: got %v", err)
	}
	broken := errors.New("registry on fire")
	if _, err := ib1.NewSerial(rand.Reader, func(*big.Int) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("unknown: got %v", err)
	}
	if _, err := ib1.NewSerial(strings.NewReader("short"), func(*big.Int) (bool, error) { return false, nil }); err == nil {
		t.Error("a number was made of too little randomness")
	}
}

func TestReadCSR(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	good := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))
	if csr, err := ib1.ReadCSR(good); err != nil || !key.PublicKey.Equal(csr.PublicKey) {
		t.Errorf("a request without names: %v", err)
	}
	good[len(good)-1] ^= 1
	if _, err := ib1.ReadCSR(good); err == nil {
		t.Error("a broken signature was accepted")
	}
	large := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, newKey(t, elliptic.P384())))
	if _, err := ib1.ReadCSR(large); !errors.Is(err, ib1.ErrKey) {
		t.Errorf("P-384: %v", err)
	}
}
