package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// NewAuthorization lets an account prove a name ahead of any order (RFC 8555,
// 7.4.1). What is refused there for what it is, is forbidden here: 403, with
// the reason (R8555-7.4.1-1).
func (e *Engine) NewAuthorization(ctx context.Context, owner acme.Account, sent acme.Identifier) (acme.Authorization, error) {
	d := e.directories[owner.Directory]
	if !d.PreAuthorization {
		return acme.Authorization{}, acme.NotFound()
	}
	profile := e.cfg.Profiles[d.Profiles[0]]
	identifiers, p := acme.ParseIdentifiers([]acme.Identifier{sent}, profile.Identifiers)
	if p == nil {
		p = exact(identifiers[0])
	}
	if p == nil {
		p = offered(profile, identifiers)
	}
	if p != nil {
		return acme.Authorization{}, unwilling(p)
	}
	if p := e.mayBegin(ctx, profile.Backend); p != nil {
		return acme.Authorization{}, p
	}
	if p := e.mayTry(owner.ID, identifiers...); p != nil {
		return acme.Authorization{}, p
	}
	claim, p := e.claimOrder(owner.ID) // it is the beginning of an order
	if p != nil {
		return acme.Authorization{}, p
	}
	a, err := acme.PreAuthorize(owner, identifiers[0], profile, e.now(), e.cfg.Random)
	if err != nil {
		return a, err
	}
	err = e.commit(ctx, func(tx storage.Tx) error {
		h, err := e.holder(tx, owner.ID)
		if err != nil {
			return err
		}
		if _, err := h.entitled(profile, identifiers); err != nil {
			var p *acme.Problem
			if errors.As(err, &p) {
				return unwilling(p)
			}
			return err
		}
		return tx.Authorizations().Put(a)
	}, failpoint.NewAuthorization)
	if err != nil {
		claim.Return()
		return acme.Authorization{}, err
	}
	e.log.Info("authorization created ahead of an order", "event", "authorization.created", "authorization", a.ID, "account", a.Account,
		"profile", a.Profile, "identifier", a.Identifier.Value)
	return a, nil
}

// exact refuses a wildcard, of which RFC 8555 has none here (R8555-7.4.1-3).
func exact(id acme.Identifier) *acme.Problem {
	if _, wildcard := id.Wildcard(); wildcard {
		return acme.Problemf(acme.Malformed, "a wildcard cannot be proved ahead of an order; place an order for %s", id.Value)
	}
	return nil
}

// unwilling makes the refusal of an identifier what newAuthz answers: what is
// misspelt stays a bad request.
func unwilling(p *acme.Problem) *acme.Problem {
	if p.Type == acme.RejectedIdentifier || p.Type == acme.UnsupportedIdentifier {
		p.Status = 403
	}
	return p
}

// orderOf returns the order that an authorization was made for, and the profile
// by whose rules it is proved. One that was asked for ahead of any has no
// order: it is the zero value then.
func (e *Engine) orderOf(tx storage.Tx, a acme.Authorization) (o acme.Order, p acme.Profile, err error) {
	if a.Order == "" {
		return o, e.cfg.Profiles[a.Profile], nil
	}
	o, err = tx.Orders().Get(a.Order)
	return o, e.cfg.Profiles[o.Profile], err
}

// Authorization reads an authorization of its owner, and when to look again
// while it is being validated.
func (e *Engine) Authorization(ctx context.Context, owner acme.AccountID, id acme.AuthorizationID) (a acme.Authorization, retryAfter time.Duration, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		if a, err = loadAuthorization(tx, owner, id); err != nil {
			return err
		}
		a = a.At(e.now())
		if a.Status != acme.AuthorizationPending || !slices.ContainsFunc(a.Challenges, func(c acme.Challenge) bool { return c.Status == acme.ChallengeProcessing }) {
			return nil
		}
		if retryAfter, err = e.retryAfter(tx, authzJob(id), time.Second); err != nil {
			return err
		}
		_, profile, err := e.orderOf(tx, a)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if profile.XRoad.Usage != "" { // RetryAfter of others is about their CA
			retryAfter = profile.Pause(retryAfter)
		}
		return err
	})
	return a, retryAfter, err
}

