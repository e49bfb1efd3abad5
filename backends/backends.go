package backends

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
)

// Backend is one certificate authority.
type Backend interface {
	// Traits are the differences that the engine and the suite must know. They
	// do not change while the backend is open.
	Traits() Traits
	// Submit asks for a certificate. The same Request may come again after a
	// NotSent error, and after a person decided so.
	Submit(ctx context.Context, r Request) (Ticket, error)
	// Poll asks what has become of a request. It may be called at any time and
	// must not block waiting for the CA: "not yet" is a Result.
	Poll(ctx context.Context, t Ticket) (Result, error)
}

// Traits describes how one CA differs from another.
type Traits struct {
	// HonoursNotAfter: the CA issues with exactly the end that was asked for.
	HonoursNotAfter bool
	// MaxValidity is the longest validity the CA grants, zero for no bound.
	MaxValidity time.Duration
	// Private: the CA is not publicly trusted, so its certificates need no
	// public names.
	Private bool
	// TakesOver: the CA lets what it was asked for be brought to another key,
	// without selling another certificate. Such a backend gets Request.TakesOver.
	TakesOver bool
	// CallTime is how long a call of the backend may take that sends a request,
	// looks for one or fetches what came of it, where that is longer than the
	// engine has for all: archives go to and fro, say.
	CallTime time.Duration
}

// Request is everything a CA may need to know of an order.
type Request struct {
	// Key is ours and unique: 32 hexadecimal digits. It goes into whatever
	// field the CA has for a reference of the customer.
	Key     string
	Order   acme.OrderID
	Account acme.AccountID
	Member  acme.MemberID
	// CSR is the DER as the client sent it, already checked. PublicKey is its
	// SubjectPublicKeyInfo.
	CSR       []byte
	PublicKey []byte
	// Batch is not empty when the request goes, or went, together with others:
	// then it stands for the Key. It is the Key of one of them, a dash and a
	// number. See Batcher.
	Batch string
	// Contract is what the certificate must be.
	Contract acme.Contract
	// Renewal says that a certificate takes the place of one that is about to
	// end: what a backend holds back, it holds back for these (SC-16).
	Renewal bool
	// Replaces, when not empty, is the RFC 9773 id of the certificate that this one
	// takes the place of, as its client said. This backend has issued that.
	Replaces string
	// At is when the order was finalized. A backend that signs by itself takes
	// the time from here, so that signing twice gives the same certificate.
	At time.Time
	// TakesOver, when not empty, is the ticket of an earlier request for the same
	// need and another key, whose order has ended in favour of this one. What the
	// CA has of it becomes what is asked for here, and nothing else is bought.
	TakesOver Ticket
}

// Ticket is the CA's name for a request: batch id, order id or URL. Only its
// backend understands it. It is at most 2 KiB and holds no secret.
type Ticket string

// Result is what a CA says of a request.
type Result struct {
	// Chain is the certificate and what certifies it, leaf first, in DER;
	// nil while the CA is not done.
	Chain [][]byte
	// After is when the CA would like to be asked again; zero leaves it to
	// the engine.
	After time.Duration
	// Note says what the CA is waiting for, for the operator.
	Note string
	// Approval says that somebody at the CA has to approve the request first.
	Approval bool
}

// ErrCredentials is in the chain of an error when a CA does not let us in: no
// repetition helps, only an operator who corrects the configuration.
var ErrCredentials = errors.New("the CA does not accept the credentials")

// ErrTogether is in the chain of an error, of SubmitBatch or of Poll, when a CA
// would not serve a request because of what it came together with, or may not
// have. Nothing was issued for it, and nothing will be; it may be sent alone.
var ErrTogether = errors.New("the CA did not serve these requests together")

// refusal is the CA's no.
type refusal struct {
	problem acme.ProblemType
	detail  string
	cause   error
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return fmt.Sprintf("refused: %s: %v", r.detail, r.cause)
	}
	return "refused: " + r.detail
}
func (r *refusal) Unwrap() error { return r.cause }

// Refused reports that the CA will not issue this certificate, now or later.
// detail is shown to the client, so it is in our own words (SC-18); cause is
// for the operator and may be nil.
func Refused(detail string, cause error) error {
	return RefusedAs(acme.Unauthorized, detail, cause)
}

// RefusedAs is Refused where more is known of why: BadCSR for what a client can
// put right, ServerInternal for what is nobody's fault here.
func RefusedAs(t acme.ProblemType, detail string, cause error) error {
	return &refusal{problem: t, detail: detail, cause: cause}
}

// RefusalDetail returns what a client may be told when err is a refusal.
func RefusalDetail(err error) (string, bool) {
	var r *refusal
	if errors.As(err, &r) {
		return r.detail, true
	}
	return "", false
}

// RefusalType returns the type of problem that a refusal is.
func RefusalType(err error) acme.ProblemType {
	var r *refusal
	if errors.As(err, &r) {
		return r.problem
	}
	return acme.Unauthorized
}

// RefusalCause returns what the CA said to a refusal, nil when it said nothing.
// It is for the operator (SC-18).
func RefusalCause(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return r.cause
	}
	return nil
}

type notSent struct{ error }

func (n notSent) Unwrap() error { return n.error }

// NotSent reports that the request never left us (no connection, no
// credentials, circuit open), so it may simply be made again later.
func NotSent(err error) error { return notSent{err} }

// Pausing is an error of a CA that asks to be left alone for a while (SC-15).
type Pausing interface {
	error
	PauseAsked() time.Duration
}

// PauseAsked returns for how long the CA asks to be left alone in err, zero
// when it does not.
func PauseAsked(err error) time.Duration {
	var p Pausing
	if errors.As(err, &p) {
		return max(p.PauseAsked(), 0)
	}
	return 0
}

// IsNotSent reports whether err proves that nothing was sent.
func IsNotSent(err error) bool {
	var n notSent
	return errors.As(err, &n)
}
