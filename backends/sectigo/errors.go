package sectigo

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
	// ErrNoCredentials: there is nothing to log in with.
	ErrNoCredentials = errors.New("sectigo: no credentials: give a username and a password, or log in once with a cache")
	// ErrLoginRefused: the CA does not accept the credentials, or the account
	// has no authority. No further login is tried until they change.
	ErrLoginRefused = fmt.Errorf("the login was refused: %w", backends.ErrCredentials)
	// ErrCertificateLogin: the account may log in with a TLS client certificate
	// only. Switch that off in the portal for this user.
	ErrCertificateLogin = errors.New("the account wants a TLS client certificate for its login")
	// ErrLoginPaused: several logins have failed in a row without an answer.
	ErrLoginPaused = errors.New("too many logins in a short time; the next one has to wait")

	// ErrNotAuthenticated and those below are what a status says.
	ErrNotAuthenticated = errors.New("not logged in")
	ErrForbidden        = errors.New("not allowed for this account")
	ErrNotFound         = errors.New("unknown to the CA")
	ErrBadRequest       = errors.New("not acceptable to the CA")
	// ErrThrottled: come back later; see Error.RetryAfter.
	ErrThrottled = errors.New("the CA asks for a pause")
	// ErrUndecodable: the CA answered with success and something else than
	// what was asked for.
	ErrUndecodable = errors.New("the answer is not what it should be")
)

// Outcome is what an error proves about a request that would cost money
// (SC-3).
type Outcome int

// The outcomes. The zero value is the careful one.
const (
	// Unknown: the CA may have done it. Look before doing it again.
	Unknown Outcome = iota
	// NotSent: no octet of the request left us, or the CA has said that it did
	// not look at it. It may be sent again.
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
	// Code and Message are what the CA says about it; both may be empty. The
	// message is for an operator, never for a client (SC-18).
	Code    int64
	Message string
	// RetryAfter is how long the CA wants to be left alone, at most an hour.
	RetryAfter time.Duration
	// Outcome is what the error proves.
	Outcome Outcome

	cause error
}

// PauseAsked implements backends.Pausing.
func (e *Error) PauseAsked() time.Duration { return e.RetryAfter }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sectigo: " + e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": the CA says %q", e.Message)
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, " (code %d)", e.Code)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// OutcomeOf returns what err proves: Unknown unless it proves something.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Unknown
}

// notSent is a failure from before anything was sent.
func notSent(op string, cause error) error {
	e := &Error{Op: op, Outcome: NotSent, cause: cause}
	var inner *Error
	if errors.As(cause, &inner) {
		e.RetryAfter = inner.RetryAfter
	}
	return e
}

// judge sorts a status that is no success. The documented refusals are those
// of section 1.5 of the notes on the interface; whatever else comes back may
// have been decided after the purchase.
func judge(status int) (Outcome, error) {
	switch status {
	case http.StatusBadRequest:
		return Refused, ErrBadRequest
	case http.StatusUnauthorized:
		return NotSent, ErrNotAuthenticated
	case http.StatusForbidden:
		return Refused, ErrForbidden
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
