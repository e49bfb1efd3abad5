package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// An order of a profile with an approval rule is finalized like any other, and
// then waits for an operator before anything is sent: its job is of a kind of
// its own, due when the time to approve is over. Approving turns that job into
// the one that asks the CA, rejecting ends the order. Somebody at the CA who
// has to approve is the CA's business: the order is polled as usual, and the
// job says so.

// approvalPoll is when a client shall look again while a person decides. It is
// the longest wait that still finds the answer soon: clients that count their
// looks, as X-Road Security Servers do, stay longer the longer it is.
const approvalPoll = 10 * time.Minute

// ErrNotWaiting says that an order waits for nobody's approval.
var ErrNotWaiting = errors.New("it waits for nobody's approval here")

// awaitApproval makes a submission and its job wait for an operator.
func awaitApproval(sub *storage.Submission, j *storage.Job, p acme.Profile, now time.Time) {
	sub.ApproveBy = now.Add(p.Approval.Within)
	sub.Deadline = sub.ApproveBy.Add(p.IssuanceDeadline) // set anew with the approval
	j.Kind, j.Backend, j.Due, j.Waits = storage.JobApprove, "", sub.ApproveBy, storage.ApproverHere
}

// stepApprove ends an order that nobody approved in time.
func (e *Engine) stepApprove(ctx context.Context, j storage.Job) error {
	l, err := e.load(ctx, j)
	if err != nil {
		return err
	}
	switch {
	case l.order.Status != acme.OrderProcessing:
		return e.commit(ctx, func(tx storage.Tx) error { return tx.Jobs().Delete(j.ID) }, failpoint.Reschedule)
	case e.now().Before(l.sub.ApproveBy): // a restart freed the job early
		return e.putOff(ctx, l, func(_ *storage.Submission, j *storage.Job) (park string) {
			j.Due = l.sub.ApproveBy
			return ""
		})
	}
	e.Counters.OrdersInvalid.Add(1)
	return e.fail(ctx, l, acme.Problemf(acme.Unauthorized, "orders of profile %s have to be approved by the operator, and nobody approved this one by %s; ask the operator, then place a new order",
		l.order.Profile, l.sub.ApproveBy.UTC().Format(time.RFC3339)))
}

// WaitingOrder is an order that waits for a person to approve it.
type WaitingOrder struct {
	Order    acme.Order
	Approver storage.Approver
	// Since is when it was finalized, Until when it ends.
	Since, Until time.Time
}

// WaitingForApproval lists the orders that wait for a person to approve them,
// here or at a CA. Those attached to one of them are not listed by themselves.
func (o Operator) WaitingForApproval(ctx context.Context, p storage.Page) ([]WaitingOrder, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]WaitingOrder, string, error) {
		jobs, next, err := tx.Jobs().Waiting(p)
		if err != nil {
			return nil, "", err
		}
		all := make([]WaitingOrder, len(jobs))
		for i, j := range jobs {
			x := WaitingOrder{Approver: j.Waits}
			if x.Order, err = tx.Orders().Get(acme.OrderID(j.Subject)); err != nil {
				return nil, "", err
			}
			sub, err := tx.Submissions().Get(x.Order.Submission)
			if err != nil {
				return nil, "", err
			}
			if x.Since, x.Until = sub.CreatedAt, sub.Deadline; j.Waits == storage.ApproverHere {
				x.Until = sub.ApproveBy
			}
			all[i] = x
		}
		return all, next, nil
	})
}

// Approve lets the CA be asked. by is the person who decides. An order that is
// attached to another one is approved with it.
func (o Operator) Approve(ctx context.Context, id acme.OrderID, by, reason string) error {
	return o.decide(ctx, id, by, "approved", func(tx storage.Tx, order acme.Order, sub storage.Submission, j storage.Job) error {
		p, known := o.e.cfg.Profiles[order.Profile]
		if !known {
			// Who may approve went with it (SP-3).
			return fmt.Errorf("order %s is of profile %q, which is not configured any more, so nobody may approve it: configure the profile again, or reject the order", order.ID, order.Profile)
		}
		if err := p.Approval.MayOther(by, order); err != nil {
			return err
		}
		now := o.e.now()
		sub.Approval = &acme.Approval{By: by, At: now, Reason: reason}
		sub.Deadline = now.Add(p.IssuanceDeadline)
		order.Note(now, "approved by "+by+": "+reason)
		j.Kind, j.Backend, j.Due, j.Waits = storage.JobSubmit, sub.Backend, now, ""
		j.Attempt, j.Failures, j.LastError, j.Lease = 0, 0, "", storage.Lease{}
		return errors.Join(tx.Submissions().Put(sub), putOrder(tx, order), tx.Jobs().Put(j))
	})
}

// Reject ends an order that waits for approval; its client is told the reason,
// and not who gave it.
func (o Operator) Reject(ctx context.Context, id acme.OrderID, by, reason string) error {
	err := o.decide(ctx, id, by, "rejected", func(tx storage.Tx, order acme.Order, sub storage.Submission, j storage.Job) error {
		order.Note(o.e.now(), "rejected by "+by+": "+reason)
		if err := errors.Join(tx.Jobs().Delete(j.ID), tx.Submissions().Put(left(sub, o.e.now()))); err != nil {
			return err
		}
		return o.e.endBadly(tx, order, acme.Problemf(acme.Unauthorized, "the operator rejected the order: %s", reason))
	})
	if err == nil {
		o.e.Counters.OrdersInvalid.Add(1)
	}
	return err
}

func (o Operator) decide(ctx context.Context, id acme.OrderID, by, what string, change func(storage.Tx, acme.Order, storage.Submission, storage.Job) error) error {
	var first acme.Order
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		asked, err := tx.Orders().Get(id)
		if err != nil {
			return err
		}
		if asked.Status.Final() {
			// It may have been attached to one that still waits, and has nothing to
			// do with that any more.
			return fmt.Errorf("order %s is %s: %w", id, asked.Status, ErrNotWaiting)
		}
		if first = asked; asked.AttachedTo != "" {
			if first, err = tx.Orders().Get(asked.AttachedTo); err != nil {
				return err
			}
		}
		j, err := tx.Jobs().Get(orderJob(first.ID))
		switch {
		case err != nil && !errors.Is(err, storage.ErrNotFound):
			return err
		case err == nil && j.Waits == storage.ApproverAtCA:
			return fmt.Errorf("order %s waits for somebody at the CA; approve or reject it there: %w", id, ErrNotWaiting)
		case err != nil || j.Kind != storage.JobApprove:
			return fmt.Errorf("order %s is %s: %w", id, asked.Status, ErrNotWaiting)
		}
		sub, err := tx.Submissions().Get(first.Submission)
		if err != nil {
			return err
		}
		if !o.e.now().Before(sub.ApproveBy) {
			return fmt.Errorf("order %s had to be decided by %s: %w", id, sub.ApproveBy.UTC().Format(time.RFC3339), ErrNotWaiting)
		}
		if err := o.e.cfg.Profiles[first.Profile].Approval.May(by); err != nil {
			return err
		}
		return change(tx, first, sub, j)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("order %s: %w", id, ErrNoSuch)
	}
	if err != nil {
		return err
	}
	o.e.watchers.tell(string(orderJob(first.ID)))
	o.e.nudge()
	o.e.log.Info("order "+what, "event", "order."+what, "order", first.ID, "account", first.Account, "member", first.Member, "by", by)
	return nil
}
