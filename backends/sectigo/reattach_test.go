package sectigo_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/storage"
)

// TestClientThatGivesUp: a client runs every hour, with the same key, while the
// CA takes seven hours and the server is started anew between the runs; replies
// to the upload get lost, too. There is one batch, as the journal of the CA
// says, and every order has the certificate (D9).
func TestClientThatGivesUp(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]sectigotest.Fault{
		"calm":       nil,
		"lost reply": {{Endpoint: "upload", Kind: "reset-after", Count: 1}},
		"bad reply":  {{Endpoint: "upload", Kind: "status-after", Status: 502, Count: 1}, {Endpoint: "batch", Kind: "status", Status: 503, Probability: 0.3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, sectigotest.Config{Created: time.Minute, Processing: 7 * time.Hour, Seed: 7})
				b.profile.ReattachWithin = 24 * time.Hour
				for _, f := range faults {
					if err := b.ca.Break(f); err != nil {
						t.Fatal(err)
					}
				}
				csr := newOrder(t, "a.example.org").csr
				var a acme.Account
				var all []placed
				for run := range 12 {
					b.life(func(e *engine.Engine) {
						if run == 0 {
							a = b.account(e)
						}
						p, err := b.orders(e, a, "a.example.org", csr)
						if err != nil {
							t.Fatal(err)
						}
						all = append(all, p)
						time.Sleep(time.Hour)
					})
				}
				b.life(func(e *engine.Engine) {
					for i, p := range all {
						if status, why := b.status(e, p); status != acme.OrderValid {
							t.Errorf("order %d is %s: %s", i, status, why)
						}
					}
				})
				b.once(1)
				if n := b.ca.Count("upload"); n != 1 {
					t.Errorf("%d uploads", n)
				}
			})
		})
	}
}

// TestNewKeyEachTime: a client that comes back with another key each time has
// one batch at the CA at any moment.
func TestNewKeyEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, sectigotest.Config{Processing: 7 * time.Hour})
		b.life(func(e *engine.Engine) {
			a := b.account(e)
			for run := range 6 {
				_, err := b.orders(e, a, "a.example.org", newOrder(t, "a.example.org").csr)
				var p *acme.Problem
				if told := errors.As(err, &p) && p.Type == acme.RateLimited && p.RetryAfter > 0; told != (run > 0) {
					t.Errorf("run %d: %v", run, err)
				}
				time.Sleep(time.Hour)
			}
			b.once(1)
		})
	})
}

// TestPausedAtTheDeadline: a CA that wants to be left alone says nothing about
// the batch, so the deadline that passes meanwhile ends nothing: what was bought
// waits for a person, who has it looked at again.
func TestPausedAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, sectigotest.Config{Processing: 2 * time.Hour})
		b.profile.IssuanceDeadline = 3 * time.Hour
		b.life(func(e *engine.Engine) {
			o := b.places(e, "a.example.org")
			time.Sleep(time.Hour)
			if err := b.ca.Break(sectigotest.Fault{Endpoint: "batch", Kind: "status", Status: 503, RetryAfter: "600"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Hour)
			if status, why := b.status(e, o); status != acme.OrderProcessing {
				t.Fatalf("it is %s: %s", status, why)
			}
			if jobs, _, err := e.Operator().Parked(t.Context(), storage.Page{}); err != nil || len(jobs) != 1 {
				t.Errorf("%d jobs are parked, %v", len(jobs), err)
			}
			b.ca.Mend()
			if err := e.Operator().Retry(t.Context(), o.id, false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if status, why := b.status(e, o); status != acme.OrderValid {
				t.Errorf("it is %s: %s", status, why)
			}
		})
		b.once(1)
	})
}
