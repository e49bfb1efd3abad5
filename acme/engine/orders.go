package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/internal/ratelimit"
	"acmebridge/storage"
)

// OrderRequest is what a client asks for with newOrder.
type OrderRequest struct {
	Identifiers []acme.Identifier // as sent
	Profile     acme.ProfileName  // empty: the directory's first that the account may order
	NotBefore   time.Time
	NotAfter    time.Time
	// Replaces is the RFC 9773 id of the certificate that is renewed.
	Replaces string
}

// NewOrder opens an order.
func (e *Engine) NewOrder(ctx context.Context, owner acme.Account, r OrderRequest) (acme.Order, error) {
	named := r.Profile != ""
	if !named {
		var err error
		if r.Profile, err = e.usual(ctx, owner, r.Replaces); err != nil {
			return acme.Order{}, err
		}
	}
	profile, p := e.profileFor(owner.Directory, r.Profile)
	if p != nil {
		return acme.Order{}, p
	}
	identifiers, err := e.parseIdentifiers(ctx, owner.ID, profile, r.Identifiers)
	if err != nil {
		return acme.Order{}, err
	}
	if p := offered(profile, identifiers); p != nil {
		return acme.Order{}, p
	}
	if p := e.mayBegin(ctx, profile.Backend); p != nil {
		return acme.Order{}, p
	}
	if profile.Authorization.AsksProof() {
		if p := e.mayTry(owner.ID, identifiers...); p != nil {
			return acme.Order{}, p
		}
	}
	now := e.now()
	if e.onlyWished(profile) {
		r.NotBefore, r.NotAfter = time.Time{}, time.Time{} // an order shows what it was granted
	}
	if p := e.checkDates(profile, r.NotBefore, r.NotAfter, now); p != nil {
		return acme.Order{}, p
	}
	o, authzs, err := acme.NewOrder(acme.OrderRequest{
		Account: owner, Profile: profile, Identifiers: identifiers, NotBefore: r.NotBefore, NotAfter: r.NotAfter, Replaces: r.Replaces,
	}, now, e.cfg.Random)
	if err != nil {
		return acme.Order{}, err
	}
	o.NamesProfile = named
	claim, err := e.claimUnlessRenewal(ctx, o)
	if err != nil {
		return acme.Order{}, err
	}
	made, reused := o, 0
	err = e.commit(ctx, func(tx storage.Tx) error {
		o = made // the function may run again
		h, err := e.holder(tx, owner.ID)
		if err != nil {
			return err
		}
		if o.MemberVersion, err = h.entitled(profile, identifiers); err != nil {
			return err
		}
		if r.Replaces != "" {
			if err := e.replace(tx, profile, r.Replaces, &o); err != nil {
				return err
			}
			if o.Renews, err = e.renewsInTime(tx, o); err != nil {
				return err
			}
		}
		if err := e.stillRenewal(o, claim); err != nil {
			return err
		}
		if err := e.mayBuy(tx, e.backends[profile.Backend], o); err != nil {
			return err
		}
		if err := e.mayOpen(tx, h.member, o); err != nil {
			return err
		}
		if err := e.mayReissue(tx, h, profile, o); err != nil {
			return err
		}
		var own []acme.Authorization
		if o, own, reused, err = e.reuse(tx, o, authzs, profile); err != nil {
			return err
		}
		if err := tx.Orders().Put(o); err != nil {
			return err
		}
		for _, a := range own {
			if err := tx.Authorizations().Put(a); err != nil {
				return err
			}
		}
		return tx.Jobs().Put(storage.Job{
			ID: orderJob(o.ID), Kind: storage.JobExpire, Due: o.Expires, Account: o.Account, Subject: string(o.ID),
		})
	}, failpoint.NewOrder)
	if err != nil {
		claim.Return() // nothing came of it
		return acme.Order{}, err
	}
	if !o.Renews && claim.Limit() == nil {
		ratelimit.For(e.rates.newOrders, o.Account).Take() // there was one when it was looked for
	}
	e.Counters.OrdersCreated.Add(1)
	e.log.Info("order created", "event", "order.created", "order", o.ID, "account", o.Account, "member", o.Member,
		"profile", o.Profile, "identifiers", len(o.Identifiers), "reused", reused)
	return o, nil
}

// usual is the profile of an order that names none: that of the certificate it
// replaces, or what the account was given before, and otherwise the first of the
// directory, as far as the external account key allows them. A client that knows no profiles gets from each of
// its keys what that key is for (RPROF-7).
func (e *Engine) usual(ctx context.Context, owner acme.Account, replaces string) (name acme.ProfileName, err error) {
	if replaces != "" {
		if name, err = e.inherited(ctx, owner, replaces); err != nil {
			return "", err
		}
	}
	if name == "" {
		name = e.rememberedProduct(owner)
	}
	if owner.ExternalKey == "" {
		return name, nil
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		k, err := tx.ExternalKeys().Get(owner.ExternalKey)
		if err == nil && k.Application != "" && name == "" {
			name, err = e.onlyProfile(tx, k)
		}
		if err != nil || len(k.Profiles) == 0 || slices.Contains(k.Profiles, name) {
			return err
		}
		// What the key allows and the directory does not have is refused later,
		// by the name that the directory would give.
		for _, offered := range e.directories[owner.Directory].Profiles {
			if slices.Contains(k.Profiles, offered) {
				name = offered
				break
			}
		}
		return nil
	})
	return name, err
}

