package server_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

// proves is a validator to which everybody has proved everything.
type proves acme.ChallengeType

func (p proves) Type() acme.ChallengeType { return acme.ChallengeType(p) }
func (p proves) Validate(context.Context, challenges.Target) acme.Outcome {
	return acme.Outcome{Valid: true}
}

func caaOf(name, value string) string { return name + `. 60 IN CAA 0 issue "` + value + `"` }

func withCAA(p *acme.Profile) {
	p.CAA, p.IssuerDomainNames = true, []string{"ca.example", "ca.example.net"}
}

// startCAA runs a server that looks at CAA records, and in which control of
// every name is proved by http-01 or dns-01 at once.
func startCAA(t *testing.T, names *dnstest.Server, o servertest.Options) (*front, *clock) {
	t.Helper()
	resolver, err := egress.NewResolver(egress.ResolverConfig{Servers: []string{names.Addr()}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	caa, err := challenges.NewCAA(challenges.CAAConfig{Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	now := &clock{}
	o.Profile = func(p *acme.Profile) {
		withCAA(p)
		p.Challenges = []acme.ChallengeType{acme.HTTP01, acme.DNS01}
		p.Identifiers.Wildcard = true
		p.Identifiers.Types = []acme.IdentifierType{acme.DNSIdentifier, acme.IPIdentifier}
	}
	o.Engine = func(c *engine.Config) {
		c.CAA, c.Now = caa, now.now
		c.Validators = []challenges.Validator{proves(acme.HTTP01), proves(acme.DNS01)}
		c.Attempts = 1
	}
	return start(t, o), now
}

// prove responds to the challenge of a type and returns the authorization.
func (c *client) prove(t *testing.T, authz string, kind acme.ChallengeType) authorization {
	t.Helper()
	a := decode[authorization](t, c.post(t, authz, ""))
	i := slices.IndexFunc(a.Challenges, func(ch challenge) bool { return ch.Type == string(kind) })
	if i < 0 {
		t.Fatalf("no %s is offered: %+v", kind, a.Challenges)
	}
	if r := c.post(t, a.Challenges[i].URL, "{}"); r.status != http.StatusOK {
		t.Fatalf("challenge: %d %s", r.status, r.body)
	}
	return decode[authorization](t, c.post(t, authz, ""))
}

type authorization struct {
	Status     string
	Challenges []challenge
}

type challenge struct {
	Type, URL, Status, Token string
	Error                    *problemDocument
}

// R8659-4.2-1, R8659-4.3-1, -2, R8659-4.1-1, R8657-3-1, R8657-4-1, R8659-V-1:
// CAA records decide when control is proved, for whom and by what. Account and
// method count under each name of the CA (R8657-5-1), and the account has one URL
// under all of them (R8657-5-3).
func TestCAAWhenProved(t *testing.T) {
	t.Parallel()
	names := dnstest.New(t, "test. 60 IN TXT x")
	f, _ := startCAA(t, names, servertest.Options{})
	c := f.registered(t, "default")
	names.On("broken.test", dnstest.Fail(dns.RcodeServerFailure))
	for _, tt := range []struct {
		name   string
		record string // CAA record, with ACCOUNT in place of the account; empty: none
		by     acme.ChallengeType
		want   acme.ProblemType // empty: proved
	}{
		{"silent.test", "", acme.HTTP01, ""},
		{"ours.test", `0 issue "ca.example"`, acme.HTTP01, ""},
		{"also-ours.test", `0 issue "ca.example.net"`, acme.HTTP01, ""},
		{"nobody.test", `0 issue ";"`, acme.HTTP01, acme.CAA},
		{"other.test", `0 issue "other.example"`, acme.HTTP01, acme.CAA},
		{"garbled.test", `0 issue "ca.example; x"`, acme.HTTP01, acme.CAA},
		{"critical.test", `128 tbs "x"`, acme.HTTP01, acme.CAA},
		{"wild-only.test", `0 issuewild ";"`, acme.DNS01, ""},
		{"*.wild-only.test", `0 issuewild ";"`, acme.DNS01, acme.CAA},
		{"*.wild.test", `0 issuewild "ca.example"`, acme.DNS01, ""},
		{"account.test", `0 issue "ca.example; accounturi=ACCOUNT"`, acme.HTTP01, ""},
		{"account-too.test", `0 issue "ca.example.net; accounturi=ACCOUNT"`, acme.HTTP01, ""},
		{"somebody-too.test", `0 issue "ca.example.net; accounturi=ACCOUNTx"`, acme.HTTP01, acme.CAA},
		{"method-too.test", `0 issue "ca.example.net; validationmethods=dns-01"`, acme.HTTP01, acme.CAA},
		{"somebody.test", `0 issue "ca.example; accounturi=ACCOUNTx"`, acme.HTTP01, acme.CAA},
		{"method.test", `0 issue "ca.example; validationmethods=dns-01"`, acme.DNS01, ""},
		{"other-method.test", `0 issue "ca.example; validationmethods=dns-01"`, acme.HTTP01, acme.CAA},
		{"broken.test", `0 issue "ca.example"`, acme.HTTP01, acme.DNS},
	} {
		t.Run(tt.name+" by "+string(tt.by), func(t *testing.T) {
			base := strings.TrimPrefix(tt.name, "*.")
			names.Remove(base)
			if tt.record != "" {
				names.Add(t, base+". 60 IN CAA "+strings.ReplaceAll(tt.record, "ACCOUNT", c.kid))
			}
			o := c.newOrder(t, tt.name)
			a := c.prove(t, o.Authorizations[0], tt.by)
			o = wantOrder(t, c.post(t, o.url, ""), http.StatusOK)
			if tt.want == "" {
				if a.Status != "valid" || o.Status != "ready" {
					t.Errorf("authorization %s, order %s: %+v", a.Status, o.Status, a)
				}
				return
			}
			if a.Status != "invalid" || o.Status != "invalid" || len(a.Challenges) != 1 || a.Challenges[0].Error == nil ||
				a.Challenges[0].Error.Type != acme.ProblemPrefix+string(tt.want) {
				t.Errorf("authorization %s, order %s, want a %s error: %+v", a.Status, o.Status, tt.want, a)
			}
		})
	}
	// R8738-P-1: addresses have no CAA records, and nobody asks for any.
	o := wantOrder(t, c.post(t, c.url["newOrder"], `{"identifiers":[{"type":"ip","value":"192.0.2.1"}]}`), http.StatusCreated)
	if a := c.prove(t, o.Authorizations[0], acme.HTTP01); a.Status != "valid" {
		t.Errorf("the authorization of an address is %s", a.Status)
	}
}

// R8555-7.4F-12, R8659-BR-1: at finalize the records are looked at again when
// that was eight hours ago. Whatever they say, the order stays ready.
func TestCAAAtFinalize(t *testing.T) {
	t.Parallel()
	for _, queued := range []bool{false, true} {
		t.Run(fmt.Sprintf("queued %t", queued), func(t *testing.T) {
			t.Parallel()
			names := dnstest.New(t, "test. 60 IN TXT x\n"+caaOf("a.test", "ca.example")+"\n"+caaOf("b.test", "ca.example"))
			f, clock := startCAA(t, names, servertest.Options{Queued: queued})
			c := f.registered(t, "default")
			place := func() order {
				o := wantOrder(t, c.post(t, c.url["newOrder"], `{"identifiers":[{"type":"dns","value":"a.test"},{"type":"dns","value":"b.test"}]}`), http.StatusCreated)
				for _, authz := range o.Authorizations {
					if a := c.prove(t, authz, acme.HTTP01); a.Status != "valid" {
						t.Fatalf("the authorization is %s", a.Status)
					}
				}
				return o
			}
			fresh, stale := place(), place()
			asked := names.Asked("a.test")
			if o := wantOrder(t, c.post(t, fresh.Finalize, csrFor(t, "a.test", "b.test")), http.StatusOK); o.Status != "valid" || names.Asked("a.test") != asked {
				t.Fatalf("within the window the order is %s, after %d more questions", o.Status, names.Asked("a.test")-asked)
			}

			clock.advance(8*time.Hour + time.Second)
			names.Remove("b.test")
			names.Add(t, caaOf("b.test", "other.example"))
			csr := csrFor(t, "a.test", "b.test")
			r := c.post(t, stale.Finalize, csr)
			wantProblem(t, r, http.StatusForbidden, acme.CAA)
			parts := decode[struct {
				Subproblems []struct {
					Type       string
					Identifier struct{ Value string }
				}
			}](t, r).Subproblems
			if len(parts) != 1 || parts[0].Identifier.Value != "b.test" || parts[0].Type != acme.ProblemPrefix+string(acme.CAA) {
				t.Errorf("the parts of the problem are %+v", parts)
			}
			names.On("b.test", dnstest.Fail(dns.RcodeServerFailure))
			asked = names.Asked("a.test")
			r = c.post(t, stale.Finalize, csr)
			wantProblem(t, r, http.StatusBadRequest, acme.DNS)
			if r.header.Get("Retry-After") == "" {
				t.Error("nothing says when to come back")
			}
			if names.Asked("a.test") != asked {
				t.Error("what was allowed a moment ago is asked for again")
			}
			if o := wantOrder(t, c.post(t, stale.url, ""), http.StatusOK); o.Status != "ready" {
				t.Fatalf("the order is %s", o.Status)
			}

			names.On("b.test", nil)
			names.Remove("b.test")
			if o := wantOrder(t, c.post(t, stale.Finalize, csr), http.StatusOK); o.Status != "valid" {
				t.Errorf("the order is %s, though nobody forbids it any more", o.Status)
			}
		})
	}
}

// R8555-7.1.1-4: the directory tells the names of the CA as they are matched,
// and only where somebody looks.
func TestCAAIdentities(t *testing.T) {
	t.Parallel()
	identities := func(f *front) []string {
		return decode[struct {
			Meta struct{ CAAIdentities []string }
		}](t, f.do(t, get(f.DirectoryURL("default")))).Meta.CAAIdentities
	}
	f, _ := startCAA(t, dnstest.New(t, ""), servertest.Options{})
	if got := identities(f); !slices.Equal(got, []string{"ca.example", "ca.example.net"}) {
		t.Errorf("caaIdentities are %v", got)
	}
	f = start(t, servertest.Options{Profile: func(p *acme.Profile) { p.IssuerDomainNames = []string{"ca.example"} }})
	if got := identities(f); got != nil {
		t.Errorf("caaIdentities are %v, where nobody looks at CAA", got)
	}
}
