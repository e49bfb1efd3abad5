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

// Orders lists orders, oldest first; of one account when it is given.
func (o Operator) Orders(ctx context.Context, account acme.AccountID, p storage.Page) ([]acme.Order, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.Order, string, error) {
		if account != "" {
			return tx.Orders().ByAccount(account, p)
		}
		return tx.Orders().List(p)
	})
}

// Explanation is everything there is to know of an order.
type Explanation struct {
	Order          acme.Order
	Authorizations []acme.Authorization
	Submission     *storage.Submission
	Job            *storage.Job
	ValidationJobs []storage.Job
	Certificate    *acme.Certificate
	// Attached are the orders that wait for the same certificate.
	Attached []acme.OrderID
}

// Explain gathers the life of an order.
func (o Operator) Explain(ctx context.Context, id acme.OrderID) (Explanation, error) {
	return read(ctx, o.e, "order "+string(id), func(tx storage.Tx) (x Explanation, err error) {
		if x.Order, err = tx.Orders().Get(id); err != nil {
			return x, err
		}
		x.Order = x.Order.At(o.e.now())
		if x.Authorizations, err = loadAuthorizations(tx, x.Order.Authorizations); err != nil {
			return x, err
		}
		for _, a := range x.Authorizations {
			if j, err := tx.Jobs().Get(authzJob(a.ID)); err == nil {
				x.ValidationJobs = append(x.ValidationJobs, j)
			}
		}
		if j, err := tx.Jobs().Get(jobOf(x.Order)); err == nil && !x.Order.Status.Final() {
			x.Job = &j
		}
		if err := eachAttached(tx, id, func(o acme.Order) error {
			x.Attached = append(x.Attached, o.ID)
			return nil
		}); err != nil {
			return x, err
		}
		if x.Order.Submission != "" {
			s, err := tx.Submissions().Get(x.Order.Submission)
			if err != nil {
				return x, err
			}
			x.Submission = &s
		}
		if x.Order.Certificate != "" {
			c, err := tx.Certificates().Get(x.Order.Certificate)
			if err != nil {
				return x, err
			}
			x.Certificate = &c
		}
		return x, nil
	})
}

// PreAuthorization is an authorization that was asked for ahead of any order,
// with the job that tries it, if there is one.
type PreAuthorization struct {
	Authorization acme.Authorization
	Job           *storage.Job
}

// PreAuthorizations lists those of a page of all authorizations, oldest first.
// A page may have none though others follow.
func (o Operator) PreAuthorizations(ctx context.Context, p storage.Page) ([]PreAuthorization, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) (found []PreAuthorization, next string, err error) {
		all, next, err := tx.Authorizations().List(p)
		if err != nil {
			return nil, "", err
		}
		for _, a := range all {
			if a.Order != "" {
				continue
			}
			x := PreAuthorization{Authorization: a.At(o.e.now())}
			if j, err := tx.Jobs().Get(authzJob(a.ID)); err == nil {
				x.Job = &j
			}
			found = append(found, x)
		}
		return found, next, nil
	})
}

// Parked lists the jobs that wait for a person.
func (o Operator) Parked(ctx context.Context, p storage.Page) ([]storage.Job, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]storage.Job, string, error) { return tx.Jobs().Parked(p) })
}

// Retry gives a parked order back to the engine. With resend, the operator
// answers for the CA not having the request: it will be sent once more.
func (o Operator) Retry(ctx context.Context, id acme.OrderID, resend bool) error {
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		order, err := tx.Orders().Get(id)
		if err != nil {
			return err
		}
		if order.AttachedTo != "" && !order.Status.Final() {
			return fmt.Errorf("order %s shares the certificate that order %s waits for; retry that one", id, order.AttachedTo)
		}
		j, err := tx.Jobs().Get(orderJob(id))
		if errors.Is(err, storage.ErrNotFound) || err == nil && j.Parked == "" {
			return fmt.Errorf("order %s is %s and not parked, so there is nothing to retry", id, order.Status)
		}
		if err != nil {
			return err
		}
		note := "put back to work by the operator"
		if resend && j.Kind == storage.JobSubmit {
			note = "to be sent once more, as the operator decided"
		}
		if order.Submission != "" {
			if err := o.freshStart(tx, order.Submission, resend && j.Kind == storage.JobSubmit); err != nil {
				return err
			}
		}
		j.Parked, j.Attempt, j.Failures, j.Due, j.Lease, j.Stopped = "", 0, 0, o.e.now(), storage.Lease{}, false
		order.Note(o.e.now(), note)
		if err := putOrder(tx, order); err != nil {
			return err
		}
		return tx.Jobs().Put(j)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("order %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.nudge()
	}
	return err
}

// freshStart gives a submission that was parked the time it had in the
// beginning, if that has run out: it would end the order at once. With resend
// the CA is known not to have the request.
func (o Operator) freshStart(tx storage.Tx, id acme.SubmissionID, resend bool) error {
	sub, err := tx.Submissions().Get(id)
	if err != nil {
		return err
	}
	if resend {
		sub.SentAt, sub.Batch, sub.Alone = time.Time{}, "", sub.Alone || sub.Batch != ""
	}
	if now := o.e.now(); !now.Before(sub.Deadline) {
		sub.Deadline = now.Add(sub.Deadline.Sub(sub.CreatedAt))
	}
	return tx.Submissions().Put(sub)
}

// Abandon fails an order that is processing, for a reason that its client is
// told, and with it those that are attached to it. What the CA may still deliver
// for it is never used.
func (o Operator) Abandon(ctx context.Context, id acme.OrderID, reason string) error {
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		order, err := tx.Orders().Get(id)
		if err != nil {
			return err
		}
		if order.Status.Final() {
			return fmt.Errorf("order %s is %s already", id, order.Status)
		}
		if err := tx.Jobs().Delete(orderJob(id)); err != nil {
			return err
		}
		if err := o.e.leave(tx, order); err != nil {
			return err
		}
		p := acme.Problemf(acme.Unauthorized, "the operator ended the order: %s", reason)
		return o.e.endBadly(tx, order, p)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("order %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.watchers.tell(string(orderJob(id)))
		o.e.log.Info("order ended by the operator", "event", "order.abandoned", "order", id, "cause", reason)
	}
	return err
}