// DeactivateAuthorization withdraws an authorization: it never counts again,
// and every order that was waiting on it is over (R8555-7.5.2-2, 7.1.6-3).
func (e *Engine) DeactivateAuthorization(ctx context.Context, owner acme.AccountID, id acme.AuthorizationID) (acme.Authorization, error) {
	var a acme.Authorization
	err := e.commit(ctx, func(tx storage.Tx) error {
		var err error
		if a, err = loadAuthorization(tx, owner, id); err != nil {
			return err
		}
		now := e.now()
		a = a.At(now)
		if a.Status == acme.AuthorizationDeactivated {
			return nil
		}
		if !a.Status.CanBecome(acme.AuthorizationDeactivated) {
			return acme.Problemf(acme.Malformed, "the authorization is %s and cannot be deactivated", a.Status)
		}
		users := a.Users()
		a.Status, a.Sharing = acme.AuthorizationDeactivated, nil
		if err := putAuthorization(tx, a); err != nil {
			return err
		}
		if err := tx.Jobs().Delete(authzJob(id)); err != nil {
			return err
		}
		for _, user := range users {
			if err := withdraw(tx, user, a, now); err != nil {
				return err
			}
		}
		return nil
	}, failpoint.Deactivate)
	return a, err
}

// withdraw ends an order that still needed an authorization.
func withdraw(tx storage.Tx, id acme.OrderID, a acme.Authorization, now time.Time) error {
	o, err := tx.Orders().Get(id)
	if err != nil {
		return err
	}
	if !waits(o) {
		return nil
	}
	p := acme.Problemf(acme.Unauthorized, "the authorization for %s was deactivated", a.Identifier.Value)
	if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
		return err
	}
	return putOrder(tx, acme.Fail(o, p, now))
}

// waits reports whether an order still hangs on its authorizations.
func waits(o acme.Order) bool {
	return o.Status == acme.OrderPending || o.Status == acme.OrderReady
}

// reuse gives a new order the proofs that its account made earlier, where the
// profile has them serve or they were made ahead of it. It stores that they do; own are the authorizations
// that the order begins with besides.
func (e *Engine) reuse(tx storage.Tx, o acme.Order, fresh []acme.Authorization, profile acme.Profile) (_ acme.Order, own []acme.Authorization, reused int, err error) {
	if profile.ReuseAuthorizations <= 0 && !e.directories[o.Directory].PreAuthorization {
		return o, fresh, 0, nil
	}
	now := e.now()
	earlier := make([]acme.Authorization, len(fresh))
	for i, a := range fresh {
		if earlier[i], err = e.earlier(tx, a, profile, now); err != nil {
			return o, nil, 0, err
		}
	}
	o, own, used := acme.Reuse(o, fresh, earlier, now)
	for _, a := range used {
		if err := putAuthorization(tx, a); err != nil {
			return o, nil, 0, err
		}
	}
	return o, own, len(used), nil
}

// earlier returns the authorization that may serve in place of a new one; one
// without an id when there is none.
func (e *Engine) earlier(tx storage.Tx, fresh acme.Authorization, profile acme.Profile, now time.Time) (acme.Authorization, error) {
	found, err := proofs(tx, fresh.Account, fresh.Identifier, fresh.Wildcard, now)
	if err != nil {
		return acme.Authorization{}, err
	}
	for _, a := range found {
		if !a.Serves(profile, now) {
			continue
		}
		if len(a.Sharing) >= acme.MaxSharing {
			if a.Sharing, err = open(tx, a.Sharing, now); err != nil {
				return acme.Authorization{}, err
			}
		}
		if len(a.Sharing) < acme.MaxSharing {
			return a, nil
		}
	}
	return acme.Authorization{}, nil
}

// open returns those of the orders that still hang on their authorizations.
func open(tx storage.Tx, ids []acme.OrderID, now time.Time) ([]acme.OrderID, error) {
	var failed error
	left := slices.DeleteFunc(slices.Clone(ids), func(id acme.OrderID) bool {
		o, err := tx.Orders().Get(id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			failed = err
		}
		return err != nil || !waits(o.At(now))
	})
	return left, failed
}
