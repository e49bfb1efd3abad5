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

// A certificate that is not what was ordered was paid for. Where the CA issues
// again for nothing, it is asked to, once: what is wrong stays in quarantine, the
// request goes out under its old order, and the second certificate is judged like
// the first. There is no third.

// wrong deals with a chain that is not what was ordered: the CA issues it again,
// or the order ends.
func (e *Engine) wrong(ctx context.Context, l loaded, cause error) error {
	p := e.mismatch(l.order, l.sub, cause)
	if l.authority.reissuer == nil || l.sub.Reissue != nil || !e.now().Before(l.sub.Deadline) {
		return e.fail(ctx, l, p)
	}
	return e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, l.job)
		if err != nil {
			return err
		}
		sub := l.sub
		sub.Reissue, sub.Quarantine = &storage.Reissue{Wrong: l.sub.Quarantine}, nil
		if err := tx.Submissions().Put(sub); err != nil {
			return err
		}
		o, err := tx.Orders().Get(l.order.ID)
		if err != nil {
			return err
		}
		o.Note(e.now(), "what the CA issued is not what was ordered ("+clip(cause.Error(), 300)+"); it is kept from everybody, and the CA is asked to issue it again")
		if err := putOrder(tx, o); err != nil {
			return err
		}
		stored.Lease, stored.Due = storage.Lease{}, e.now()
		return tx.Jobs().Put(stored)
	}, failpoint.SetAside)
}

// reissue takes a request further whose certificate is to be issued again.
func (e *Engine) reissue(ctx context.Context, l loaded) error {
	if l.authority.reissuer == nil { // which it was when that was decided
		return e.fail(ctx, l, notAsOrdered(l.order))
	}
	r, err := l.request()
	if err != nil {
		return err
	}
	if !l.sub.Reissue.SentAt.IsZero() {
		return e.findReissue(ctx, l, r)
	}
	if !e.now().Before(l.sub.Deadline) {
		return e.fail(ctx, l, notAsOrdered(l.order))
	}
	return e.sendReissue(ctx, l, r)
}

// wrongLeaf is what was not as it was ordered.
func wrongLeaf(sub storage.Submission) []byte {
	if len(sub.Reissue.Wrong) == 0 {
		return nil
	}
	return sub.Reissue.Wrong[0]
}

// sendReissue asks the CA, for somebody who may still have the certificate.
func (e *Engine) sendReissue(ctx context.Context, l loaded, r backends.Request) error {
	// What was looked at before the purchase may be days old by now.
	before := l
	before.says = "it is not issued again: the order may not be served any more"
	if settled, err := e.lookBeforeSending(ctx, before); settled || err != nil {
		return err
	}
	// SC-1: from this commit on, the CA may have heard of it.
	err := e.commit(ctx, func(tx storage.Tx) error {
		if _, err := e.ours(tx, l.job); err != nil {
			return err
		}
		if _, err := e.withdrawn(tx, l); err != nil {
			return err
		}
		again := *l.sub.Reissue
		again.SentAt = e.now()
		l.sub.Reissue, l.sub.Misses, l.sub.FirstMiss = &again, 0, time.Time{}
		return tx.Submissions().Put(l.sub)
	}, failpoint.ReissueIntent)
	var withdrawn *acme.Problem
	switch {
	case errors.As(err, &withdrawn):
		l.says = "it is not issued again: " + withdrawn.Detail
		return e.fail(ctx, l, notAsOrdered(l.order))
	case err != nil:
		return err
	}
	call, cancel := context.WithTimeout(ctx, e.callTime(l.authority))
	defer cancel()
	ticket, err := l.authority.reissuer.Reissue(call, r, backends.Ticket(l.sub.Ticket), wrongLeaf(l.sub))
	if hit := failpoint.Hit(failpoint.Sent); hit != nil {
		return hit
	}
	if _, refused := backends.RefusalDetail(err); refused {
		e.refused(l.order, l.authority.name, err)
		l.says = refusalNote(err)
		return e.fail(ctx, l, notAsOrdered(l.order))
	}
	l.authority.learn(err)
	switch {
	case err == nil:
		return e.reissued(ctx, l, ticket)
	case backends.IsNotSent(err):
		return errors.Join(e.forgetReissue(ctx, l, false), fmt.Errorf("engine: %s was not asked to issue again for order %s: %w", l.authority.name, l.order.ID, err))
	}
	evidence := fmt.Sprintf("asked to issue again at %s, then: %v", l.sub.Reissue.SentAt.Format(time.RFC3339), err)
	return e.putOff(ctx, l, func(sub *storage.Submission, j *storage.Job) (park string) {
		sub.Evidence = clip(evidence, 1024)
		j.Due, j.LastError = e.now().Add(e.pauseAfter(err, j.Attempt)), sub.Evidence
		return ""
	})
}

