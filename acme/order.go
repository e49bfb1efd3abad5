package acme

import (
	"slices"
	"strings"
	"time"
)

// OrderStatus is the status of an order (RFC 8555, section 7.1.6).
type OrderStatus string

// The statuses of an order.
const (
	// OrderPending waits for the client to prove control. It ends when every
	// authorization is valid (OrderReady), when one is refused, or at Expires.
	OrderPending OrderStatus = "pending"
	// OrderReady waits for the client to finalize.
	OrderReady OrderStatus = "ready"
	// OrderProcessing belongs to the engine. It ends when a checked chain is
	// stored (OrderValid) or the backend refuses (OrderInvalid); a restart
	// resumes it. One that stays is parked: `order explain` says why.
	OrderProcessing OrderStatus = "processing"
	// OrderValid has a certificate, for good.
	OrderValid OrderStatus = "valid"
	// OrderInvalid is over; Problem says why.
	OrderInvalid OrderStatus = "invalid"
)

// Order is a request for one certificate.
type Order struct {
	ID             OrderID           `cbor:"1,keyasint,omitempty"`
	Account        AccountID         `cbor:"2,keyasint,omitempty"`
	Directory      DirectoryName     `cbor:"3,keyasint,omitempty"`
	Profile        ProfileName       `cbor:"4,keyasint,omitempty"`
	Member         MemberID          `cbor:"5,keyasint,omitempty"`
	Status         OrderStatus       `cbor:"6,keyasint,omitempty"`
	Identifiers    []Identifier      `cbor:"7,keyasint,omitempty"`
	Authorizations []AuthorizationID `cbor:"8,keyasint,omitempty"`
	NotBefore      time.Time         `cbor:"9,keyasint,omitzero"`
	NotAfter       time.Time         `cbor:"10,keyasint,omitzero"`
	CreatedAt      time.Time         `cbor:"11,keyasint,omitzero"`
	Expires        time.Time         `cbor:"12,keyasint,omitzero"`
	Problem        *Problem          `cbor:"13,keyasint,omitempty"`
	Submission     SubmissionID      `cbor:"14,keyasint,omitempty"`
	// CSRHash is the SHA-256 of the CSR that finalized the order: the same
	// CSR again is a repetition, another one is refused (SP-11).
	CSRHash     KeyHash       `cbor:"15,keyasint,omitzero"`
	Certificate CertificateID `cbor:"16,keyasint,omitempty"`
	// History is what happened, oldest first, for `order explain`.
	History []Event `cbor:"17,keyasint,omitempty"`
	// Replaces is the RFC 9773 id of the certificate this order renews.
	Replaces string `cbor:"18,keyasint,omitempty"`
	// MemberVersion is the version of the member's record that the order was
	// decided by: when it was placed, and then when it was finalized.
	MemberVersion int `cbor:"19,keyasint,omitempty"`
	// Renews says that the certificate of Replaces was due for renewal when the
	// order was placed: the new one takes its place, and passes the limits that
	// renewals pass (SL-40).
	Renews bool `cbor:"20,keyasint,omitempty"`
	// AttachedTo is the earlier order whose certificate this one shares: nothing
	// of its own was asked of the CA (D9).
	AttachedTo OrderID `cbor:"21,keyasint,omitempty"`
	// Submitted says who handed in the CSR of an order that did not come over
	// ACME; nil when it did.
	Submitted *Submitter `cbor:"22,keyasint,omitempty"`
	// NamesProfile says that the client named the profile. Those of X-Road do
	// not, and get the one that their key and CSR are for.
	NamesProfile bool `cbor:"23,keyasint,omitempty"`
	// XRoad is the usage of the profile, for orders by Security Servers.
	XRoad XRoadUsage `cbor:"24,keyasint,omitempty"`
}

// Event is one line in the life of an order.
type Event struct {
	At   time.Time `cbor:"1,keyasint,omitzero"`
	What string    `cbor:"2,keyasint,omitempty"`
}

// maxHistory keeps a record small whatever happens to it: the first events
// tell how it began, so it is the middle that gives way.
const maxHistory = 32

// Note adds a line to the order's history. The slice is copied, because the
// record it came from may still be read by somebody else.
func (o *Order) Note(now time.Time, what string) {
	h := o.History
	if len(h) >= maxHistory {
		h = append(h[:maxHistory/2:maxHistory/2], h[maxHistory/2+1:]...)
	}
	o.History = append(h[:len(h):len(h)], Event{At: now, What: what})
}

// Noted reports whether the history has that line already.
func (o Order) Noted(what string) bool {
	return slices.ContainsFunc(o.History, func(e Event) bool { return e.What == what })
}

// refusedFinalize begins the line of a refusal in a history.
const refusedFinalize = "finalize was refused, "

// RefusedNote is the line for a refused finalize. The same refusal has the same
// line, whenever it was.
func RefusedNote(p *Problem) string {
	detail, _, _ := strings.Cut(p.Detail, "; try again after ")
	return refusedFinalize + string(p.Type) + ": " + detail
}

// LastRefusal is why finalize was refused the last time, "" when it was not.
func (o Order) LastRefusal() string {
	for _, e := range slices.Backward(o.History) {
		if why, ok := strings.CutPrefix(e.What, refusedFinalize); ok {
			return why
		}
	}
	return ""
}
