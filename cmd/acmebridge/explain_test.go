package main

import (
	"strings"
	"testing"
	"time"

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
