package digicert_test

import (
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/digicert/digicerttest"
)

// TestOneCallForAll: of orders that wait for long, the CA is asked once a minute
// what has changed, and only those that have are looked at.
func TestOneCallForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	b := w.backend(t, w.client(t))
	for range 20 {
		w.ca.Next(digicerttest.Outcome{Kind: digicerttest.Stuck})
	}
	var tickets []backends.Ticket
	for range 20 {
		ticket, err := b.Submit(t.Context(), w.request())
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	round := func() (chains int) {
		t.Helper()
		for _, ticket := range tickets {
			got, err := b.Poll(t.Context(), ticket)
			if err != nil {
				t.Fatal(err)
			}
			if got.Chain != nil {
				chains++
			}
		}
		return chains
	}
	// Young ones are looked at each time: most are done in a moment.
	for range 3 {
		round()
		w.ca.Advance(time.Minute)
	}
	if n := w.ca.Count("info"); n != 60 || w.ca.Count("changes") != 0 {
		t.Errorf("%d looks at 20 young orders in three rounds", n)
	}
	w.ca.Advance(6 * time.Minute)
	round()
	w.ca.Advance(31 * time.Minute)
	round()
	looks, asked := w.ca.Count("info"), w.ca.Count("changes")
	for range 20 {
		w.ca.Advance(time.Minute)
		if n := round(); n != 0 {
			t.Fatalf("%d certificates out of nothing", n)
		}
	}
	if n := w.ca.Count("info") - looks; n != 0 {
		t.Errorf("%d looks at orders that have not changed", n)
	}
	if n := w.ca.Count("changes") - asked; n < 10 || n > 20 {
		t.Errorf("asked %d times in 20 minutes what has changed", n)
	}
	if err := w.ca.Reject(w.ca.Purchases()[3].Order); err != nil {
		t.Fatal(err)
	}
	w.ca.Advance(time.Minute)
	if _, err := b.Poll(t.Context(), tickets[3]); err == nil {
		t.Error("the one that was rejected goes on waiting")
	}
	if n := w.ca.Count("info") - looks; n != 1 {
		t.Errorf("%d looks for one change", n)
	}
}
