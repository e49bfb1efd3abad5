package engine_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// crashStore dies at its nth Update, either before anything of it was applied
// or after all of it was, and answers nothing from then on, as a process that
// was killed would.
type crashStore struct {
	storage.Store
	mu      sync.Mutex
	at      int // guarded by mu, like the rest
	applied bool
	updates int
	dead    bool
}

func (c *crashStore) View(ctx context.Context, fn func(storage.Tx) error) error {
	c.mu.Lock()
	dead := c.dead
	c.mu.Unlock()
	if dead {
		return storage.ErrClosed
	}
	return c.Store.View(ctx, fn)
}

func (c *crashStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return storage.ErrClosed
	}
	if c.updates+1 == c.at && !c.applied {
		c.dead = true
		return fmt.Errorf("%w: the power is gone", storage.ErrUnknown)
	}
	// One that is refused, or given up because the run was stopped meanwhile,
	// is no commit.
	if err := c.Store.Update(ctx, fn); err != nil {
		return err
	}
	if c.updates++; c.updates == c.at {
		c.dead = true
		return fmt.Errorf("%w: the power is gone", storage.ErrUnknown)
	}
	return nil
}

func (c *crashStore) died() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// TestCrashAtEveryCommit lets the process die at each commit in turn, once
// before it and once after it, lets a new process take over the same store and
// the same CA, and lets the client go on as clients do. Whatever happens, there
// is one purchase (R8555-7.1.6-4), no status without what caused it and no work
// that nobody takes up (R8555-7.1.6-2), and the order ends with its certificate
// (D8, SS-2, SS-16).
//
// Each crash is survived twice: the process that takes over dies as well, at
// its second commit.
func TestCrashAtEveryCommit(t *testing.T) {
	for _, ca := range []string{"remote", "inline", "inline with CAA"} {
		t.Run(ca, func(t *testing.T) {
			last := 0
			for at := 1; ; at++ {
				crashed := false
				for _, applied := range []bool{false, true} {
					t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
						crashed = crashAt(t, ca, at, applied) || crashed
					})
				}
				if !crashed {
					last = at
					break
				}
			}
			// The way of an order has at least these commits; fewer would mean
			// that the test does not see them.
			if want := map[string]int{"remote": 8, "inline": 5, "inline with CAA": 6}[ca]; last < want {
				t.Errorf("only %d commits were crashed", last-1)
			}
		})
	}
}

func crashAt(t *testing.T, ca string, at int, applied bool) (crashed bool) {
	w := newWorld(t)
	pause := time.Duration(0)
	if ca != "remote" {
		w.backend = w.ca
	}
	if ca == "inline with CAA" {
		// The client comes back when the records have to be looked at again.
		pause = 9 * time.Hour
		w.withCAA(&holders{})
		w.profile.OrderLifetime, w.profile.AuthorizationLifetime = 30*24*time.Hour, 30*24*time.Hour
	}
	// With this permission it would show if the engine sent again too lightly.
	w.profile.ResubmitOnDoubt = true
	memory := w.store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		client := client{w: w, key: newKey(t), csr: csrFor(t, newKey(t), "a.example.org"), pause: pause}
		first := &crashStore{Store: memory, at: at, applied: applied}
		w.store = first
		r := w.start()
		client.goOn(r)
		crashed = checkEnd(t, r, first)
		for range 2 {
			next := &crashStore{Store: memory, at: 2, applied: applied}
			if !crashed {
				next.at = 0
			}
			w.store = next
			r = w.start()
			client.goOn(r)
			checkEnd(t, r, next)
		}
		w.store = memory
		r = w.start()
		defer r.end()
		client.goOn(r)
		o := r.wantStatus(client.account, client.order, acme.OrderValid)
		if _, _, err := r.Certificate(t.Context(), client.account.ID, o.Certificate); err != nil {
			t.Errorf("the certificate is gone: %v", err)
		}
		if n := w.fake.bought(); ca == "remote" && n != 1 {
			t.Errorf("%d certificates were bought for one order", n)
		}
		certs, _, err := r.Operator().Certificates(t.Context(), client.account.ID, storage.Page{})
		if err != nil || len(certs) != 1 {
			t.Errorf("%d certificates are stored, %v", len(certs), err)
		}
		if _, parked, err := r.Operator().Jobs(t.Context()); err != nil || parked != 0 {
			t.Errorf("%d jobs are parked, %v", parked, err)
		}
	})
	return crashed
}

// checkEnd ends a run. One whose store died must say so itself.
func checkEnd(t *testing.T, r *run, store *crashStore) (crashed bool) {
	t.Helper()
	err := r.close()
	if crashed = store.died(); crashed && !errors.Is(err, storage.ErrUnknown) && !errors.Is(err, storage.ErrClosed) {
		t.Errorf("the run ended with %v, after its store died", err)
	}
	return crashed
}

// client does what ACME clients do: it knows what it was told, asks again
// when it was told nothing, and goes on from whatever the server says.
type client struct {
	w       *world
	key     crypto.Signer
	csr     []byte
	account acme.Account
	order   acme.OrderID
	pause   time.Duration // before it finalizes
	// stopAt is when it gives up; never when empty.
	stopAt acme.OrderStatus
}

// goOn takes the order as far as it gets before the server dies, if it does.
func (c *client) goOn(r *run) {
	t, ctx := c.w.t, c.w.t.Context()
	if c.account.ID == "" {
		request := accountRequest(t, "default", c.key.Public())
		request.Thumbprint = "same"
		a, _, err := r.NewAccount(ctx, request)
		if err != nil {
			return
		}
		c.account = a
	}
	if c.order == "" {
		o, err := r.NewOrder(ctx, c.account, engine.OrderRequest{Identifiers: dns("a.example.org")})
		if err != nil {
			return
		}
		c.order = o.ID
	}
	for range 20 {
		o, _, err := r.Order(ctx, c.account.ID, c.order)
		if err != nil {
			return
		}
		if o.Status == c.stopAt {
			return
		}
		switch o.Status {
		case acme.OrderPending:
			_, _, err = r.Respond(ctx, c.account, o.Authorizations[0], acme.HTTP01)
		case acme.OrderReady:
			time.Sleep(c.pause)
			_, _, err = r.Finalize(ctx, c.account, o.ID, c.csr)
		case acme.OrderProcessing:
			time.Sleep(time.Minute)
		default:
			return
		}
		if err != nil {
			return
		}
	}
}
