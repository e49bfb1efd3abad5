package digicert_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/storage"
)

// dying is a store whose next commits do not happen.
type dying struct {
	storage.Store
	dead *bool
}

func (d dying) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if *d.dead {
		return errors.New("the power is gone")
	}
	return d.Store.Update(ctx, fn)
}

// TestCancelOrder: an operator ends an order here and at the CA. Nothing is issued
// for it any more, and nobody goes on with it: not who comes back with the same key,
// and not who comes with another one. When the CA does not give it up nothing
// changes, and when the server dies in between the CA says what has happened.
func TestCancelOrder(t *testing.T) {
	t.Parallel()
	const waits, issued, lost, refused, dies = "waits for approval", "is issued", "the reply is lost", "the CA is away", "the server dies in between"
	for _, when := range []string{waits, issued, lost, refused, dies} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour}
				b := newBridge(t, cfg)
				dead := false
				b.store = dying{b.store, &dead}
				const name, why = "trust.example.org", "the member has left"
				var a acme.Account
				var first acme.OrderID
				key := newKey(t)
				b.life(func(e *engine.Engine) {
					a = b.account(e)
					var err error
					if first, err = b.ordersFor(e, a, name, key); err != nil {
						t.Fatal(err)
					}
					shared, err := b.ordersFor(e, a, name, key)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					if err := e.Operator().Cancel(t.Context(), shared, why); err == nil || !strings.Contains(err.Error(), "order "+string(first)+" waits for; cancel that one") {
						t.Errorf("an attached order: %v", err)
					}
					switch when {
					case issued:
						if err := b.ca.Approve(b.ca.Purchases()[0].Order); err != nil {
							t.Fatal(err)
						}
						b.ca.Advance(2 * time.Hour) // and nobody has asked since
					case lost:
						err = b.ca.Break(digicerttest.Fault{Endpoint: "cancel", Kind: "reset-after", Count: 1})
					case refused:
						err = b.ca.Break(digicerttest.Fault{Endpoint: "cancel", Kind: "status", Status: 403, Count: 1})
					}
					if err != nil {
						t.Fatal(err)
					}
					dead = when == dies
					err = e.Operator().Cancel(t.Context(), first, why)
					dead = false
					says := map[string]string{issued: "what was issued cannot be cancelled", refused: "is as it was", dies: "ends when the CA is asked next"}[when]
					if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
						t.Fatalf("cancelled: %v", err)
					}
					want := acme.OrderInvalid
					if says != "" {
						want = acme.OrderProcessing
					}
					for _, id := range []acme.OrderID{first, shared} {
						if status, history := b.status(e, a, id); status != want {
							t.Errorf("order %s is %s: %s", id, status, history)
						}
					}
				})
				cancelled := 1
				if when == issued || when == refused {
					cancelled = 0
				}
				if n := len(b.ca.Journal("cancel")); n != cancelled {
					t.Errorf("%d were cancelled at the CA", n)
				}
				b.life(func(e *engine.Engine) {
					time.Sleep(12 * time.Hour)
					want := map[string]acme.OrderStatus{issued: acme.OrderValid, refused: acme.OrderProcessing}[when]
					if status, history := b.status(e, a, first); status != want && (want != "" || status != acme.OrderInvalid) {
						t.Errorf("at last it is %s: %s", status, history)
					}
					if cancelled == 0 {
						return
					}
					if err := e.Operator().Cancel(t.Context(), first, why); err == nil || !strings.Contains(err.Error(), "already") {
						t.Errorf("again: %v", err)
					}
					// Who comes back buys, whatever key he has.
					if _, err := b.ordersFor(e, a, name, key); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					if n := len(b.ca.Purchases()); n != 2 {
						t.Errorf("%d purchases with the same key", n)
					}
				})
				if n := len(b.ca.Journal("certificate")); cancelled == 1 && n != 0 {
					t.Errorf("%d certificates", n)
				}
			})
		})
	}
}

// TestCancelNotTakenOver: an order with another key does not go on with what was
// cancelled, under the rule that lets it.
func TestCancelNotTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour})
		b.profile.IssuanceDeadline = 48 * time.Hour
		b.life(func(e *engine.Engine) {
			a, key := b.account(e), newKey(t)
			const name = "trust.example.org"
			first, err := b.ordersFor(e, a, name, key)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(49 * time.Hour) // it is given up, and the next one resumes it
			second, err := b.ordersFor(e, a, name, key)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := len(b.ca.Purchases()); n != 1 {
				t.Fatalf("%d purchases", n)
			}
			if err := e.Operator().Cancel(t.Context(), second, "enough"); err != nil {
				t.Fatal(err)
			}
			third, err := b.orders(e, a, name)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n, swaps := len(b.ca.Purchases()), len(b.ca.Journal("swap")); n != 2 || swaps != 0 {
				t.Errorf("%d purchases and %d swaps", n, swaps)
			}
			for id, want := range map[acme.OrderID]acme.OrderStatus{first: acme.OrderInvalid, second: acme.OrderInvalid, third: acme.OrderProcessing} {
				if status, history := b.status(e, a, id); status != want {
					t.Errorf("order %s is %s: %s", id, status, history)
				}
			}
		})
	})
}
