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

// loaded is what a step on an order works with.
type loaded struct {
	job       storage.Job
	order     acme.Order
	sub       storage.Submission
	profile   acme.Profile
	authority *authority
	// renewal is what mayStillBuy found out.
	renewal bool
	// replaces is what a CA may be told that the certificate replaces.
	replaces string
	// says is what the CA said to a refusal, in its own words, for the operator.
	says string
}

func (e *Engine) load(ctx context.Context, j storage.Job) (l loaded, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		if l.job, err = e.ours(tx, j); err != nil {
			return err
		}
		if l.order, err = tx.Orders().Get(acme.OrderID(j.Subject)); err != nil {
			return err
		}
		if l.sub, err = tx.Submissions().Get(l.order.Submission); err != nil {
			return err
		}
		l.replaces, err = replacedAt(tx, l.order, l.sub.Backend)
		return err
	})
	if err != nil {
		return l, err
	}
	l.profile = e.cfg.Profiles[l.order.Profile]
	if l.authority = e.backends[l.sub.Backend]; l.authority == nil {
		err = fmt.Errorf("engine: order %s was submitted to backend %q, which is not configured any more", l.order.ID, l.sub.Backend)
	}
	return l, err
}

func (l loaded) request() (backends.Request, error) {
	csr, p := acme.ParseCSR(l.sub.CSR)
	if p != nil {
		return backends.Request{}, p
	}
	r := request(l.order, l.sub, csr.SPKI)
	r.Renewal, r.Replaces = l.renewal, l.replaces
	return r, nil
}

// stepSubmit asks the CA, at most once for as long as nobody can tell what
// became of the first time.
func (e *Engine) stepSubmit(ctx context.Context, j storage.Job) error {
	l, err := e.load(ctx, j)
	if err != nil {
		return err
	}
	if l.order.Status != acme.OrderProcessing {
		return e.commit(ctx, func(tx storage.Tx) error { return tx.Jobs().Delete(j.ID) }, failpoint.Reschedule)
	}
	r, err := l.request()
	if err != nil {
		return err
	}
	if !l.sub.SentAt.IsZero() {
		// An earlier attempt reached this point, so the CA may know.
		return e.reconcile(ctx, l, r)
	}
	switch overdueBy := e.now().Sub(l.sub.Deadline); {
	case overdueBy >= 0 && l.job.Stopped:
		// SC-16: that nothing could be bought is no fault of the order. Nothing
		// was sent, so it goes on when the cause is gone and somebody says so.
		return e.parkSubmission(ctx, l, "its time was over before it could be sent, because of something to put right at the CA, last: "+nonEmpty(l.job.LastError, "no word kept"))
	case overdueBy >= 0:
		return e.fail(ctx, l, overdue(l.sub))
	}
	if settled, err := e.lookBeforeSending(ctx, l); settled || err != nil {
		return err
	}
	if l.renewal, err = e.mayStillBuy(ctx, l); err != nil {
		var p *acme.Problem
		if errors.As(err, &p) {
			return e.waitForCA(ctx, l, p)
		}
		return err
	}
	// SC-1: from this commit on, the CA may have heard of it.
	var withdrawn *acme.Problem
	all, err := e.intend(ctx, l)
	switch {
	case errors.As(err, &withdrawn):
		return e.fail(ctx, l, withdrawn)
	case err != nil:
		return err
	}
	e.Counters.Submissions.Add(int64(len(all)))
	if l = all[0]; len(all) > 1 {
		return e.sendTogether(ctx, all)
	}
	if r, err = l.request(); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, e.callTime(l.authority))
	defer cancel()
	ticket, err := l.authority.backend.Submit(call, r)
	if hit := failpoint.Hit(failpoint.Sent); hit != nil {
		return hit
	}
	if detail, refused := backends.RefusalDetail(err); refused {
		e.refused(l.order, l.authority.name, err)
		l.refused(err)
		return e.fail(ctx, l, refusedByCA(detail, err))
	}
	l.authority.learn(err)
	switch {
	case err == nil:
		return e.ticketed(ctx, all, []backends.Ticket{ticket}, failpoint.Ticket)
	case backends.IsNotSent(err) || l.authority.continuer != nil: // which has bought nothing either way
		return e.notSent(ctx, all, err)
	default:
		return e.doubt(ctx, all, fmt.Sprintf("submitted at %s, then: %v", l.sub.SentAt.Format(time.RFC3339), err), err)
	}
}

