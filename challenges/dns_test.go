package challenges_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

const accountURL = "https://acme.example/acct/1"

func newResolver(t testing.TB, s *dnstest.Server, cfg egress.ResolverConfig) *egress.Resolver {
	t.Helper()
	cfg.Servers = []string{s.Addr()}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	r, err := egress.NewResolver(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newDNS01(t testing.TB, s *dnstest.Server, timeout time.Duration) *challenges.DNS01 {
	t.Helper()
	v, err := challenges.NewDNS01(challenges.DNSConfig{Resolver: newResolver(t, s, egress.ResolverConfig{Timeout: timeout})})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// digest is what a record has to hold, made in the test's own way
// (R8555-8.4-2).
func digest(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(base64.StdEncoding.EncodeToString(sum[:]))
}

// R8555-8.4-1 to -7, SD-3, SD-4, SV-8.
func TestDNS01(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-7f3a"
	want := digest(proof)
	txt := func(values ...string) func(*dnstest.Server, string) {
		return func(s *dnstest.Server, at string) {
			for _, v := range values {
				s.AddTXT(at, v)
			}
		}
	}
	behave := func(b dnstest.Behaviour) func(*dnstest.Server, string) {
		return func(s *dnstest.Server, at string) {
			s.AddTXT(at, want)
			s.On(at, b)
		}
	}
	unauthorized := func(says string) expect { return expect{acme.Unauthorized, false, says} }
	for _, tt := range []struct {
		name string
		zone func(s *dnstest.Server, at string)
		want expect
	}{
		{"the record", txt(want), expect{}},
		{"among others", txt(canary, want, canary+" more"), expect{}},
		{"in two strings", func(s *dnstest.Server, at string) { s.AddTXT(at, want[:20], want[20:]) }, expect{}},
		{"in two records", txt(want[:20], want[20:]), unauthorized("2 with something else")},
		{"by an alias", func(s *dnstest.Server, at string) {
			s.Add(t, at+". 60 IN CNAME validation.example.net.")
			s.AddTXT("validation.example.net", want)
		}, expect{}},
		{"by a DNAME", func(s *dnstest.Server, at string) {
			s.Add(t, "example.org. 60 IN DNAME example.net.")
			s.AddTXT("_acme-challenge.example.net", want)
		}, expect{}},
		{"truncated over UDP", behave(dnstest.Truncate(false)), expect{}},
		{"in lower case by the server", behave(dnstest.LowerCase()), expect{}},
		{"no name", func(*dnstest.Server, string) {}, unauthorized("NXDOMAIN")},
		{"no record", func(s *dnstest.Server, at string) { s.Add(t, at+". 60 IN A 192.0.2.1") }, unauthorized("no TXT record")},
		{"an alias to nowhere", func(s *dnstest.Server, at string) { s.Add(t, at+". 60 IN CNAME missing.example.net.") }, unauthorized("1 alias, the last to missing.example.net")},
		{"something else", txt(canary), unauthorized("43 characters: 1 with something else")},
		{"two wrong ones", txt(canary, digest("other")), unauthorized("1 with another digest (of another order, or of another account key), 1 with something else")},
		{"the key authorization", txt(proof), unauthorized("publish its SHA-256")},
		{"in quotes", txt(`"` + want + `"`), unauthorized("in quotes")},
		{"with a space", txt(want + " "), unauthorized("with spaces")},
		{"padded", txt(want + "="), unauthorized("publish it exactly")},
		{"in lower case", txt(strings.ToLower(want)), unauthorized("in another case")},
		{"empty", txt(""), unauthorized("something else")},
		{"SERVFAIL", behave(dnstest.Fail(dns.RcodeServerFailure)), expect{acme.DNS, true, "SERVFAIL"}},
		{"REFUSED", behave(dnstest.Fail(dns.RcodeRefused)), expect{acme.DNS, true, "SERVFAIL or the like"}},
		{"silence", behave(dnstest.Drop()), expect{acme.DNS, true, "no DNS server answered"}},
		{"truncated over TCP", behave(dnstest.Truncate(true)), expect{acme.DNS, true, "no DNS server answered"}},
		{"a circle", func(s *dnstest.Server, at string) {
			s.Add(t, at+". 60 IN CNAME b.example.net.")
			s.Add(t, "b.example.net. 60 IN CNAME "+at+".")
		}, expect{acme.DNS, false, "in a circle"}},
		{"a flood", func(s *dnstest.Server, at string) {
			for range 51 {
				s.AddTXT(at, want, canary)
			}
		}, expect{acme.DNS, false, "larger"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, "")
			tt.zone(s, "_acme-challenge.example.org")
			wait := 5 * time.Second
			if tt.name == "silence" {
				wait = 300 * time.Millisecond
			}
			v := newDNS01(t, s, wait)
			got := v.Validate(t.Context(), target("example.org"))
			check(t, got, tt.want)
			if text, _ := json.Marshal(got); strings.Contains(string(text), canary) {
				t.Errorf("the outcome shows what was fetched: %s", text)
			}
			if got.Problem != nil && !strings.HasPrefix(got.Problem.Detail, "TXT of _acme-challenge.example.org") {
				t.Errorf("detail %q", got.Problem.Detail)
			}
			if len(got.Steps) != 1 || got.Steps[0].Query != "TXT" || got.Steps[0].Host != "_acme-challenge.example.org" {
				t.Errorf("steps %v", got.Steps)
			}
			// R8555-8.4-1: a wildcard is proved at the same place.
			wild := target("example.org")
			wild.Wildcard = true
			if tt.want.kind == "" || tt.want.kind == acme.Unauthorized {
				check(t, v.Validate(t.Context(), wild), tt.want)
			}
		})
	}
}

// SD-6: nothing is kept from one validation to the next.
func TestDNS01KeepsNothing(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	v := newDNS01(t, s, 0)
	check(t, v.Validate(t.Context(), target("example.org")), expect{acme.Unauthorized, false, "NXDOMAIN"})
	s.AddTXT("_acme-challenge.example.org", digest(proof))
	check(t, v.Validate(t.Context(), target("example.org")), expect{})
	s.Remove("_acme-challenge.example.org")
	check(t, v.Validate(t.Context(), target("example.org")), expect{acme.Unauthorized, false, "NXDOMAIN"})
}

// SD-5: with a resolver that insists on DNSSEC, an answer without it is none.
func TestDNS01WithDNSSEC(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	s.AddTXT("_acme-challenge.example.org", digest(proof))
	v, err := challenges.NewDNS01(challenges.DNSConfig{Resolver: newResolver(t, s, egress.ResolverConfig{DNSSEC: egress.DNSSECRequire})})
	if err != nil {
		t.Fatal(err)
	}
	check(t, v.Validate(t.Context(), target("example.org")), expect{acme.DNS, false, "not authenticated by DNSSEC"})
	s.Sign()
	got := v.Validate(t.Context(), target("example.org"))
	check(t, got, expect{})
	if !got.Steps[0].Authenticated {
		t.Errorf("steps %v, want the first to be authenticated", got.Steps)
	}
}

// R8555-8.4-8, R8738-7-1: what cannot be proved this way.
func TestDNSRefusesTargets(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	account, err := challenges.NewDNSAccount01(challenges.DNSConfig{Resolver: newResolver(t, s, egress.ResolverConfig{})})
	if err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*challenges.Target){
		"addresses": func(t *challenges.Target) {
			t.Identifier = acme.Identifier{Type: acme.IPIdentifier, Value: "192.0.2.1"}
		},
		"through the DNS":      func(t *challenges.Target) { t.Identifier.Type = acme.IPIdentifier },
		"token is not":         func(t *challenges.Target) { t.Token = "" },
		"begin with its token": func(t *challenges.Target) { t.KeyAuthorization = "x" },
		"neither a DNS name":   func(t *challenges.Target) { t.Identifier.Value = "a..b" },
		"longer than 253":      func(t *challenges.Target) { t.Identifier.Value = strings.Repeat("abcdefg.", 31) + "xy" },
	} {
		to := target("example.org")
		to.AccountURL = accountURL
		change(&to)
		for _, v := range []challenges.Validator{newDNS01(t, s, 0), account} {
			check(t, v.Validate(t.Context(), to), expect{acme.Malformed, false, says})
		}
	}
	check(t, account.Validate(t.Context(), target("example.org")), expect{acme.Malformed, false, "names no account"})
	if n := len(s.Queries()); n != 0 {
		t.Errorf("%d queries", n)
	}
	for _, bad := range []challenges.DNSConfig{{}, {Resolver: newResolver(t, s, egress.ResolverConfig{}), Timeout: -1}} {
		if _, err := challenges.NewDNS01(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
		if _, err := challenges.NewDNSAccount01(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// RDAL-1, RDAL-5: the vector of the draft.
func TestAccountLabel(t *testing.T) {
	t.Parallel()
	if got := challenges.AccountLabel("https://example.com/acme/acct/ExampleAccount"); got != "_ujmmovf2vn55tgye" {
		t.Errorf("got %s", got)
	}
}

// RDAL-1, -2, -4.
func TestDNSAccount01(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	v, err := challenges.NewDNSAccount01(challenges.DNSConfig{Resolver: newResolver(t, s, egress.ResolverConfig{})})
	if err != nil || v.Type() != acme.DNSAccount01 {
		t.Fatal(err)
	}
	to := target("example.org")
	to.AccountURL = accountURL
	// The record of dns-01, or of another account, is no record.
	s.AddTXT("_acme-challenge.example.org", digest(proof))
	s.AddTXT(challenges.AccountLabel("https://acme.example/acct/2")+"._acme-challenge.example.org", digest(proof))
	check(t, v.Validate(t.Context(), to), expect{acme.Unauthorized, false, "made of the account URL " + accountURL})
	s.AddTXT(challenges.AccountLabel(accountURL)+"._acme-challenge.example.org", "wrong")
	check(t, v.Validate(t.Context(), to), expect{acme.Unauthorized, false, "1 with something else"})
	s.AddTXT(challenges.AccountLabel(accountURL)+"._acme-challenge.example.org", digest(proof))
	check(t, v.Validate(t.Context(), to), expect{})
	to.Wildcard = true
	check(t, v.Validate(t.Context(), to), expect{})
}

func BenchmarkDNS01(b *testing.B) {
	s := dnstest.New(b, "")
	s.AddTXT("_acme-challenge.example.org", digest(proof))
	v := newDNS01(b, s, 0)
	to := target("example.org")
	b.ReportAllocs()
	for b.Loop() {
		if got := v.Validate(b.Context(), to); !got.Valid {
			b.Fatal(got.Problem)
		}
	}
}
