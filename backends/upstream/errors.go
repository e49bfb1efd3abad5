package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/backends"
)

func isProblem(err *xacme.Error, types ...string) bool {
	name, ok := strings.CutPrefix(err.ProblemType, acme.ProblemPrefix)
	return ok && slices.Contains(types, name)
}

// classify says what an error of the CA means, when it means something:
// credentials that an operator has to correct, or a request that is refused
// for good. Everything else stays what it is: somebody tries again later.
func classify(err error, now time.Time) error {
	var p *xacme.Error
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case isProblem(p, "unauthorized", "accountDoesNotExist", "externalAccountRequired", "userActionRequired"):
		return fmt.Errorf("%w: %w", backends.ErrCredentials, err)
	case p.StatusCode == 429 || p.StatusCode == 503 || isProblem(p, "rateLimited"):
		return &paused{error: err, wait: answer{header: p.Header}.wait(now)}
	case p.StatusCode >= 500 || isProblem(p, "badNonce", "serverInternal", "orderNotReady"):
		return err
	case isProblem(p, "rejectedIdentifier", "unsupportedIdentifier"):
		return backends.Refused("the certificate authority does not issue for a name of this order", err)
	case isProblem(p, "caa"):
		return backends.Refused("CAA records forbid the certificate authority to issue for a name of this order", err)
	case isProblem(p, "badCSR", "badPublicKey"):
		return backends.Refused("the certificate authority does not accept the CSR", err)
	case isProblem(p, "malformed", "invalidProfile", "invalidContact", "alreadyReplaced"):
		return backends.Refused("the certificate authority does not accept the order", err)
	}
	return err
}

// settle classifies an error of a session. When the account is what is wrong,
// the next call looks at it again.
func (b *Backend) settle(s *session, err error) error {
	err = classify(err, b.cfg.Now())
	if errors.Is(err, backends.ErrCredentials) {
		b.login.forget(s)
	}
	return err
}

// paused is the error of a CA that asks to be left alone (SC-15).
type paused struct {
	error
	wait time.Duration
}

func (p *paused) Unwrap() error { return p.error }

// PauseAsked implements backends.Pausing.
func (p *paused) PauseAsked() time.Duration { return p.wait }

func isRefusal(err error) bool {
	_, refused := backends.RefusalDetail(err)
	return refused
}

// transient turns a refusal into an error: what ends an order is said by the
// order, and not by a request about something else.
func transient(err error) error {
	if isRefusal(err) {
		return errors.Unwrap(err)
	}
	return err
}
