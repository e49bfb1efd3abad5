package engine

import (
	"context"
	"errors"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/ratelimit"
	"acmebridge/storage"
)

// Limits bound what an account or a member may have, and how often it may ask
// for it. A zero field is no limit.
//
// What is there (open orders, certificates) is counted from records, in the
// commit that adds to it: concurrent requests do not get past it, and a restart
// forgets nothing. How often something happened is remembered in memory, apart
// from certificates of one set of names, which a CA counts too.
type Limits struct {
	// OpenOrders of one account that are not over (SL-16).
	OpenOrders int
	// Processing orders of one account, and SameNames those of them that are
	// for one and the same set of names (SL-17).
	Processing, SameNames int
	// NewOrders of one account (SL-18).
	NewOrders ratelimit.Rate
	// FailedValidations of one name by one account (SL-14).
	FailedValidations ratelimit.Rate
	// NameSet bounds the certificates for one set of names, whoever orders
	// them (SL-21).
	NameSet ratelimit.Rate
	// Revocations that one account asks for (SL-23).
	Revocations ratelimit.Rate
	// Queue is how many jobs may wait for one CA, and how many challenges to be
	// tried, before no more orders are taken (SL-24).
	Queue int
	// Commits is how many changes may wait for the disk before no more orders
	// are taken.
	Commits int
	// Rates is where the rates are kept; a table of their own when nil.
	Rates *ratelimit.Table
}

// rates are the limits that are kept in memory.
type rates struct {
	newOrders, failed, revocations *ratelimit.Limit
}

func newRates(c Config) rates {
	table := c.Limits.Rates
	if table == nil {
		table = ratelimit.New(ratelimit.Config{Now: c.Now, Entries: 1 << 14})
	}
	return rates{
		newOrders:   table.Limit(c.Limits.NewOrders),
		failed:      table.Limit(c.Limits.FailedValidations),
		revocations: table.Limit(c.Limits.Revocations),
	}
}

// Limited says how often each rate refused, by its name in the configuration.
func (e *Engine) Limited() map[string]int64 {
	return map[string]int64{
		"new_orders": e.rates.newOrders.Refused(), "failed_validations": e.rates.failed.Refused(), "revocations": e.rates.revocations.Refused(),
		"open_orders": e.Counters.OverOpenOrders.Load(), "processing": e.Counters.OverProcessing.Load(),
		"certificates_per_names": e.Counters.OverNameSet.Load(), "member": e.Counters.OverMember.Load(),
	}
}

// claimUnlessRenewal takes one of the new orders of an account, unless the order
// is a renewal in time, which passes (SL-40).
func (e *Engine) claimUnlessRenewal(ctx context.Context, o acme.Order) (claim ratelimit.Claim, err error) {
	renews := false
	if o.Replaces != "" {
		err := e.view(ctx, func(tx storage.Tx) (err error) {
			renews, err = e.renewsInTime(tx, o)
			return err
		})
		if err != nil {
			return claim, err
		}
	}
	if renews {
		return claim, nil
	}
	claim, p := e.claimOrder(o.Account)
	return claim, orProblem(p, nil)
}

// stillRenewal refuses an order without a claim that was taken for a renewal and
// is none: its certificate was replaced already, and its profile takes that
// leniently.
func (e *Engine) stillRenewal(o acme.Order, claim ratelimit.Claim) error {
	if o.Renews || claim.Limit() != nil {
		return nil
	}
	wait := ratelimit.For(e.rates.newOrders, o.Account).Wait()
	if wait == 0 {
		return nil
	}
	return acme.OverLimit(wait, e.now(), "your account placed too many orders: the limit is %s", e.rates.newOrders.Rate())
}

// claimOrder takes one of the new orders of an account (SL-18). Whoever gets
// none back gives back what it has when no order comes of it.
func (e *Engine) claimOrder(owner acme.AccountID) (ratelimit.Claim, *acme.Problem) {
	claim := ratelimit.For(e.rates.newOrders, owner)
	if wait := claim.Take(); wait > 0 {
		return ratelimit.Claim{}, acme.OverLimit(wait, e.now(), "your account placed too many orders: the limit is %s", claim.Limit().Rate())
	}
	return claim, nil
}

// tried is a name that an account tries to prove control of.
type tried struct {
	account acme.AccountID
	name    string
}

// hasFailed is the claim of a name that an account failed to prove. The same
// proof counts for a name and for its wildcard.
func (e *Engine) hasFailed(owner acme.AccountID, id acme.Identifier) ratelimit.Claim {
	if base, ok := id.Wildcard(); ok {
		id = base
	}
	return ratelimit.For(e.rates.failed, tried{owner, id.Value})
}

// mayTry refuses names that failed too often of late (SL-14): each further try
// costs somebody else's servers another look.
func (e *Engine) mayTry(owner acme.AccountID, identifiers ...acme.Identifier) *acme.Problem {
	var worst acme.Identifier
	var longest time.Duration
	for _, id := range identifiers {
		if wait := e.hasFailed(owner, id).Wait(); wait > longest {
			worst, longest = id, wait
		}
	}
	if longest == 0 {
		return nil
	}
	return acme.OverLimit(longest, e.now(), "the validation of %s failed too often for your account: the limit is %s; look at the errors of its earlier challenges before you try again",
		worst.Value, e.rates.failed.Rate())
}

