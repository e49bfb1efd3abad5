package digicerttest

import (
	"crypto"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wish is what a certificate is asked to be.
type wish struct {
	commonName       string
	names            []string
	csr              string // as it was sent
	spki             []byte
	public           crypto.PublicKey
	hash             string
	usages, extended []string
	validity         time.Duration
}

// order is what was bought once.
type order struct {
	id, request  int64
	product      string
	organization int64
	wish         wish
	alternative  string
	comments     string
	renewalOf    int64
	created      time.Time
	updated      time.Time
	outcome      Outcome
	stage        string
	// working is since when nothing but the CA's own work is missing; zero
	// while a validation is.
	working      time.Time
	certificates []*issued
	reissue      *reissue
}

// reissue is one that is under way.
type reissue struct {
	wish    wish
	since   time.Time
	request int64
}

// The stages of orders, which are status words as well.
const (
	needsApproval = "needs_approval"
	pending       = "pending"
	complete      = "issued"
)

// text is the number of an order, as events have it.
func (o *order) text() string { return numbered(o.id) }

// numbered writes a number, zero as nothing.
func numbered(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (o *order) open() bool { return o.stage == needsApproval || o.stage == pending }

func (o *order) is(kinds ...Kind) bool { return slices.Contains(kinds, o.outcome.Kind) }

// settle gives everything that is due its outcome.
func (ca *CA) settle() {
	now := ca.Time()
	for _, id := range slices.Sorted(maps.Keys(ca.orders)) {
		o := ca.orders[id]
		for _, c := range o.certificates {
			if !c.revokeAt.IsZero() && !now.Before(c.revokeAt) {
				c.revoked = true
			}
		}
		if o.stage == pending && !ca.validated(o) {
			o.working = time.Time{}
			continue
		}
		if o.stage == pending && o.working.IsZero() {
			o.working = now
		}
		switch {
		case ca.held:
		case o.stage == pending && !o.is(Stuck) && !now.Before(o.working.Add(ca.cfg.Processing)):
			ca.end(o, o.outcome)
		case o.reissue != nil && o.outcome.Reissue != Stuck && !now.Before(o.reissue.since.Add(ca.cfg.Processing)):
			ca.endReissue(o)
		}
	}
}

// approve lets an order go on.
func (ca *CA) approve(o *order) {
	if o.stage == needsApproval {
		o.stage, o.updated = pending, ca.Time()
		ca.settle()
	}
}

// end gives an order its outcome.
func (ca *CA) end(o *order, outcome Outcome) {
	o.outcome, o.updated = outcome, ca.Time()
	switch outcome.Kind {
	case Rejected:
		o.stage = "rejected"
	case Canceled:
		o.stage = "canceled"
	case Approved:
		o.stage = "approved"
	case Pickup:
		o.stage = "waiting_pickup"
	case Strange:
		o.stage = "awaiting_moonrise"
	default:
		o.stage = complete
		if err := ca.issue(o, o.wish, outcome.Kind); err != nil {
			o.stage = "rejected"
			return
		}
		if outcome.Kind == Revoked {
			o.stage, o.certificates[0].revoked = "revoked", true
		}
	}
}

func (ca *CA) endReissue(o *order) {
	w := o.reissue.wish
	if !sameNames(w, o.wish) {
		// Other names than before end what has the old ones, after three days.
		for _, c := range o.certificates {
			c.revokeAt = ca.Time().Add(72 * time.Hour)
		}
	}
	o.reissue, o.updated = nil, ca.Time()
	kind := or(o.outcome.Reissue, Ready)
	if kind == Rejected {
		return // and the order shows what it had
	}
	if err := ca.issue(o, w, kind); err == nil {
		o.wish = w
	}
}

func sameNames(a, b wish) bool {
	all := func(w wish) []string {
		names := append([]string{w.commonName}, w.names...)
		slices.Sort(names)
		return slices.Compact(names)
	}
	return slices.Equal(all(a), all(b))
}

// word is the status of an order as JSON has it.
func (o *order) word() string {
	word := o.stage
	if o.reissue != nil {
		word = "reissue_pending"
	}
	if o.is(Upper) {
		return strings.ToUpper(word)
	}
	return word
}

// latest is the certificate that the order shows; nil while there is none.
func (o *order) latest() *issued {
	for _, c := range slices.Backward(o.certificates) {
		if !c.duplicate {
			return c
		}
	}
	return nil
}

// requestStatus is what has become of the request for the order.
func (o *order) requestStatus() string {
	switch o.stage {
	case needsApproval:
		return "pending"
	case "rejected":
		return "rejected"
	}
	return "approved"
}
