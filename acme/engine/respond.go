package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// attempt is the first attempt at a challenge, made while its client waits for
// the answer to its response. If the outcome is there within Config.Settling,
// response and outcome are one event and one commit. If not, the response is
// stored as processing with a job, as if no attempt were under way, and the
// outcome is stored when it comes.
//
// A crash before either commit loses nothing that anybody was told.
type attempt struct {
	mu      sync.Mutex // held by whoever commits, so that the two commits do not meet
	settled bool       // the outcome is stored; guarded by mu
	failed  bool       // the outcome could not be stored; guarded by mu
	done    chan struct{}
}

// Respond takes a client's word that a challenge is ready to be tried. The
// answer waits for the outcome, at most for the profile's hold window.
func (e *Engine) Respond(ctx context.Context, owner acme.Account, id acme.AuthorizationID, t acme.ChallengeType) (acme.Authorization, time.Duration, error) {
	profile, responded, changed, err := e.respond(ctx, owner, id, t)
	if err != nil {
		return acme.Authorization{}, 0, err
	}
	if responded.Status == acme.AuthorizationPending {
		if p := e.mayTry(owner.ID, responded.Identifier); p != nil && changed {
			return acme.Authorization{}, 0, p // R8555-8.2-4
		}
		begun := e.now()
		done, cancel := e.watchers.watch(string(authzJob(id)))
		defer cancel()
		if changed && e.inflight.take(string(authzJob(id))) {
			if err := e.tryNow(ctx, owner, id, t); err != nil {
				return acme.Authorization{}, 0, err
			}
		} else if a, _, err := e.Authorization(ctx, owner.ID, id); err != nil || a.Status != acme.AuthorizationPending {
			return a, 0, err // it was settled before we began to watch
		}
		e.watchers.wait(ctx, done, profile.Hold-e.now().Sub(begun))
	}
	return e.Authorization(ctx, owner.ID, id)
}

func (e *Engine) respond(ctx context.Context, owner acme.Account, id acme.AuthorizationID, t acme.ChallengeType) (profile acme.Profile, next acme.Authorization, changed bool, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		a, err := loadAuthorization(tx, owner.ID, id)
		if err != nil {
			return err
		}
		account, err := e.standing(tx, owner.ID)
		if err != nil {
			return err
		}
		var p *acme.Problem
		if next, changed, p = acme.Respond(a, t, account.Thumbprint, e.now()); p != nil {
			return p
		}
		_, profile, err = e.orderOf(tx, a)
		return err
	})
	return profile, next, changed, err
}