// findReissue finds out whether the CA was asked. As with a purchase, one look that
// finds nothing proves nothing (SC-4); after two the CA is asked once more, because
// that costs nothing, and never again.
func (e *Engine) findReissue(ctx context.Context, l loaded, r backends.Request) error {
	call, cancel := context.WithTimeout(ctx, e.callTime(l.authority))
	defer cancel()
	ticket, found, err := l.authority.reissuer.FindReissue(call, r, backends.Ticket(l.sub.Ticket), wrongLeaf(l.sub))
	if detail, refused := backends.RefusalDetail(err); refused {
		l.says = nonEmpty(refusalNote(err), detail)
		return e.fail(ctx, l, notAsOrdered(l.order))
	}
	now := e.now()
	switch {
	case found:
		return e.reissued(ctx, l, ticket)
	case err != nil && !now.Before(l.sub.Deadline):
		return e.parkSubmission(ctx, l, "the CA was asked to issue again what was wrong, and could not say by the deadline whether it does, last with: "+err.Error())
	case err != nil:
		return lookUpError{fmt.Errorf("engine: look up what %s issues again for order %s: %w", l.authority.name, l.order.ID, err)}
	case l.sub.Misses > 0 && now.Sub(l.sub.FirstMiss) >= visibility && l.sub.Reissue.Resent:
		l.says = "the CA was asked twice to issue it again, and does not show it"
		return e.fail(ctx, l, notAsOrdered(l.order))
	case l.sub.Misses > 0 && now.Sub(l.sub.FirstMiss) >= visibility:
		return e.forgetReissue(ctx, l, true)
	}
	return e.putOff(ctx, l, func(sub *storage.Submission, j *storage.Job) (park string) {
		if sub.Misses == 0 {
			sub.FirstMiss = now
		}
		sub.Misses++
		j.Due = sub.FirstMiss.Add(visibility)
		return ""
	})
}

// reissued stores the ticket under which the second certificate is waited for.
func (e *Engine) reissued(ctx context.Context, l loaded, t backends.Ticket) error {
	return e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, l.job)
		if err != nil {
			return err
		}
		sub, again := l.sub, *l.sub.Reissue
		again.Done = true
		sub.Ticket, sub.Evidence, sub.Reissue = string(t), "", &again
		if err := tx.Submissions().Put(sub); err != nil {
			return err
		}
		o, err := tx.Orders().Get(l.order.ID)
		if err != nil {
			return err
		}
		o.Note(e.now(), "the CA issues it again")
		if err := putOrder(tx, o); err != nil {
			return err
		}
		stored.Attempt, stored.LastError, stored.Failures = 0, "", 0
		stored.Lease, stored.Due = storage.Lease{}, e.now()
		return tx.Jobs().Put(stored)
	}, failpoint.ReissueTicket)
}

// forgetReissue takes the intention back: nothing left us, or nothing arrived.
func (e *Engine) forgetReissue(ctx context.Context, l loaded, resent bool) error {
	return e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, l.job)
		if err != nil {
			return err
		}
		sub, again := l.sub, *l.sub.Reissue
		again.SentAt, again.Resent = time.Time{}, again.Resent || resent
		sub.Reissue = &again
		if err := tx.Submissions().Put(sub); err != nil || !resent {
			return err // a step that failed puts its job back by itself
		}
		stored.Lease, stored.Due = storage.Lease{}, e.now()
		return tx.Jobs().Put(stored)
	}, failpoint.Reschedule)
}
