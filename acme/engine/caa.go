package engine

import (
	"context"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// CAAChecker asks by CAA records whether the holder of a domain lets a CA
// issue. [challenges.CAA] is the one to use.
type CAAChecker interface {
	Check(ctx context.Context, r challenges.CAARequest) acme.Outcome
}

// recheckTime bounds how long a finalize request may wait for CAA records that
// have to be looked at again: clients give up after 10 s.
const recheckTime = 8 * time.Second

// checkCAA looks at the CAA records of one authorization, for the CA of a
// profile (RFC 8659; RFC 8657 with the account and the method of the proof).
func (e *Engine) checkCAA(ctx context.Context, owner acme.Account, a acme.Authorization, p acme.Profile, method acme.ChallengeType) acme.Outcome {
	begun := e.now() // the answers are no older than this
	out := e.contained(a.ID, func() acme.Outcome {
		return e.cfg.CAA.Check(ctx, challenges.CAARequest{
			Name: a.Identifier.Value, Wildcard: a.Wildcard, Identities: p.IssuerDomainNames,
			AccountURL: e.cfg.AccountURL(owner), Method: method,
		})
	})
	if out.Valid {
		out.CAA = &acme.CAACheck{At: begun.Truncate(time.Second), Issuers: p.IssuerDomainNames}
	}
	return out
}

// staleCAA returns the authorizations of an order whose CAA records have to be
// looked at before a certificate of the profile.
func (e *Engine) staleCAA(tx storage.Tx, o acme.Order, p acme.Profile) ([]acme.Authorization, error) {
	if !p.CAA {
		return nil, nil
	}
	authzs, err := loadAuthorizations(tx, o.Authorizations)
	if err != nil {
		return nil, err
	}
	var stale []acme.Authorization
	for _, a := range authzs {
		if !a.CAAFresh(p, e.now()) {
			stale = append(stale, a)
		}
	}
	return stale, nil
}

// caaStale refuses what renewCAA should have seen to; the authorizations have
// changed since.
func caaStale(stale []acme.Authorization) *acme.Problem {
	if len(stale) == 0 {
		return nil
	}
	return acme.Problemf(acme.ServerInternal, "the CAA records of %s have to be looked at again; finalize once more", stale[0].Identifier.Value).
		WithStatus(503).WithRetryAfter(time.Second)
}

// renewCAA looks at the CAA records of an order again that were last looked at
// too long ago, or on behalf of another CA, or never, because the registry is
// what entitles to the names (R8555-7.4F-12, R8659-BR-1). It happens before the
// commit that closes the order, because nothing may ask the network within
// one; that commit asks whether it has happened. A name that must not be issued
// for leaves the order ready: its holder may change the records.
//
// What was allowed is stored at once, so that a client that comes again, after
// a name server has failed, has less to wait for.
func (e *Engine) renewCAA(ctx context.Context, owner acme.Account, o acme.Order, p acme.Profile) error {
	var stale []acme.Authorization
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		stale, err = e.staleCAA(tx, o, p)
		return err
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	// One look at a time for an order, or every repetition of the request would
	// put all the questions again (SV-11).
	busy := "caa/" + string(o.ID)
	if !e.inflight.take(busy) {
		return acme.Problemf(acme.RateLimited, "the CAA records of this order are being looked at for another request; finalize again in a moment").WithRetryAfter(2 * time.Second)
	}
	defer e.inflight.release(busy)
	outcomes := e.lookAgain(ctx, owner, stale, p)
	if err := e.storeCAA(ctx, stale, outcomes); err != nil {
		return err
	}
	return orProblem(e.caaProblem(o, stale, outcomes), nil)
}

// lookAgain makes the checks in the lane of validations, within its bounds.
func (e *Engine) lookAgain(ctx context.Context, owner acme.Account, stale []acme.Authorization, p acme.Profile) []acme.Outcome {
	ctx, cancel := context.WithTimeout(ctx, recheckTime)
	defer cancel()
	type result struct {
		i   int
		out acme.Outcome
	}
	results := make(chan result, len(stale)) // room for those who come too late
	for i, a := range stale {
		e.lanes.add(laneValidate, owner.ID, func(context.Context) {
			results <- result{i, e.checkCAA(ctx, owner, a, p, a.ProvedBy())}
		})
	}
	outcomes := make([]acme.Outcome, len(stale))
	for i, a := range stale {
		outcomes[i].Problem = acme.Problemf(acme.DNS, "CAA of %s could not be looked up in time; finalize again", a.Identifier.Value)
		outcomes[i].Retry = true
	}
	for range stale {
		select {
		case r := <-results:
			outcomes[r.i] = r.out
		case <-ctx.Done():
			return outcomes
		}
	}
	return outcomes
}

// storeCAA notes the checks that allowed a certificate.
func (e *Engine) storeCAA(ctx context.Context, checked []acme.Authorization, outcomes []acme.Outcome) error {
	allowed := map[acme.AuthorizationID]*acme.CAACheck{}
	for i, a := range checked {
		if outcomes[i].Valid {
			allowed[a.ID] = outcomes[i].CAA
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	return e.commit(context.WithoutCancel(ctx), func(tx storage.Tx) error {
		for id, check := range allowed {
			a, err := tx.Authorizations().Get(id)
			if err != nil {
				return err
			}
			a.CAA = check
			if err := putAuthorization(tx, a); err != nil {
				return err
			}
		}
		return nil
	}, failpoint.CheckCAA)
}

// caaProblem says what stands in the way of a certificate: the word of a
// holder before the failure of a name server, and each name with its own
// reason (R8555-6.7-3).
func (e *Engine) caaProblem(o acme.Order, checked []acme.Authorization, outcomes []acme.Outcome) *acme.Problem {
	var p *acme.Problem
	var parts []acme.Subproblem
	for i, out := range outcomes {
		if out.Valid {
			continue
		}
		e.log.Info("CAA forbids a certificate, or cannot be looked up", "event", "caa.refused", "order", o.ID, "account", o.Account,
			"identifier", checked[i].Identifier.Value, "steps", stepLines(out.Steps), "cause", out.Problem.Detail)
		if p == nil || p.Type != acme.CAA && out.Problem.Type == acme.CAA {
			p = out.Problem
		}
		parts = append(parts, acme.Subproblem{Type: out.Problem.Type, Detail: out.Problem.Detail, Identifier: checked[i].Identifier})
	}
	if p == nil {
		return nil
	}
	whole := acme.Problemf(p.Type, "%s", p.Detail).WithSubproblems(parts...)
	if p.Type != acme.CAA {
		whole = whole.WithRetryAfter(5 * time.Second)
	}
	return whole
}
