package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/backends"
)

// Solver shows the CA that a name is under control.
type Solver interface {
	// Type is the type of challenge that it answers, "dns-01" or "http-01".
	Type() string
	// Present shows a proof, next to those that are shown already. It may be
	// repeated.
	Present(ctx context.Context, p Proof) error
	// CleanUp takes a proof back, and leaves others for the same name. It may
	// be repeated, and be about a proof that was never shown.
	CleanUp(ctx context.Context, p Proof) error
}

// Proof is what the CA wants to see.
type Proof struct {
	// Name is the name or address that is proved, without "*.".
	Name string
	// Record is the DNS name of the TXT record of dns-01, with a dot at its
	// end, and Value what it must hold.
	Record, Value string
	// Token and Content are of http-01: what is asked for below
	// /.well-known/acme-challenge/, and what must be there.
	Token, Content string
}

// proofs are those on show. They are not stored: after a restart they are shown
// once more, which does no harm.
type proofs struct {
	mu    sync.Mutex
	shown map[string]shown // by URL of the authorization
}

type shown struct {
	solver Solver
	proof  Proof
	at     time.Time
}

func (p *proofs) get(url string) (shown, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.shown[url]
	return s, ok
}

func (p *proofs) put(url string, s shown) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown == nil {
		p.shown = map[string]shown{}
	}
	p.shown[url] = s
}

func (p *proofs) take(url string) (shown, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.shown[url]
	delete(p.shown, url)
	return s, ok
}

// urls are the authorizations that there are proofs of on show.
func (p *proofs) urls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.shown))
}

// lookAgain is the pause between two looks at an order that the CA validates.
const lookAgain = 2 * time.Second

// prove goes on with the authorizations of a pending order. All proofs are on
// show before the CA is told of the first: a name and its wildcard share one
// DNS name, and what was looked up too early stays in caches.
func (b *Backend) prove(ctx context.Context, s *session, o order, r backends.Request) (backends.Result, error) {
	var open []*xacme.Challenge
	var latest time.Time
	for _, url := range o.Authorizations {
		a, err := s.GetAuthorization(ctx, url)
		if err != nil {
			return backends.Result{}, fmt.Errorf("upstream: look at an authorization: %w", transient(b.settle(s, err)))
		}
		switch a.Status {
		case xacme.StatusPending:
		case xacme.StatusValid:
			b.withdraw(ctx, url)
			continue
		default:
			return backends.Result{}, failed(a, r)
		}
		if !names(r, a.Identifier.Value) {
			// What we show is worth something to whoever asked for it.
			return backends.Result{}, fmt.Errorf("upstream: the CA wants control of %q proved, which is no name of the order", a.Identifier.Value)
		}
		c, at, err := b.show(ctx, s, url, a)
		if err != nil {
			return backends.Result{}, err
		}
		if at.After(latest) {
			latest = at
		}
		if c.Status == xacme.StatusPending {
			open = append(open, c)
		}
	}
	if rest := b.cfg.Settle - b.cfg.Now().Sub(latest); len(open) > 0 && rest > 0 {
		return backends.Result{After: rest, Note: "proofs of control are given time to be seen everywhere"}, nil
	}
	for _, c := range open {
		if _, err := s.Accept(ctx, c); err != nil {
			return backends.Result{}, fmt.Errorf("upstream: answer a challenge: %w", transient(b.settle(s, err)))
		}
	}
	return backends.Result{After: max(o.wait, lookAgain), Note: "the CA verifies control of the names"}, nil
}

// names reports whether a request has a name, or the wildcard of it.
func names(r backends.Request, name string) bool {
	for _, id := range r.Contract.Identifiers {
		if strings.TrimPrefix(id.Value, "*.") == name {
			return true
		}
	}
	return false
}

// show shows the proof that an authorization wants, unless it is on show, and
// says since when it is.
func (b *Backend) show(ctx context.Context, s *session, url string, a *xacme.Authorization) (*xacme.Challenge, time.Time, error) {
	name := strings.TrimPrefix(a.Identifier.Value, "*.")
	solver, c := b.choose(a)
	if c == nil {
		return nil, time.Time{}, fmt.Errorf("upstream: the CA wants control of %s proved in a way that is not configured (%s): configure a solver, or have the name vetted at the CA", name, offered(a))
	}
	if was, ok := b.proofs.get(url); ok {
		return c, was.at, nil
	}
	p := Proof{Name: name, Token: c.Token, Record: "_acme-challenge." + strings.TrimSuffix(name, ".") + "."}
	var err error
	if p.Value, err = s.DNS01ChallengeRecord(c.Token); err != nil {
		return nil, time.Time{}, err
	}
	if p.Content, err = s.HTTP01ChallengeResponse(c.Token); err != nil {
		return nil, time.Time{}, err
	}
	if !tokenRule(c.Token) {
		return nil, time.Time{}, errors.New("upstream: the CA has a token with characters that no token has")
	}
	if err := solver.Present(ctx, p); err != nil {
		return nil, time.Time{}, fmt.Errorf("upstream: show the proof of %s for %s: %w", c.Type, name, err)
	}
	now := b.cfg.Now()
	b.proofs.put(url, shown{solver, p, now})
	return c, now, nil
}

// choose takes the first solver that the CA has a challenge for.
func (b *Backend) choose(a *xacme.Authorization) (Solver, *xacme.Challenge) {
	for _, s := range b.cfg.Solvers {
		for _, c := range a.Challenges {
			if c.Type == s.Type() {
				return s, c
			}
		}
	}
	return nil, nil
}

func offered(a *xacme.Authorization) string {
	var types []string
	for _, c := range a.Challenges {
		types = append(types, c.Type)
	}
	if len(types) == 0 {
		return "it offers none"
	}
	return "it offers " + strings.Join(types, ", ")
}

// tokenRule keeps what is not base64url out of file names and commands
// (R8555-8.1-1).
func tokenRule(token string) bool {
	for _, c := range token {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return token != "" && len(token) <= 256
}

// withdraw takes the proof for an authorization off show. What fails stays where
// it is: it proves nothing any more.
func (b *Backend) withdraw(ctx context.Context, url string) {
	if s, ok := b.proofs.take(url); ok {
		_ = s.solver.CleanUp(ctx, s.proof) // see above
	}
}

// hide takes all proofs of an order off show.
func (b *Backend) hide(ctx context.Context, o order) {
	for _, url := range o.Authorizations {
		b.withdraw(ctx, url)
	}
}

// tidy takes back what is on show for orders that nobody went on with, once they
// have ended.
func (b *Backend) tidy(ctx context.Context) {
	for _, url := range b.claims.idle(b.proofs.urls()) {
		b.withdraw(ctx, url)
	}
}

// failed is the refusal for a name that the CA could not verify. The client hears
// which one, if that is a name of its order: what else a CA calls it may be anything
// (SC-18).
func failed(a *xacme.Authorization, r backends.Request) error {
	name := "a name of this order"
	if names(r, a.Identifier.Value) {
		name = a.Identifier.Value
	}
	var causes []error
	for _, c := range a.Challenges {
		if c.Error != nil {
			causes = append(causes, fmt.Errorf("%s: %w", c.Type, c.Error))
		}
	}
	return backends.Refused("the certificate authority could not verify control of "+name, errors.Join(causes...))
}
