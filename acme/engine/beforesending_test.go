package engine_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/challenges"
)

// fickle is the holder of all domains, who changes his mind.
type fickle struct {
	mu     sync.Mutex
	answer acme.Outcome // guarded by mu
}

func (f *fickle) Check(context.Context, challenges.CAARequest) acme.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answer
}

func (f *fickle) says(out acme.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = out
}

var (
	mayIssue  = acme.Outcome{Valid: true}
	forbidden = acme.Outcome{Problem: acme.Problemf(acme.CAA, "the records forbid it")}
	silent    = acme.Outcome{Retry: true, Problem: acme.Problemf(acme.DNS, "no answer")}
)

// TestCAAAfterApproval: while a person was deciding, the look at the CAA records
// grew old, so they are looked at again before the CA is asked; a name server
// that does not answer is asked until it does (R8659-BR-1, SD-4).
func TestCAAAfterApproval(t *testing.T) {
	w, holder := newWorld(t), &fickle{answer: mayIssue}
	fourEyes(w)
	w.withCAA(nil)
	before := w.change
	w.change = func(c *engine.Config) { before(c); c.CAA = holder }
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		approved := func(name string, changed acme.Outcome) acme.OrderID {
			t.Helper()
			holder.says(mayIssue)
			o := r.finalizes(a, r.ready(a, name), newKey(t))
			time.Sleep(9 * time.Hour)
			holder.says(changed)
			if err := r.Operator().Approve(t.Context(), o.ID, "alice", "ticket 17"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			return o.ID
		}

		o := r.wantStatus(a, approved("a.net", forbidden), acme.OrderInvalid)
		if p := problemOf(t, o.Problem, acme.CAA); !strings.Contains(p.Detail, "forbid") {
			t.Errorf("its client is told %q", p.Detail)
		}
		r.wantBought(0)

		id := approved("b.net", silent)
		r.wantStatus(a, id, acme.OrderProcessing)
		time.Sleep(24 * time.Hour) // nobody is needed for it
		if x := r.explain(id); x.Job == nil || x.Job.Parked != "" || !strings.Contains(x.Job.LastError, "no answer") {
			t.Errorf("meanwhile its job is %+v", x.Job)
		}
		r.wantBought(0)
		holder.says(mayIssue)
		time.Sleep(time.Hour)
		r.wantStatus(a, id, acme.OrderValid)
		r.wantBought(1)
	})
}

// TestRegistryBeforeSubmission: what the registry does not give to the member
// any more is not bought, whoever approved it (SP-9).
func TestRegistryBeforeSubmission(t *testing.T) {
	slow(t, func(w *world) { fourEyes(w); byRegistry(w) }, func(r *run) {
		ctx := r.w.t.Context()
		m := r.enrol("m1", ".m1.net")
		a := r.memberAccount("m1")
		lost := r.finalizes(a, r.order(a, "a.m1.net"), newKey(r.w.t))
		kept := r.finalizes(a, r.order(a, "b.m1.net"), newKey(r.w.t))
		m.Identifiers = []string{"b.m1.net"}
		if _, err := r.Operator().UpdateMember(ctx, m); err != nil {
			r.w.t.Fatal(err)
		}
		for _, o := range []acme.Order{lost, kept} {
			if err := r.Operator().Approve(ctx, o.ID, "alice", "ticket 17"); err != nil {
				r.w.t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		wantProblem(r.w.t, r.wantStatus(a, lost.ID, acme.OrderInvalid).Problem, acme.RejectedIdentifier)
		r.wantStatus(a, kept.ID, acme.OrderValid)
		r.wantBought(1)
	})
}

// TestKeyReportedBeforeSubmission: nothing is bought for a key that was reported
// as compromised while the order waited (EK-9).
func TestKeyReportedBeforeSubmission(t *testing.T) {
	slow(t, func(w *world) { fourEyes(w); w.fake.issueAfter = 0 }, func(r *run) {
		ctx, key := r.w.t.Context(), newKey(r.w.t)
		a := r.account()
		approve := func(id acme.OrderID) {
			r.w.t.Helper()
			if err := r.Operator().Approve(ctx, id, "alice", "ticket 17"); err != nil {
				r.w.t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		approve(first.ID)
		second := r.finalizes(a, r.ready(a, "b.net"), key)
		c, _, err := r.Certificate(ctx, a.ID, r.wantStatus(a, first.ID, acme.OrderValid).Certificate)
		if err != nil {
			r.w.t.Fatal(err)
		}
		if err := r.Revoke(ctx, engine.Revocation{Directory: "default", Certificate: c.Leaf, Key: c.KeyHash}); err != nil {
			r.w.t.Fatal(err)
		}
		approve(second.ID)
		problem := r.wantStatus(a, second.ID, acme.OrderInvalid).Problem
		wantProblem(r.w.t, problem, acme.BadCSR)
		r.wantBought(1)
	})
}
