package acme

import (
	"strings"
	"testing"
	"time"
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

func TestRenewalWindow(t *testing.T) { // R9773-4.2-1, R9773-4.2-2
	t.Parallel()
	begins := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	now := begins.Add(day)
	moved := Window{Start: begins.Add(3 * day), End: begins.Add(4 * day)}
	for _, tt := range []struct {
		name   string
		cert   Certificate
		centre time.Time
		width  time.Duration
	}{
		{"ninety days", Certificate{NotBefore: begins, NotAfter: begins.Add(90 * day)}, begins.Add(60 * day), 2 * 90 * day / 100},
		{"six days", Certificate{NotBefore: begins, NotAfter: begins.Add(6 * day)}, begins.Add(3 * day), 2 * 6 * day / 100},
		{"a minute", Certificate{NotBefore: begins, NotAfter: begins.Add(time.Minute)}, begins.Add(30 * time.Second), 2 * time.Second},
		{"moved", Certificate{NotBefore: begins, NotAfter: begins.Add(90 * day), Renewal: &Renewal{Window: moved}}, begins.Add(3*day + 12*time.Hour), day},
		{"revoked", Certificate{NotBefore: begins, NotAfter: begins.Add(90 * day), Revocation: &Revocation{At: now}, Renewal: &Renewal{Window: moved}},
			now.Add(-45 * time.Minute), 30 * time.Minute},
	} {
		w, _ := RenewalWindow(tt.cert, now)
		centre := w.Start.Add(w.End.Sub(w.Start) / 2)
		if !w.End.After(w.Start) || centre.Sub(tt.centre).Abs() > time.Second || (w.End.Sub(w.Start)-tt.width).Abs() > 2*time.Second {
			t.Errorf("%s: %s to %s, want %s around %s", tt.name, w.Start, w.End, tt.width, tt.centre)
		}
	}
}

func TestCheckReplaces(t *testing.T) { // R9773-5-2, R9773-5-3, R9773-5-5
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	cert := Certificate{Account: "mine", Identifiers: names("a.net", "b.net")}
	open := &Order{Status: OrderPending, Expires: now.Add(time.Hour)}
	for _, tt := range []struct {
		name    string
		owner   AccountID
		wanted  []Identifier
		earlier *Order
		want    ProblemType
	}{
		{"as it should be", "mine", names("b.net", "c.net"), nil, ""},
		{"of another account", "other", names("a.net"), nil, Unauthorized},
		{"no name in common", "mine", names("c.net"), nil, Malformed},
		{"replaced by an open order", "mine", names("a.net"), open, AlreadyReplaced},
		{"replaced by an order that failed", "mine", names("a.net"), &Order{Status: OrderInvalid}, ""},
		{"replaced by an order that expired", "mine", names("a.net"), &Order{Status: OrderPending, Expires: now}, ""},
		{"replaced by a finished order", "mine", names("a.net"), &Order{Status: OrderValid}, AlreadyReplaced},
	} {
		p := CheckReplaces(cert, tt.owner, tt.wanted, tt.earlier, now)
		if (p == nil) != (tt.want == "") || p != nil && p.Type != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, p, tt.want)
		}
	}
}
