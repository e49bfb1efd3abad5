package localca

import (
	"context"
	"fmt"
	"sync/atomic"

	"acmebridge/acme"
	"acmebridge/backends"
)

// CA is an open certificate authority. It has every ability of package
// backends that makes sense for it, and may be used by several goroutines.
type CA struct {
	cfg   Config
	dir   folder
	state atomic.Pointer[state]
}

var (
	_ backends.Backend   = (*CA)(nil)
	_ backends.Issuer    = (*CA)(nil)
	_ backends.Finder    = (*CA)(nil)
	_ backends.Revoker   = (*CA)(nil)
	_ backends.CRLSigner = (*CA)(nil)
	_ backends.Rooted    = (*CA)(nil)
	_ backends.Checker   = (*CA)(nil)
	_ backends.Publisher = (*CA)(nil)

	_ backends.CrossSigned    = (*CA)(nil)
	_ backends.StatusDelegate = (*CA)(nil)
)

// Open opens the CA in cfg.Dir, and makes it first when there is none.
func Open(cfg Config) (*CA, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &CA{cfg: cfg, dir: cfg.folder()}
	if _, err := c.dir.begin(cfg); err != nil {
		return nil, fmt.Errorf("localca: make a CA in %s: %w", cfg.Dir, err)
	}
	return c, c.reload()
}

func (c *CA) reload() error {
	s, err := c.dir.load(c.cfg)
	if err != nil {
		return fmt.Errorf("localca: open the CA in %s: %w", c.cfg.Dir, err)
	}
	c.state.Store(s)
	return nil
}

// Rotate makes a new issuing key, as the function Rotate does, and issues with
// it from now on.
func (c *CA) Rotate() error {
	if err := c.dir.rotate(c.cfg); err != nil {
		return err
	}
	return c.reload()
}

// Backend is the CA as the engine should see it: with the ability to issue at
// once, or, when Queued is set, without it.
func (c *CA) Backend() backends.Backend {
	if !c.cfg.Queued {
		return c
	}
	return struct {
		backends.Backend
		backends.Finder
		backends.Revoker
		backends.CRLSigner
		backends.Rooted
		backends.Checker
		backends.Publisher
		backends.CrossSigned
		backends.StatusDelegate
	}{c, c, c, c, c, c, c, c, c}
}

// Traits implements backends.Backend.
func (c *CA) Traits() backends.Traits {
	return backends.Traits{HonoursNotAfter: true, MaxValidity: c.cfg.IssuerValidity, Private: true}
}

// Issue implements backends.Issuer.
func (c *CA) Issue(r backends.Request) ([][]byte, error) {
	is := c.state.Load().at(begin(r.At, c.cfg.Backdate))
	chain, err := c.issue(is, r)
	if err != nil {
		return nil, fmt.Errorf("localca: issue for request %s: %w", r.Key, err)
	}
	return chain, nil
}

func (c *CA) issue(is *issuer, r backends.Request) ([][]byte, error) {
	l, err := newLeaf(r, c.cfg.Backdate, is)
	if err != nil {
		return nil, err
	}
	der, err := is.sign(l)
	if err != nil {
		return nil, err
	}
	return [][]byte{der, is.cert.Raw}, nil
}

// Submit implements backends.Backend. Nothing is kept of it: the ticket holds
// all that it takes to issue, which Poll then does.
func (c *CA) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if err := ctx.Err(); err != nil {
		return "", backends.NotSent(fmt.Errorf("localca: submit request %s: %w", r.Key, err))
	}
	is := c.state.Load().at(begin(r.At, c.cfg.Backdate))
	// What will be refused is refused now, and not when it is asked for.
	_, err := newLeaf(r, c.cfg.Backdate, is)
	var t backends.Ticket
	if err == nil {
		t, err = is.ticket(r)
	}
	if err != nil {
		return "", fmt.Errorf("localca: submit request %s: %w", r.Key, err)
	}
	return t, nil
}

// Poll implements backends.Backend.
func (c *CA) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	if err := ctx.Err(); err != nil {
		return backends.Result{}, fmt.Errorf("localca: poll: %w", err)
	}
	is, r, err := c.state.Load().redeem(t)
	if err != nil {
		return backends.Result{}, fmt.Errorf("localca: poll: %w", err)
	}
	chain, err := c.issue(is, r)
	if err != nil {
		return backends.Result{}, fmt.Errorf("localca: poll request %s: %w", r.Key, err)
	}
	return backends.Result{Chain: chain}, nil
}

// Find implements backends.Finder. Every request that this CA would accept is
// found, whether or not it ever arrived: its certificate is a function of the
// request, so asking again and having asked are the same.
func (c *CA) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	t, err := c.Submit(ctx, r)
	if _, refused := backends.RefusalDetail(err); refused {
		return "", false, nil
	}
	return t, err == nil, err
}

// Revoke implements backends.Revoker. What revokes is the list that the engine
// has signed here with its next round of publishing.
func (c *CA) Revoke(ctx context.Context, _ acme.Certificate, _ acme.RevocationReason) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("localca: revoke: %w", err)
	}
	return nil
}

// Roots implements backends.Rooted. Our own is the first.
func (c *CA) Roots() [][]byte {
	s := c.state.Load()
	roots := [][]byte{s.root.Raw}
	for _, a := range s.alternates {
		roots = append(roots, a.certs[len(a.certs)-1].Raw)
	}
	return roots
}

// Intermediates implements backends.Rooted.
func (c *CA) Intermediates() [][]byte {
	var ders [][]byte
	for _, is := range c.state.Load().issuers {
		ders = append(ders, is.cert.Raw)
	}
	return ders
}

// Publications implements backends.Publisher: what the certificates' pointers
// to their issuers point at.
func (c *CA) Publications() []backends.Publication {
	s := c.state.Load()
	ps := []backends.Publication{{Name: c.cfg.rootPath(), DER: s.root.Raw}}
	for _, is := range s.issuers {
		ps = append(ps, backends.Publication{Name: is.certName, DER: is.cert.Raw})
	}
	return ps
}
