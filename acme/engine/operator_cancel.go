package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Cancel asks the CA to give up what it has of an order, and abandons the order once
// the CA has. When the CA does not, or nobody can tell, nothing changes here.
//
// The CA is asked first and outside of any commit. Whoever dies in between leaves an
// order that goes on waiting, and the next poll ends it, because the CA says that it
// was cancelled: nothing is lost, and nothing is bought.
func (o Operator) Cancel(ctx context.Context, id acme.OrderID, reason string) error {
	l, err := o.cancellable(ctx, id)
	if err != nil {
		return err
	}
	r, err := l.request()
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, o.e.callTime(l.authority))
	defer cancel()
	if err := l.authority.canceler.Cancel(call, r, backends.Ticket(l.sub.Ticket), reason); err != nil {
		return fmt.Errorf("order %s is as it was: %s has not given it up: %w", id, l.authority.name, err)
	}
	ended := false
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		order, err := tx.Orders().Get(id)
		if err != nil {
			return err
		}
		if ended = order.Status.Final(); ended {
			return nil // a poll was faster, or an order with another key took its place, which ends the same way
		}
		sub, err := tx.Submissions().Get(order.Submission)
		if err != nil {
			return err
		}
		sub.GivenUp = time.Time{} // there is nothing at the CA that another order could go on with
		if err := tx.Submissions().Put(sub); err != nil {
			return err
		}
		if err := tx.Jobs().Delete(orderJob(id)); err != nil {
			return err
		}
		order.Note(o.e.now(), "cancelled at the CA, as the operator decided")
		return o.e.endBadly(tx, order, acme.Problemf(acme.Unauthorized, "the operator ended the order: %s", reason))
	}, failpoint.OperatorDecision)
	switch {
	case err != nil:
		return fmt.Errorf("%s has given order %s up, and that could not be stored here; the order ends when the CA is asked next: %w", l.authority.name, id, err)
	case ended:
		return nil
	}
	o.e.watchers.tell(string(orderJob(id)))
	o.e.log.Info("order cancelled at the CA and ended by the operator", "event", "order.cancelled", "order", id, "backend", l.authority.name, "cause", reason)
	return nil
}

// cancellable reads what is to be cancelled, or says why it cannot be.
func (o Operator) cancellable(ctx context.Context, id acme.OrderID) (l loaded, err error) {
	err = o.e.view(ctx, func(tx storage.Tx) error {
		if l.order, err = tx.Orders().Get(id); err != nil {
			return err
		}
		switch {
		case l.order.Status.Final():
			return fmt.Errorf("order %s is %s already", id, l.order.Status)
		case l.order.AttachedTo != "":
			return fmt.Errorf("order %s shares the certificate that order %s waits for; cancel that one, or abandon this one alone, without --cancel", id, l.order.AttachedTo)
		case l.order.Submission == "":
			return fmt.Errorf("order %s is %s, and no CA has heard of it; abandon it without --cancel", id, l.order.Status)
		}
		l.sub, err = tx.Submissions().Get(l.order.Submission)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return l, fmt.Errorf("order %s: %w", id, ErrNoSuch)
	}
	if err != nil {
		return l, err
	}
	l.authority = o.e.backends[l.sub.Backend]
	switch sub := l.sub; {
	case l.authority == nil:
		return l, fmt.Errorf("order %s was submitted to backend %q, which is not configured any more; cancel it at the CA, and abandon it here without --cancel", id, sub.Backend)
	case l.authority.canceler == nil:
		return l, fmt.Errorf("backend %s cannot be told to give an order up; cancel it at the CA, as far as it lets you, and abandon order %s here without --cancel", sub.Backend, id)
	case sub.Ticket == "" && sub.SentAt.IsZero() && sub.TakesOver == "":
		return l, fmt.Errorf("the CA has not been asked for order %s yet; abandon it without --cancel", id)
	case sub.Ticket == "":
		return l, fmt.Errorf("nobody knows yet what the CA has of order %s, so there is nothing to name to it; wait until 'order explain' shows a ticket, or see to it at the CA", id)
	case len(sub.Quarantine) > 0, sub.Reissue != nil:
		return l, fmt.Errorf("the CA has issued for order %s already, so there is nothing to cancel; abandon it without --cancel, and revoke the certificate at the CA", id)
	case sub.Batch != "":
		return l, fmt.Errorf("order %s was sent together with others, which would be cancelled with it; abandon it without --cancel", id)
	}
	return l, nil
}
