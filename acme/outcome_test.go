package acme

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"
)

// R8555-7.5-8, R8738-7-1: what is offered for which identifier, and what has a
// token (RDP-1).
func TestOffer(t *testing.T) {
	t.Parallel()
	all := []ChallengeType{HTTP01, DNS01, TLSALPN01, DNSAccount01, DNSPersist01}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		ident Identifier
		want  []ChallengeType
	}{
		{Identifier{Type: DNSIdentifier, Value: "example.org"}, all},
		{Identifier{Type: DNSIdentifier, Value: "*.example.org"}, []ChallengeType{DNS01, DNSAccount01, DNSPersist01}},
		{Identifier{Type: IPIdentifier, Value: "192.0.2.1"}, []ChallengeType{HTTP01, TLSALPN01}},
	} {
		_, authzs, err := NewOrder(OrderRequest{
			Profile: Profile{Challenges: all, OrderLifetime: time.Hour}, Identifiers: []Identifier{tt.ident},
		}, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var got []ChallengeType
		for _, c := range authzs[0].Challenges {
			got = append(got, c.Type)
			if (c.Token == "") != (c.Type == DNSPersist01) {
				t.Errorf("%s of %s has token %q", c.Type, tt.ident.Value, c.Token)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: offered %v, want %v", tt.ident.Value, got, tt.want)
		}
	}
}

// A proof that ends takes the authorization with it.
func TestSettleKeepsToTheProof(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	p := Profile{AuthorizationLifetime: 30 * 24 * time.Hour}
	for _, tt := range []struct {
		proof time.Time
		reuse time.Duration
		want  time.Time
	}{
		{time.Time{}, 0, now.Add(p.AuthorizationLifetime)},
		{now.Add(time.Minute), 0, now.Add(time.Minute)},
		{now.Add(1000 * time.Hour), 0, now.Add(p.AuthorizationLifetime)},
		{time.Time{}, time.Minute, now.Add(time.Hour)}, // its own order outlasts it
		{time.Time{}, 5 * time.Hour, now.Add(5 * time.Hour)},
		{time.Time{}, 1000 * time.Hour, now.Add(p.AuthorizationLifetime)},
	} {
		a := Authorization{Order: "o", Status: AuthorizationPending, Expires: now.Add(time.Hour), Challenges: []Challenge{{Type: DNSPersist01, Status: ChallengeProcessing}}}
		_, a, _ = Settle(Order{Status: OrderPending}, nil, a, DNSPersist01, Outcome{Valid: true, Expires: tt.proof, ReuseFor: tt.reuse}, p, 3, now)
		if a.Status != AuthorizationValid || !a.Expires.Equal(tt.want) {
			t.Errorf("proof until %v and for %v: %s until %v, want %v", tt.proof, tt.reuse, a.Status, a.Expires, tt.want)
		}
	}
}

func TestStepString(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Step{
		"connect to 192.0.2.1:80 for example.org: the connection was refused": {Host: "example.org", Addr: "192.0.2.1:80", Result: "the connection was refused"},
		"connect to 192.0.2.1:80":                              {Host: "192.0.2.1", Addr: "192.0.2.1:80"},
		"TXT a.example -> b.example: 2 records, authenticated": {Host: "a.example", Query: "TXT", Aliases: []string{"b.example"}, Records: 2, Authenticated: true},
		"AAAA a.example: 0 records: no such record":            {Host: "a.example", Query: "AAAA", Result: "no such record"},
		"redirect to https://www.example.org":                  {Host: "www.example.org", Redirect: "https://www.example.org"},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := s.Told(); got != want {
			t.Errorf("the client is told %q, want %q", got, want)
		}
	}
}

// SV-8: what a client is not told of.
func TestStepTold(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Step{
		"no connection to a.example: not allowed":                       {Host: "a.example", Addr: "10.0.0.1:80", Hidden: true, Result: "not allowed"},
		"connect to 192.0.2.1:80 for another host":                      {Host: "secret.example", Addr: "192.0.2.1:80", Foreign: true},
		"A another host: 1 record":                                      {Host: "secret.example", Query: "A", Records: 1, Aliases: []string{"more.example"}, Foreign: true},
		"redirect to another host (https)":                              {Host: "secret.example", Redirect: "https://secret.example", Foreign: true},
		"no connection to another host: no address may be connected to": {Host: "secret.example", Foreign: true, Result: "no address may be connected to"},
	} {
		if got := s.Told(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