// callTime is how long one call about an order may take. A step that outlives its
// lease by that keeps its job all the same.
func (e *Engine) callTime(a *authority) time.Duration {
	return max(e.cfg.CallTimeout, a.traits.CallTime)
}

// learn takes in what a call tells of the CA besides its answer.
func (a *authority) learn(err error) {
	switch {
	case err == nil:
		a.letIn()
	case errors.Is(err, backends.ErrCredentials):
		a.heard(backends.FindingLogin, backends.StopAll, err)
	case errors.Is(err, backends.ErrExhausted):
		a.heard(backends.FindingBalance, backends.StopNew, err)
	}
}

// refused takes in that the CA says no.
func (l *loaded) refused(err error) {
	l.says = refusalNote(err)
	l.sub.Refused = l.sub.TakesOver != ""
}

// refusalNote keeps the CA's own words for the operator (SC-18).
func refusalNote(err error) string {
	cause := backends.RefusalCause(err)
	if cause == nil {
		return ""
	}
	return "refused: " + clip(cause.Error(), 500)
}

// intend records that the request is about to be sent, if it may still be: an
// error with a problem says that it may not. Where requests go together it does
// so for others too, in the same commit: all is the given one and those.
func (e *Engine) intend(ctx context.Context, l loaded) (all []loaded, err error) {
	var left []storage.JobID
	err = e.commit(ctx, func(tx storage.Tx) error {
		if _, err := e.ours(tx, l.job); err != nil {
			return err
		}
		if _, err := e.withdrawn(tx, l); err != nil {
			return err
		}
		var with []loaded
		var err error
		if with, left, err = e.companyOf(tx, l); err != nil {
			return err
		}
		all = append([]loaded{l}, with...)
		batch, now := "", e.now()
		if len(all) > 1 {
			batch = batchKey(l.sub)
		}
		for i := range all {
			sub, job := &all[i].sub, &all[i].job
			sub.SentAt, sub.Attempts, sub.Batch = now, sub.Attempts+1, batch
			sub.Misses, sub.FirstMiss = 0, time.Time{}
			if err := tx.Submissions().Put(*sub); err != nil {
				return err
			}
			if i == 0 {
				continue
			}
			e.lease(job, now)
			job.Lease.Batch = batch
			if err := tx.Jobs().Put(*job); err != nil {
				return err
			}
		}
		return nil
	}, failpoint.Intent)
	if err == nil {
		for _, m := range all {
			left = append(left, m.job.ID)
		}
		l.authority.company.leave(left)
	}
	return all, err
}

// ticketed stores the CA's names for requests, and polls at once: a CA that is
// done already saves its clients a round trip.
func (e *Engine) ticketed(ctx context.Context, all []loaded, tickets []backends.Ticket, w failpoint.Write) error {
	var lost []int
	err := e.commit(ctx, func(tx storage.Tx) error {
		lost = nil
		for i, l := range all {
			gone, err := e.ticket(tx, l, tickets[i], w)
			if err != nil {
				return err
			}
			if gone {
				lost = append(lost, i)
			}
		}
		return nil
	}, w)
	if err != nil {
		return err
	}
	for _, i := range lost {
		l := all[i]
		e.Counters.Orphans.Add(1)
		e.log.Error("the CA accepted a request whose order had been ended; cancel or revoke it there", "event", "submission.orphan",
			"order", l.order.ID, "account", l.order.Account, "member", l.order.Member, "backend", l.authority.name, "key", l.sub.Key, "ticket", string(tickets[i]))
	}
	return nil
}