// tryNow makes the first attempt and returns when its outcome, or that it is
// under way, is stored. The job is taken in e.inflight, so what is read from
// here on stays true: another response may have been settled before that.
func (e *Engine) tryNow(ctx context.Context, owner acme.Account, id acme.AuthorizationID, t acme.ChallengeType) error {
	at := &attempt{done: make(chan struct{})}
	j := storage.Job{
		ID: authzJob(id), Kind: storage.JobValidate, Attempt: 1,
		Account: owner.ID, Subject: string(id), Challenge: t,
	}
	profile, a, changed, err := e.respond(ctx, owner, id, t)
	if err != nil || !changed {
		e.inflight.release(string(j.ID))
		return err
	}
	e.lanes.add(laneValidate, owner.ID, func(ctx context.Context) {
		defer close(at.done)
		defer e.inflight.release(string(j.ID))
		out := e.validate(ctx, owner, a, t, profile)
		at.mu.Lock()
		defer at.mu.Unlock()
		defer func() { // SP-15: the job that is stored instead of the outcome is tried and parked
			if r := recover(); r != nil {
				at.failed = true
				e.log.Error("storing the outcome of a challenge panicked", "event", "challenge.unsettled", "authorization", a.ID, "cause", fmt.Sprintf("%v\n%s", r, debug.Stack()))
			}
		}()
		if err := e.settle(ctx, j, a, out); err != nil {
			at.failed = true
			e.log.Error("cannot store the outcome of a challenge", "event", "challenge.unsettled", "authorization", a.ID, "cause", err)
			return
		}
		at.settled = true
	})
	timer := time.NewTimer(e.cfg.Settling)
	defer timer.Stop()
	select {
	case <-at.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.settled {
		return nil
	}
	// The client may have gone; its response counts all the same.
	return e.commit(context.WithoutCancel(ctx), func(tx storage.Tx) error {
		stored, err := tx.Authorizations().Get(a.ID)
		if err != nil {
			return err
		}
		i := stored.Challenge(t)
		if stored.At(e.now()).Status != acme.AuthorizationPending || i < 0 || stored.Challenges[i].Status != acme.ChallengePending {
			return nil
		}
		job := j
		job.Due = e.now()
		if !at.failed { // somebody is at it
			e.lease(&job, e.now())
		}
		if err := tx.Jobs().Put(job); err != nil {
			return err
		}
		return putAuthorization(tx, a)
	}, failpoint.Respond)
}

// validate makes one attempt. Whatever happens in it is an outcome. What is
// proved counts only when CAA records do not forbid the certificate, where the
// profile wants them asked.
func (e *Engine) validate(ctx context.Context, owner acme.Account, a acme.Authorization, t acme.ChallengeType, profile acme.Profile) acme.Outcome {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ValidationTimeout)
	defer cancel()
	e.Counters.Validations.Add(1)
	c := a.Challenges[a.Challenge(t)]
	out := e.contained(a.ID, func() acme.Outcome {
		return e.validators[t].Validate(ctx, challenges.Target{
			Identifier: a.Identifier, Wildcard: a.Wildcard, Token: c.Token, KeyAuthorization: c.KeyAuthorization,
			AccountURL: e.cfg.AccountURL(owner), Thumbprints: owner.EarlierThumbprints, IssuerDomainNames: c.IssuerDomainNames,
		})
	})
	if out.Valid && profile.WantsCAA(a.Identifier) {
		allowed := e.checkCAA(ctx, owner, a, profile, t)
		out.Steps = append(out.Steps, allowed.Steps...)
		out.Valid, out.Problem, out.Retry, out.CAA = allowed.Valid, allowed.Problem, allowed.Retry, allowed.CAA
	}
	if !out.Valid {
		e.Counters.ValidationsFailed.Add(1)
		e.log.Info("challenge failed", "event", "challenge.failed", "authorization", a.ID, "order", a.Order, "account", a.Account,
			"challenge", t, "identifier", a.Identifier.Value, "tried", out.Tried, "steps", stepLines(out.Steps), "again", out.Retry, "cause", out.Problem.Detail)
	}
	return out
}

// stepLines are the steps of an attempt as its operator reads them.
func stepLines(steps []acme.Step) []string {
	const most = 40 // SL-27
	var lines []string
	for _, s := range steps[:min(len(steps), most)] {
		lines = append(lines, clip(s.String(), 300))
	}
	return lines
}

// contained runs a look at the world outside. A panic of it is an outcome, and
// so is a failure without a reason.
func (e *Engine) contained(id acme.AuthorizationID, look func() acme.Outcome) (out acme.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("validator panicked", "event", "validator.panic", "authorization", id, "cause", fmt.Sprintf("%v\n%s", r, debug.Stack()))
			out = acme.Outcome{Retry: true, Problem: acme.Problemf(acme.ServerInternal, "the validation failed inside of the server")}
		}
	}()
	if out = look(); !out.Valid && out.Problem == nil {
		out.Problem = acme.Problemf(acme.ServerInternal, "the validation failed without a reason")
	}
	return out
}

