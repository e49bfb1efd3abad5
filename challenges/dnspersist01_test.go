package challenges_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

const hashPrefix = "https://ca.example/account-hash/"

// The vectors of section 10.2 of the draft, revision 02.
func TestHashedAccountURI(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]string{
		"example.com": "5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw",
		"*":           "NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug",
	} {
		got := challenges.HashedAccountURI(hashPrefix, domain, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "https://ca.example/acct/123")
		if got != hashPrefix+"sha-256/"+want {
			t.Errorf("%s: got %s", domain, got)
		}
	}
}

// persistClock stands at noon.
func persistClock() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func newPersist(t testing.TB, s *dnstest.Server, draft01 bool) *challenges.DNSPersist01 {
	t.Helper()
	v, err := challenges.NewDNSPersist01(challenges.DNSPersist01Config{
		DNSConfig: challenges.DNSConfig{Resolver: newResolver(t, s, egress.ResolverConfig{})}, AccountHashPrefix: hashPrefix, Draft01: draft01, Now: persistClock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func persistTarget(wildcard bool) challenges.Target {
	to := target("example.org")
	to.Wildcard, to.Token, to.KeyAuthorization, to.AccountURL = wildcard, "", ".thumbprint", accountURL
	to.IssuerDomainNames = []string{"ca.example", "authority.example"}
	return to
}

// RDP-2 to RDP-7, in both forms.
func TestDNSPersist01(t *testing.T) {
	t.Parallel()
	now := persistClock().Unix()
	malformed := func(says string) expect { return expect{acme.Malformed, false, says} }
	unauthorized := func(says string) expect { return expect{acme.Unauthorized, false, says} }
	for _, tt := range []struct {
		name     string
		records  []string // ACCOUNT stands for the account in either form
		want     expect
		wildcard expect
	}{
		{"minimal", []string{"ca.example; accounturi=ACCOUNT"}, expect{}, unauthorized("policy=wildcard")},
		{"tight", []string{"ca.example;accounturi=ACCOUNT"}, expect{}, unauthorized("policy=wildcard")},
		{"wide", []string{" \t ca.example \t;  accounturi \t= ACCOUNT ; policy = WildCard  "}, expect{}, expect{}},
		{"second issuer, in capitals", []string{"AUTHORITY.Example; accounturi=ACCOUNT; policy=wildcard"}, expect{}, expect{}},
		{"another policy", []string{"ca.example; accounturi=ACCOUNT; policy=other"}, expect{}, unauthorized("policy=wildcard")},
		{"unknown parameters", []string{"ca.example; x=; accounturi=ACCOUNT; y-z=~!@"}, expect{}, unauthorized("policy=wildcard")},
		{"another issuer", []string{"other.example; accounturi=ACCOUNT; policy=wildcard"}, unauthorized("no record names this CA"), unauthorized("no record names this CA")},
		{"a longer issuer", []string{"ca.example.net; accounturi=ACCOUNT"}, unauthorized("begin it with ca.example or authority.example"), unauthorized("")},
		{"no issuer", []string{"; accounturi=ACCOUNT"}, unauthorized("no record names this CA"), unauthorized("")},
		{"no account", []string{"ca.example; policy=wildcard"}, malformed("no accounturi"), malformed("no accounturi")},
		{"issuer alone", []string{"ca.example"}, malformed("no accounturi"), malformed("")},
		{"another account", []string{"ca.example; accounturi=ACCOUNTx; policy=wildcard"}, unauthorized("not that of this account"), unauthorized("not that")},
		{"account in capitals", []string{"ca.example; accounturi=HTTPS" + "://acme.example/acct/1"}, unauthorized("not that of this account"), unauthorized("")},
		{"account twice", []string{"ca.example; accounturi=ACCOUNT; accounturi=ACCOUNT"}, malformed("twice"), malformed("twice")},
		{"unknown twice", []string{"ca.example; accounturi=ACCOUNT; x=1; X=2"}, malformed("twice"), malformed("twice")},
		{"grammar", []string{"ca.example; accounturi=ACCOUNT; nonsense"}, malformed("form"), malformed("form")},
		{"space in a value", []string{"ca.example; accounturi=ACCOUNT x"}, malformed("form"), malformed("form")},
		{"semicolon at the end", []string{"ca.example; accounturi=ACCOUNT;"}, malformed("form"), malformed("form")},
		{"not ASCII", []string{"ca.example; accounturi=ACCOUNT; x=\xe9"}, malformed("form"), malformed("form")},
		{"until later", []string{fmt.Sprintf("ca.example; accounturi=ACCOUNT; policy=wildcard; persistUntil=%d", now+60)}, expect{}, expect{}},
		{"until now", []string{fmt.Sprintf("ca.example; accounturi=ACCOUNT; policy=wildcard; persistUntil=%d", now)}, expect{}, expect{}},
		{"until just now", []string{fmt.Sprintf("ca.example; accounturi=ACCOUNT; policy=wildcard; persistUntil=%d", now-1)}, unauthorized("ended"), unauthorized("ended")},
		{"for ever", []string{"ca.example; accounturi=ACCOUNT; policy=wildcard; persistUntil=99999999999999999999999"}, expect{}, expect{}},
		{"until a date", []string{"ca.example; accounturi=ACCOUNT; persistUntil=2027-01-01"}, malformed("not a number"), malformed("")},
		{"until a negative number", []string{"ca.example; accounturi=ACCOUNT; persistUntil=-1"}, malformed("not a number"), malformed("")},
		{"until nothing", []string{"ca.example; accounturi=ACCOUNT; persistUntil="}, malformed("not a number"), malformed("")},
		{"second of three", []string{"other.example", "ca.example; accounturi=ACCOUNT; policy=wildcard", "ca.example; accounturi=x"}, expect{}, expect{}},
		{"none of three", []string{"other.example; accounturi=ACCOUNT", "ca.example; accounturi=x", "ca.example; bad"}, expect{"", false, ""}, expect{"", false, ""}},
	} {
		for _, draft01 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", tt.name, draft01), func(t *testing.T) {
				t.Parallel()
				s := dnstest.New(t, "")
				account := accountURL
				if !draft01 {
					account = challenges.HashedAccountURI(hashPrefix, "example.org", "thumbprint", accountURL)
				}
				for _, r := range tt.records {
					s.AddTXT("_validation-persist.example.org", strings.ReplaceAll(r, "ACCOUNT", account))
				}
				v := newPersist(t, s, draft01)
				if tt.name == "none of three" {
					got := v.Validate(t.Context(), persistTarget(false))
					if got.Valid || !strings.Contains(got.Problem.Detail, "none of the 2 records that name this CA will do") {
						t.Errorf("got %v", got.Problem)
					}
					return
				}
				check(t, v.Validate(t.Context(), persistTarget(false)), tt.want)
				check(t, v.Validate(t.Context(), persistTarget(true)), tt.wildcard)
			})
		}
	}
}

