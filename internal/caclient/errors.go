package caclient

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"acmebridge/backends"
)

// What callers branch on.
var (
	// ErrCredentials: the CA does not let us in.
	ErrCredentials = fmt.Errorf("the credentials were refused: %w", backends.ErrCredentials)
	// ErrForbidden: we are let in, and may not do that.
	ErrForbidden = fmt.Errorf("the account may not do that: %w", backends.ErrCredentials)
	// ErrNotFound: the CA does not have it, or does not show it to us.
	ErrNotFound = errors.New("unknown to the CA")
	// ErrBadRequest: the CA has looked and said no.
	ErrBadRequest = errors.New("not acceptable to the CA")
	// ErrThrottled: come back later; see Error.RetryAfter.
	ErrThrottled = errors.New("a pause is needed")
	// ErrUndecodable: the CA answered with success and something else than
	// what was asked for.
	ErrUndecodable = errors.New("the answer is not what it should be")

	errNotOurs = errors.New("the answer is not one of the service")
)

// Outcome is what an error proves about a request that would cost money
// (SC-3).
type Outcome int

// The outcomes. The zero value is the careful one.
const (
	// Unknown: the CA may have done it. Look before doing it again.
	Unknown Outcome = iota
	// NotSent: no octet of the request left us, or the CA has said that it did
	// not carry it out for a reason that passes. It may be sent again.
	NotSent
	// Refused: the CA has looked and said no.
	Refused
)

// String returns the word for it.
func (o Outcome) String() string {
	switch o {
	case NotSent:
		return "not sent"
	case Refused:
		return "refused"
	case Unknown:
	}
	return "unknown"
}

// Error is a call that failed.
type Error struct {
	// CA is Config.Name, and Op what was attempted, in words.
	CA, Op string
	// Status is that of the reply, zero when there was none.
	Status int
	// Code and Message are what the CA says about it; both may be empty. They
	// are for an operator, never for a client (SC-18).
	Code, Message string
	// RetryAfter is how long the CA is to be left alone, at most an hour.
	RetryAfter time.Duration
	// Outcome is what the error proves.
	Outcome Outcome

	cause error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.CA + ": " + e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.Code != "" || e.Message != "" {
		fmt.Fprintf(&b, ": the CA says %q (%s)", e.Message, or(e.Code, "no code"))
	}
	return b.String()
}

// Because returns the error with a cause. A pause that the cause asks for is asked
// for by the error too.
func (e Error) Because(cause error) error {
	e.cause = cause
	var inner *Error
	if e.RetryAfter == 0 && errors.As(cause, &inner) {
		e.RetryAfter = inner.RetryAfter
	}
	return &e
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// PauseAsked implements backends.Pausing (SC-15).
func (e *Error) PauseAsked() time.Duration { return e.RetryAfter }

// OutcomeOf returns what err proves: Unknown unless it proves something.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Unknown
}

// CodeOf is what the CA calls what is the matter, empty when it does not say.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// StatusOf is the status of the reply that an error is about, zero without one.
func StatusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// judge sorts a status that is no success. Only what is documented as a refusal
// is one, and comes with an error of the service: a page of something in front of
// it knows nothing of orders. Whatever else comes back may have been decided after
// the purchase.
func (c *Client) judge(status int, ofService bool) (Outcome, error) {
	if v, ok := c.cfg.Verdicts[status]; ok {
		return v.Outcome, v.Error
	}
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		if !ofService {
			return Unknown, errNotOurs
		}
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return Refused, ErrBadRequest
	case http.StatusUnauthorized:
		return NotSent, ErrCredentials
	case http.StatusForbidden:
		return NotSent, ErrForbidden
	case http.StatusNotFound:
		return Refused, ErrNotFound
	case http.StatusTooManyRequests:
		return NotSent, ErrThrottled
	case http.StatusServiceUnavailable:
		return Unknown, ErrThrottled
	}
	if status >= 300 && status < 400 {
		return Unknown, errors.New("a redirect, which is not followed")
	}
	return Unknown, nil
}
