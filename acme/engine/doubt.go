package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// visibility is how long a CA may take to show a request that it has accepted:
// one look that finds nothing proves nothing, two this far apart may (SC-4).
const visibility = 2 * time.Minute

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