// claimRevocation takes one of the revocations of an account (SL-23). Without an
// account there is no rate: whoever has the key of a certificate can revoke it
// once.
func (e *Engine) claimRevocation(owner acme.AccountID) (ratelimit.Claim, *acme.Problem) {
	if owner == "" {
		return ratelimit.Claim{}, nil
	}
	claim := ratelimit.For(e.rates.revocations, owner)
	if wait := claim.Take(); wait > 0 {
		return ratelimit.Claim{}, acme.OverLimit(wait, e.now(), "your account revoked too many certificates: the limit is %s", claim.Limit().Rate())
	}
	return claim, nil
}

// renewsInTime says whether an order that replaces a certificate may pass the
// limits that renewals pass (SL-40): the certificate is that of the order's
// account, shares a name with it, and its window has begun (R9773-5-6).
// Whoever renews earlier than that orders again, and that counts. So does
// whoever has made it due himself, or the limits would hold nobody who revokes
// what he gets, or asks for certificates of a minute.
func (e *Engine) renewsInTime(tx storage.Tx, o acme.Order) (bool, error) {
	c, err := replacedBy(tx, o)
	if err != nil || c == nil {
		return false, err
	}
	if c.Revocation != nil && c.Revocation.ByClient() {
		c.Revocation = nil
	}
	if c.NotAfter, err = e.usualEnd(tx, *c); err != nil {
		return false, err
	}
	s, err := e.newAdviser(tx).suggest(*c)
	return err == nil && !e.now().Before(s.Window.Start), err
}

// usualEnd is when a certificate would have ended that its client asked to end
// earlier.
func (e *Engine) usualEnd(tx storage.Tx, c acme.Certificate) (time.Time, error) {
	o, err := tx.Orders().Get(c.Order)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return c.NotAfter, err
	}
	usual := c.IssuedAt.Add(e.cfg.Profiles[c.Profile].Validity)
	if err == nil && !o.NotAfter.IsZero() && usual.After(c.NotAfter) {
		return usual, nil
	}
	return c.NotAfter, nil
}

// replacedBy returns the certificate that an order may rightly say it replaces,
// nil when there is none.
func replacedBy(tx storage.Tx, o acme.Order) (*acme.Certificate, error) {
	if o.Replaces == "" {
		return nil, nil
	}
	aki, serial, p := acme.ParseCertID(o.Replaces)
	if p != nil {
		return nil, nil // replace judges it
	}
	c, err := tx.Certificates().ByCertID(aki, serial)
	if errors.Is(err, storage.ErrNotFound) || err == nil && c.Account != o.Account {
		return nil, nil
	}
	return &c, err
}

// mayOpen holds a new order against what its account and its member have
// already. It runs in the commit that stores the order.
func (e *Engine) mayOpen(tx storage.Tx, m *acme.Member, o acme.Order) error {
	now := e.now()
	if limit := e.cfg.Limits.OpenOrders; limit > 0 {
		n, err := tx.Orders().OpenByAccount(o.Account, now, limit)
		if err != nil {
			return err
		}
		if n.Waiting+n.Processing >= limit {
			e.Counters.OverOpenOrders.Add(1)
			return unlessSooner(untilOneEnds(n, now), now, "your account has %d orders that are not over, which is its limit; finalize them, or deactivate one of their authorizations", limit)
		}
	}
	var open storage.OpenOrders
	if m != nil && (m.OpenOrders > 0 || m.Certificates > 0) {
		var err error
		if open, err = tx.Orders().OpenByMember(m.ID, now, max(m.OpenOrders, m.Certificates)); err != nil {
			return err
		}
	}
	if m != nil && m.OpenOrders > 0 && open.Waiting+open.Processing >= m.OpenOrders {
		e.Counters.OverMember.Add(1)
		return unlessSooner(untilOneEnds(open, now), now, "your member has %d orders that are not over, which is its limit; finalize them, or ask the operator for more", m.OpenOrders)
	}
	counts := o
	if m != nil && m.Certificates > 0 && o.Renews {
		// What has ended already has no place that another could take.
		gone, err := e.gone(tx, o)
		if err != nil {
			return err
		}
		counts.Renews = !gone
	}
	if err := e.mayHaveMore(tx, m, counts, open); err != nil {
		return err
	}
	return e.mayRepeat(tx, o)
}

// gone says whether the certificate that an order renews does not count any
// more among those of its member.
func (e *Engine) gone(tx storage.Tx, o acme.Order) (bool, error) {
	c, err := replacedBy(tx, o)
	return c == nil || c.Revocation != nil || !c.RenewedAt.IsZero() || !e.now().Before(c.NotAfter), err
}

