package digicert

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
	// ErrKey: the CA does not know the API key.
	ErrKey = fmt.Errorf("the API key was refused: %w", backends.ErrCredentials)
	// ErrForbidden: the key's user may not do that.
	ErrForbidden = fmt.Errorf("the user of the API key may not do that: %w", backends.ErrCredentials)
	// ErrNotFound: the CA does not have it, or does not show it to this key.
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
	// Op is what was attempted, in words.
	Op string
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
	b.WriteString("digicert: " + e.Op)
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

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// HasCode reports whether the CA gave that code, as a whole or as the family
// before the bar.
func (e *Error) HasCode(code string) bool {
	family, _, _ := strings.Cut(e.Code, "|")
	return e.Code == code || family == code
}

// OutcomeOf returns what err proves: Unknown unless it proves something.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Unknown
}

// judge sorts a status that is no success. Only what is documented as a refusal
// is one, and says so with a code of the service: a page without one is of
// something in front of it, which knows nothing of orders. Whatever else comes
// back may have been decided after the purchase.
func judge(status int, code string) (Outcome, error) {
	if code == "" && (status == http.StatusBadRequest || status == http.StatusNotFound) {
		return Unknown, errNotOurs
	}
	switch status {
	case http.StatusBadRequest:
		return Refused, ErrBadRequest
	case http.StatusUnauthorized:
		return NotSent, ErrKey
	case http.StatusForbidden:
		return NotSent, ErrForbidden
	case http.StatusNotFound:
		return Refused, ErrNotFound
	case http.StatusTooManyRequests:
		return NotSent, ErrThrottled
	case http.StatusServiceUnavailable:
		return Unknown, ErrThrottled
	}
	if strings.HasPrefix(code, "request_limit_exceeded") {
		return NotSent, ErrThrottled
	}
	if status >= 300 && status < 400 {
		return Unknown, errors.New("a redirect, which is not followed")
	}
	return Unknown, nil
}