// stepValidate makes a further attempt at a challenge.
func (e *Engine) stepValidate(ctx context.Context, j storage.Job) error {
	var a acme.Authorization
	var owner acme.Account
	var profile acme.Profile
	var withdrawn *acme.Problem
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		if _, err = e.ours(tx, j); err != nil {
			return err
		}
		if a, err = tx.Authorizations().Get(acme.AuthorizationID(j.Subject)); err != nil {
			return err
		}
		if _, profile, err = e.orderOf(tx, a); err != nil {
			return err
		}
		owner, err = e.standing(tx, a.Account)
		if errors.As(err, &withdrawn) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if withdrawn != nil {
		// SP-9: for whom is not in the ecosystem any more, nothing is proved.
		return e.settle(ctx, j, a, acme.Outcome{Problem: withdrawn})
	}
	if i := a.Challenge(j.Challenge); i < 0 || a.Challenges[i].Status != acme.ChallengeProcessing || a.At(e.now()).Status != acme.AuthorizationPending {
		return e.commit(ctx, func(tx storage.Tx) error { return tx.Jobs().Delete(j.ID) }, failpoint.Reschedule)
	}
	return e.settle(ctx, j, a, e.validate(ctx, owner, a, j.Challenge, profile))
}

// settle stores the outcome of an attempt: challenge, authorization and order
// change together (D4), because X-Road finalizes the moment a challenge reads
// valid. tried is the authorization as it was when the attempt began.
func (e *Engine) settle(ctx context.Context, j storage.Job, tried acme.Authorization, out acme.Outcome) error {
	defer e.watchers.tell(string(j.ID))
	var o acme.Order
	again, failed := false, false
	err := e.commit(ctx, func(tx storage.Tx) error {
		now := e.now()
		again, failed = false, false
		a, err := tx.Authorizations().Get(tried.ID)
		if err != nil {
			return err
		}
		if _, err := tx.Jobs().Get(j.ID); err == nil {
			if _, err := e.ours(tx, j); err != nil {
				return err
			}
		} else if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if a.At(now).Status != acme.AuthorizationPending {
			return tx.Jobs().Delete(j.ID) // withdrawn or expired meanwhile
		}
		a.Challenges = append([]acme.Challenge(nil), a.Challenges...)
		i := a.Challenge(j.Challenge)
		if a.Challenges[i].Status == acme.ChallengePending {
			// The response is part of this very commit.
			a.Challenges[i] = tried.Challenges[tried.Challenge(j.Challenge)]
		}
		var profile acme.Profile
		if o, profile, err = e.orderOf(tx, a); err != nil {
			return err
		}
		others, err := e.otherAuthorizations(tx, o, a.ID)
		if err != nil {
			return err
		}
		o, a, again = acme.Settle(o, others, a, j.Challenge, out, profile, e.cfg.Attempts, now)
		failed = a.Status == acme.AuthorizationInvalid
		if err := putAuthorization(tx, a); err != nil {
			return err
		}
		if o.ID != "" {
			if err := putOrder(tx, o); err != nil {
				return err
			}
		}
		if again {
			next := j
			next.Lease, next.Due, next.LastError = storage.Lease{}, now.Add(e.cfg.Interval), out.Problem.Detail
			return tx.Jobs().Put(next)
		}
		if o.Status == acme.OrderInvalid {
			if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
				return err
			}
		}
		return tx.Jobs().Delete(j.ID)
	}, failpoint.Settle)
	if err != nil {
		return err
	}
	if again {
		e.nudge()
	}
	if failed {
		e.hasFailed(tried.Account, tried.Identifier).Take() // SL-14
	}
	if o.Status == acme.OrderInvalid {
		e.Counters.OrdersInvalid.Add(1)
	}
	return nil
}

func (e *Engine) otherAuthorizations(tx storage.Tx, o acme.Order, except acme.AuthorizationID) ([]acme.Authorization, error) {
	var others []acme.Authorization
	for _, id := range o.Authorizations {
		if id == except {
			continue
		}
		a, err := tx.Authorizations().Get(id)
		if err != nil {
			return nil, err
		}
		others = append(others, a)
	}
	return others, nil
}