// Revision 02, section 4.1: which hashes count, and which do not.
func TestDNSPersist01Accounts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, account string
		want          expect
	}{
		{"for all domains", challenges.HashedAccountURI(hashPrefix, "*", "thumbprint", accountURL), expect{}},
		{"an earlier key", challenges.HashedAccountURI(hashPrefix, "example.org", "earlier", accountURL), expect{}},
		{"another key", challenges.HashedAccountURI(hashPrefix, "example.org", "other", accountURL), expect{acme.Unauthorized, false, "not that of this account"}},
		{"another domain", challenges.HashedAccountURI(hashPrefix, "example.net", "thumbprint", accountURL), expect{acme.Unauthorized, false, "not that of this account"}},
		{"another URL", challenges.HashedAccountURI(hashPrefix, "example.org", "thumbprint", accountURL+"0"), expect{acme.Unauthorized, false, "not that of this account"}},
		{"another prefix", challenges.HashedAccountURI("https://other.example/", "example.org", "thumbprint", accountURL), expect{acme.Unauthorized, false, "not that of this account"}},
		{"in the clear", accountURL, expect{acme.Unauthorized, false, "not that of this account"}},
	} {
		s := dnstest.New(t, "")
		s.AddTXT("_validation-persist.example.org", "ca.example; accounturi="+tt.account)
		to := persistTarget(false)
		to.Thumbprints = []string{"earlier"}
		t.Run(tt.name, func(t *testing.T) { check(t, newPersist(t, s, false).Validate(t.Context(), to), tt.want) })
	}
	s := dnstest.New(t, "")
	// The issuer has to be one that this very challenge offered (RDP-3), and
	// the record one of this very name.
	s.AddTXT("_validation-persist.example.org", "ca.example; policy=wildcard; accounturi="+accountURL)
	to := persistTarget(false)
	to.IssuerDomainNames = []string{"authority.example"}
	check(t, newPersist(t, s, true).Validate(t.Context(), to), expect{acme.Unauthorized, false, "begin it with authority.example"})
	to = persistTarget(false)
	to.Identifier.Value = "www.example.org"
	check(t, newPersist(t, s, true).Validate(t.Context(), to), expect{acme.Unauthorized, false, "NXDOMAIN"})
	to = persistTarget(false)
	to.KeyAuthorization = ""
	check(t, newPersist(t, s, false).Validate(t.Context(), to), expect{acme.Malformed, false, "key of the account"})
	to = persistTarget(false)
	to.IssuerDomainNames = nil
	check(t, newPersist(t, s, true).Validate(t.Context(), to), expect{acme.Malformed, false, "no name for the CA"})
	to = persistTarget(false)
	to.AccountURL = ""
	check(t, newPersist(t, s, true).Validate(t.Context(), to), expect{acme.Malformed, false, "names no account"})
}

