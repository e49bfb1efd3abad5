package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// fourEyes makes the profile wait for a person, for a day.
func fourEyes(w *world) {
	w.profile.Approval = acme.ApprovalPolicy{Required: true, Within: 24 * time.Hour, Approvers: []string{"alice", "bob"}}
	w.profile.Hold, w.fake.issueAfter = 0, 0
}

// TestApproval: nothing is sent before somebody who may has approved, and the
// client is told to look again in a while; who approved is in the history.
func TestApproval(t *testing.T) {
	slow(t, fourEyes, func(r *run) {
		ctx := r.w.t.Context()
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		time.Sleep(23 * time.Hour)
		r.wantBought(0)
		if _, wait, err := r.Order(ctx, a.ID, o.ID); err != nil || wait != 10*time.Minute {
			r.w.t.Errorf("the client shall look again in %s, %v", wait, err)
		}
		r.wantWaiting(o.ID)
		if err := r.Operator().Approve(ctx, o.ID, "mallory", "why not"); !errors.Is(err, acme.ErrNoApprover) {
			r.w.t.Errorf("somebody who may not approved: %v", err)
		}
		if err := r.Operator().Reject(ctx, o.ID, "mallory", "why not"); !errors.Is(err, acme.ErrNoApprover) {
			r.w.t.Errorf("somebody who may not rejected: %v", err)
		}
		if err := r.Operator().Approve(ctx, o.ID, "alice", "ticket 17"); err != nil {
			r.w.t.Fatal(err)
		}
		r.wantWaiting()
		time.Sleep(time.Minute)
		o = r.wantStatus(a, o.ID, acme.OrderValid)
		if history := fmt.Sprint(o.History); !strings.Contains(history, "approved by alice: ticket 17") {
			r.w.t.Errorf("the history is %s", history)
		}
		r.wantBought(1)
		for _, id := range []acme.OrderID{o.ID, r.ready(a, "b.net").ID} {
			if err := r.Operator().Approve(ctx, id, "bob", "me too"); !errors.Is(err, engine.ErrNotWaiting) {
				r.w.t.Errorf("approved what does not wait: %v", err)
			}
		}
		if err := r.Operator().Approve(ctx, "nobody", "bob", "me too"); !errors.Is(err, engine.ErrNoSuch) {
			r.w.t.Errorf("approved what is not there: %v", err)
		}
	})
}

// wantWaiting checks which orders wait for approval.
func (r *run) wantWaiting(want ...acme.OrderID) {
	r.w.t.Helper()
	waiting, _, err := r.Operator().WaitingForApproval(r.w.t.Context(), storage.Page{})
	if err != nil {
		r.w.t.Fatal(err)
	}
	var got []acme.OrderID
	for _, x := range waiting {
		got = append(got, x.Order.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.w.t.Errorf("waiting for approval are %v, want %v", got, want)
	}
}

// TestReject: the client is told why, and not by whom; nothing is bought.
func TestReject(t *testing.T) {
	slow(t, fourEyes, func(r *run) {
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		if err := r.Operator().Reject(r.w.t.Context(), o.ID, "bob", "not our name"); err != nil {
			r.w.t.Fatal(err)
		}
		o = r.wantStatus(a, o.ID, acme.OrderInvalid)
		if p := problemOf(r.w.t, o.Problem, acme.Unauthorized); !strings.Contains(p.Detail, "not our name") || strings.Contains(p.Detail, "bob") {
			r.w.t.Errorf("the client is told %q", p.Detail)
		}
		if !strings.Contains(fmt.Sprint(o.History), "rejected by bob") {
			r.w.t.Errorf("the history is %v", o.History)
		}
		r.wantWaiting()
		r.wantBought(0)
	})
}

// TestApprovalDeadline: an order that nobody decided on ends by itself, with
// those attached to it, and cannot be approved any more.
func TestApprovalDeadline(t *testing.T) {
	slow(t, fourEyes, func(r *run) {
		a, key := r.account(), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		second := r.finalizes(a, r.ready(a, "a.net"), key)
		time.Sleep(24*time.Hour + time.Minute)
		for _, id := range []acme.OrderID{first.ID, second.ID} {
			o := r.wantStatus(a, id, acme.OrderInvalid)
			if p := problemOf(r.w.t, o.Problem, acme.Unauthorized); !strings.Contains(p.Detail, "nobody approved") {
				r.w.t.Errorf("the client is told %q", p.Detail)
			}
			if err := r.Operator().Approve(r.w.t.Context(), id, "alice", "late"); !errors.Is(err, engine.ErrNotWaiting) {
				r.w.t.Errorf("approved what is over: %v", err)
			}
		}
		r.wantBought(0)
	})
}

// TestApprovalOfAttached: one decision is for all orders that share the request,
// whichever of them is named; a swap makes the later one wait in the place of
// the earlier one.
func TestApprovalOfAttached(t *testing.T) {
	slow(t, func(w *world) { fourEyes(w); w.profile.Reattach = acme.ReattachSwap }, func(r *run) {
		a, key := r.account(), newKey(r.w.t)
		lost := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		second := r.finalizes(a, r.ready(a, "a.net"), key)
		r.wantStatus(a, lost.ID, acme.OrderInvalid)
		r.wantWaiting(first.ID)
		if err := r.Operator().Approve(r.w.t.Context(), second.ID, "alice", "fine"); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantStatus(a, first.ID, acme.OrderValid)
		r.wantStatus(a, second.ID, acme.OrderValid)
		r.wantBought(1)
	})
}

// TestApprovalInline: a CA that issues at once waits for approval as well.
func TestApprovalInline(t *testing.T) {
	slow(t, func(w *world) { fourEyes(w); w.backend = w.ca }, func(r *run) {
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		r.wantStatus(a, o.ID, acme.OrderProcessing)
		if err := r.Operator().Approve(r.w.t.Context(), o.ID, "alice", "fine"); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantStatus(a, o.ID, acme.OrderValid)
	})
}

// TestApprovalWhileDown: an operator may decide while no server runs, and what
// was waiting still waits after a restart.
func TestApprovalWhileDown(t *testing.T) {
	w := newWorld(t)
	fourEyes(w)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(t))
		other := r.finalizes(a, r.ready(a, "b.net"), newKey(t))
		r.end()
		if err := r.Operator().Approve(t.Context(), o.ID, "alice", "fine"); err != nil {
			t.Fatal(err)
		}
		r.wantBought(0)
		r = w.start()
		defer r.end()
		time.Sleep(time.Minute)
		r.wantStatus(a, o.ID, acme.OrderValid)
		r.wantStatus(a, other.ID, acme.OrderProcessing)
		r.wantWaiting(other.ID)
		r.wantBought(1)
	})
}

