package acme

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"
)

// Need is what a certificate is for: one account's use of one profile for one
// set of names. A client that gave up and came back has the same need, whatever
// it calls its order (D9).
type Need [sha256.Size]byte

// NeedOf returns the need that an order has.
func NeedOf(o Order) Need {
	set := NameSetOf(o.Identifiers)
	h := sha256.New()
	for _, part := range []string{string(o.Account), string(o.Profile), string(set[:])} {
		// Neither an account nor a profile has a zero byte in its name, and the
		// set always has one length.
		h.Write(append([]byte(part), 0))
	}
	return Need(h.Sum(nil))
}

// ReattachRule says what becomes of an order that comes with a new key while
// the CA is at work on a request for the same need.
type ReattachRule string

// The rules. None of them touches an order that comes with the same key: that
// one always shares what is under way. For a new key there is no way to share,
// because a certificate belongs to the key it was asked for.
const (
	// ReattachRefuse leaves the order ready, and tells its client when to
	// finalize again (the zero value means the same).
	ReattachRefuse ReattachRule = "refuse"
	// ReattachSwap ends the earlier order in favour of the later one, as long as
	// the CA has not heard of it, or lets what it was asked for be brought to
	// another key; otherwise it refuses.
	ReattachSwap ReattachRule = "swap"
	// ReattachNew asks the CA for another certificate, and pays for it.
	ReattachNew ReattachRule = "new"
)

// Earlier is what was asked of a CA before, for the same need.
type Earlier struct {
	Order    Order
	Backend  string
	Contract Contract
	// Sent says that the CA may have heard of it, Approved that a person has
	// looked at it.
	Sent, Approved bool
	// Movable says that the CA has accepted it, and lets it be brought to another
	// key.
	Movable bool
	// GivenUp is when its order was ended while the CA was still at work; zero
	// when it was not. Unaccepted says that the CA was at work on what this one
	// was to take over, so nothing of its own is there to be resumed.
	GivenUp    time.Time
	Unaccepted bool
	// Refused says that it was to take over what the CA had, and the CA would not.
	Refused bool
	// Certificate is what came of it, nil while nothing has.
	Certificate *Certificate
}

// Reattachment says what becomes of an order that is being finalized.
type Reattachment int

// The answers. All but the first are about one of the earlier requests.
const (
	// AskAnew: nothing that is there serves the order.
	AskAnew Reattachment = iota
	// AttachOpen: the order waits for what is under way.
	AttachOpen
	// AttachIssued: the order gets the certificate that is there.
	AttachIssued
	// Resume: the earlier order was given up too early, and this one takes over
	// what the CA still has.
	Resume
	// Supersede: the earlier order ends, and the CA is asked for this one.
	Supersede
	// TakeOver: the earlier order ends, if it has not, and what the CA has of it
	// is brought to the key of this one. One that is valid stays so.
	TakeOver
	// Wait: the order stays ready until the earlier one is over.
	Wait
)

// Reattach decides what becomes of an order that is being finalized under a
// contract at a backend. earlier is what was asked for the same need, the latest
// first; which of them the answer is about is its index, and -1 with AskAnew.
//
// One need is one purchase: only a profile that says so explicitly gets a
// second one while the first is open (D8, D9).
func Reattach(p Profile, o Order, backend string, c Contract, earlier []Earlier, now time.Time) (Reattachment, int) {
	open, opens, left, refused := -1, 0, -1, false
	for i, e := range earlier {
		refused = refused || e.Refused
		same := e.Backend == backend && sameRequest(o, c, e)
		resumable := e.Order.Status == OrderInvalid && !e.GivenUp.IsZero() && now.Before(e.GivenUp.Add(p.ReattachWithin))
		switch {
		case e.Order.Status == OrderProcessing && same:
			return AttachOpen, i
		case e.Order.Status == OrderProcessing:
			if opens++; open < 0 {
				open = i
			}
		case same && e.serves(p, o, now):
			return AttachIssued, i
		case same && resumable && !e.Unaccepted:
			return Resume, i
		case left < 0 && (resumable || !refused && e.serves(p, o, now)) && e.movableTo(o, backend, c):
			// A young certificate too: its client has lost the key, or never came
			// for it, and another one for the same request costs nothing. Where the
			// CA has said no to that since, it is bought: nothing is open any more.
			left = i
		}
	}
	swaps := p.Reattach == ReattachSwap
	switch {
	case open < 0 && left >= 0 && swaps:
		return TakeOver, left
	case open < 0, p.Reattach == ReattachNew:
		return AskAnew, -1
	case swaps && opens == 1 && earlier[open].movableTo(o, backend, c) && !earlier[open].Approved:
		return TakeOver, open
	case p.Reattach == ReattachSwap && opens == 1 && !earlier[open].Sent && !earlier[open].Approved:
		// Of several, from when the rule was another one, the rest would go on.
		return Supersede, open
	default:
		return Wait, open // SP-3: so does a rule that nobody knows
	}
}

// movableTo says whether the CA lets what it was asked for be brought to the key
// of an order that wants the same in all else.
func (e Earlier) movableTo(o Order, backend string, c Contract) bool {
	c.KeyHash = e.Contract.KeyHash
	return e.Movable && e.Backend == backend && sameRequest(o, c, e)
}

// sameRequest says whether the certificate that was asked for is the one that
// is asked for now: key, contents, the dates that the client chose, and the
// version of the member's record that goes into it.
func sameRequest(o Order, c Contract, e Earlier) bool {
	return c.KeyHash == e.Contract.KeyHash && c.Profile == e.Contract.Profile && c.Subject == e.Contract.Subject && c.Names == e.Contract.Names &&
		bytes.Equal(c.RequestedSubject, e.Contract.RequestedSubject) && c.KeyUsage == e.Contract.KeyUsage &&
		c.CommonName == e.Contract.CommonName && slices.Equal(c.Usages, e.Contract.Usages) &&
		o.NotBefore.Equal(e.Order.NotBefore) && o.NotAfter.Equal(e.Order.NotAfter) && o.MemberVersion == e.Order.MemberVersion
}

// serves says whether an order may have the certificate of an earlier one. It
// has to be young, both for its profile and for its own life, so that nobody
// who renews gets back what is to be renewed.
func (e Earlier) serves(p Profile, o Order, now time.Time) bool {
	c := e.Certificate
	if e.Order.Status != OrderValid || c == nil || c.Revocation != nil || !c.RenewedAt.IsZero() {
		return false
	}
	if aki, serial, p := ParseCertID(o.Replaces); p == nil && bytes.Equal(aki, c.AuthorityKeyID) && bytes.Equal(serial, c.Serial) {
		return false
	}
	return now.Before(c.IssuedAt.Add(p.ReattachWithin)) && now.Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore)/2))
}
