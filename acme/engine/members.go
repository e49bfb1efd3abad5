package engine

import (
	"context"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// The kill switch. That a member is frozen or removed counts from the commit
// that says so: each order, finalization and submission reads the record. What
// is there already is ended by a job, page by page, and where it is stands in
// the record of the member: it goes on after a restart, and may be asked for
// again at any time.

// stepMember carries out what follows from a member being frozen or removed.
func (e *Engine) stepMember(ctx context.Context, j storage.Job) error {
	for done := false; !done; {
		var revoked []acme.Certificate
		err := e.commit(ctx, func(tx storage.Tx) error {
			if _, err := e.ours(tx, j); err != nil {
				return err
			}
			var err error
			if revoked, done, err = e.enforce(tx, acme.MemberID(j.Subject)); err != nil || !done {
				return err
			}
			return tx.Jobs().Delete(j.ID)
		}, failpoint.Enforce)
		if err != nil {
			return err
		}
		e.accepted(revoked...)
		e.nudge()
	}
	return nil
}

// enforce does one page: first all open orders, then, where that was asked
// for, all certificates.
func (e *Engine) enforce(tx storage.Tx, id acme.MemberID) (revoked []acme.Certificate, done bool, err error) {
	m, err := tx.Members().Get(id)
	if err != nil {
		return nil, false, err
	}
	if m.Enforcement == nil || !m.Enforcement.DoneAt.IsZero() {
		return e.review(tx, m)
	}
	x := *m.Enforcement
	if !x.OrdersDone {
		err = e.endOrders(tx, m, &x)
	} else if x.Revoke {
		revoked, done, err = e.revokePage(tx, id, &x)
	}
	if err != nil {
		return nil, false, err
	}
	if done = done || x.OrdersDone && !x.Revoke; done {
		x.DoneAt = e.now()
	}
	m.Enforcement = &x
	pending := m.Review != nil && m.Review.DoneAt.IsZero()
	return revoked, done && !pending, tx.Members().Put(m)
}

// endOrders ends a page of the orders that nothing was submitted for. One that
// a CA is working on is paid for and comes to its own end.
func (e *Engine) endOrders(tx storage.Tx, m acme.Member, x *acme.Enforcement) error {
	why := "the order ended with your membership"
	if p := acme.MemberStanding(m); p != nil {
		why = p.Detail
	}
	orders, next, err := tx.Orders().ByMember(m.ID, storage.Page{After: string(x.OrderCursor), Limit: claimAtOnce})
	if err != nil {
		return err
	}
	for _, o := range orders {
		if o.Status.Final() {
			continue
		}
		ended, err := e.cancel(tx, o.ID, why)
		if err != nil {
			return err
		}
		if ended {
			x.Orders++
		}
	}
	x.OrderCursor, x.OrdersDone = acme.OrderID(next), next == ""
	return nil
}

// revokePage revokes a page of certificates, passing over what has expired or
// is revoked already.
func (e *Engine) revokePage(tx storage.Tx, id acme.MemberID, x *acme.Enforcement) (revoked []acme.Certificate, done bool, err error) {
	certs, next, err := tx.Certificates().ByMember(id, storage.Page{After: string(x.CertificateCursor), Limit: claimAtOnce})
	if err != nil {
		return nil, false, err
	}
	now := e.now()
	for _, c := range certs {
		switch refused, err := revocable(tx, c, x.Reason, "member", now); {
		case err != nil:
			return nil, false, err
		case refused != nil:
			continue
		}
		if c, err = e.accept(tx, c, acme.Revocation{At: now, Reason: x.Reason, By: "member"}); err != nil {
			return nil, false, err
		}
		revoked = append(revoked, c)
		x.Certificates++
	}
	x.CertificateCursor = acme.CertificateID(next)
	return revoked, next == "", nil
}

// revokeIfMeant revokes what a CA delivers for a member whose certificates are
// all revoked, in the commit that stores it: the walk over them may have passed.
func (e *Engine) revokeIfMeant(tx storage.Tx, id acme.CertificateID, member acme.MemberID) error {
	m, err := loadMember(tx, member)
	if err != nil || m == nil || m.Enforcement == nil || !m.Enforcement.Revoke {
		return err
	}
	c, err := tx.Certificates().Get(id)
	if err != nil {
		return err
	}
	x := *m.Enforcement
	if _, err := e.accept(tx, c, acme.Revocation{At: e.now(), Reason: x.Reason, By: "member"}); err != nil {
		return err
	}
	x.Certificates++
	m.Enforcement = &x
	return tx.Members().Put(*m)
}

// MemberProgress is how far the end of a member has got.
type MemberProgress struct {
	// Open orders have yet to be ended; Processing ones are at a CA, and come
	// to their own end.
	Open, Processing int
	// Of the certificates that have not expired, Standing ones are not revoked,
	// Revoking ones are, and their CA has yet to hear of it.
	Standing, Revoking, Revoked int
	// Done says that nothing is left to do of what was asked for.
	Done bool
}

// MemberProgress counts what there still is of a member. It walks over all that
// the member ever had.
func (o Operator) MemberProgress(ctx context.Context, id acme.MemberID) (p MemberProgress, err error) {
	m, err := o.Member(ctx, id)
	if err != nil {
		return p, err
	}
	now := o.e.now()
	err = o.walk(ctx, func(tx storage.Tx, at storage.Page) (string, error) {
		orders, next, err := tx.Orders().ByMember(id, at)
		for _, order := range orders {
			switch order.At(now).Status {
			case acme.OrderPending, acme.OrderReady:
				p.Open++
			case acme.OrderProcessing:
				p.Processing++
			case acme.OrderValid, acme.OrderInvalid:
			}
		}
		return next, err
	})
	if err != nil {
		return p, err
	}
	err = o.walk(ctx, func(tx storage.Tx, at storage.Page) (string, error) {
		certs, next, err := tx.Certificates().ByMember(id, at)
		for _, c := range certs {
			switch {
			case c.Ended(now):
			case c.Revocation == nil:
				p.Standing++
			case c.Revocation.DoneAt.IsZero():
				p.Revoking++
			default:
				p.Revoked++
			}
		}
		return next, err
	})
	x := m.Enforcement
	p.Done = x != nil && !x.DoneAt.IsZero() && (!x.Revoke || p.Revoking == 0)
	return p, err
}

// walk calls page with one page after the other, each in a view of its own: a
// long one would keep the store from reusing space.
func (o Operator) walk(ctx context.Context, page func(storage.Tx, storage.Page) (string, error)) error {
	for at := (storage.Page{Limit: 500}); ; {
		err := o.e.view(ctx, func(tx storage.Tx) (err error) {
			at.After, err = page(tx, at)
			return err
		})
		if err != nil || at.After == "" {
			return err
		}
	}
}
