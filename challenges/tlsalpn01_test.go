package challenges_test

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/challenges/tlsalpn01test"
	"acmebridge/conformance/testport"
	"acmebridge/internal/egress"
)

func newALPN(t testing.TB, s setup) *challenges.TLSALPN01 {
	t.Helper()
	v, err := challenges.NewTLSALPN01(challenges.TLSALPN01Config{Dialer: newDialer(t, &s), Port: s.port, Timeout: s.timeout})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sanOf is a raw subjectAltName of the given names.
func sanOf(t *testing.T, names ...asn1.RawValue) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
}

func name(tag int, content string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(content)}
}

// R8737-3-3 to -8, R8738-6-1: certificates, good and bad.
func TestTLSALPN01Certificates(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	identifier := tlsalpn01test.Identifier(proof)
	with := func(change func(*tlsalpn01test.Template)) tlsalpn01test.Template {
		made := tlsalpn01test.Proof("example.org", proof)
		change(&made)
		return made
	}
	value := func(der ...byte) func(*tlsalpn01test.Template) {
		return func(c *tlsalpn01test.Template) { c.Extensions[0].Value = der }
	}
	raw := func(ext ...pkix.Extension) func(*tlsalpn01test.Template) {
		return func(c *tlsalpn01test.Template) { c.DNSNames, c.Extensions = nil, append(ext, identifier) }
	}
	otherName, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	digest := identifier.Value[2:]
	unauthorized := func(says string) expect { return expect{acme.Unauthorized, false, says} }
	for _, tt := range []struct {
		name string
		cert tlsalpn01test.Template
		want expect
	}{
		{"the proof", with(func(*tlsalpn01test.Template) {}), expect{}},
		{"in capitals", with(func(c *tlsalpn01test.Template) { c.DNSNames = []string{"EXAMPLE.Org"} }), expect{}},
		{"expired", with(func(c *tlsalpn01test.Template) { c.Expired = true }), expect{}},
		{"with another extension", with(func(c *tlsalpn01test.Template) {
			c.Extensions = append(c.Extensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}})
		}), expect{}},
		{"wrong digest", tlsalpn01test.Proof("example.org", proof+"x"), unauthorized("is not the SHA-256")},
		{"no extension", with(func(c *tlsalpn01test.Template) { c.Extensions = nil }), unauthorized("has no acmeIdentifier")},
		{"not critical", with(func(c *tlsalpn01test.Template) { c.Extensions[0].Critical = false }), unauthorized("not critical")},
		{"obsolete extension", with(func(c *tlsalpn01test.Template) {
			c.Extensions[0].Id = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 30, 1}
		}), unauthorized("early draft")},
		{"obsolete extension besides", with(func(c *tlsalpn01test.Template) {
			old := c.Extensions[0]
			old.Id = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 30, 1}
			c.Extensions = append(c.Extensions, old)
		}), unauthorized("early draft")},
		{"extension twice", with(func(c *tlsalpn01test.Template) { c.Extensions = append(c.Extensions, identifier) }), unauthorized("once")},
		{"bare digest", with(value(digest...)), unauthorized("is not the SHA-256")},
		{"short digest", with(value(append([]byte{4, 31}, digest[:31]...)...)), unauthorized("is not the SHA-256")},
		{"long digest", with(value(append(append([]byte{4, 33}, digest...), 0)...)), unauthorized("is not the SHA-256")},
		{"trailing byte", with(value(append(append([]byte{4, 32}, digest...), 0)...)), unauthorized("is not the SHA-256")},
		{"empty value", with(value()), unauthorized("is not the SHA-256")},
		{"indefinite length", with(value(append(append([]byte{0x24, 0x80, 4, 32}, digest...), 0, 0)...)), unauthorized("is not the SHA-256")},
		{"wrong name", with(func(c *tlsalpn01test.Template) { c.DNSNames = []string{canary + ".example"} }), unauthorized("does not name example.org")},
		{"a prefix of the name", with(func(c *tlsalpn01test.Template) { c.DNSNames = []string{"example.or"} }), unauthorized("does not name")},
		{"a dot behind", with(raw(sanOf(t, name(2, "example.org.")))), unauthorized("does not name")},
		{"no name", with(func(c *tlsalpn01test.Template) { c.DNSNames = nil }), unauthorized("no subject alternative name")},
		{"name in the subject only", with(func(c *tlsalpn01test.Template) { c.DNSNames, c.Subject = nil, "example.org" }), unauthorized("no subject alternative name")},
		{"empty SAN", with(raw(sanOf(t))), unauthorized("does not name")},
		{"extra name", with(func(c *tlsalpn01test.Template) { c.DNSNames = append(c.DNSNames, "other.example") }), unauthorized("and nothing else")},
		{"the name twice", with(func(c *tlsalpn01test.Template) { c.DNSNames = append(c.DNSNames, "example.org") }), unauthorized("and nothing else")},
		{"an e-mail address besides", with(func(c *tlsalpn01test.Template) { c.Emails = []string{"a@example.org"} }), unauthorized("and nothing else")},
		{"a URI besides", with(raw(sanOf(t, name(2, "example.org"), name(6, "https://example.org")))), unauthorized("and nothing else")},
		{"an other name besides", with(raw(sanOf(t, name(2, "example.org"), asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: append(otherName, 0xa0, 2, 5, 0)}))), unauthorized("and nothing else")},
		{"a registered id besides", with(raw(sanOf(t, name(2, "example.org"), name(8, "\x2a\x03")))), unauthorized("and nothing else")},
		{"an address besides", with(func(c *tlsalpn01test.Template) { c.Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1")} }), unauthorized("and nothing else")},
		{"an address instead", tlsalpn01test.Proof("127.0.0.1", proof), unauthorized("does not name")},
		{"the name as an e-mail address", with(raw(sanOf(t, name(1, "example.org")))), unauthorized("does not name")},
		{"a second SAN", with(raw(sanOf(t, name(2, "example.org")), sanOf(t, name(2, "other.example")))), unauthorized("once")},
		{"the same SAN twice", with(raw(sanOf(t, name(2, "example.org")), sanOf(t, name(2, "example.org")))), unauthorized("once")},
		{"signed by another", with(func(c *tlsalpn01test.Template) { c.Issuer = "Some CA" }), unauthorized("not self-signed")},
		{"signed by itself for another", with(func(c *tlsalpn01test.Template) { c.Issuer, c.OwnKey = "Some CA", true }), unauthorized("not self-signed")},
		{"signed by another of the same name", with(func(c *tlsalpn01test.Template) { c.Issuer = c.Subject }), unauthorized("not self-signed")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tlsalpn01test.New(t, "127.0.0.1:0")
			s.Show(tt.cert.Make(t))
			got := newALPN(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org"))
			check(t, got, tt.want)
			if text, _ := json.Marshal(got); strings.Contains(string(text), canary) { // SV-8
				t.Errorf("the outcome shows what was fetched: %s", text)
			}
			if got.Problem != nil && !strings.HasPrefix(got.Problem.Detail, "acme-tls/1 of example.org at "+s.Addr().String()+": ") {
				t.Errorf("detail %q", got.Problem.Detail)
			}
			if len(got.Steps) != 1 || got.Steps[0].Addr != s.Addr().String() || got.Steps[0].Host != "example.org" {
				t.Errorf("steps %v", got.Steps)
			}
		})
	}
}

// R8737-3-11: the first certificate counts, whatever its dates, and whatever
// follows it; a proof further up is none.
func TestTLSALPN01Chain(t *testing.T) {
	t.Parallel()
	proofOf := func(keyAuthorization string, expired bool) tls.Certificate {
		made := tlsalpn01test.Proof("example.org", keyAuthorization)
		made.Expired = expired
		return made.Make(t)
	}
	good, wrong, old := proofOf(proof, false), proofOf(proof+"x", false), proofOf(proof, true)
	for name, tt := range map[string]struct {
		first, above tls.Certificate
		want         expect
	}{
		"a proof, then something else":        {good, wrong, expect{}},
		"an expired proof, then another":      {old, good, expect{}},
		"something else, then a proof":        {wrong, good, expect{acme.Unauthorized, false, "is not the SHA-256"}},
		"something else, then an expired one": {wrong, old, expect{acme.Unauthorized, false, "is not the SHA-256"}},
		"a proof, and the same once more":     {good, good, expect{}},
		"a wrong one, and the same once more": {wrong, wrong, expect{acme.Unauthorized, false, "is not the SHA-256"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tlsalpn01test.New(t, "127.0.0.1:0")
			shown := tt.first
			shown.Certificate = append(slices.Clone(shown.Certificate), tt.above.Certificate...)
			s.Show(shown)
			check(t, newALPN(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org")), tt.want)
		})
	}
}

// R8738-6-1: addresses. The name that the client asks for is the reverse one.
func TestTLSALPN01Addresses(t *testing.T) {
	t.Parallel()
	const reverse6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"
	for _, tt := range []struct {
		host, shown string
		sni         string
		want        expect
	}{
		{"127.0.0.1", "127.0.0.1", "1.0.0.127.in-addr.arpa", expect{}},
		{"::1", "::1", reverse6, expect{}},
		{"127.0.0.1", "127.0.0.2", "1.0.0.127.in-addr.arpa", expect{acme.Unauthorized, false, "does not name 127.0.0.1"}},
		{"::1", "::2", reverse6, expect{acme.Unauthorized, false, "does not name ::1"}},
		{"127.0.0.1", "1.0.0.127.in-addr.arpa", "1.0.0.127.in-addr.arpa", expect{acme.Unauthorized, false, "does not name"}},
	} {
		t.Run(tt.host+" "+tt.shown, func(t *testing.T) {
			t.Parallel()
			s := tlsalpn01test.New(t, netip.AddrPortFrom(netip.MustParseAddr(tt.host), 0).String())
			s.Show(tlsalpn01test.Proof(tt.shown, proof).Make(t))
			check(t, newALPN(t, setup{port: s.Addr().Port(), allow: "127.0.0.1/32 ::1/128"}).Validate(t.Context(), target(tt.host)), tt.want)
			if h := s.Hellos(); len(h) != 1 || h[0].ServerName != tt.sni {
				t.Errorf("hellos %+v, want one for %s", h, tt.sni)
			}
		})
	}
}

// R8737-3-1, -2, -9, R8737-4-1, SV-10: what we say, and that it is all we say.
func TestTLSALPN01Hello(t *testing.T) {
	t.Parallel()
	s := tlsalpn01test.New(t, "127.0.0.1:0")
	s.Show(tlsalpn01test.Proof("example.org", proof).Make(t))
	check(t, newALPN(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org")), expect{})
	h := s.Hellos()
	if len(h) != 1 || s.Connections() != 1 {
		t.Fatalf("%d hellos on %d connections", len(h), s.Connections())
	}
	if h[0].ServerName != "example.org" || fmt.Sprint(h[0].SupportedProtos) != "[acme-tls/1]" {
		t.Errorf("asked for %s with %v", h[0].ServerName, h[0].SupportedProtos)
	}
	for _, version := range h[0].SupportedVersions {
		if version < tls.VersionTLS12 {
			t.Errorf("offers %s", tls.VersionName(version))
		}
	}
	if s.Data() != 0 {
		t.Errorf("%d bytes after the handshake", s.Data())
	}
}

// R8737-3-3, R8737-4-1, SV-12: servers that never get so far as a certificate.
func TestTLSALPN01Servers(t *testing.T) {
	t.Parallel()
	good := func(t *testing.T) tls.Certificate { return tlsalpn01test.Proof("example.org", proof).Make(t) }
	for _, tt := range []struct {
		name   string
		server func(*testing.T, *tlsalpn01test.Server)
		want   expect
	}{
		{"HTTP", func(_ *testing.T, s *tlsalpn01test.Server) {
			s.On(tlsalpn01test.Raw("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, expect{acme.TLS, false, "does not speak TLS"}},
		{"TLS 1.1", func(t *testing.T, s *tlsalpn01test.Server) {
			s.Serve(&tls.Config{NextProtos: []string{"acme-tls/1"}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, good(t))
		}, expect{acme.TLS, false, ""}},
		{"TLS 1.2", func(t *testing.T, s *tlsalpn01test.Server) {
			s.Serve(&tls.Config{NextProtos: []string{"acme-tls/1"}, MaxVersion: tls.VersionTLS12}, good(t))
		}, expect{}},
		{"without ALPN", func(t *testing.T, s *tlsalpn01test.Server) {
			s.Serve(&tls.Config{}, good(t))
		}, expect{acme.Unauthorized, false, "does not speak the protocol acme-tls/1"}},
		{"with another protocol", func(t *testing.T, s *tlsalpn01test.Server) {
			s.Serve(&tls.Config{NextProtos: []string{"h2", "http/1.1"}}, good(t))
		}, expect{acme.TLS, false, "does not know the protocol acme-tls/1"}},
		{"without a certificate", func(_ *testing.T, s *tlsalpn01test.Server) {
			s.Serve(&tls.Config{NextProtos: []string{"acme-tls/1"}})
		}, expect{acme.TLS, false, "alert"}},
		{"wants a certificate", func(t *testing.T, s *tlsalpn01test.Server) {
			s.Serve(&tls.Config{NextProtos: []string{"acme-tls/1"}, ClientAuth: tls.RequestClientCert}, good(t))
		}, expect{}},
		{"a reset", func(_ *testing.T, s *tlsalpn01test.Server) { s.On(tlsalpn01test.Reset()) }, expect{acme.Connection, true, "reset"}},
		{"nothing", func(_ *testing.T, s *tlsalpn01test.Server) { s.On(tlsalpn01test.Raw("")) }, expect{acme.Connection, true, "closed while starting TLS"}},
		{"silence", func(_ *testing.T, s *tlsalpn01test.Server) { s.On(tlsalpn01test.Silent()) }, expect{acme.Connection, true, "time ran out while starting TLS"}},
		{"garbage", func(_ *testing.T, s *tlsalpn01test.Server) {
			s.On(tlsalpn01test.Raw("\x16\x03\x03\x00\x04\xff\xff\xff\xff"))
		}, expect{acme.TLS, false, "handshake failed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tlsalpn01test.New(t, "127.0.0.1:0")
			tt.server(t, s)
			wait := 20 * time.Second
			if tt.name == "silence" {
				wait = 100 * time.Millisecond
			}
			check(t, newALPN(t, setup{port: s.Addr().Port(), timeout: wait}).Validate(t.Context(), target("example.org")), tt.want)
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		port := uint16(testport.Port(t))
		check(t, newALPN(t, setup{port: port}).Validate(t.Context(), target("example.org")), expect{acme.Connection, true, "refused"})
	})
	t.Run("the caller leaves", func(t *testing.T) {
		t.Parallel()
		s := tlsalpn01test.New(t, "127.0.0.1:0")
		s.On(tlsalpn01test.Silent())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		check(t, newALPN(t, setup{port: s.Addr().Port()}).Validate(ctx, target("example.org")), expect{acme.ServerInternal, true, "interrupted"})
	})
	t.Run("IPv6 cannot be connected to", func(t *testing.T) {
		t.Parallel()
		s := tlsalpn01test.New(t, testport.Address(t))
		s.Show(good(t))
		v := newALPN(t, setup{names: at(map[string]string{"example.org": "127.0.0.1 ::1"}), allow: "127.0.0.1/32 ::1/128", port: s.Addr().Port()})
		got := v.Validate(t.Context(), target("example.org"))
		check(t, got, expect{})
		if len(got.Steps) != 2 || !strings.Contains(got.Steps[0].Result, "refused") || got.Steps[1].Result != "" {
			t.Errorf("steps %v", got.Steps)
		}
	})
}

// R8737-3-10, DV-9, SV-1: targets that are refused before anything is sent, and
// addresses that are not connected to.
func TestTLSALPN01RefusesTargets(t *testing.T) {
	t.Parallel()
	s := tlsalpn01test.New(t, "127.0.0.1:0")
	for says, change := range map[string]func(*challenges.Target){
		"wildcard":             func(t *challenges.Target) { t.Wildcard = true },
		"token is not":         func(t *challenges.Target) { t.Token = "a b" },
		"begin with its token": func(t *challenges.Target) { t.KeyAuthorization = "other.x" },
		"neither a DNS name":   func(t *challenges.Target) { t.Identifier.Value = "exa mple.org" },
		"of type \"dns\"":      func(t *challenges.Target) { t.Identifier.Value = "127.0.0.1" },
		"of type \"ip\"":       func(t *challenges.Target) { t.Identifier.Type = acme.IPIdentifier },
	} {
		to := target("example.org")
		change(&to)
		check(t, newALPN(t, setup{port: s.Addr().Port()}).Validate(t.Context(), to), expect{acme.Malformed, false, says})
	}
	inside := at(map[string]string{"example.org": "127.0.0.2", "gone.example": "127.0.0.1"})
	inside.errs = map[string]error{"gone.example": egress.ErrNoSuchName}
	v := newALPN(t, setup{names: inside, port: s.Addr().Port()})
	got := v.Validate(t.Context(), target("example.org"))
	check(t, got, expect{acme.Connection, false, "does not connect to loopback addresses"})
	if strings.Contains(got.Problem.Detail, "127.0.0.2") {
		t.Errorf("the detail shows the address: %s", got.Problem.Detail)
	}
	check(t, v.Validate(t.Context(), target("gone.example")), expect{acme.DNS, false, "NXDOMAIN"})
	if s.Connections() != 0 {
		t.Errorf("%d connections", s.Connections())
	}
}

func TestNewTLSALPN01(t *testing.T) {
	t.Parallel()
	s := setup{}
	d := newDialer(t, &s)
	for says, cfg := range map[string]challenges.TLSALPN01Config{"needs a dialer": {}, "cannot be negative": {Dialer: d, Timeout: -1}} {
		if _, err := challenges.NewTLSALPN01(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
	if v, err := challenges.NewTLSALPN01(challenges.TLSALPN01Config{Dialer: d}); err != nil || v.Type() != acme.TLSALPN01 {
		t.Errorf("got %v, %v", v, err)
	}
}

func BenchmarkTLSALPN01(b *testing.B) {
	s := tlsalpn01test.New(b, "127.0.0.1:0")
	s.Show(tlsalpn01test.Proof("example.org", proof).Make(b))
	v := newALPN(b, setup{port: s.Addr().Port()})
	to := target("example.org")
	b.ReportAllocs()
	for b.Loop() {
		if got := v.Validate(b.Context(), to); !got.Valid {
			b.Fatal(errors.New(got.Problem.Detail))
		}
	}
}
