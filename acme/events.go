package acme

import (
	"io"
	"time"
)

// OrderRequest is a newOrder request that has been authenticated and whose
// identifiers have been checked.
type OrderRequest struct {
	Account     Account
	Profile     Profile
	Identifiers []Identifier
	NotBefore   time.Time
	NotAfter    time.Time
	// Replaces is the RFC 9773 id of a certificate, as the client sent it.
	Replaces string
	// Submitted is set for what did not come over ACME.
	Submitted *Submitter
}

// NewOrder returns the order and the authorizations that it begins with. Every
// identifier gets an authorization of its own; whether an earlier one takes its
// place is for [Reuse]. X-Road finalizes only while it works through pending
// ones (C-XR-2), so its profiles reuse none.
func NewOrder(r OrderRequest, now time.Time, random io.Reader) (Order, []Authorization, error) {
	id, err := MintID[OrderID](now, random)
	if err != nil {
		return Order{}, nil, err
	}
	o := Order{
		ID: id, Account: r.Account.ID, Directory: r.Account.Directory, Member: r.Account.Member,
		Profile: r.Profile.Name, XRoad: r.Profile.XRoad.Usage, Status: OrderPending, Identifiers: r.Identifiers,
		NotBefore: r.NotBefore, NotAfter: r.NotAfter, Replaces: r.Replaces,
		CreatedAt: now, Expires: now.Add(r.Profile.OrderLifetime).Truncate(time.Second), Submitted: r.Submitted,
	}
	// A certificate that would have ended already is no use to anybody.
	if !r.NotAfter.IsZero() && r.NotAfter.Before(o.Expires) {
		o.Expires = r.NotAfter
	}
	authzs := make([]Authorization, 0, len(r.Identifiers))
	for _, ident := range r.Identifiers {
		a, err := newAuthorization(o, ident, r.Profile, now, random)
		if err != nil {
			return Order{}, nil, err
		}
		authzs = append(authzs, a)
		o.Authorizations = append(o.Authorizations, a.ID)
	}
	o.Note(now, o.Submitted.note())
	switch {
	case !r.Profile.Authorization.AsksProof():
		o.Status = OrderReady
		o.Note(now, "the registry is what entitles to it; nothing has to be proved")
	case o.Vouched():
		o.Status = OrderReady
		o.Note(now, o.Submitted.By+" vouches for control of every name: "+o.Submitted.Vouch)
	}
	return o, authzs, nil
}

func newAuthorization(o Order, ident Identifier, p Profile, now time.Time, random io.Reader) (Authorization, error) {
	id, err := MintID[AuthorizationID](now, random)
	if err != nil {
		return Authorization{}, err
	}
	a := Authorization{
		ID: id, Account: o.Account, Directory: o.Directory, Order: o.ID,
		Identifier: ident, Status: AuthorizationPending, Expires: o.Expires,
	}
	if base, ok := ident.Wildcard(); ok {
		a.Identifier, a.Wildcard = base, true
	}
	if !p.Authorization.AsksProof() || o.Vouched() {
		// The order shows its authorizations all the same (R8555-7.4.1-5). They
		// end with it: nothing was proved that could serve another order.
		a.Status = AuthorizationValid
		return a, nil
	}
	return a, a.offer(p, random)
}

// PreAuthorize returns an authorization that was asked for ahead of any order
// (RFC 8555, 7.4.1). It has as long to be proved as an order would have.
func PreAuthorize(owner Account, ident Identifier, p Profile, now time.Time, random io.Reader) (Authorization, error) {
	id, err := MintID[AuthorizationID](now, random)
	if err != nil {
		return Authorization{}, err
	}
	a := Authorization{
		ID: id, Account: owner.ID, Directory: owner.Directory, Profile: p.Name,
		Identifier: ident, Status: AuthorizationPending, Expires: now.Add(p.OrderLifetime).Truncate(time.Second),
	}
	return a, a.offer(p, random)
}

