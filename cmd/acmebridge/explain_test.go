package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"acmebridge/acme/engine"
	"acmebridge/internal/admin"
)

// TestExplainAttempts: an operator who asks about an order sees what each
// attempt at its challenges did.
func TestExplainAttempts(t *testing.T) {
	t.Parallel()
	at := func(second int) *time.Time {
		v := time.Date(2026, 11, 20, 12, 0, second, 0, time.UTC)
		return &v
	}
	var b strings.Builder
	writeExplanation(&b, admin.Explanation{
		Order: admin.Order{Status: "invalid", CreatedAt: at(0), Expires: at(59)},
		Authorizations: []admin.Authorization{{
			Identifier: admin.Identifier{Type: "dns", Value: "a.example"}, Status: "invalid", Expires: at(59), CAACheckedAt: at(3),
			Challenges: []admin.Challenge{{
				Type: "http-01", Status: "invalid", Attempts: 2, Problem: &admin.Problem{Type: "connection", Detail: "the last word"},
				Trials: []admin.Trial{
					{At: at(1), Detail: "time ran out", Steps: []string{"A a.example: 1 record", "connect to 192.0.2.1:80"}},
					{At: at(2), Detail: "refused\x1b[31m", Steps: []string{"connect to 192.0.2.2:80"}},
				},
			}},
		}},
	})
	rest := b.String()
	for _, want := range []string{
		"CAA records allowed it", "http-01 is invalid after 2 attempts", "connection: the last word",
		"attempt 1, ", "A a.example: 1 record", "connect to 192.0.2.1:80", "time ran out", "attempt 2, ", "connect to 192.0.2.2:80", "refused",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is not said, or not in this order:\n%s", want, b.String())
		}
		rest = after
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("control characters reach the terminal")
	}
}

// TestAdvice: what to do is addressed to who can do it.
func TestAdvice(t *testing.T) {
	t.Parallel()
	silent := []admin.Authorization{{Identifier: admin.Identifier{Value: "a.example"}, Status: "invalid", Challenges: []admin.Challenge{
		{Type: "dns-01", Status: "invalid", Problem: &admin.Problem{Type: "dns", Detail: "a.example: no DNS server answered in time"}}}}}
	other := []admin.Authorization{{Status: "invalid", Challenges: []admin.Challenge{
		{Type: "dns-01", Status: "invalid", Problem: &admin.Problem{Type: "unauthorized", Detail: "another value"}}}}}
	long := strings.Repeat("a long story, ", 60) + "and its end"
	for name, tt := range map[string]struct {
		status    string
		job       *admin.Job
		offline   bool
		authz     []admin.Authorization
		problem   string
		want, not string
	}{
		"under way":              {status: "processing", job: &admin.Job{Kind: "poll", Failures: 10}, want: "What to do: nothing", not: "failure"},
		"failing for long":       {status: "processing", job: &admin.Job{Kind: "poll", Backend: "ca1", Failures: 11, LastError: long}, want: "backend ca1", not: "nothing"},
		"a login refused":        {status: "processing", job: &admin.Job{Kind: "submit", Backend: "ca1", Failures: 1, LastError: long, Credentials: true}, want: "backends.ca1: username, password_file", not: "nothing"},
		"a login refused, ended": {status: "processing", job: &admin.Job{Kind: "submit", Backend: "ca1", Parked: long, LastError: long, Credentials: true}, want: "acmebridge order retry", not: "by itself"},
		"a login refused, off":   {status: "processing", job: &admin.Job{Kind: "submit", Backend: "ca1", LastError: long, Credentials: true}, offline: true, want: "start the server"},
		"silent DNS":             {status: "invalid", authz: silent, want: "validation.resolvers", not: "remove the cause"},
		"a wrong answer":         {status: "invalid", authz: other, want: "its client has to remove the cause", not: "resolvers"},
		"its place taken":        {status: "invalid", problem: fmt.Sprintf(engine.TookItsPlace, "o2"), want: "What to do: nothing; order o2", not: "remove the cause"},
		"a refusal":              {status: "invalid", problem: "your order o2 is not wanted", want: "remove the cause", not: "order o2"},
		"silent DNS, going on": {status: "pending", job: nil, want: "validation.resolvers", authz: []admin.Authorization{{Challenges: []admin.Challenge{
			{Status: "processing", Trials: []admin.Trial{{Detail: "no DNS server answered in time"}}}}}}},
	} {
		x := admin.Explanation{Order: admin.Order{ID: "o1", Status: tt.status}, Job: tt.job, Offline: tt.offline, Authorizations: tt.authz}
		if tt.problem != "" {
			x.Order.Problem = &admin.Problem{Type: "unauthorized", Detail: tt.problem}
		}
		if tt.status == "pending" {
			x.ValidationJobs = []admin.Job{{Kind: "validate"}}
		}
		var b strings.Builder
		writeExplanation(&b, x)
		_, says, _ := strings.Cut(b.String(), "What to do:")
		if says = "What to do:" + says; !strings.Contains(says, tt.want) || tt.not != "" && strings.Contains(says, tt.not) {
			t.Errorf("%s: %s; want %q and not %q", name, says, tt.want, tt.not)
		}
		if tt.job != nil && tt.job.LastError != "" && !strings.Contains(b.String(), "and its end") {
			t.Errorf("%s: the error is cut short", name)
		}
	}
}

