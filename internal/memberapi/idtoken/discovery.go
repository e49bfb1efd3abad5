package idtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// What the provider is, and where its keys are, is asked once, for all who wait:
// by nobody's request, because that would end with the patience of whoever came
// first, and each waits no longer than it wants to.

const (
	// patience is how long the provider has to say what it is.
	patience = 10 * time.Second
	// pause is between two tries to reach a provider: each request would wait
	// for it otherwise.
	pause = 5 * time.Second
)

// inquiry is one try to learn what the provider is. The outcome is there when
// done is closed.
type inquiry struct {
	done     chan struct{}
	verifier *oidc.IDTokenVerifier
	err      error
}

// ready returns the verifier, after the provider was asked what it is.
func (p *Provider) ready(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	verifier, q, err := p.inquire(ctx)
	if q == nil {
		return verifier, err
	}
	select {
	case <-q.done:
		return q.verifier, q.err
	case <-ctx.Done():
		return nil, errors.Join(away(), fmt.Errorf("idtoken: wait until the provider %s says what it is: %w", p.cfg.Issuer, ctx.Err()))
	}
}

// inquire returns what is known, or the inquiry that will tell.
func (p *Provider) inquire(ctx context.Context) (*oidc.IDTokenVerifier, *inquiry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.verifier != nil:
		return p.verifier, nil, nil
	case p.asking != nil:
		return nil, p.asking, nil
	case p.cfg.Now().Before(p.again):
		return nil, nil, away()
	}
	p.asking = &inquiry{done: make(chan struct{})}
	go p.ask(context.WithoutCancel(ctx), p.asking) // which ends with its patience
	return nil, p.asking, nil
}

// ask carries an inquiry out.
func (p *Provider) ask(ctx context.Context, q *inquiry) {
	q.verifier, q.err = p.discover(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asking, p.verifier = nil, q.verifier; q.err != nil {
		p.again = p.cfg.Now().Add(pause)
	}
	close(q.done)
}

func (p *Provider) discover(ctx context.Context) (v *oidc.IDTokenVerifier, err error) {
	defer func() {
		if r := recover(); r != nil { // SP-15: here no request's gate is around it
			err = errors.Join(away(), fmt.Errorf("idtoken: panic: %v\n%s", r, debug.Stack()))
		}
	}()
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	provider, err := oidc.NewProvider(p.web.in(asking), p.cfg.Issuer)
	if err != nil {
		return nil, errors.Join(away(), fmt.Errorf("idtoken: ask the provider %s what it is: %w", p.cfg.Issuer, err))
	}
	// The keys are asked for again later, when this inquiry is long over.
	return provider.VerifierContext(p.web.in(ctx), &oidc.Config{ClientID: p.cfg.Audience, SupportedSigningAlgs: algorithms, Now: p.cfg.Now}), nil
}
