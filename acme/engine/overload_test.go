package engine_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// wantShed checks that a request was put off, and not for ever.
func wantShed(t *testing.T, err error) {
	t.Helper()
	p := problemOf(t, err, acme.ServerInternal)
	if p.Status != 503 || p.RetryAfter < time.Second || p.RetryAfter > 10*time.Minute { // C-SH-2: acme.sh gives up beyond that
		t.Errorf("%d, Retry-After %s: %s", p.Status, p.RetryAfter, p.Detail)
	}
}

// TestQueueOfACA: while as many orders as may be wait for a CA, no more are
// taken for it; those that are there are finalized, read, downloaded and
// revoked as ever, and accounts are made (SL-24, SL-45).
func TestQueueOfACA(t *testing.T) {
	limited(t, engine.Limits{Queue: 3}, func(w *world) { w.profile.Hold = 0; w.fake.issueAfter = 3 * time.Second }, func(r *run) {
		ctx, a := r.w.t.Context(), r.account()
		done := r.ready(a, "done.net")
		if _, _, err := r.Finalize(ctx, a, done.ID, csrFor(r.w.t, newKey(r.w.t), "done.net")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		done = r.wantStatus(a, done.ID, acme.OrderValid)
		r.w.fake.mu.Lock()
		r.w.fake.issueAfter = time.Hour
		r.w.fake.mu.Unlock()
		var ready []acme.Order
		for _, name := range []string{"a.net", "b.net", "c.net", "d.net"} {
			ready = append(ready, r.ready(a, name))
		}
		waiting := r.order(a, "e.net")
		finalize := func(o acme.Order) {
			r.w.t.Helper()
			if o, _, err := r.Finalize(ctx, a, o.ID, csrFor(r.w.t, newKey(r.w.t), o.Identifiers[0].Value)); err != nil || o.Status != acme.OrderProcessing {
				r.w.t.Fatalf("%s, %v", o.Status, err)
			}
		}
		for _, o := range ready[:3] {
			finalize(o)
		}
		time.Sleep(2 * time.Second) // the count is a second old at most
		for range 3 {
			_, err := r.tryOrder(a, "f.net")
			wantShed(r.w.t, err)
		}
		if n := r.Counters.Shed.Load(); n != 3 {
			t.Errorf("%d are counted as shed", n)
		}
		// Everything else goes on.
		finalize(ready[3])
		r.prove(a, waiting)
		finalize(r.wantStatus(a, waiting.ID, acme.OrderReady))
		r.account()
		cert, _, err := r.Certificate(ctx, a.ID, done.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Revoke(ctx, engine.Revocation{Directory: "default", Certificate: cert.Leaf, Owner: a.ID}); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Hour)
		for _, o := range ready {
			r.wantStatus(a, o.ID, acme.OrderValid)
		}
		r.order(a, "f.net")
	})
}

// TestChallengesInQueue: while too many challenges wait to be tried, new orders
// are shed first, and new accounts only when there are twice as many. Nobody
// loses what is under way (SL-45).
func TestChallengesInQueue(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *engine.Config) { c.Limits.Queue, c.Validations = 2, 1 }
	w.profile.Hold = 0
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, a := t.Context(), r.account()
		var orders []acme.Order
		for range 6 { // two of one account are tried, four wait
			orders = append(orders, r.order(a, "slow.net"))
		}
		respond := func(o acme.Order) {
			t.Helper()
			if _, _, err := r.Respond(ctx, a, o.Authorizations[0], acme.HTTP01); err != nil {
				t.Error(err)
			}
		}
		for _, o := range orders[:4] {
			respond(o)
		}
		_, err := r.tryOrder(a, "a.net")
		wantShed(t, err)
		r.account() // not yet
		for _, o := range orders[4:] {
			respond(o)
		}
		key := newKey(t)
		_, _, err = r.NewAccount(ctx, accountRequest(t, "default", key.Public()))
		wantShed(t, err)
		for _, o := range orders {
			r.wantStatus(a, o.ID, acme.OrderPending)
		}
		time.Sleep(5 * time.Minute)
		for _, o := range orders {
			r.wantStatus(a, o.ID, acme.OrderReady)
		}
		r.order(a, "a.net")
		r.account()
	})
}

// gate is a store whose commits wait while it is closed.
type gate struct {
	storage.Store
	mu      sync.RWMutex
	arrived chan struct{} // one for each commit that comes to the gate
}

func (g *gate) Update(ctx context.Context, fn func(storage.Tx) error) error {
	g.arrived <- struct{}{}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.Store.Update(ctx, fn)
}

// TestDiskThatIsBehind: while more changes wait for the disk than may, new
// orders are put off at once instead of waiting, too; reads do not wait, and
// what waits is done in the end (SL-45).
func TestDiskThatIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := &gate{Store: w.store, arrived: make(chan struct{}, 1000)}
	w.store = g
	w.change = func(c *engine.Config) { c.Limits.Commits = 2 }
	r := w.start()
	defer r.end()
	a := r.account()
	first := r.ready(a, "a.net")
	waiting := r.order(a, "b.net")
	g.mu.Lock()
	for len(g.arrived) > 0 {
		<-g.arrived
	}
	placed := make(chan error, 2)
	for range 2 {
		go func() { _, err := r.tryOrder(a, "c.net"); placed <- err }()
		<-g.arrived
	}
	for range 20 {
		_, err := r.tryOrder(a, "d.net")
		wantShed(t, err)
	}
	r.wantStatus(a, first.ID, acme.OrderReady)
	finalized, proved := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := r.Finalize(t.Context(), a, first.ID, csrFor(t, newKey(t), "a.net"))
		finalized <- err
	}()
	go func() {
		_, _, err := r.Respond(t.Context(), a, waiting.Authorizations[0], acme.HTTP01)
		proved <- err
	}()
	g.mu.Unlock()
	for range 2 {
		if err := <-placed; err != nil {
			t.Errorf("an order that waited: %v", err)
		}
	}
	if err := <-finalized; err != nil {
		t.Errorf("finalize: %v", err)
	}
	if err := <-proved; err != nil {
		t.Errorf("challenge: %v", err)
	}
}
