package acme

import (
	"fmt"
	"time"
)

// ProblemType is an error type of RFC 8555, section 6.7, or of an extension,
// without the URN prefix. Only registered types exist (R8555-6.7-2).
type ProblemType string

// ProblemPrefix makes a registered type a URN.
const ProblemPrefix = "urn:ietf:params:acme:error:"

// The registered types.
const (
	AccountDoesNotExist     ProblemType = "accountDoesNotExist"
	AlreadyReplaced         ProblemType = "alreadyReplaced"
	AlreadyRevoked          ProblemType = "alreadyRevoked"
	BadCSR                  ProblemType = "badCSR"
	BadNonce                ProblemType = "badNonce"
	BadPublicKey            ProblemType = "badPublicKey"
	BadRevocationReason     ProblemType = "badRevocationReason"
	BadSignatureAlgorithm   ProblemType = "badSignatureAlgorithm"
	CAA                     ProblemType = "caa"
	Compound                ProblemType = "compound"
	Connection              ProblemType = "connection"
	DNS                     ProblemType = "dns"
	ExternalAccountRequired ProblemType = "externalAccountRequired"
	IncorrectResponse       ProblemType = "incorrectResponse"
	InvalidContact          ProblemType = "invalidContact"
	InvalidProfile          ProblemType = "invalidProfile"
	Malformed               ProblemType = "malformed"
	OrderNotReady           ProblemType = "orderNotReady"
	RateLimited             ProblemType = "rateLimited"
	RejectedIdentifier      ProblemType = "rejectedIdentifier"
	ServerInternal          ProblemType = "serverInternal"
	TLS                     ProblemType = "tls"
	Unauthorized            ProblemType = "unauthorized"
	UnsupportedContact      ProblemType = "unsupportedContact"
	UnsupportedIdentifier   ProblemType = "unsupportedIdentifier"
	UserActionRequired      ProblemType = "userActionRequired"
)

// statuses holds the HTTP status that goes with a type unless the one who
// reports it knows better (rfc8555 checklist, A.7). Types missing here are 400.
// They are numbers here because the rules know no HTTP package.
var statuses = map[ProblemType]int{
	AlreadyReplaced:         409,
	CAA:                     403,
	ExternalAccountRequired: 403,
	OrderNotReady:           403,
	RateLimited:             429,
	ServerInternal:          500,
	Unauthorized:            403,
	UserActionRequired:      403,
}

// Problem is an error that may be told to a client: its class, the HTTP
// status and a sentence that says what to do. Any other error is internal, is
// logged, and reaches the client only as serverInternal with a reference.
type Problem struct {
	Type        ProblemType   `cbor:"1,keyasint,omitempty"`
	Detail      string        `cbor:"2,keyasint,omitempty"`
	Status      int           `cbor:"3,keyasint,omitempty"`
	Subproblems []Subproblem  `cbor:"4,keyasint,omitempty"`
	Instance    string        `cbor:"5,keyasint,omitempty"`
	RetryAfter  time.Duration `cbor:"6,keyasint,omitempty"`
	// Algorithms goes with badSignatureAlgorithm (R8555-6.2-14).
	Algorithms []string `cbor:"-"`
	// Location names the object that is in the way (R8555-7.3.5-10).
	Location string `cbor:"-"`
}

// Subproblem is a problem of one identifier (RFC 8555, section 6.7.1).
type Subproblem struct {
	Type       ProblemType `cbor:"1,keyasint,omitempty"`
	Detail     string      `cbor:"2,keyasint,omitempty"`
	Identifier Identifier  `cbor:"3,keyasint,omitzero"`
}

// Problemf returns a problem with the usual status of its type.
func Problemf(t ProblemType, format string, args ...any) *Problem {
	status, ok := statuses[t]
	if !ok {
		status = 400
	}
	return &Problem{Type: t, Status: status, Detail: fmt.Sprintf(format, args...)}
}

// NotFound is the one answer for a resource that does not exist and for one
// that belongs to somebody else, so that nobody learns which (R8555-10.5-3).
func NotFound() *Problem {
	return Problemf(Malformed, "there is no such resource, or it is not yours").WithStatus(404)
}

// WithStatus returns p with another HTTP status.
func (p *Problem) WithStatus(status int) *Problem {
	p.Status = status
	return p
}

// WithSubproblems returns p with the given parts.
func (p *Problem) WithSubproblems(parts ...Subproblem) *Problem {
	p.Subproblems = parts
	return p
}

// WithRetryAfter returns p with the time after which the same request may pass.
func (p *Problem) WithRetryAfter(d time.Duration) *Problem {
	p.RetryAfter = d
	return p
}

// OverLimit is the answer to whoever wants more than a limit gives. The detail
// says which limit it is; it goes on with when the same request would pass
// (R8555-6.6-1, -2).
func OverLimit(wait time.Duration, now time.Time, format string, args ...any) *Problem {
	wait = max(time.Second, (wait + time.Second - 1).Truncate(time.Second))
	again := now.Add(wait + time.Second - 1).UTC().Truncate(time.Second)
	return Problemf(RateLimited, "%s; try again after %s", fmt.Sprintf(format, args...), again.Format(time.RFC3339)).WithRetryAfter(wait)
}

// Overloaded is the answer to whoever has done nothing wrong, when there is too
// much to do (SL-45). It is no rateLimited: nobody has to ask for less.
func Overloaded(wait time.Duration, why string) *Problem {
	return Problemf(ServerInternal, "%s; try again later", why).WithStatus(503).WithRetryAfter(wait)
}

// Error makes a Problem an error, for code that passes it up.
func (p *Problem) Error() string { return string(p.Type) + ": " + p.Detail }
