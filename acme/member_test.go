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
