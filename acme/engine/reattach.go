package engine

import (
	"errors"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// A client that gave up and came back finds what is under way for it (D9). Its
// later order is attached to the earlier one: there is one request to the CA,
// one job, and one certificate, which both orders have in the end. What belongs
// to the request (its job, approval, deadline, operator decisions) is with the
// earlier order; whatever ends that one ends all that are attached to it, in
// the same commit.

const (
	// requestsLookedAt bounds how many earlier requests for a need are looked
	// at. Only a profile that buys for every key has more than one open.
	requestsLookedAt = 16
	// attachedAtMost bounds the orders that are attached to one, because they
	// all end in one commit.
	attachedAtMost = 16
)

// reattach decides what becomes of an order that is about to be finalized,
// from what was asked for the same need before. It runs in the commit that acts
// on it, so of two orders at once one is the earlier one.
func (e *Engine) reattach(tx storage.Tx, o acme.Order, f finalization) (acme.Reattachment, storage.Submission, error) {
	subs, _, err := tx.Submissions().ByNeed(acme.NeedOf(o), storage.Page{Limit: requestsLookedAt})
	if err != nil {
		return acme.AskAnew, storage.Submission{}, err
	}
	earlier := make([]acme.Earlier, 0, len(subs))
	kept := subs[:0]
	issued := map[string]bool{} // by ticket
	for _, sub := range subs {
		x := acme.Earlier{Backend: sub.Backend, Contract: sub.Contract, Sent: !sub.SentAt.IsZero() || sub.Resent, Approved: sub.Approval != nil, GivenUp: sub.GivenUp}
		x.Unaccepted, x.Refused = sub.Ticket == "", sub.Refused
		x.Movable = f.authority.traits.TakesOver && movable(sub) != ""
		x.Order, err = tx.Orders().Get(sub.Order)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return acme.AskAnew, storage.Submission{}, err
		}
		if x.Order.Status == acme.OrderValid && f.profile.ReattachWithin > 0 && (x.Movable || sub.Contract.KeyHash == f.contract.KeyHash) {
			c, err := tx.Certificates().Get(x.Order.Certificate)
			if err != nil {
				return acme.AskAnew, storage.Submission{}, err
			}
			x.Certificate = &c
		}
		issued[sub.Ticket] = x.Order.Status == acme.OrderValid
		earlier, kept = append(earlier, x), append(kept, sub)
	}
	for i, sub := range kept {
		if sub.Refused && issued[sub.TakesOver] {
			earlier[i].Movable = false // there is nothing open that it could have left
		}
	}
	became, i := acme.Reattach(f.profile, o, f.authority.name, f.contract, earlier, e.now())
	if i < 0 {
		return became, storage.Submission{}, nil
	}
	return became, kept[i], nil
}

// stillAtWork tells a client with a new key when to finalize again.
func (e *Engine) stillAtWork(tx storage.Tx, first acme.OrderID, why string) error {
	wait, err := e.retryAfter(tx, orderJob(first), 10*time.Second)
	if err != nil {
		return err
	}
	return acme.OverLimit(wait, e.now(), "your order %s for exactly these names is not over, and %s; this order stays ready: finalize it when that one is over", first, why)
}

// attach makes an order share what is under way for an earlier one.
func (e *Engine) attach(tx storage.Tx, o acme.Order, csrHash acme.KeyHash, to storage.Submission) (acme.Order, error) {
	others, _, err := tx.Orders().Attached(to.Order, storage.Page{Limit: attachedAtMost})
	if err != nil {
		return o, err
	}
	if len(others) == attachedAtMost {
		return o, e.stillAtWork(tx, to.Order, "many orders wait for it already")
	}
	first, err := tx.Orders().Get(to.Order)
	if err != nil {
		return o, err
	}
	now := e.now()
	first.Note(now, "order "+string(o.ID)+" for the same key and names shares its certificate")
	if err := putOrder(tx, first); err != nil {
		return o, err
	}
	o.CSRHash, o.Submission, o.AttachedTo, o.Status = csrHash, to.ID, to.Order, acme.OrderProcessing
	o.Note(now, "finalized; it shares the certificate that order "+string(to.Order)+" waits for")
	if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
		return o, err
	}
	return o, putOrder(tx, o)
}

// attachIssued gives an order the certificate of an earlier one.
func (e *Engine) attachIssued(tx storage.Tx, o acme.Order, csrHash acme.KeyHash, to storage.Submission) (acme.Order, error) {
	first, err := tx.Orders().Get(to.Order)
	if err != nil {
		return o, err
	}
	now := e.now()
	o.CSRHash, o.Submission, o.AttachedTo, o.Status = csrHash, to.ID, to.Order, acme.OrderProcessing
	o.Note(now, "finalized; the certificate of order "+string(to.Order)+" is for the same key and names, and young")
	if err := markRenewed(tx, o, now); err != nil {
		return o, err
	}
	if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
		return o, err
	}
	o = acme.Deliver(o, first.Certificate, now)
	return o, putOrder(tx, o)
}

