package sectigo

import (
	"errors"
	"fmt"
	"net/http"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
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
	ErrNotFound         = caclient.ErrNotFound
	ErrBadRequest       = caclient.ErrBadRequest
	// ErrThrottled: the CA wants to be left alone for Error.RetryAfter, by
	// everything that the client does.
	ErrThrottled = caclient.ErrThrottled
	// ErrUndecodable: the CA answered with success and something else than
	// what was asked for.
	ErrUndecodable = caclient.ErrUndecodable

	errEmpty = errors.New("it is empty")
)

// Error is a call that failed: what was attempted (Op), the Status of the reply,
// what the CA says about it (Code and Message, for an operator and never for a
// client), how long it wants to be left alone (RetryAfter), and the Outcome.
type Error = caclient.Error

// Outcome is what an error proves about a request that would cost money
// (SC-3).
type Outcome = caclient.Outcome

// The outcomes. The zero value is the careful one.
const (
	// Unknown: the CA may have done it. Look before doing it again.
	Unknown = caclient.Unknown
	// NotSent: no octet of the request left us, or the CA has said that it did
	// not look at it. It may be sent again.
	NotSent = caclient.NotSent
	// Refused: the CA has looked and said no.
	Refused = caclient.Refused
)

// OutcomeOf returns what err proves: Unknown unless it proves something.
func OutcomeOf(err error) Outcome { return caclient.OutcomeOf(err) }

// caName begins the errors of calls.
const caName = "sectigo"

// verdicts are those of section 1.5 of the notes on the interface, where they
// differ from what is usual: rights are those of the account to one thing, and
// 422 is not documented.
func verdicts() map[int]caclient.Verdict {
	return map[int]caclient.Verdict{
		http.StatusUnauthorized:        {Outcome: NotSent, Error: ErrNotAuthenticated},
		http.StatusForbidden:           {Outcome: Refused, Error: ErrForbidden},
		http.StatusUnprocessableEntity: {},
	}
}

// denied reports whether the account is not shown something, or the service does
// not have it, be it in words of its own or with the page of something in front.
func denied(err error) bool {
	return errors.Is(err, ErrForbidden) || caclient.StatusOf(err) == http.StatusNotFound
}

// notSent is a failure from before anything was sent.
func notSent(op string, cause error) error {
	return Error{CA: caName, Op: op, Outcome: NotSent}.Because(cause)
}
