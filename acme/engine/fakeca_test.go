package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/localca"
)

// fakeCA behaves like a remote CA that keeps its own books: every accepted
// Submit is a purchase, whether or not its reply arrives. It has no idea of
// idempotency, so whoever sends twice buys twice.
type fakeCA struct {
	issuing *localca.CA

	mu        sync.Mutex
	lockedOut bool               // our credentials are wrong
	exhausted bool               // nothing is left to buy with
	purchases []backends.Request // guarded by mu, like all below
	polls     int
	finds     int
	revoked   []acme.CertificateID

	loseReplies  int    // so many replies are lost after the request was accepted
	dropRequests int    // so many requests break before they arrive, without proof of it
	notSent      int    // so many requests provably never leave
	refuse       string // every request is refused with this reason
	refuseAs     acme.ProblemType
	issueAfter   time.Duration // from purchase to certificate
	hiddenFor    time.Duration // Find does not show younger purchases
	mutate       func([][]byte) [][]byte
	down         bool        // nothing but Submit answers
	ownEnd       bool        // it decides when its certificates end
	away         error       // why requests do not get there, provably
	tries        []time.Time // when they did not
}

var errBroken = errors.New("connection reset by peer")

func (f *fakeCA) Traits() backends.Traits { return backends.Traits{HonoursNotAfter: !f.ownEnd} }
func (f *fakeCA) Roots() [][]byte         { return f.issuing.Roots() }
func (f *fakeCA) Intermediates() [][]byte { return f.issuing.Intermediates() }

func (f *fakeCA) Submit(_ context.Context, r backends.Request) (backends.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.lockedOut:
		return "", backends.NotSent(fmt.Errorf("log in: %w", backends.ErrCredentials))
	case f.away != nil:
		f.tries = append(f.tries, time.Now())
		return "", backends.NotSent(f.away)
	case f.exhausted:
		return "", backends.NotSent(fmt.Errorf("0 left: %w", backends.ErrExhausted))
	case f.notSent > 0:
		f.notSent--
		return "", backends.NotSent(errors.New("no route to the CA"))
	case f.refuse != "":
		return "", backends.RefusedAs(f.refuseAs, f.refuse, errors.New("code -2017"))
	case f.dropRequests > 0:
		f.dropRequests--
		return "", errBroken
	}
	f.purchases = append(f.purchases, r)
	if f.loseReplies > 0 {
		f.loseReplies--
		return "", errBroken
	}
	return backends.Ticket(fmt.Sprint(len(f.purchases) - 1)), nil
}

func (f *fakeCA) Poll(_ context.Context, t backends.Ticket) (backends.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.polls++
	var n int
	if _, err := fmt.Sscan(string(t), &n); err != nil || n >= len(f.purchases) {
		return backends.Result{}, fmt.Errorf("no batch %q", t)
	}
	if f.down {
		return backends.Result{}, errBroken
	}
	r := f.purchases[n]
	if time.Since(r.At) < f.issueAfter {
		return backends.Result{Note: "waiting for an officer"}, nil
	}
	chain, err := f.issuing.Issue(r)
	if err == nil && f.mutate != nil {
		chain = f.mutate(chain)
	}
	return backends.Result{Chain: chain}, err
}

func (f *fakeCA) Revoke(_ context.Context, c acme.Certificate, _ acme.RevocationReason) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errBroken
	}
	f.revoked = append(f.revoked, c.ID)
	return nil
}

func (f *fakeCA) bought() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.purchases)
}

func (f *fakeCA) set(change func(*fakeCA)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// searchable is a fakeCA in which requests can be looked up.
type searchable struct{ *fakeCA }

func (f searchable) Find(_ context.Context, r backends.Request) (backends.Ticket, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finds++
	if f.down {
		return "", false, errBroken
	}
	for i, p := range f.purchases {
		if p.Key == r.Key && time.Since(p.At) >= f.hiddenFor {
			return backends.Ticket(fmt.Sprint(i)), true, nil
		}
	}
	return "", false, nil
}
