package acme

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNewOrderByRule: what the registry alone entitles to is ready at once,
// and everything else waits for proofs (D12, R8555-7.4.1-5).
func TestNewOrderByRule(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		rule                    AuthorizationRule
		order                   OrderStatus
		authorization           AuthorizationStatus
		challenges              int
		asksRegistry, asksProof bool
	}{
		{"", OrderPending, AuthorizationPending, 1, false, true},
		{AuthorizeByChallenge, OrderPending, AuthorizationPending, 1, false, true},
		{AuthorizeByBoth, OrderPending, AuthorizationPending, 1, true, true},
		{AuthorizeByRegistry, OrderReady, AuthorizationValid, 0, true, false},
	} {
		profile := Profile{Name: "tls", Authorization: tt.rule, Challenges: []ChallengeType{DNS01}, OrderLifetime: time.Hour, AuthorizationLifetime: 48 * time.Hour}
		o, authzs, err := NewOrder(OrderRequest{Account: Account{ID: "a", Member: "m1"}, Profile: profile, Identifiers: names("a.m1.net", "*.m1.net")}, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if o.Status != tt.order || len(o.Authorizations) != 2 || len(authzs) != 2 {
			t.Errorf("%q: the order is %s with %d authorizations, want %s with 2", tt.rule, o.Status, len(o.Authorizations), tt.order)
		}
		for _, a := range authzs {
			if a.Status != tt.authorization || len(a.Challenges) != tt.challenges || !a.Expires.Equal(o.Expires) || a.Proved() {
				t.Errorf("%q: authorization %+v", tt.rule, a)
			}
		}
		if !authzs[1].Wildcard || authzs[1].Identifier.Value != "m1.net" {
			t.Errorf("%q: the wildcard became %+v", tt.rule, authzs[1].Identifier)
		}
		if tt.rule.AsksRegistry() != tt.asksRegistry || tt.rule.AsksProof() != tt.asksProof {
			t.Errorf("%q asks the registry: %t, for a proof: %t", tt.rule, tt.rule.AsksRegistry(), tt.rule.AsksProof())
		}
		_, p := Finalize(o, authzs, KeyHash{1}, now)
		if ready := p == nil; ready != (tt.order == OrderReady) {
			t.Errorf("%q: finalize says %v", tt.rule, p)
		}
		if _, p := Finalize(o, authzs, KeyHash{1}, o.Expires); p == nil {
			t.Errorf("%q: finalized after its end", tt.rule)
		}
	}
}

func TestProved(t *testing.T) {
	t.Parallel()
	a := Authorization{Status: AuthorizationValid}
	if a.Proved() {
		t.Error("proved without a challenge")
	}
	a.Challenges = []Challenge{{Type: HTTP01, Status: ChallengeInvalid}, {Type: DNS01, Status: ChallengeProcessing}}
	if a.Proved() {
		t.Error("proved although no challenge was met")
	}
	if a.Challenges[0].Status = ChallengeValid; !a.Proved() {
		t.Error("not proved by a challenge that was met")
	}
}

func TestEntitledBy(t *testing.T) { // D12, SP-9
	t.Parallel()
	m := Member{ID: "m1", Status: MemberActive, Identifiers: []string{".m1.net"}}
	frozen := m
	frozen.Status = MemberFrozen
	for _, tt := range []struct {
		what   string
		member *Member
		rule   AuthorizationRule
		name   string
		want   ProblemType // empty: allowed
	}{
		{"no record is needed", nil, AuthorizeByChallenge, "x.net", ""},
		{"no record is needed, rule left out", nil, "", "x.net", ""},
		{"a record is needed", nil, AuthorizeByRegistry, "a.m1.net", Unauthorized},
		{"a record is needed beside a proof", nil, AuthorizeByBoth, "a.m1.net", Unauthorized},
		{"the member's name", &m, AuthorizeByRegistry, "a.m1.net", ""},
		{"the member's name, to be proved", &m, AuthorizeByBoth, "a.m1.net", ""},
		{"not the member's name", &m, AuthorizeByRegistry, "x.net", RejectedIdentifier},
		{"not the member's name, to be proved", &m, AuthorizeByBoth, "x.net", RejectedIdentifier},
		{"whose name it is, is for the proof to say", &m, AuthorizeByChallenge, "x.net", ""},
		{"frozen", &frozen, AuthorizeByRegistry, "a.m1.net", Unauthorized},
		{"frozen, to be proved", &frozen, AuthorizeByBoth, "a.m1.net", Unauthorized},
		{"frozen, and nobody asks the registry", &frozen, AuthorizeByChallenge, "a.m1.net", Unauthorized},
	} {
		p := EntitledBy("m1", tt.member, Profile{Name: "tls", Authorization: tt.rule}, names(tt.name))
		if tt.want == "" && p != nil || tt.want != "" && (p == nil || p.Type != tt.want) {
			t.Errorf("%s: %v, want %q", tt.what, p, tt.want)
		}
	}
	// Who reads it can tell a missing record from a missing binding.
	for id, want := range map[MemberID]string{"m2": `member "m2", which this account belongs to, is not in the registry; ask the operator to add it`, "": "this account belongs to none"} {
		if p := EntitledBy(id, nil, Profile{Name: "tls", Authorization: AuthorizeByRegistry}, names("a.net")); p == nil || !strings.Contains(p.Detail, want) {
			t.Errorf("no record of %q: %v", id, p)
		}
	}
}

