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

// visibility is how long a CA may take to show a request that it has accepted:
// one look that finds nothing proves nothing, two this far apart may (SC-4).
const visibility = 2 * time.Minute

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

// lookBeforeSending looks at an order that was finalized a while ago, because
// somebody had to approve it, or its CA could not be reached: the right to it
// may have gone, and the CAA records, a look at which is good for eight hours,
// may say something else by now (SP-9, R8659-BR-1). settled says that it was
// ended for that, or put off while nobody can say.
func (e *Engine) lookBeforeSending(ctx context.Context, l loaded) (settled bool, err error) {
	var owner acme.Account
	var p *acme.Problem
	err = e.view(ctx, func(tx storage.Tx) (err error) {
		owner, err = e.withdrawn(tx, l)
		return err
	})
	if errors.As(err, &p) {
		return true, e.fail(ctx, l, p)
	}
	if err == nil {
		err = e.renewCAA(ctx, owner, l.order, l.profile)
	}
	switch {
	case !errors.As(err, &p):
		return false, err
	case p.Type == acme.CAA:
		return true, e.fail(ctx, l, p)
	}
	return true, e.putOff(ctx, l, func(_ *storage.Submission, j *storage.Job) (park string) {
		j.Due, j.LastError = e.now().Add(backoff(j.Attempt)), clip(p.Detail, 1024)
		return ""
	})
}

// withdrawn is an error with a problem when the right to the order has gone:
// nothing is bought for an account or a member that is out, for names that the
// registry has given to somebody else, or for a key that was reported since
// (SP-9, EK-9).
func (e *Engine) withdrawn(tx storage.Tx, l loaded) (owner acme.Account, err error) {
	h, err := e.holder(tx, l.order.Account)
	if err != nil {
		return owner, err
	}
	rules := l.profile
	rules.Name = l.order.Profile // which the configuration may have lost
	if _, err = h.entitled(rules, l.order.Identifiers); err != nil {
		return h.account, err
	}
	return h.account, certificateKeyFree(tx, l.sub.Contract.KeyHash)
}

// mayStillBuy asks right before sending whether the CA is as it should be, and
// whether the order is a renewal. An error with a problem says what it is not.
func (e *Engine) mayStillBuy(ctx context.Context, l loaded) (renewal bool, err error) {
	if err := e.surveyed(ctx, l.authority); err != nil {
		return false, err
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		renewal, err = e.renewal(tx, l.order)
		return err
	})
	if err != nil {
		return false, err
	}
	// A login that was refused shows in the call, which costs nothing then.
	if f, stopped := l.authority.stopped(renewal, backends.FindingLogin); stopped {
		return renewal, acme.Problemf(acme.ServerInternal, "%s", f.Text)
	}
	return renewal, nil
}