// resume gives an order what the CA still has from an earlier one, which its
// deadline had ended.
func (e *Engine) resume(tx storage.Tx, o acme.Order, csrHash acme.KeyHash, sub storage.Submission, p acme.Profile) (acme.Order, error) {
	now := e.now()
	o.CSRHash, o.Submission, o.Status = csrHash, sub.ID, acme.OrderProcessing
	o.Note(now, "finalized; the CA still has the request of order "+string(sub.Order)+", which had been given up")
	sub.Order, sub.GivenUp, sub.Deadline = o.ID, time.Time{}, now.Add(p.IssuanceDeadline)
	if err := tx.Submissions().Put(sub); err != nil {
		return o, err
	}
	err := tx.Jobs().Put(storage.Job{
		ID: orderJob(o.ID), Kind: storage.JobPoll, Due: now, Account: o.Account, Subject: string(o.ID), Backend: sub.Backend,
	})
	if err != nil {
		return o, err
	}
	return o, putOrder(tx, o)
}

// movable is the ticket by which a CA finds what a later request may take over:
// that of the request itself, or of the one that it was to take over from.
func movable(sub storage.Submission) string {
	if sub.Ticket != "" {
		return sub.Ticket
	}
	return sub.TakesOver
}

// left is a submission whose order has ended. One that was to take over what its
// CA has of an earlier request, and has not, leaves that to the next for the need:
// it was paid for, and nobody else knows of it.
func left(sub storage.Submission, now time.Time) storage.Submission {
	if sub.Ticket == "" && sub.TakesOver != "" && sub.GivenUp.IsZero() {
		sub.GivenUp = now
	}
	return sub
}

// leave is left for an order that ends before its CA was asked, by a decision of
// ours.
func (e *Engine) leave(tx storage.Tx, o acme.Order) error {
	if o.Submission == "" || o.AttachedTo != "" {
		return nil
	}
	sub, err := tx.Submissions().Get(o.Submission)
	if err != nil {
		return err
	}
	after := left(sub, e.now())
	if after.GivenUp.Equal(sub.GivenUp) {
		return nil
	}
	return tx.Submissions().Put(after)
}

// takeOver ends an earlier order, unless it was given up already, and has sub go
// on with what the CA has of it. Nobody else resumes that one afterwards.
func (e *Engine) takeOver(tx storage.Tx, by acme.OrderID, earlier storage.Submission, sub *storage.Submission) error {
	sub.TakesOver = movable(earlier)
	first, err := tx.Orders().Get(earlier.Order)
	if err != nil {
		return err
	}
	if first.Status == acme.OrderValid { // it has what it wanted, and keeps it
		return nil
	}
	if earlier.GivenUp.IsZero() {
		return e.supersede(tx, by, earlier)
	}
	earlier.GivenUp = time.Time{}
	return tx.Submissions().Put(earlier)
}

// TookItsPlace is what the client of a superseded order reads, with the id of
// the order that took its place. Operators are told by it that nothing went wrong.
const TookItsPlace = "your order %s for the same names, with another key, took the place of this one before its certificate was there"

// supersede ends an earlier order, and what is attached to it, in favour of a
// later one with another key: one that its CA has not heard of, or whose request
// the later one takes over.
func (e *Engine) supersede(tx storage.Tx, by acme.OrderID, earlier storage.Submission) error {
	first, err := tx.Orders().Get(earlier.Order)
	if err != nil {
		return err
	}
	if err := tx.Jobs().Delete(orderJob(first.ID)); err != nil {
		return err
	}
	p := acme.Problemf(acme.Unauthorized, TookItsPlace, by)
	return e.endBadly(tx, first, p)
}

// endBadly fails an order and all that are attached to it.
func (e *Engine) endBadly(tx storage.Tx, o acme.Order, p *acme.Problem) error {
	now := e.now()
	if err := putOrder(tx, acme.Fail(o, p, now)); err != nil {
		return err
	}
	return eachAttached(tx, o.ID, func(x acme.Order) error { return putOrder(tx, acme.Fail(x, p, now)) })
}

// eachAttached calls change for every order that waits for what was asked for
// that one. change has to end it.
func eachAttached(tx storage.Tx, to acme.OrderID, change func(acme.Order) error) error {
	attached, _, err := tx.Orders().Attached(to, storage.Page{Limit: attachedAtMost})
	if err != nil {
		return err
	}
	for _, o := range attached {
		if err := change(o); err != nil {
			return err
		}
	}
	return nil
}

// jobOf names the job that moves an order on: its own, or that of the order that
// it is attached to.
func jobOf(o acme.Order) storage.JobID {
	if o.AttachedTo != "" {
		return orderJob(o.AttachedTo)
	}
	return orderJob(o.ID)
}

// attached reports that an order shares the certificate of another one.
func (e *Engine) attached(o acme.Order) {
	e.Counters.OrdersAttached.Add(1)
	if o.Status == acme.OrderValid {
		e.Counters.OrdersValid.Add(1)
	}
	e.log.Info("order attached to an earlier one", "event", "order.attached", "order", o.ID, "account", o.Account, "member", o.Member,
		"to", o.AttachedTo, "status", o.Status)
}