// officer is a CA at which a person approves each request.
type officer struct{ searchable }

func (o officer) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	r, err := o.searchable.Poll(ctx, t)
	r.Approval = err == nil && len(r.Chain) == 0
	return r, err
}

// TestApprovalAtCA: an order that waits for somebody at the CA is listed, cannot
// be decided on here, and goes on by itself.
func TestApprovalAtCA(t *testing.T) {
	slow(t, func(w *world) { w.backend = officer{searchable{w.fake}} }, func(r *run) {
		ctx := r.w.t.Context()
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		r.wantWaiting(o.ID)
		if err := r.Operator().Approve(ctx, o.ID, "alice", "fine"); !errors.Is(err, engine.ErrNotWaiting) || !strings.Contains(err.Error(), "at the CA") {
			r.w.t.Errorf("approved what the CA has to approve: %v", err)
		}
		time.Sleep(7 * time.Hour)
		r.wantStatus(a, o.ID, acme.OrderValid)
		r.wantWaiting()
	})
}

// TestCrashAtApproval: the process dies at the decision and at each commit after
// it, before it and after it; the operator decides again if need be. What was
// decided is done once, and the control, the last of the loop, ends the same.
func TestCrashAtApproval(t *testing.T) {
	for _, approve := range []bool{true, false} {
		last := 0
		for at, crashed := 1, true; crashed; at++ {
			crashed = false
			for _, applied := range []bool{false, true} {
				t.Run(fmt.Sprintf("approve %t, commit %d, applied %t", approve, at, applied), func(t *testing.T) {
					crashed = crashAtApproval(t, approve, at, applied) || crashed
				})
			}
			last = at
		}
		if want := map[bool]int{true: 6, false: 2}[approve]; last < want {
			t.Errorf("approve %t: only %d commits were crashed", approve, last-1)
		}
	}
}

func crashAtApproval(t *testing.T, approve bool, at int, applied bool) (crashed bool) {
	w := newWorld(t)
	fourEyes(w)
	w.profile.ResubmitOnDoubt = true // it would show if the engine sent again too lightly
	memory := w.store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(t))
		r.end()
		decide := func(r *run) {
			verb := r.Operator().Reject
			if approve {
				verb = r.Operator().Approve
			}
			if err := verb(t.Context(), o.ID, "alice", "so it is"); err != nil && !errors.Is(err, engine.ErrNotWaiting) &&
				!errors.Is(err, storage.ErrUnknown) && !errors.Is(err, storage.ErrClosed) {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		store := &crashStore{Store: memory, at: at, applied: applied}
		w.store = store
		r = w.start()
		decide(r)
		crashed = checkEnd(t, r, store)
		w.store = memory
		r = w.start()
		defer r.end()
		decide(r)
		time.Sleep(time.Hour)
		want, bought := acme.OrderInvalid, 0
		if approve {
			want, bought = acme.OrderValid, 1
		}
		r.wantStatus(a, o.ID, want)
		r.wantBought(bought)
		if all, _, err := r.Operator().Jobs(t.Context()); err != nil || all != 0 {
			t.Errorf("%d jobs are left, %v", all, err)
		}
	})
	return crashed
}

// TestStoppedBeforeApproval: nothing was sent for an order that waits for
// approval, so it ends with its member or its account like any open one, and
// nobody has to decide on it (SP-9).
func TestStoppedBeforeApproval(t *testing.T) {
	slow(t, fourEyes, func(r *run) {
		ctx := r.w.t.Context()
		r.enrol("m1")
		a, b, key := r.memberAccount("m1"), r.account(), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		attached := r.finalizes(a, r.ready(a, "a.net"), key)
		time.Sleep(time.Second) // ids of one moment have no order
		others := r.finalizes(b, r.ready(b, "b.net"), newKey(r.w.t))
		r.wantWaiting(first.ID, others.ID)
		if _, err := r.Operator().RemoveMember(ctx, "m1", engine.Measures{}); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantWaiting(others.ID)
		for _, id := range []acme.OrderID{first.ID, attached.ID} {
			if p := problemOf(r.w.t, r.wantStatus(a, id, acme.OrderInvalid).Problem, acme.Unauthorized); !strings.Contains(p.Detail, "membership has ended") {
				r.w.t.Errorf("the client is told %q", p.Detail)
			}
		}
		if p, err := r.Operator().MemberProgress(ctx, "m1"); err != nil || p.Processing != 0 || !p.Done {
			r.w.t.Errorf("progress %+v, %v", p, err)
		}
		if _, err := r.Operator().RevokeAccount(ctx, b.ID); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantWaiting()
		r.wantStatus(b, others.ID, acme.OrderInvalid)
		r.wantBought(0)
	})
}