func (e *Engine) profileFor(d acme.DirectoryName, name acme.ProfileName) (acme.Profile, *acme.Problem) {
	offered := e.directories[d].Profiles
	if name == "" {
		name = offered[0]
	}
	if !slices.Contains(offered, name) {
		return acme.Profile{}, acme.Problemf(acme.InvalidProfile, "this directory has no profile %.100q; it has %v", name, offered)
	}
	return e.cfg.Profiles[name], nil
}

// offered refuses identifiers that nobody could prove under the profile,
// because an authorization without a usable challenge helps nobody.
func offered(p acme.Profile, identifiers []acme.Identifier) *acme.Problem {
	if !p.Authorization.AsksProof() {
		return nil
	}
	var refused []acme.Subproblem
	for _, id := range identifiers {
		base, wildcard := id.Wildcard()
		if !wildcard {
			base = id
		}
		if len(acme.Offer(p, base, wildcard)) == 0 {
			refused = append(refused, acme.Subproblem{
				Type: acme.RejectedIdentifier, Identifier: id,
				Detail: "profile " + string(p.Name) + " has no challenge that could prove " + id.Value,
			})
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return acme.Problemf(acme.RejectedIdentifier, "%s", refused[0].Detail).WithSubproblems(refused...)
}

// startTolerance is how far a requested start may lie from the present: it
// covers clocks that differ, not plans.
const startTolerance = 5 * time.Minute

// onlyWished reports whether the dates of orders are wishes, which nothing comes
// of. X-Road takes whatever end it gets (C-XR-1), so where the CA chooses it no
// order of a Security Server is refused for the one that it names.
func (e *Engine) onlyWished(p acme.Profile) bool {
	return p.Dates == acme.DatesWish ||
		p.Dates == acme.DatesUpperBound && p.XRoad.Usage != "" && !e.backends[p.Backend].traits.HonoursNotAfter
}

// checkDates accepts what the profile can grant, by its rule, and names the
// range otherwise (R8555-7.4-12, R8555-7.4-2).
func (e *Engine) checkDates(p acme.Profile, notBefore, notAfter, now time.Time) *acme.Problem {
	if e.onlyWished(p) {
		return nil
	}
	if p.Dates == acme.DatesRefuse && (!notBefore.IsZero() || !notAfter.IsZero()) {
		return acme.Problemf(acme.Malformed, "profile %s decides when its certificates begin and end; leave notBefore and notAfter out", p.Name)
	}
	if !notBefore.IsZero() && (notBefore.Before(now.Add(-startTolerance)) || notBefore.After(now.Add(startTolerance))) {
		return acme.Problemf(acme.Malformed, "notBefore has to lie within %s of now (%s)", startTolerance, now.UTC().Format(time.RFC3339))
	}
	if notAfter.IsZero() {
		return nil
	}
	latest := now.Add(p.Validity)
	honours := e.backends[p.Backend].traits.HonoursNotAfter
	if p.Dates == acme.DatesUpperBound {
		// The certificate will end earlier, which the client can use (C-XR-1).
		// A CA that chooses the end itself may begin when it comes to it.
		end := latest
		if !honours {
			end = latest.Add(p.OrderLifetime + p.IssuanceDeadline)
		}
		if notAfter.After(end) {
			return nil
		}
		if !honours {
			return acme.Problemf(acme.Malformed, "profile %s decides the end of its certificates; notAfter has to lie after %s, or be left out",
				p.Name, end.UTC().Format(time.RFC3339))
		}
	}
	if !honours {
		return acme.Problemf(acme.Malformed, "profile %s decides the end of its certificates; leave notAfter out", p.Name)
	}
	if !notAfter.After(now) || !notAfter.After(notBefore) || notAfter.After(latest) {
		return acme.Problemf(acme.Malformed, "notAfter has to lie between %s and %s",
			now.UTC().Format(time.RFC3339), latest.UTC().Format(time.RFC3339))
	}
	return nil
}

// Order reads an order of its owner, and when to look again while the engine
// is at it (zero otherwise).
func (e *Engine) Order(ctx context.Context, owner acme.AccountID, id acme.OrderID) (o acme.Order, retryAfter time.Duration, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		if o, err = loadOrder(tx, owner, id); err != nil {
			return err
		}
		o = o.At(e.now())
		if o.Status == acme.OrderProcessing {
			retryAfter, err = e.retryAfter(tx, jobOf(o), 3*time.Second)
			retryAfter = e.cfg.Profiles[o.Profile].Pause(retryAfter)
		}
		return err
	})
	return o, retryAfter, err
}

// retryAfter tells when a job is expected to have got somewhere: when it is
// due, or soon when it is being stepped (D9).
func (e *Engine) retryAfter(tx storage.Tx, id storage.JobID, soon time.Duration) (time.Duration, error) {
	const late = time.Hour
	j, err := tx.Jobs().Get(id)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return soon, nil
	case err != nil:
		return 0, err
	case j.Parked != "":
		return late, nil
	case j.Lease.Holder != "":
		return soon, nil
	case j.Kind == storage.JobApprove:
		return max(min(j.Due.Sub(e.now()), approvalPoll), soon), nil
	}
	return min(max(j.Due.Sub(e.now())+time.Second, soon), late), nil
}

// Orders lists the orders of an account that are not invalid, oldest first, a
// page at a time: those after the given one (R8555-7.1.2-3).
func (e *Engine) Orders(ctx context.Context, owner acme.AccountID, after string, limit int) (ids []acme.OrderID, next string, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		ids = nil
		orders, more, err := tx.Orders().ByAccount(owner, storage.Page{After: after, Limit: limit})
		if err != nil {
			return err
		}
		next = more
		for _, o := range orders {
			if o.At(e.now()).Status != acme.OrderInvalid {
				ids = append(ids, o.ID)
			}
		}
		return nil
	})
	return ids, next, err
}