// mayHaveMore holds the certificates of a member against its limit (SL-22). A
// renewal takes the place of what it renews. Before an order is placed, every
// open one counts as the certificate that it may become; afterwards it is
// itself among them, so none is open.
func (e *Engine) mayHaveMore(tx storage.Tx, m *acme.Member, o acme.Order, open storage.OpenOrders) error {
	if m == nil || m.Certificates == 0 || o.Renews {
		return nil
	}
	now := e.now()
	live, ends, err := tx.Certificates().Live(m.ID, now, m.Certificates)
	if err != nil || live+open.Waiting+open.Processing < m.Certificates {
		return err
	}
	wait := ends.Sub(now)
	if until := untilOneEnds(open, now); live < m.Certificates && (live == 0 || until < wait) {
		wait = until
	}
	e.Counters.OverMember.Add(1)
	return unlessSooner(wait, now, "your member has, or has ordered, %d certificates, which is its limit (%d of them are live); renew with replaces, revoke what is not needed, or ask the operator for more", m.Certificates, live)
}

// mayRepeat holds the certificates for one set of names against their limit,
// which is as exact as a record: they pass again when the oldest that counts
// is a period old (SL-21).
func (e *Engine) mayRepeat(tx storage.Tx, o acme.Order) error {
	limit := e.cfg.Limits.NameSet
	if !limit.Bounded() || o.Renews {
		return nil
	}
	now := e.now()
	issued, err := tx.Certificates().IssuedFor(acme.NameSetOf(o.Identifiers), now.Add(-limit.Per+1), limit.Count)
	if err != nil || len(issued) < limit.Count {
		return err
	}
	e.Counters.OverNameSet.Add(1)
	return acme.OverLimit(issued[0].Add(limit.Per).Sub(now), now, "too many certificates were issued for exactly these names: the limit is %s", limit)
}

// mayFinish asks again at finalize what may have changed since the order was
// placed: the operator gave the member less, or others got certificates for
// these names (SP-9). While the member's record is the one that the order
// was placed by, the order has its place among the certificates already; that
// of a renewal is the old certificate's, as long as that one counts.
func (e *Engine) mayFinish(tx storage.Tx, m *acme.Member, o acme.Order, placed int) error {
	if m != nil && m.Certificates > 0 {
		moved := m.Version != placed
		if o.Renews {
			gone, err := e.gone(tx, o)
			if err != nil {
				return err
			}
			o.Renews, moved = !gone, moved || gone
		}
		if moved {
			if err := e.mayHaveMore(tx, m, o, storage.OpenOrders{}); err != nil {
				return err
			}
		}
	}
	return e.mayRepeat(tx, o)
}

// mayProcess holds an order that is about to go to a CA against those of its
// account that are there already (SL-17).
func (e *Engine) mayProcess(tx storage.Tx, o acme.Order) error {
	limits := e.cfg.Limits
	if limits.Processing > 0 {
		n, err := tx.Orders().OpenByAccount(o.Account, e.now(), limits.Processing)
		if err != nil {
			return err
		}
		if n.Processing >= limits.Processing {
			e.Counters.OverProcessing.Add(1)
			return acme.OverLimit(untilCADone, e.now(), "your account has %d orders with a CA, which is its limit; this one stays ready: finalize it when one of them is done", limits.Processing)
		}
	}
	if limits.SameNames > 0 {
		n, err := tx.Orders().ProcessingFor(o.Account, acme.NameSetOf(o.Identifiers), limits.SameNames)
		if err != nil {
			return err
		}
		if n >= limits.SameNames {
			e.Counters.OverProcessing.Add(1)
			return acme.OverLimit(untilCADone, e.now(), "your account has %d orders for exactly these names with a CA, which is the limit; wait for them instead of ordering again", limits.SameNames)
		}
	}
	return nil
}

// untilCADone is when to ask again while only a CA knows.
const untilCADone = time.Minute

// unlessSooner refuses what passes after wait at the latest, and sooner when
// somebody makes room: that may be any time, so clients are told to look again
// after a day at most. Some would sleep for the months that a certificate has
// left, without a word to anybody. The detail has the date.
func unlessSooner(wait time.Duration, now time.Time, format string, args ...any) *acme.Problem {
	p := acme.OverLimit(wait, now, format, args...)
	return p.WithRetryAfter(min(p.RetryAfter, lookAgain))
}

// lookAgain bounds the Retry-After of what an expiry is not alone to end.
const lookAgain = 24 * time.Hour

// untilOneEnds is when one of some open orders is over by itself. Their owner
// may be faster.
func untilOneEnds(n storage.OpenOrders, now time.Time) time.Duration {
	if n.Waiting == 0 {
		return untilCADone
	}
	return n.Expires.Sub(now)
}

// markRenewed says of the certificate that an order renews that it does not
// count any more, in the commit that delivers the other.
func markRenewed(tx storage.Tx, o acme.Order, now time.Time) error {
	if !o.Renews {
		return nil
	}
	c, err := replacedBy(tx, o)
	if err != nil || c == nil || !c.RenewedAt.IsZero() {
		return err
	}
	c.RenewedAt = now
	return tx.Certificates().Put(*c)
}