// ticket stores one of them. lost says that nobody waits for it any more.
func (e *Engine) ticket(tx storage.Tx, l loaded, t backends.Ticket, w failpoint.Write) (lost bool, err error) {
	sub := l.sub
	sub.Ticket, sub.Evidence = string(t), ""
	stored, err := e.ours(tx, l.job)
	if errors.Is(err, errLeaseLost) {
		// Something was bought that nobody waits for: leave a trace.
		sub.Evidence = "accepted by the CA after the order had been ended"
		return true, tx.Submissions().Put(sub)
	}
	if err != nil {
		return false, err
	}
	if err := tx.Submissions().Put(sub); err != nil {
		return false, err
	}
	stored.Kind, stored.Attempt, stored.LastError, stored.Failures, stored.Stopped = storage.JobPoll, 0, "", 0, false
	stored.Lease, stored.Due = storage.Lease{}, e.now()
	o, err := tx.Orders().Get(l.order.ID) // another one may be attached since
	if err != nil {
		return false, err
	}
	note := "the CA has accepted the request"
	if w == failpoint.Reconcile {
		note = "the CA has the request: its reply had been lost, and it was looked up and not sent again"
	}
	o.Note(e.now(), note)
	if err := putOrder(tx, o); err != nil {
		return false, err
	}
	return false, tx.Jobs().Put(stored)
}

// notSent takes the intention back: nothing left us, so it may be sent later.
// The step itself has failed then, and what it did for others is put off here.
func (e *Engine) notSent(ctx context.Context, all []loaded, cause error) error {
	err := e.commit(ctx, func(tx storage.Tx) error {
		for i, l := range all {
			stored, err := e.ours(tx, l.job)
			if len(all) > 1 && errors.Is(err, errLeaseLost) {
				continue // its order has been ended meanwhile, and the others go on
			}
			if err != nil {
				return err
			}
			sub := l.sub
			sub.SentAt, sub.Batch = time.Time{}, ""
			if err := tx.Submissions().Put(sub); err != nil {
				return err
			}
			if i == 0 {
				continue
			}
			stumbled(&stored, cause)
			stored.Lease, stored.Due = storage.Lease{}, e.now().Add(e.pauseAfter(cause, stored.Failures))
			if err := tx.Jobs().Put(stored); err != nil {
				return err
			}
		}
		return nil
	}, failpoint.Reschedule)
	if err != nil {
		return err
	}
	return fmt.Errorf("engine: order %s was not sent to %s: %w", all[0].order.ID, all[0].authority.name, cause)
}

// fail ends an order badly, and its job with it.
func (e *Engine) fail(ctx context.Context, l loaded, p *acme.Problem) error {
	err := e.commit(ctx, func(tx storage.Tx) error {
		if _, err := e.ours(tx, l.job); err != nil {
			return err
		}
		o, err := tx.Orders().Get(l.order.ID)
		if err != nil {
			return err
		}
		if o.Status.Final() {
			return tx.Jobs().Delete(l.job.ID)
		}
		if err := tx.Jobs().Delete(l.job.ID); err != nil {
			return err
		}
		if l.says != "" {
			o.Note(e.now(), l.says)
		}
		if err := tx.Submissions().Put(left(l.sub, e.now())); err != nil {
			return err
		}
		return e.endBadly(tx, o, p)
	}, failpoint.Fail)
	if err == nil {
		e.watchers.tell(string(l.job.ID))
	}
	return err
}

func overdue(sub storage.Submission) *acme.Problem {
	return acme.Problemf(acme.ServerInternal, "the certificate authority has not answered by %s; place a new order", sub.Deadline.Format(time.RFC3339))
}

func nonEmpty(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
