package acme

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"
)

// TestServes: which earlier authorizations spare a new order a proof.
func TestServes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	const hour = time.Hour
	for _, tt := range []struct {
		name   string
		change func(*Authorization, *Profile)
		want   bool
	}{
		{"a fresh proof", func(*Authorization, *Profile) {}, true},
		{"proved this very second", func(a *Authorization, _ *Profile) { a.Challenges[0].ValidatedAt = now }, true},
		{"a profile that reuses nothing", func(_ *Authorization, p *Profile) { p.ReuseAuthorizations = 0 }, false},
		{"proved at the end of the time", func(a *Authorization, p *Profile) { a.Challenges[0].ValidatedAt = now.Add(-p.ReuseAuthorizations) }, true},
		{"proved too long ago", func(a *Authorization, p *Profile) {
			a.Challenges[0].ValidatedAt = now.Add(-p.ReuseAuthorizations - time.Second)
		}, false},
		{"asked for ahead of any order", func(a *Authorization, p *Profile) {
			a.Order, p.ReuseAuthorizations, a.Challenges[0].ValidatedAt = "", 0, now.Add(-1000*hour)
		}, true},
		{"asked for ahead, longer ago than a proof stands in this profile", func(a *Authorization, p *Profile) {
			a.Order, p.AuthorizationLifetime, a.Challenges[0].ValidatedAt = "", 2*hour, now.Add(-2*hour-time.Second)
		}, false},
		{"asked for ahead, but expired", func(a *Authorization, _ *Profile) { a.Order, a.Expires = "", now }, false},
		{"pending", func(a *Authorization, _ *Profile) {
			a.Status, a.Challenges[0].Status = AuthorizationPending, ChallengeProcessing
		}, false},
		{"the registry's word", func(a *Authorization, _ *Profile) { a.Challenges = nil }, false},
		{"deactivated", func(a *Authorization, _ *Profile) { a.Status = AuthorizationDeactivated }, false},
		{"revoked", func(a *Authorization, _ *Profile) { a.Status = AuthorizationRevoked }, false},
		{"expired", func(a *Authorization, _ *Profile) { a.Expires = now }, false},
		{"about to expire", func(a *Authorization, _ *Profile) { a.Expires = now.Add(hour - time.Second) }, false},
		{"lasting long enough", func(a *Authorization, _ *Profile) { a.Expires = now.Add(hour) }, true},
		{"about to expire, for short orders", func(a *Authorization, p *Profile) { a.Expires, p.OrderLifetime = now.Add(time.Minute), time.Minute }, true},
		{"a method that the profile has not", func(_ *Authorization, p *Profile) { p.Challenges = []ChallengeType{DNS01} }, false},
		{"a wildcard proved over the web, whoever let that happen", func(a *Authorization, _ *Profile) { a.Wildcard = true }, false},
		{"a wildcard proved over DNS", func(a *Authorization, p *Profile) {
			a.Wildcard, a.Challenges[0].Type, p.Challenges = true, DNS01, []ChallengeType{DNS01}
		}, true},
		{"a record that names the CA of the profile", func(a *Authorization, p *Profile) {
			a.Challenges[0].Type, p.Challenges = DNSPersist01, []ChallengeType{DNSPersist01}
			a.Challenges[0].IssuerDomainNames, p.IssuerDomainNames = []string{"ca.example"}, []string{"ca.example", "ca.example.net"}
		}, true},
		{"a record that may name another CA (RDP-3)", func(a *Authorization, p *Profile) {
			a.Challenges[0].Type, p.Challenges = DNSPersist01, []ChallengeType{DNSPersist01}
			a.Challenges[0].IssuerDomainNames, p.IssuerDomainNames = []string{"ca.example", "other.example"}, []string{"ca.example"}
		}, false},
		{"a profile that asks the registry only", func(_ *Authorization, p *Profile) { p.Authorization = AuthorizeByRegistry }, false},
		{"a profile that asks both", func(_ *Authorization, p *Profile) { p.Authorization = AuthorizeByBoth }, true},
		{"a proof that is good for longer than an hour (RDP-8)", func(a *Authorization, _ *Profile) { a.ReuseUntil = now.Add(2 * hour) }, true},
		{"a proof that is good for its own order only (RDP-8)", func(a *Authorization, _ *Profile) { a.ReuseUntil = now.Add(time.Minute) }, false},
	} {
		a := Authorization{
			Order: "o", Status: AuthorizationValid, Identifier: Identifier{Type: DNSIdentifier, Value: "a.example.org"}, Expires: now.Add(100 * hour),
			Challenges: []Challenge{{Type: HTTP01, Status: ChallengeValid, ValidatedAt: now.Add(-2 * hour)}},
		}
		p := Profile{Challenges: []ChallengeType{HTTP01}, ReuseAuthorizations: 24 * hour, OrderLifetime: 48 * hour, AuthorizationLifetime: 1000 * hour}
		tt.change(&a, &p)
		if got := a.Serves(p, now); got != tt.want {
			t.Errorf("%s: serves %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestReuse puts earlier authorizations in every selection of places: the
// order lists each name's authorization in its place, is ready when nothing is
// left to prove, and never outlives one of them.
func TestReuse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	profile := Profile{Name: "tls", Challenges: []ChallengeType{HTTP01}, OrderLifetime: 24 * time.Hour}
	made, fresh, err := NewOrder(OrderRequest{Account: Account{ID: "a"}, Profile: profile, Identifiers: names("a.m1.net", "b.m1.net", "c.m1.net")}, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	placed := slices.Clone(made.Authorizations)
	for places := range 1 << len(fresh) {
		earlier := make([]Authorization, len(fresh))
		end := made.Expires
		for i := range fresh {
			if places&(1<<i) != 0 {
				earlier[i] = Authorization{ID: AuthorizationID("earlier" + string(rune('0'+i))), Order: "other", Expires: now.Add(time.Duration(i+20) * time.Hour)}
				if earlier[i].Expires.Before(end) {
					end = earlier[i].Expires
				}
			}
		}
		o, own, used := Reuse(made, slices.Clone(fresh), earlier, now)
		if !slices.Equal(made.Authorizations, placed) {
			t.Fatal("the order that was made is changed, and its commit may run again")
		}
		if !o.Expires.Equal(end) || len(own)+len(used) != len(fresh) || (o.Status == OrderReady) != (len(own) == 0) {
			t.Errorf("places %b: %s until %s with %d own and %d earlier, want until %s", places, o.Status, o.Expires, len(own), len(used), end)
		}
		for i := range fresh {
			want := fresh[i].ID
			if earlier[i].ID != "" {
				want = earlier[i].ID
			}
			if o.Authorizations[i] != want {
				t.Errorf("places %b: authorization %d is %s, want %s", places, i, o.Authorizations[i], want)
			}
		}
		for _, a := range own {
			if !a.Expires.Equal(o.Expires) {
				t.Errorf("places %b: its own authorization ends at %s", places, a.Expires)
			}
		}
		for _, a := range used {
			if !slices.Equal(a.Users(), []OrderID{"other", o.ID}) {
				t.Errorf("places %b: the users of an earlier one are %v", places, a.Users())
			}
		}
	}
}

// TestPreAuthorize: an authorization ahead of any order waits as long as an
// order would, and once it is proved lasts as long as a proof does.
func TestPreAuthorize(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	p := Profile{Name: "tls", Challenges: []ChallengeType{HTTP01, DNS01}, OrderLifetime: 48 * time.Hour, AuthorizationLifetime: 24 * time.Hour}
	a, err := PreAuthorize(Account{ID: "a", Directory: "d"}, names("a.m1.net")[0], p, now, rand.Reader)
	if err != nil || a.Status != AuthorizationPending || a.Order != "" || a.Profile != "tls" || len(a.Challenges) != 2 || !a.Expires.Equal(now.Add(48*time.Hour)) {
		t.Fatalf("%+v, %v", a, err)
	}
	if len(a.Users()) != 0 || a.Challenges[0].Token == a.Challenges[1].Token {
		t.Errorf("users %v, tokens %v", a.Users(), a.Challenges)
	}
	a, changed, problem := Respond(a, HTTP01, "thumbprint", now)
	if !changed || problem != nil {
		t.Fatal(problem)
	}
	_, a, _ = Settle(Order{}, nil, a, HTTP01, Outcome{Valid: true}, p, 3, now)
	if a.Status != AuthorizationValid || !a.Expires.Equal(now.Add(24*time.Hour)) || !a.Serves(p, now) {
		t.Errorf("%s until %s, serves %t", a.Status, a.Expires, a.Serves(p, now))
	}
}

// TestSettleShortensTheOrder: a proof that ends early ends the order with it
// (R8555-7.1.6-3).
func TestSettleShortensTheOrder(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	a := Authorization{Order: "o", Status: AuthorizationPending, Expires: now.Add(time.Hour), Challenges: []Challenge{{Type: DNS01, Status: ChallengeProcessing}}}
	o := Order{Status: OrderPending, Expires: now.Add(time.Hour)}
	o, a, _ = Settle(o, nil, a, DNS01, Outcome{Valid: true, Expires: now.Add(time.Minute), ReuseFor: time.Second}, Profile{AuthorizationLifetime: time.Hour}, 3, now)
	if o.Status != OrderReady || !o.Expires.Equal(a.Expires) || !a.Expires.Equal(now.Add(time.Minute)) || !a.ReuseUntil.Equal(now.Add(time.Second)) {
		t.Errorf("the order is %s until %s, its authorization until %s, for others until %s", o.Status, o.Expires, a.Expires, a.ReuseUntil)
	}
}