// TestAdviceForXRoad: a Security Server shows a fixed text, so what is to be
// changed there, for which member and server, is said here.
func TestAdviceForXRoad(t *testing.T) {
	t.Parallel()
	tried := func(status string) []admin.Authorization {
		return []admin.Authorization{{Status: status, Challenges: []admin.Challenge{{Type: "http-01", Status: status}}}}
	}
	for name, tt := range map[string]struct {
		order admin.Order
		authz []admin.Authorization
		job   *admin.Job
		wants []string
	}{
		"refused":             {order: admin.Order{Status: "ready", Refused: "unauthorized: another code"}, authz: tried("valid"), wants: []string{"ss1.example.org", "EX:COM:1", "SIGN key", "order_finalization_failure", "another code", "order again"}},
		"refused, and ended":  {order: admin.Order{Status: "invalid", Refused: "unauthorized: another code", Problem: &admin.Problem{Type: "malformed", Detail: "expired"}}, authz: tried("valid"), wants: []string{"ss1.example.org", "EX:COM:1", "another code", "order again"}},
		"never finalized":     {order: admin.Order{Status: "ready"}, authz: tried("valid"), wants: []string{"ss1.example.org", "did not finalize"}},
		"never tried":         {order: admin.Order{Status: "pending"}, authz: tried("pending"), wants: []string{"challenge_trigger_failure"}},
		"being tried":         {order: admin.Order{Status: "pending"}, authz: tried("processing"), wants: []string{"answer a challenge"}},
		"not reached":         {order: admin.Order{Status: "invalid"}, authz: tried("invalid"), wants: []string{"authorization_failure", "acme-challenge-port-enabled", "firewall", "ss1.example.org", "EX:COM:1"}},
		"a slow CA":           {order: admin.Order{Status: "processing"}, authz: tried("valid"), job: &admin.Job{Kind: "poll"}, wants: []string{"certificate_wait_failure", "retry_after of profile sign to a third"}},
		"a CA that is broken": {order: admin.Order{Status: "processing"}, authz: tried("valid"), job: &admin.Job{Kind: "poll", Failures: manyFailures + 1}, wants: []string{"fails for so long"}},
		"done":                {order: admin.Order{Status: "valid"}, authz: tried("valid"), wants: []string{"download"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tt.order
			o.ID, o.XRoad, o.Member, o.Profile, o.Identifiers = "o1", "sign", "EX:COM:1", "sign", []admin.Identifier{{Type: "dns", Value: "ss1.example.org"}}
			says := advice(admin.Explanation{Order: o, Authorizations: tt.authz, Job: tt.job})
			for _, want := range tt.wants {
				if !strings.Contains(says, want) {
					t.Errorf("%q is missing:\n%s", want, says)
				}
			}
			o.XRoad = ""
			if other := advice(admin.Explanation{Order: o, Authorizations: tt.authz, Job: tt.job}); strings.Contains(other, "Security Server") {
				t.Errorf("another client is told:\n%s", other)
			}
		})
	}
}
