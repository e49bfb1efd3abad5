package acme

import (
	"fmt"
	"slices"
	"time"
)

const (
	// MaxSharing bounds the open orders that one authorization serves beside
	// the one it was made for, so that withdrawing it stays one small commit.
	MaxSharing = 32
	// leastShared is how long an authorization must still stand to be worth
	// using again: an order ends with it, and a client needs time to finalize.
	leastShared = time.Hour
)

// Proof returns the challenge that proved control, if one did.
func (a Authorization) Proof() (Challenge, bool) {
	i := slices.IndexFunc(a.Challenges, func(c Challenge) bool { return c.Status == ChallengeValid })
	if i < 0 {
		return Challenge{}, false
	}
	return a.Challenges[i], true
}

// Serves reports whether an authorization may serve a new order under a
// profile at now, without being proved again. It must be a proof and not the
// registry's word, by a method that the profile offers for such a name, and
// fresh enough for the profile. One that was asked for ahead of any order
// (R8555-7.4.1) was meant for this: it serves for as long as a proof stands,
// by its own expiry and by the profile that it now serves.
func (a Authorization) Serves(p Profile, now time.Time) bool {
	proof, ok := a.Proof()
	switch {
	case !ok, !p.Authorization.AsksProof(), a.At(now).Status != AuthorizationValid:
		return false
	case !slices.Contains(Offer(p, a.Identifier, a.Wildcard), proof.Type): // R8555-7.5-8
		return false
	case proof.Type == DNSPersist01 && slices.ContainsFunc(proof.IssuerDomainNames, func(n string) bool { return !slices.Contains(p.IssuerDomainNames, n) }):
		return false // RDP-3: the record may name another CA
	case a.Order == "" && now.Sub(proof.ValidatedAt) > p.AuthorizationLifetime:
		return false // it was proved by the rules of another profile, which may leave more time
	case a.Order != "" && (p.ReuseAuthorizations <= 0 || now.Sub(proof.ValidatedAt) > p.ReuseAuthorizations):
		return false
	}
	return a.sharedUntil().Sub(now) >= min(leastShared, p.OrderLifetime)
}

// sharedUntil is when an authorization ends for orders that it was not made for.
func (a Authorization) sharedUntil() time.Time {
	if !a.ReuseUntil.IsZero() && a.ReuseUntil.Before(a.Expires) {
		return a.ReuseUntil
	}
	return a.Expires
}

// Reuse lets earlier authorizations serve an order that is about to be placed,
// in place of those of its own. earlier[i] takes the place of fresh[i]; one
// without an id takes no place. own are those that are still to be proved, and
// used the earlier ones, which name the order from now on.
//
// The order ends with the first of them, so that it is over when one of its
// authorizations is (R8555-7.1.6-3), and lists them all (R8555-7.4-10).
func Reuse(o Order, fresh, earlier []Authorization, now time.Time) (_ Order, own, used []Authorization) {
	o.Authorizations = slices.Clone(o.Authorizations)
	for i, a := range earlier {
		if a.ID == "" {
			own = append(own, fresh[i])
			continue
		}
		o.Authorizations[i] = a.ID
		if end := a.sharedUntil(); end.Before(o.Expires) {
			o.Expires = end
		}
		a.Sharing = append(slices.Clone(a.Sharing), o.ID)
		used = append(used, a)
	}
	for i := range own {
		own[i].Expires = o.Expires
	}
	if len(used) == 0 {
		return o, own, nil
	}
	o.Note(now, fmt.Sprintf("%d of %d names were proved before", len(used), len(earlier)))
	if len(own) == 0 {
		o.Status = OrderReady
	}
	return o, own, used
}

// Users are the orders that hang on an authorization: the one it was made for,
// if any, and those that it serves besides.
func (a Authorization) Users() []OrderID {
	if a.Order == "" {
		return a.Sharing
	}
	return append([]OrderID{a.Order}, a.Sharing...)
}