// offer gives a new authorization its challenges.
func (a *Authorization) offer(p Profile, random io.Reader) error {
	for _, t := range Offer(p, a.Identifier, a.Wildcard) {
		if t == DNSPersist01 { // RDP-1: no token
			a.Challenges = append(a.Challenges, Challenge{Type: t, Status: ChallengePending, IssuerDomainNames: p.IssuerDomainNames})
			continue
		}
		token, err := NewToken(random)
		if err != nil {
			return err
		}
		a.Challenges = append(a.Challenges, Challenge{Type: t, Status: ChallengePending, Token: token})
	}
	return nil
}

// Offer returns the challenge types by which an identifier can be proved under
// a profile: a wildcard only through DNS, an address never (R8555-7.5-8).
func Offer(p Profile, ident Identifier, wildcard bool) []ChallengeType {
	var offered []ChallengeType
	for _, t := range p.Challenges {
		switch {
		case wildcard && !t.OverDNS():
		case ident.Type == IPIdentifier && t.OverDNS():
		default:
			offered = append(offered, t)
		}
	}
	return offered
}

// At returns the order as it stands at now: one that ran out of time is
// invalid from that moment, whether or not that has been stored yet.
func (o Order) At(now time.Time) Order {
	if (o.Status == OrderPending || o.Status == OrderReady) && !now.Before(o.Expires) {
		o.Status = OrderInvalid
		o.Problem = Problemf(Malformed, "the order expired at %s without having been finalized; place a new one", o.Expires.Format(time.RFC3339))
	}
	return o
}

// At returns the authorization as it stands at now.
func (a Authorization) At(now time.Time) Authorization {
	if (a.Status == AuthorizationPending || a.Status == AuthorizationValid) && !now.Before(a.Expires) {
		a.Status = AuthorizationExpired
	}
	return a
}

// Respond decides what a client's response to a challenge does. changed is
// false when it does nothing, because the challenge is being tried already or
// is settled well (R8555-7.5.1-4). thumbprint is that of the account's current
// key (R8555-8.3-1).
func Respond(a Authorization, t ChallengeType, thumbprint string, now time.Time) (next Authorization, changed bool, p *Problem) {
	a = a.At(now)
	i := a.Challenge(t)
	if i < 0 {
		return a, false, NotFound()
	}
	switch a.Status {
	case AuthorizationValid:
		return a, false, nil
	case AuthorizationPending:
	case AuthorizationExpired:
		return a, false, Problemf(Malformed, "the authorization expired at %s; place a new order", a.Expires.Format(time.RFC3339)).WithStatus(404)
	default:
		return a, false, Problemf(Malformed, "the authorization is %s, so its challenges take no response; place a new order", a.Status)
	}
	if a.Challenges[i].Status != ChallengePending {
		return a, false, nil
	}
	for _, other := range a.Challenges {
		if other.Status == ChallengeProcessing {
			// R8555-8.2-5: one validation at a time for an authorization.
			return a, false, Problemf(Malformed, "challenge %s of this authorization is being validated; wait for its result", other.Type)
		}
	}
	a.Challenges = append([]Challenge(nil), a.Challenges...)
	a.Challenges[i].Status = ChallengeProcessing
	a.Challenges[i].KeyAuthorization = KeyAuthorization(a.Challenges[i].Token, thumbprint)
	return a, true, nil
}

