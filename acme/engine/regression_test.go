package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// The faults in here were found by reading; each test failed before its cure.

// tardyStore returns from a commit some time after it, so that others see what
// was committed before whoever committed it goes on.
type tardyStore struct{ storage.Store }

func (s tardyStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	time.Sleep(20 * time.Millisecond)
	return err
}

// TestNoStall: a step that gives its job back due now, and lets go of it a
// moment later, must not have it leased again behind its back in between: the
// job would then wait for the end of a lease that nobody uses.
func TestNoStall(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.store = tardyStore{w.store}
		r := w.start()
		defer r.end()
		a := r.account()
		var stalled atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				name := fmt.Sprintf("a%d.example.org", i)
				o := r.ready(a, name)
				o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), name))
				if err != nil {
					t.Error(err)
				} else if o.Status == acme.OrderProcessing {
					stalled.Add(1)
				}
			})
		}
		wg.Wait()
		if n := stalled.Load(); n > 0 {
			t.Errorf("%d of 8 orders were not done within the hold window", n)
		}
	})
}

// TestLongPolling: an order that was polled for days is not parked at the
// first poll that fails.
func TestLongPolling(t *testing.T) {
	w := newWorld(t)
	w.profile.IssuanceDeadline = 30 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.issueAfter = 10 * 24 * time.Hour
		r := w.start()
		defer r.end()
		a, o := r.finalized("a.example.org")
		time.Sleep(3 * 24 * time.Hour)
		w.fake.set(func(f *fakeCA) { f.down = true })
		time.Sleep(90 * time.Minute)
		w.fake.set(func(f *fakeCA) { f.down = false })
		if x := r.explain(o.ID); x.Job == nil || x.Job.Parked != "" || r.Counters.StepFailures.Load() == 0 {
			t.Fatalf("%+v after %d failures", x.Job, r.Counters.StepFailures.Load())
		}
		time.Sleep(10 * 24 * time.Hour)
		r.wantStatus(a, o.ID, acme.OrderValid)
	})
}

// hanging is a CA that does not answer.
type hanging struct {
	searchable
	release chan struct{}
}

func (h hanging) Submit(ctx context.Context, _ backends.Request) (backends.Ticket, error) {
	select {
	case <-ctx.Done():
	case <-h.release:
	}
	return "", backends.NotSent(errors.New("it hangs"))
}

// TestSickCA: however much waits for a CA that hangs, another one's orders go
// their way (SC-14).
func TestSickCA(t *testing.T) {
	w := newWorld(t)
	w.profile.Hold = time.Second
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		sick := hanging{searchable{&fakeCA{issuing: w.ca}}, make(chan struct{})}
		w.change = func(c *engine.Config) {
			c.Backends["sick"] = sick
			p := w.profile
			p.Name, p.Backend, p.Hold = "sick", "sick", 0
			c.Profiles["sick"] = p
			c.Directories[0].Profiles = append(c.Directories[0].Profiles, "sick")
		}
		r := w.start()
		defer r.end()
		defer close(sick.release)
		a, b := r.account(), r.account()
		key := newKey(t)
		for i := range 600 {
			name := fmt.Sprintf("x%d.example.org", i)
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(name), Profile: "sick"})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, key, name)); err != nil {
				t.Fatal(err)
			}
		}
		if waiting, _ := r.Depth(); waiting > 300 {
			t.Errorf("%d steps wait in memory", waiting)
		}
		o := r.ready(b, "well.example.org")
		if o, _, err := r.Finalize(t.Context(), b, o.ID, csrFor(t, newKey(t), "well.example.org")); err != nil || o.Status != acme.OrderValid {
			t.Errorf("the order at the healthy CA is %s, %v", o.Status, err)
		}
	})
}

// slowRevoker takes ten seconds to hear of a revocation.
type slowRevoker struct {
	searchable
	mu   sync.Mutex
	told []acme.RevocationReason
}

func (s *slowRevoker) Revoke(_ context.Context, _ acme.Certificate, reason acme.RevocationReason) error {
	time.Sleep(10 * time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, reason)
	return nil
}

// TestUpgradeWhileRevoking: that the key is compromised reaches the CA also
// when it becomes known while the CA is being told something else; and the
// date of the revocation stays the first one.
func TestUpgradeWhileRevoking(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		ca := &slowRevoker{searchable: searchable{w.fake}}
		w.backend = ca
		r := w.start()
		defer r.end()
		a := r.account()
		c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		first := time.Now()
		go func() {
			_ = r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Reason: acme.Superseded, Owner: a.ID})
		}()
		time.Sleep(5 * time.Second)
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Key: c.KeyHash}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		ca.mu.Lock()
		defer ca.mu.Unlock()
		if !slices.Equal(ca.told, []acme.RevocationReason{acme.Superseded, acme.KeyCompromise}) {
			t.Errorf("the CA was told %v", ca.told)
		}
		c, _, err := r.Operator().Certificate(t.Context(), c.ID)
		if err != nil || !c.Revocation.At.Equal(first) || c.Revocation.DoneAt.IsZero() {
			t.Errorf("%+v, %v; want it revoked at %s", c.Revocation, err, first)
		}
	})
}

