package acme

import (
	"net"
	"testing"
	"time"
)

// TestUnknownIsDenied: a status, a kind or a rule that nobody knows, because a
// newer version wrote it or a typo did, opens nothing (SP-3). Names and usages
// of that sort are among the cases of the CSR and of the chain.
func TestUnknownIsDenied(t *testing.T) {
	t.Parallel()
	const strange = "strange"
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	member := Member{ID: "m1", Status: MemberActive, Identifiers: []string{"*"}}
	authz := Authorization{
		Identifier: Identifier{Type: DNSIdentifier, Value: "a.net"}, Status: AuthorizationValid, Expires: now.Add(time.Hour),
		Challenges: []Challenge{{Type: HTTP01, Status: ChallengeProcessing}},
	}
	order := Order{Status: OrderReady, Expires: now.Add(time.Hour)}
	profile := Profile{Name: "tls", Authorization: strange}
	finalize := func(o Order, a Authorization) *Problem {
		_, p := Finalize(o, []Authorization{a}, KeyHash{1}, now)
		return p
	}
	respond := func(a Authorization, t ChallengeType) *Problem {
		_, changed, p := Respond(a, t, "thumbprint", now)
		if p == nil && changed {
			return nil
		}
		return Problemf(Malformed, "nothing was started")
	}
	// What the cases differ from passes, or they would prove nothing.
	if p := finalize(order, authz); p != nil {
		t.Fatalf("a good order: %v", p)
	}
	pending := authz
	pending.Status, pending.Challenges = AuthorizationPending, []Challenge{{Type: HTTP01, Status: ChallengePending}}
	if p := respond(pending, HTTP01); p != nil {
		t.Fatalf("a good response: %v", p)
	}
	for name, allowed := range map[string]bool{
		"a member of strange status":           MemberStanding(Member{Status: strange}) == nil,
		"a member without status":              MemberStanding(Member{}) == nil,
		"a strange rule, no member":            EntitledBy("m1", nil, profile, names("a.net")) == nil,
		"a strange rule, a name too many":      EntitledBy("m1", &Member{Status: MemberActive, Identifiers: []string{"b.net"}}, profile, names("a.net")) == nil,
		"a strange rule, no proof":             !profile.Authorization.AsksProof(),
		"a strange external account rule":      ExternalAccountRule(strange).Known(),
		"an order of strange status":           finalize(Order{Status: strange, Expires: order.Expires}, authz) == nil,
		"an order without status":              finalize(Order{Expires: order.Expires}, authz) == nil,
		"an authorization of strange status":   finalize(order, Authorization{Status: strange, Expires: authz.Expires}) == nil,
		"a response under strange status":      respond(Authorization{Status: strange, Expires: now.Add(time.Hour), Challenges: pending.Challenges}, HTTP01) == nil,
		"a response to a strange challenge":    respond(pending, strange) == nil,
		"a response to one of strange status":  respond(Authorization{Status: AuthorizationPending, Expires: now.Add(time.Hour), Challenges: []Challenge{{Type: HTTP01, Status: strange}}}, HTTP01) == nil,
		"an identifier of strange type":        accepted(Identifier{Type: strange, Value: "a.net"}),
		"a key type that no policy can mean":   CheckCertificateKey(testKey().Public(), KeyPolicy{Types: []string{strange}}) == nil,
		"an external key of another directory": usable(ExternalAccountKey{Directory: strange}, now),
	} {
		if allowed {
			t.Errorf("%s is let through", name)
		}
	}
	if p := EntitledBy("m1", &member, profile, names("a.net")); p != nil {
		t.Errorf("a strange rule, everything in order: %v", p)
	}
}

func accepted(id Identifier) bool {
	_, _, p := ParseIdentifier(id, IdentifierPolicy{Types: []IdentifierType{DNSIdentifier, IPIdentifier, id.Type}})
	return p == nil
}

func usable(k ExternalAccountKey, now time.Time) bool {
	p, _ := ExternalKeyUsable(k, "default", now)
	return p == nil
}

// TestNothingIsAnOutcome: an attempt that says nothing at all proves nothing
// (SP-3).
func TestNothingIsAnOutcome(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	a := Authorization{
		Identifier: Identifier{Type: IPIdentifier, Value: net.IPv4(192, 0, 2, 1).String()}, Status: AuthorizationPending, Expires: now.Add(time.Hour),
		Challenges: []Challenge{{Type: HTTP01, Status: ChallengeProcessing}},
	}
	out := Outcome{Problem: Problemf(ServerInternal, "nobody knows")}
	o, a, again := Settle(Order{Status: OrderPending, Expires: now.Add(time.Hour)}, nil, a, HTTP01, out, Profile{}, 3, now)
	if o.Status != OrderInvalid || a.Status != AuthorizationInvalid || a.Challenges[0].Status != ChallengeInvalid || again {
		t.Errorf("order %s, authorization %s, challenge %s, again %t", o.Status, a.Status, a.Challenges[0].Status, again)
	}
}

// TestSubproblemsCarryTheirName: of many names with a fault of its own each,
// every answer stands beside the name that it is about, wherever the name was
// sent (SP-17, R8555-7.4-15).
func TestSubproblemsCarryTheirName(t *testing.T) {
	t.Parallel()
	want := map[string]ProblemType{
		"a_b.net": Malformed, "a..net": Malformed, "single": RejectedIdentifier, "*.wild.net": RejectedIdentifier,
		"-a.net": Malformed, "a.net:80": Malformed, "good.net": "", "fine.net": "",
	}
	var sent []Identifier
	for name := range want { // any order will do, and each run has another
		sent = append(sent, names(name)...)
	}
	for range sent {
		sent = append(sent[1:], sent[0])
		_, p := ParseIdentifiers(sent, IdentifierPolicy{})
		if p == nil || len(p.Subproblems) != 6 {
			t.Fatalf("got %+v, want six subproblems", p)
		}
		for _, s := range p.Subproblems {
			if want[s.Identifier.Value] != s.Type || s.Type == "" {
				t.Errorf("%q is said to be %s, want %s", s.Identifier.Value, s.Type, want[s.Identifier.Value])
			}
		}
	}
}
