package challenges_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

func newCAA(t testing.TB, s *dnstest.Server) *challenges.CAA {
	t.Helper()
	c, err := challenges.NewCAA(challenges.CAAConfig{
		Resolver: newResolver(t, s, egress.ResolverConfig{Timeout: time.Second}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// identities are the names of the CA of these tests.
var identities = []string{"ca.example", "ca.example.net"}

// forbids checks a verdict: kind is empty when issuance has to be allowed.
func forbids(t *testing.T, out acme.Outcome, kind acme.ProblemType, says string) {
	t.Helper()
	got := out.Problem
	if out.Valid != (got == nil) {
		t.Errorf("valid is %t with the problem %v", out.Valid, got)
	}
	switch {
	case kind == "" && got != nil:
		t.Errorf("got %v, want permission", got)
	case kind != "" && (got == nil || got.Type != kind || !strings.Contains(got.Detail, says)):
		t.Errorf("got %v, want %s that says %q", got, kind, says)
	}
}

// R8659-4-1 to -4.3-2, R8657-3-1, R8657-4-1: what a set of records means.
func TestCAARecords(t *testing.T) {
	t.Parallel()
	const none = "it is not named among"
	type verdict = string // what the refusal says; empty: allowed
	for _, tt := range []struct {
		name           string
		records        []string // flags, tag, value
		plain, wild    verdict
		method, asWhom string
	}{
		{"ours", []string{`0 issue "ca.example"`}, "", "", "", ""},
		{"our other name", []string{`0 issue "ca.example.net"`}, "", "", "", ""},
		{"in capitals", []string{`0 ISSUE "CA.EXAMPLE"`}, "", "", "", ""},
		{"with spaces", []string{`0 issue "  ca.example ; a=b ;  c-d= "`}, "", "", "", ""},
		{"semicolon at the end", []string{`0 issue "ca.example;"`}, "", "", "", ""},
		{"somebody else", []string{`0 issue "other.example"`}, none, none, "", ""},
		{"a longer name", []string{`0 issue "ca.example.org"`}, none, none, "", ""},
		{"a part of the name", []string{`0 issue "example"`}, none, none, "", ""},
		{"nobody", []string{`0 issue ";"`}, none, none, "", ""},
		{"nobody, empty", []string{`0 issue ""`}, none, none, "", ""},
		{"nobody, with parameters", []string{`0 issue "; a=b"`}, none, none, "", ""},
		{"nobody and us", []string{`0 issue ";"`, `0 issue "ca.example"`}, "", "", "", ""},
		{"grammar: no equals sign", []string{`0 issue "ca.example; a"`}, none, none, "", ""},
		{"grammar: space in a value", []string{`0 issue "ca.example; a=b c"`}, none, none, "", ""},
		{"grammar: no semicolon", []string{`0 issue "ca.example a=b"`}, none, none, "", ""},
		{"grammar: underscore in a tag", []string{`0 issue "ca.example; a_b=c"`}, none, none, "", ""},
		{"grammar: hyphen at the end", []string{`0 issue "ca.example-"`}, none, none, "", ""},
		{"grammar: empty parameter", []string{`0 issue "ca.example; ; a=b"`}, none, none, "", ""},
		{"critical and known", []string{`128 issue "ca.example"`, `128 iodef "mailto:a@b"`, `128 issuemail ";"`, `128 issuevmc ";"`}, "", "", "", ""},
		{"critical and unknown", []string{`0 issue "ca.example"`, `128 tbs "x"`}, "critical", "critical", "", ""},
		{"critical from the other end", []string{`0 issue "ca.example"`, `1 tbs "x"`}, "critical", "critical", "", ""},
		{"unknown", []string{`0 issue "ca.example"`, `0 tbs "x"`}, "", "", "", ""},
		{"other flags", []string{`0 issue "ca.example"`, `126 tbs "x"`}, "", "", "", ""},
		{"only iodef", []string{`0 iodef "mailto:a@b"`}, "", "", "", ""},
		{"only unknown", []string{`0 tbs "x"`}, "", "", "", ""},
		{"issuewild for nobody", []string{`0 issuewild ";"`}, "", none, "", ""},
		{"issuewild for us, issue for nobody", []string{`0 issuewild "ca.example"`, `0 issue ";"`}, none, "", "", ""},
		{"issuewild for nobody, issue for us", []string{`0 issuewild ";"`, `0 issue "ca.example"`}, "", none, "", ""},
		{"this account", []string{`0 issue "ca.example; accounturi=https://acme.example/acct/1"`}, "", "", "", ""},
		{"this account in capitals", []string{`0 issue "ca.example; AccountURI=https://acme.example/acct/2"`}, "another account", "another account", "", ""},
		{"another account", []string{`0 issue "ca.example; accounturi=https://acme.example/acct/2"`}, "another account", "another account", "", ""},
		{"a longer account", []string{`0 issue "ca.example; accounturi=https://acme.example/acct/11"`}, "another account", "another account", "", ""},
		{"no account in particular", []string{`0 issue "ca.example; accounturi="`}, "another account", "another account", "", "-"},
		{"account twice", []string{`0 issue "ca.example; accounturi=https://acme.example/acct/1; accounturi=https://acme.example/acct/1"`}, "two accounturi", "two accounturi", "", ""},
		{"another account, and any", []string{`0 issue "ca.example; accounturi=https://acme.example/acct/2"`, `0 issue "ca.example"`}, "", "", "", ""},
		{"this method", []string{`0 issue "ca.example; validationmethods=http-01,dns-01"`}, "", "", "dns-01", ""},
		{"a method of its own", []string{`0 issue "ca.example; validationmethods=ca-own"`}, "", "", "ca-own", ""},
		{"another method", []string{`0 issue "ca.example; validationmethods=http-01"`}, "does not allow the method dns-01", "does not allow the method dns-01", "dns-01", ""},
		{"no method", []string{`0 issue "ca.example; validationmethods="`}, "not well formed", "not well formed", "dns-01", ""},
		{"a bad label", []string{`0 issue "ca.example; validationmethods=dns-01,x_y"`}, "not well formed", "not well formed", "dns-01", ""},
		{"an empty label", []string{`0 issue "ca.example; validationmethods=dns-01,"`}, "not well formed", "not well formed", "dns-01", ""},
		{"methods twice", []string{`0 issue "ca.example; validationmethods=dns-01; validationmethods=dns-01"`}, "two validationmethods", "two validationmethods", "dns-01", ""},
		{"account and method", []string{`0 issue "ca.example; validationmethods=dns-01; accounturi=https://acme.example/acct/2"`}, "another account", "another account", "dns-01", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, "")
			for _, r := range tt.records {
				s.Add(t, "example.org. 60 IN CAA "+r)
			}
			c := newCAA(t, s)
			r := challenges.CAARequest{Name: "example.org", Identities: identities, AccountURL: accountURL, Method: acme.ChallengeType(tt.method)}
			if tt.asWhom != "" {
				r.AccountURL = ""
			}
			for wildcard, says := range map[bool]string{false: tt.plain, true: tt.wild} {
				r.Wildcard = wildcard
				kind := acme.CAA
				if says == "" {
					kind = ""
				}
				got := c.Check(t.Context(), r)
				forbids(t, got, kind, says)
				if got := got.Problem; got != nil && (got.Status != 403 || !strings.HasPrefix(got.Detail, "the CAA records of example.org do not let ca.example, ca.example.net issue for ")) {
					t.Errorf("got %d %v", got.Status, got)
				}
			}
		})
	}
}

// R8659-3-1 to -3, R8659-BR-2, -3, SD-4: which set of records counts, and that a
// failure is not permission, whatever its cause.
func TestCAATree(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
		org.                   60 IN TXT "a top-level domain"
		example.org.           60 IN CAA 0 issue ";"
		sub.example.org.       60 IN CAA 0 issue "ca.example"
		a.sub.example.org.     60 IN TXT "no CAA"
		alias.example.org.     60 IN CNAME policy.example.net.
		policy.example.net.    60 IN CAA 0 issue "ca.example"
		dangling.example.org.  60 IN CNAME nowhere.example.net.
		dname.free.org.        60 IN DNAME policy.example.net.
		a.policy.example.net.  60 IN CAA 0 issue "ca.example"
		free.org.              60 IN TXT "no CAA"
		broken.free.org.       60 IN TXT "x"
		silent.free.org.       60 IN TXT "x"
		cut.free.org.          60 IN CAA 0 issue "ca.example"
		circle.free.org.       60 IN CNAME circle.free.org.
		ok.broken.free.org.    60 IN CAA 0 issue "ca.example"
		top.                   60 IN CAA 0 issue ";"
		badtop.                60 IN TXT "x"
		a.badtop.              60 IN TXT "x"
	`)
	s.On("broken.free.org", dnstest.Fail(dns.RcodeServerFailure))
	s.On("silent.free.org", dnstest.Drop())
	s.On("cut.free.org", dnstest.Truncate(true))
	s.On("badtop", dnstest.Fail(dns.RcodeServerFailure))
	c := newCAA(t, s)
	for _, tt := range []struct {
		name string
		kind acme.ProblemType
		says string
	}{
		{"sub.example.org", "", ""},
		{"a.sub.example.org", "", ""},
		{"not.there.sub.example.org", "", ""},
		{"EXAMPLE.org", acme.CAA, "of example.org do not let"},
		{"other.example.org", acme.CAA, "of example.org do not let"},
		{"alias.example.org", "", ""},
		{"a.alias.example.org", "", ""},
		{"dangling.example.org", acme.CAA, "of example.org do not let"},
		{"a.dname.free.org", "", ""},
		{"free.org", "", ""},
		{"not.there.free.org", "", ""},
		{"broken.free.org", acme.DNS, "CAA of broken.free.org"},
		{"ok.broken.free.org", "", ""},
		{"no.broken.free.org", acme.DNS, "CAA of broken.free.org"},
		{"silent.free.org", acme.DNS, "no DNS server answered"},
		{"cut.free.org", acme.DNS, "no DNS server answered"},
		{"circle.free.org", acme.DNS, "circle"},
		{"a.top", acme.CAA, "of top do not let"},
		{"a.badtop", acme.DNS, "CAA of badtop"},
		{"missing.nowhere", acme.DNS, "the top-level domain nowhere does not exist"},
		{"nowhere", acme.DNS, "the top-level domain nowhere does not exist"},
		{"192.0.2.1", "", ""},
		{"2001:db8::1", "", ""},
		{"a..b", acme.CAA, "cannot be looked up"},
		{"", acme.CAA, "cannot be looked up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forbids(t, c.Check(t.Context(), challenges.CAARequest{Name: tt.name, Identities: identities, AccountURL: accountURL, Method: acme.HTTP01}), tt.kind, tt.says)
		})
	}
	t.Run("a failure that may pass is tried again", func(t *testing.T) {
		for name, again := range map[string]bool{"silent.free.org": true, "broken.free.org": true, "circle.free.org": false, "EXAMPLE.org": false} {
			out := c.Check(t.Context(), challenges.CAARequest{Name: name, Identities: identities})
			if out.Retry != again || len(out.Steps) == 0 {
				t.Errorf("%s: again %t, want %t; steps %v", name, out.Retry, again, out.Steps)
			}
		}
	})
	t.Run("the root is not asked", func(t *testing.T) {
		for _, q := range s.Queries() {
			if q == "CAA ." {
				t.Error("it was")
			}
		}
	})
}

// SV-8: the records of others are not shown.
func TestCAAShowsNothing(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `example.org. 60 IN CAA 128 canary "canary"
		example.net. 60 IN CAA 0 issue "canary.example; accounturi=canary"`)
	for _, name := range []string{"example.org", "example.net"} {
		out := newCAA(t, s).Check(t.Context(), challenges.CAARequest{Name: name, Identities: identities})
		if out.Problem == nil || strings.Contains(out.Problem.Detail+fmt.Sprint(out.Steps), "canary") {
			t.Errorf("got %v after %v", out.Problem, out.Steps)
		}
	}
}

func TestNewCAA(t *testing.T) {
	t.Parallel()
	r := newResolver(t, dnstest.New(t, ""), egress.ResolverConfig{})
	for says, cfg := range map[string]challenges.CAAConfig{
		"needs a resolver":   {},
		"cannot be negative": {Resolver: r, Timeout: -1},
	} {
		if _, err := challenges.NewCAA(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
}

func BenchmarkCAA(b *testing.B) {
	s := dnstest.New(b, `example.org. 60 IN CAA 0 issue "ca.example"`)
	c := newCAA(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if out := c.Check(b.Context(), challenges.CAARequest{Name: "www.example.org", Identities: identities}); !out.Valid {
			b.Fatal(out.Problem)
		}
	}
}