// TestOperatorUpgrade: an operator may say later that a key is compromised.
func TestOperatorUpgrade(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, key := r.account(), newKey(t)
		c := r.issue(a, csrFor(t, key, "a.example.org"), "a.example.org")
		if err := r.Operator().RevokeCertificate(t.Context(), c.ID, acme.Superseded); err != nil {
			t.Fatal(err)
		}
		if err := r.Operator().RevokeCertificate(t.Context(), c.ID, acme.KeyCompromise); err != nil {
			t.Fatal(err)
		}
		_, _, err := r.NewAccount(t.Context(), accountRequest(t, "default", key.Public()))
		wantProblem(t, err, acme.BadPublicKey)
	})
}

// TestOtherDirectory: what one directory issued does not exist in another
// (D11), however well its names are proved there.
func TestOtherDirectory(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *engine.Config) {
		c.Directories = append(c.Directories, acme.Directory{Name: "lab", Path: "/lab/directory", ExternalAccount: acme.ExternalAccountOff, Profiles: []acme.ProfileName{"tls"}})
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		b, _, err := r.NewAccount(t.Context(), accountRequest(t, "lab", newKey(t).Public()))
		if err != nil {
			t.Fatal(err)
		}
		r.ready(b, "a.example.org")
		for _, x := range []engine.Revocation{{Owner: b.ID}, {Key: c.KeyHash}} {
			x.Directory, x.Certificate = "lab", c.Leaf
			if p := problemOf(t, r.Revoke(t.Context(), x), acme.Malformed); p.Status != 404 {
				t.Errorf("%+v: status %d", x.Owner, p.Status)
			}
		}
	})
}

// slowSubmit takes ten seconds to accept a request.
type slowSubmit struct{ searchable }

func (s slowSubmit) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	time.Sleep(10 * time.Second)
	return s.searchable.Submit(ctx, r)
}

// TestAbandonWhileSubmitting: what the CA accepts for an order that was ended
// meanwhile leaves a trace.
func TestAbandonWhileSubmitting(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.backend = slowSubmit{searchable{w.fake}}
		r := w.start()
		defer r.end()
		_, o := r.finalized("a.example.org")
		if err := r.Operator().Abandon(t.Context(), o.ID, "no longer wanted"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		x := r.explain(o.ID)
		if w.fake.bought() != 1 || x.Submission.Ticket == "" || x.Submission.Evidence == "" || r.Counters.Orphans.Load() != 1 {
			t.Errorf("bought %d, submission %+v, %d orphans", w.fake.bought(), x.Submission, r.Counters.Orphans.Load())
		}
	})
}

// stuck is a CA at which every step hangs until it is cut off.
type stuck struct{ searchable }

func (stuck) Submit(ctx context.Context, _ backends.Request) (backends.Ticket, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (stuck) Find(ctx context.Context, _ backends.Request) (backends.Ticket, bool, error) {
	<-ctx.Done()
	return "", false, ctx.Err()
}

// TestKillerJob: a job that takes the process down with it is parked when it
// has done so often enough, since it never lives to fail.
func TestKillerJob(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *engine.Config) { c.CallTimeout, c.Drain = time.Hour, time.Second }
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.backend = stuck{searchable{w.fake}}
		r := w.start()
		_, o := r.finalized("a.example.org")
		deaths := 0
		for r.explain(o.ID).Job.Parked == "" && deaths < 20 {
			r.end() // cut off with the job in hand, as by a crash
			deaths++
			r = w.start()
			time.Sleep(time.Minute)
		}
		r.end()
		if deaths != 10 {
			t.Errorf("parked after %d deaths", deaths)
		}
	})
}

// gateStore holds up one View until it is let go.
type gateStore struct {
	storage.Store
	gate chan struct{}
	arm  atomic.Bool
}

func (s *gateStore) View(ctx context.Context, fn func(storage.Tx) error) error {
	err := s.Store.View(ctx, fn)
	if s.arm.CompareAndSwap(true, false) {
		<-s.gate
	}
	return err
}

// TestStaleResponse: a response that was decided on what is no longer so
// undoes nothing.
func TestStaleResponse(t *testing.T) {
	w := newWorld(t)
	w.profile.Hold = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		gated := &gateStore{Store: w.store, gate: make(chan struct{})}
		w.store = gated
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.order(a, "flaky.example.org") // answers from the third time on
		id := o.Authorizations[0]
		gated.arm.Store(true)
		late := make(chan error)
		go func() {
			_, _, err := r.Respond(t.Context(), a, id, acme.HTTP01)
			late <- err
		}()
		synctest.Wait()
		if _, _, err := r.Respond(t.Context(), a, id, acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		close(gated.gate)
		if err := <-late; err != nil {
			t.Error(err)
		}
		if n := r.explain(o.ID).Authorizations[0].Challenges[0].Attempts; n != 1 {
			t.Errorf("%d attempts are counted, want 1", n)
		}
		time.Sleep(30 * time.Second)
		r.wantStatus(a, o.ID, acme.OrderReady)
	})
}

// TestIllegalMove: a move that the tables do not have is an error and stores
// nothing (SS-3): here, a store that shows the order otherwise than it is.
func TestIllegalMove(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		if err := r.Operator().Abandon(t.Context(), c.Order, "too late"); err == nil {
			t.Error("a finished order was ended")
		}
		r.wantStatus(a, c.Order, acme.OrderValid)
	})
}
