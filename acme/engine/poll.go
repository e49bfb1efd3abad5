package engine

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// stepPoll asks the CA whether it is done. What it sends is stored before it
// is judged (SC-8), and judged before anybody may have it (D10).
func (e *Engine) stepPoll(ctx context.Context, j storage.Job) error {
	l, err := e.load(ctx, j)
	if err != nil {
		return err
	}
	if l.order.Status != acme.OrderProcessing {
		return e.commit(ctx, func(tx storage.Tx) error { return tx.Jobs().Delete(j.ID) }, failpoint.Reschedule)
	}
	if len(l.sub.Quarantine) > 0 {
		return e.judge(ctx, l) // an earlier run got this far
	}
	if again := l.sub.Reissue; again != nil && !again.Done {
		return e.reissue(ctx, l)
	}
	call, cancel := context.WithTimeout(ctx, e.callTime(l.authority))
	defer cancel()
	result, err := l.ask(call)
	if hit := failpoint.Hit(failpoint.PollRead); hit != nil {
		return hit
	}
	if l.sub.Batch != "" && errors.Is(err, backends.ErrTogether) {
		return e.apart(ctx, []loaded{l}, err)
	}
	if detail, refused := backends.RefusalDetail(err); refused {
		e.refused(l.order, l.authority.name, err)
		l.refused(err)
		return e.fail(ctx, l, refusedByCA(detail, err))
	}
	l.authority.learn(err)
	switch {
	case err != nil && !e.now().Before(l.sub.Deadline):
		return e.parkSubmission(ctx, l, "the CA accepted the request and has not been reached by the deadline, last with: "+err.Error())
	case err != nil:
		return fmt.Errorf("engine: poll order %s at %s: %w", l.order.ID, l.authority.name, err)
	case len(result.Chain) == 0 && !e.now().Before(l.sub.Deadline):
		l.sub.GivenUp = e.now()
		return e.fail(ctx, l, overdue(l.sub))
	case len(result.Chain) == 0:
		return e.pollLater(ctx, l, result)
	}
	l.sub.Quarantine = result.Chain
	err = e.commit(ctx, func(tx storage.Tx) error {
		if _, err := e.ours(tx, l.job); err != nil {
			return err
		}
		return tx.Submissions().Put(l.sub)
	}, failpoint.Quarantine)
	if err != nil {
		return err
	}
	return e.judge(ctx, l)
}

// ask asks the CA. One that is told of the request piece by piece gets the next.
func (l loaded) ask(ctx context.Context) (backends.Result, error) {
	t := backends.Ticket(l.sub.Ticket)
	if l.authority.continuer == nil {
		return l.authority.backend.Poll(ctx, t)
	}
	r, err := l.request()
	if err != nil {
		return backends.Result{}, err
	}
	return l.authority.continuer.Continue(ctx, r, t)
}

// pollLater waits as long as the CA would like, and otherwise ever longer, but
// not so long that a client which counts its looks has none left.
func (e *Engine) pollLater(ctx context.Context, l loaded, r backends.Result) error {
	const first, longest = time.Second, time.Hour
	pause := r.After
	if pause <= 0 {
		pause = first << min(max(l.job.Attempt-2, 0), 12)
		if p := e.cfg.Profiles[l.order.Profile]; e.now().Before(l.sub.CreatedAt.Add(p.Patience())) {
			pause = min(pause, p.Pause(0)/4)
		}
	}
	pause = e.jitter(min(max(pause, first), longest))
	return e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, l.job)
		if err != nil {
			return err
		}
		now := e.now()
		stored.Lease, stored.Due, stored.LastError, stored.Failures = storage.Lease{}, now.Add(pause), "", 0
		if stored.Waits = ""; r.Approval {
			stored.Waits = storage.ApproverAtCA
		}
		if until := l.sub.Deadline; stored.Due.After(until) && until.After(now) {
			stored.Due = until
		}
		if r.Note != "" && (len(l.order.History) == 0 || l.order.History[len(l.order.History)-1].What != r.Note) {
			o, err := tx.Orders().Get(l.order.ID)
			if err != nil {
				return err
			}
			o.Note(now, r.Note)
			if err := putOrder(tx, o); err != nil {
				return err
			}
		}
		return tx.Jobs().Put(stored)
	}, failpoint.Reschedule)
}

// jitter spreads d by up to a fifth either way (SC-15), so that a restart does
// not make a thousand orders ask in one second for ever after.
func (e *Engine) jitter(d time.Duration) time.Duration {
	var b [2]byte
	if _, err := e.cfg.Random.Read(b[:]); err != nil {
		return d
	}
	return d - d/5 + time.Duration(int64(d/5*2)*(int64(b[0])<<8|int64(b[1]))/65536)
}

// judge is the gate: issued equals ordered, or nothing is delivered.
func (e *Engine) judge(ctx context.Context, l loaded) error {
	leaf, err := e.check(l)
	if err != nil {
		return e.wrong(ctx, l, err)
	}
	cert, err := e.newCertificate(l.order, l.sub, leaf)
	if err != nil {
		return err
	}
	alternates := e.alternates(l.authority, l.order, l.sub, leaf)
	var o acme.Order
	err = e.commit(ctx, func(tx storage.Tx) error {
		if _, err := e.ours(tx, l.job); err != nil {
			return err
		}
		var err error
		if o, err = tx.Orders().Get(l.order.ID); err != nil {
			return err
		}
		if o.Status != acme.OrderProcessing {
			return tx.Jobs().Delete(l.job.ID)
		}
		if o, err = deliver(tx, o, l.sub, cert, append([][][]byte{l.sub.Quarantine[1:]}, alternates...), e.now()); err != nil {
			return err
		}
		return e.revokeIfMeant(tx, cert.ID, o.Member)
	}, failpoint.Deliver)
	switch {
	case errors.Is(err, errDelivered):
		return e.fail(ctx, l, e.mismatch(l.order, l.sub, err))
	case err != nil:
		return err
	}
	e.issued(o, cert)
	e.watchers.tell(string(l.job.ID))
	return nil
}

// check contains a parser that panics on what a CA sent (PX-4).
func (e *Engine) check(l loaded) (leaf *x509.Certificate, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the chain cannot be read: %v", r)
		}
	}()
	return l.authority.trust.CheckChain(l.sub.Contract, l.sub.Quarantine, e.now())
}