// Settle records the outcome of one attempt at challenge t. again says that
// the challenge is still processing and wants another attempt. The order is
// the one the authorization was made for; others are the order's further
// authorizations.
func Settle(o Order, others []Authorization, a Authorization, t ChallengeType, out Outcome, p Profile, maxAttempts int, now time.Time) (_ Order, _ Authorization, again bool) {
	i := a.Challenge(t)
	a.Challenges = append([]Challenge(nil), a.Challenges...)
	c := &a.Challenges[i]
	c.Attempts++
	if !out.Valid {
		c.AddTrial(now, out)
	}
	name := string(t) + " of " + a.Identifier.Value
	switch {
	case out.Valid:
		c.Status, c.ValidatedAt, c.Problem = ChallengeValid, now.Truncate(time.Second), nil
		a.Status = AuthorizationValid
		a.CAA = out.CAA
		lifetime := p.AuthorizationLifetime
		if out.ReuseFor > 0 {
			lifetime = min(lifetime, out.ReuseFor)
			a.ReuseUntil = now.Add(out.ReuseFor).Truncate(time.Second)
		}
		// Its own order may last longer than the proof would for others.
		if until := now.Add(lifetime).Truncate(time.Second); until.After(a.Expires) || a.Order == "" {
			a.Expires = until
		}
		if !out.Expires.IsZero() && out.Expires.Before(a.Expires) {
			a.Expires = out.Expires
		}
		// Once one challenge is valid, it alone is listed (R8555-7.5-2).
		a.Challenges = []Challenge{*c}
		if o.Status == OrderPending {
			if a.Expires.Before(o.Expires) { // R8555-7.1.6-3: it is over when the proof is
				o.Expires = a.Expires
			}
			o.Note(now, name+" is proved")
			if allValid(others, now) {
				o.Status = OrderReady
			}
		}
		return o, a, false
	case out.Retry && c.Attempts < maxAttempts:
		c.Problem = out.Problem
		if o.Status == OrderPending {
			o.Note(now, name+" failed, trying again: "+out.Problem.Detail)
		}
		return o, a, true
	}
	c.Status, c.Problem = ChallengeInvalid, out.Problem
	a.Status = AuthorizationInvalid
	// The failed challenge stays, because it says what went wrong (R8555-7.5-4).
	a.Challenges = []Challenge{*c}
	if o.Status == OrderPending {
		o.Note(now, name+" failed: "+out.Problem.Detail)
		o.Status = OrderInvalid
		o.Problem = &Problem{
			Type: out.Problem.Type, Status: out.Problem.Status, Detail: "an authorization of this order failed",
			Subproblems: []Subproblem{{Type: out.Problem.Type, Detail: out.Problem.Detail, Identifier: a.Identifier}},
		}
	}
	return o, a, false
}

func allValid(authzs []Authorization, now time.Time) bool {
	for _, a := range authzs {
		if a.At(now).Status != AuthorizationValid {
			return false
		}
	}
	return true
}

// Finalize decides whether a CSR with that hash may close the order at now.
// repeated is true when that very CSR did so before: the client did not see
// the answer, and gets the order again (SP-11).
func Finalize(o Order, authzs []Authorization, csrHash KeyHash, now time.Time) (repeated bool, p *Problem) {
	o = o.At(now)
	switch o.Status {
	case OrderReady:
		for _, a := range authzs {
			// R8555-7.1.6-3: what was proved may have been withdrawn since.
			if s := a.At(now).Status; s != AuthorizationValid {
				return false, Problemf(OrderNotReady, "the authorization for %s is %s; place a new order", a.Identifier.Value, s)
			}
		}
		return false, nil
	case OrderProcessing, OrderValid:
		if o.CSRHash == csrHash {
			return true, nil
		}
		return false, Problemf(OrderNotReady, "the order was finalized with another CSR; place a new order for this one")
	case OrderInvalid:
		detail := "the order is invalid; place a new one"
		if o.Problem != nil {
			detail = "the order is invalid: " + o.Problem.Detail
		}
		return false, Problemf(OrderNotReady, "%s", detail)
	default:
		return false, Problemf(OrderNotReady, "the order is %s: its authorizations have to be valid first", o.Status)
	}
}

// Deliver ends an order well.
func Deliver(o Order, c CertificateID, now time.Time) Order {
	o.Status, o.Certificate, o.Problem = OrderValid, c, nil
	o.Note(now, "certificate issued")
	return o
}

// Fail ends an order badly.
func Fail(o Order, p *Problem, now time.Time) Order {
	o.Status, o.Problem = OrderInvalid, p
	o.Note(now, "failed: "+p.Detail)
	return o
}