// waitForCA puts an order off that cannot be bought now, for as long as it takes
// (SC-16). That is no failure of the job.
func (e *Engine) waitForCA(ctx context.Context, l loaded, why *acme.Problem) error {
	return e.putOff(ctx, l, func(_ *storage.Submission, j *storage.Job) (park string) {
		j.Due, j.LastError, j.Stopped = e.now().Add(e.jitter(surveyStopped)), clip(why.Detail, 1024), true
		return ""
	})
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

// doubt keeps the evidence of an unknown outcome and looks at the CA soon. A
// CA in which nothing can be looked up leaves the decision to a person.
func (e *Engine) doubt(ctx context.Context, all []loaded, evidence string, cause error) error {
	for _, l := range all {
		e.log.Warn("the outcome of a submission is unknown", "event", "submission.unknown", "order", l.order.ID,
			"account", l.order.Account, "member", l.order.Member, "backend", l.authority.name, "key", nonEmpty(l.sub.Batch, l.sub.Key), "cause", evidence)
	}
	return e.putOffAll(ctx, all, func(l loaded, sub *storage.Submission, j *storage.Job) (park string) {
		sub.Evidence = clip(evidence, 1024)
		if l.authority.finder == nil && !l.mayResend() {
			return "the CA may or may not have the request, and it cannot be looked up: " + sub.Evidence
		}
		j.Due, j.LastError = e.now().Add(e.pauseAfter(cause, j.Attempt)), sub.Evidence
		return ""
	})
}

// putOff stores what became known of a submission that is not settled, and
// either when to go on with it or, when change says why, that a person has to.
func (e *Engine) putOff(ctx context.Context, l loaded, change func(*storage.Submission, *storage.Job) (park string)) error {
	return e.putOffAll(ctx, []loaded{l}, func(_ loaded, sub *storage.Submission, j *storage.Job) string { return change(sub, j) })
}

// putOffAll is putOff for all that were sent together, but for those whose
// orders have been ended meanwhile.
func (e *Engine) putOffAll(ctx context.Context, all []loaded, change func(loaded, *storage.Submission, *storage.Job) (park string)) error {
	return e.commit(ctx, func(tx storage.Tx) error {
		for i, l := range all {
			stored, err := e.ours(tx, l.job)
			if len(all) > 1 && errors.Is(err, errLeaseLost) {
				continue
			}
			if err != nil {
				return err
			}
			sub := all[i].sub
			stored.Lease, stored.Credentials = storage.Lease{}, false
			park := change(l, &sub, &stored)
			if err := tx.Submissions().Put(sub); err != nil {
				return err
			}
			if park != "" {
				err = e.park(tx, stored, park)
			} else {
				err = tx.Jobs().Put(stored)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, failpoint.Reschedule)
}

// reconcile finds out what became of a request whose reply was lost. It never
// sends anything by itself: at most it takes the intention back, so that the
// next step may send once more, and that only with the profile's permission
// and after two looks far enough apart.
func (e *Engine) reconcile(ctx context.Context, l loaded, r backends.Request) error {
	if l.authority.continuer != nil {
		return e.sendAgain(ctx, l, "asking the CA once more: what got lost was a reservation, and nothing was bought")
	}
	const allowed = "sending the request once more: the CA does not show it, and the profile allows it"
	if l.authority.finder == nil {
		if l.mayResend() {
			return e.sendAgain(ctx, l, allowed)
		}
		return e.doubt(ctx, []loaded{l}, nonEmpty(l.sub.Evidence, "interrupted after "+l.sub.SentAt.Format(time.RFC3339)), nil)
	}
	call, cancel := context.WithTimeout(ctx, e.callTime(l.authority))
	defer cancel()
	ticket, found, err := l.authority.finder.Find(call, r)
	switch {
	case err != nil && !e.now().Before(l.sub.Deadline):
		return e.parkSubmission(ctx, l, "the CA may or may not have the request, and could not say so by the deadline, last with: "+err.Error())
	case err != nil:
		return lookUpError{fmt.Errorf("engine: look up order %s at %s: %w", l.order.ID, l.authority.name, err)}
	}
	if found {
		return e.ticketed(ctx, []loaded{l}, []backends.Ticket{ticket}, failpoint.Reconcile)
	}
	now := e.now()
	if l.sub.Misses > 0 && now.Sub(l.sub.FirstMiss) >= visibility {
		if l.mayResend() {
			return e.sendAgain(ctx, l, allowed)
		}
		why := "the profile does not allow to send it again"
		if l.sub.Resent {
			why = "it was sent twice already"
		}
		return e.parkSubmission(ctx, l, fmt.Sprintf("the CA does not show the request (looked %d times since %s), and %s",
			l.sub.Misses+1, l.sub.FirstMiss.Format(time.RFC3339), why))
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

func (e *Engine) parkSubmission(ctx context.Context, l loaded, why string) error {
	return e.putOff(ctx, l, func(sub *storage.Submission, _ *storage.Job) (park string) {
		sub.Evidence = clip(why, 1024)
		return why
	})
}

// mayResend says whether the profile permits to send a request once more of
// which nobody knows what became. It permits that once for each request: more
// would buy from a CA whose replies get lost for as long as they do (SC-4).
func (l loaded) mayResend() bool { return l.profile.ResubmitOnDoubt && !l.sub.Resent }

// sendAgain takes the intention back, for the reason why.
func (e *Engine) sendAgain(ctx context.Context, l loaded, why string) error {
	return e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, l.job)
		if err != nil {
			return err
		}
		sub := l.sub
		sub.SentAt, sub.Resent = time.Time{}, sub.Resent || l.authority.continuer == nil
		sub.Batch, sub.Alone = "", sub.Alone || sub.Batch != ""
		o, err := tx.Orders().Get(l.order.ID)
		if err != nil {
			return err
		}
		o.Note(e.now(), why)
		if err := putOrder(tx, o); err != nil {
			return err
		}
		if err := tx.Submissions().Put(sub); err != nil {
			return err
		}
		stored.Lease, stored.Due = storage.Lease{}, e.now()
		return tx.Jobs().Put(stored)
	}, failpoint.Reschedule)
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
