package acme

import (
	"strings"
	"testing"
)

func TestCoveredBy(t *testing.T) { // R8555-7.4-19
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"www.example.org", "www.example.org", true},
		{"www.example.org", "example.org", false},
		{"example.org", "www.example.org", false},
		{".example.org", "www.example.org", true},
		{".example.org", "a.b.example.org", true},
		{".example.org", "example.org", false},
		{".example.org", "badexample.org", false},
		{".example.org", "example.org.evil.net", false},
		{".example.org", "*.example.org", true},
		{".example.org", "*.a.example.org", true},
		{".a.example.org", "*.example.org", false},
		{"www.example.org", "*.example.org", false},
		{"*.example.org", "*.example.org", true},
		{"*.example.org", "a.example.org", false},
		{"*", "anything.net", true},
		{"*", "*.anything.net", true},
		{"", "a.net", false},
		{".", "a.net", false},
	} {
		if got := coveredBy([]string{"never.net", tt.pattern}, Identifier{Type: DNSIdentifier, Value: tt.name}); got != tt.want {
			t.Errorf("pattern %q covers %q: %t, want %t", tt.pattern, tt.name, got, tt.want)
		}
	}
}

func TestMemberAllows(t *testing.T) { // D12
	t.Parallel()
	member := Member{ID: "m1", Status: MemberActive, Identifiers: []string{".m1.net"}, Profiles: []ProfileName{"tls"}}
	if p := MemberAllows(member, "tls", names("a.m1.net")); p != nil {
		t.Errorf("refused: %v", p)
	}
	if p := MemberAllows(member, "other", names("a.m1.net")); p == nil || p.Type != Unauthorized {
		t.Errorf("a profile that is not the member's: %v", p)
	}
	p := MemberAllows(member, "tls", names("a.m1.net", "b.net", "c.net"))
	if p == nil || p.Type != RejectedIdentifier || len(p.Subproblems) != 2 || p.Subproblems[0].Identifier.Value != "b.net" {
		t.Errorf("identifiers that are not the member's: %+v", p)
	}
	for status, words := range map[MemberStatus]string{MemberFrozen: "suspended", MemberRemoved: "ended", "": "ended", "new": "ended"} {
		member.Status = status
		if p := MemberAllows(member, "tls", names("a.m1.net")); p == nil || p.Type != Unauthorized || !strings.Contains(p.Detail, words) {
			t.Errorf("a member that is %q: %v", status, p)
		}
	}
}

func TestMemberStatus(t *testing.T) {
	t.Parallel()
	legal := map[[2]MemberStatus]bool{
		{MemberActive, MemberFrozen}: true, {MemberActive, MemberRemoved}: true,
		{MemberFrozen, MemberActive}: true, {MemberFrozen, MemberRemoved}: true,
	}
	all := []MemberStatus{MemberActive, MemberFrozen, MemberRemoved, "unknown"}
	for _, from := range all {
		for _, to := range all {
			if got := from.CanBecome(to); got != legal[[2]MemberStatus{from, to}] {
				t.Errorf("%s -> %s: %t", from, to, got)
			}
		}
	}
}

// TestCheckIdentifierPattern: a pattern that covers nothing is a typing error,
// and one that covers something is what an order could have.
func TestCheckIdentifierPattern(t *testing.T) { // R8555-7.4-19
	t.Parallel()
	for pattern, want := range map[string]string{ // empty: fine
		"*": "", "a.example": "", ".example": "", "*.a.example": "", ".a.example": "", "localhost": "", "192.0.2.1": "", "2001:db8::1": "", "xn--bcher-kva.example": "",
		"": "empty", ".": "empty", "a..b": "two dots", "..b": "two dots", "*..b": "two dots", "*.*.b": "asterisk", "a.*.b": "asterisk", "a.b.": "at its end",
		"-a.b": "hyphen", "A.b": "capital", "a_b.c": "underscore", "a b": "white space", "a.b/c": "without scheme", "bücher.example": "xn--bcher-kva", "xn--x.example": "internationalized",
		".192.0.2.1": "IP address", "*.2001:db8::1": "IP address", "2001:db8:0::1": "canonical", "192.0.2": "number",
		strings.Repeat("a", 64) + ".b": "63",
	} {
		p := CheckIdentifierPattern(pattern)
		if want == "" && p != nil || want != "" && (p == nil || p.Type != Malformed || !strings.Contains(p.Detail, want)) {
			t.Errorf("%q: %v, want a word of %q", pattern, p, want)
		}
	}
}

// FuzzCheckIdentifierPattern: what is accepted covers an identifier that an
// order may have, itself or a name below.
func FuzzCheckIdentifierPattern(f *testing.F) {
	for _, seed := range []string{"*", "a.example", ".a.example", "*.a.example", "a..b", "*..b", "..", "192.0.2.1", ".192.0.2.1", "2001:db8::1", "xn--bcher-kva.example", "-", "a.1"} {
		f.Add(seed)
	}
	policy := IdentifierPolicy{Types: []IdentifierType{DNSIdentifier, IPIdentifier}, Wildcard: true, SingleLabel: true}
	f.Fuzz(func(t *testing.T, pattern string) {
		if CheckIdentifierPattern(pattern) != nil || pattern == "*" {
			return
		}
		if strings.Count(pattern, ".") > 8 || len(pattern) > 240 || strings.HasSuffix(pattern, "onion") || pattern == "0.0.0.0" {
			return // at the edge of what a name can be, or what is never offered
		}
		name := pattern
		if below, ok := strings.CutPrefix(pattern, "."); ok {
			name = "a." + below
		}
		for _, kind := range []IdentifierType{DNSIdentifier, IPIdentifier} {
			if id, _, p := ParseIdentifier(Identifier{Type: kind, Value: name}, policy); p == nil && coveredBy([]string{pattern}, id) {
				return
			}
		}
		if _, ok := strings.CutPrefix(pattern, "*."); ok && strings.Count(pattern, ".") == 1 {
			return // a wildcard below a single label is no identifier of any order
		}
		t.Errorf("%q is accepted and covers nothing", pattern)
	})
}