// RDP-10: an alias leads to the record, but what is proved is the name that the
// alias belongs to.
func TestDNSPersist01Alias(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]expect{
		"example.org":     {},
		"records.example": {acme.Unauthorized, false, "not that of this account"},
	} {
		s := dnstest.New(t, "_validation-persist.example.org. 60 IN CNAME _validation-persist.records.example.")
		s.AddTXT("_validation-persist.records.example", "ca.example; accounturi="+challenges.HashedAccountURI(hashPrefix, domain, "thumbprint", accountURL))
		check(t, newPersist(t, s, false).Validate(t.Context(), persistTarget(false)), want)
	}
}

// RDP-8, and revision 02, section 4.1, item 5: for how long a proof counts.
func TestDNSPersist01Ends(t *testing.T) {
	t.Parallel()
	until := persistClock().Add(time.Hour)
	s := dnstest.New(t, "")
	for _, account := range []string{accountURL, challenges.HashedAccountURI(hashPrefix, "example.org", "thumbprint", accountURL)} {
		s.AddTXT("_validation-persist.example.org", fmt.Sprintf("ca.example; persistUntil=%d; accounturi=%s", until.Unix(), account))
	}
	if got := newPersist(t, s, false).Validate(t.Context(), persistTarget(false)); !got.Expires.Equal(until) || got.ReuseFor != 0 {
		t.Errorf("revision 02: until %v, for %v", got.Expires, got.ReuseFor)
	}
	if got := newPersist(t, s, true).Validate(t.Context(), persistTarget(false)); !got.Expires.IsZero() || got.ReuseFor != time.Minute {
		t.Errorf("revision 01: until %v, for %v, want the TTL", got.Expires, got.ReuseFor)
	}
}

func TestNewDNSPersist01(t *testing.T) {
	t.Parallel()
	r := newResolver(t, dnstest.New(t, ""), egress.ResolverConfig{})
	good := func() challenges.DNSPersist01Config {
		return challenges.DNSPersist01Config{DNSConfig: challenges.DNSConfig{Resolver: r}, AccountHashPrefix: hashPrefix}
	}
	for says, change := range map[string]func(*challenges.DNSPersist01Config){
		"needs a resolver":    func(c *challenges.DNSPersist01Config) { c.Resolver = nil },
		"account hash prefix": func(c *challenges.DNSPersist01Config) { c.AccountHashPrefix = "" },
		"such as https":       func(c *challenges.DNSPersist01Config) { c.AccountHashPrefix = "https://a;b/" },
	} {
		cfg := good()
		change(&cfg)
		if _, err := challenges.NewDNSPersist01(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
	if v, err := challenges.NewDNSPersist01(good()); err != nil || v.Type() != acme.DNSPersist01 {
		t.Errorf("got %v, %v", v, err)
	}
}

// RDP-1: names that a challenge may offer.
func TestCheckIssuerDomainNames(t *testing.T) {
	t.Parallel()
	for says, names := range map[string][]string{
		"one to ten":       nil,
		"and has 11":       make([]string, 11),
		"in lower case":    {"CA.example"},
		"a dot at the end": {"ca.example."},
		"\"\"":             {""},
		"":                 {"ca.example", "xn--bcher-kva.example"},
	} {
		err := challenges.CheckIssuerDomainNames(names)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%v: got %v, want an error that says %q", names, err, says)
		}
	}
}
