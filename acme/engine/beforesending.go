package engine

import (
	"context"
	"errors"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/storage"
)

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