func TestMemberRenewalWindow(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	m := Member{Status: MemberActive, ChangedAt: since}
	if _, ok := m.RenewalWindow(); ok {
		t.Error("an active member has a window of its own")
	}
	for _, s := range []MemberStatus{MemberFrozen, MemberRemoved} {
		m := Member{Status: s, ChangedAt: since.Add(time.Hour), Enforcement: &Enforcement{Since: since}}
		w, ok := m.RenewalWindow()
		if !ok || !w.End.Before(since) || !w.Start.Before(w.End) || w.Start.Nanosecond() != 0 { // R9773-4.2-1
			t.Errorf("%s: %+v, %t; want a window before %s", s, w, ok, since)
		}
		m.Enforcement = nil
		if w, ok := m.RenewalWindow(); !ok || !w.End.Before(m.ChangedAt) {
			t.Errorf("%s, with nothing to enforce: %+v, %t", s, w, ok)
		}
	}
}

func TestMemberContent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := Member{
		ID: "m1", Version: 3, Status: MemberFrozen, Name: "One", Identifiers: []string{"a.net"}, Profiles: []ProfileName{"tls"},
		OpenOrders: 1, Certificates: 2, Attributes: map[string]string{"class": "GOV"}, Reason: "why", Enforcement: &Enforcement{},
	}
	same := Member{Name: "One", Identifiers: []string{"a.net"}, Profiles: []ProfileName{"tls"}, OpenOrders: 1, Certificates: 2, Attributes: map[string]string{"class": "GOV"}}
	if !m.SameContent(same) {
		t.Error("what is no content makes a difference")
	}
	if empty := (Member{Identifiers: []string{}, Attributes: map[string]string{}}); !empty.SameContent(Member{}) {
		t.Error("what is empty differs from what is not there")
	}
	for what, change := range map[string]func(*Member){
		"name":         func(m *Member) { m.Name = "Two" },
		"identifiers":  func(m *Member) { m.Identifiers = []string{"b.net"} },
		"profiles":     func(m *Member) { m.Profiles = nil },
		"open orders":  func(m *Member) { m.OpenOrders++ },
		"certificates": func(m *Member) { m.Certificates++ },
		"attributes":   func(m *Member) { m.Attributes = map[string]string{"class": "COM"} },
	} {
		other := same
		other.Attributes = maps.Clone(same.Attributes)
		if change(&other); m.SameContent(other) {
			t.Errorf("%s: the difference goes unseen", what)
		}
		next := m.WithContent(other, now)
		if !next.SameContent(other) || next.Version != 4 || !next.ChangedAt.Equal(now) || next.ID != m.ID || next.Status != m.Status || next.Reason != m.Reason || next.Enforcement == nil {
			t.Errorf("%s: became %+v", what, next)
		}
	}
}

func TestCheckMember(t *testing.T) {
	t.Parallel()
	good := Member{ID: "DEV/GOV/1 ä", Identifiers: []string{"b.net", ".a.net", "b.net"}, Profiles: []ProfileName{"z", "a", "z"}, Attributes: map[string]string{"class": ""}}
	m, p := CheckMember(good)
	if p != nil || !slices.Equal(m.Identifiers, []string{".a.net", "b.net"}) || !slices.Equal(m.Profiles, []ProfileName{"a", "z"}) {
		t.Errorf("%+v, %v", m, p)
	}
	if !slices.Equal(good.Identifiers, []string{"b.net", ".a.net", "b.net"}) {
		t.Error("the caller's list was sorted")
	}
	long := strings.Repeat("x", maxMemberText+1)
	for what, m := range map[string]Member{
		"no id":              {},
		"long id":            {ID: MemberID(long)},
		"space around":       {ID: " m"},
		"line break":         {ID: "m\nn"},
		"not UTF-8":          {ID: "m\xff"},
		"long name":          {ID: "m", Name: long},
		"negative limit":     {ID: "m", OpenOrders: -1},
		"capital letters":    {ID: "m", Identifiers: []string{"A.net"}},
		"no pattern":         {ID: "m", Identifiers: []string{"a.*.net"}},
		"attribute, no name": {ID: "m", Attributes: map[string]string{"": "x"}},
		"attribute, long":    {ID: "m", Attributes: map[string]string{"x": long}},
	} {
		if _, p := CheckMember(m); p == nil || p.Type != Malformed {
			t.Errorf("%s: %v", what, p)
		}
	}
}
