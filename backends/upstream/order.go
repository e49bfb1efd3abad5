package upstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/backends"
)

// Poll implements backends.Backend. It looks and does nothing.
func (b *Backend) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	s, o, err := b.look(ctx, t)
	if err != nil {
		return backends.Result{}, err
	}
	switch {
	case o.issued():
		return b.download(ctx, s, o)
	case o.Status == xacme.StatusInvalid:
		return backends.Result{}, b.ended(ctx, s, o, backends.Request{})
	}
	return waiting(o, "the order is "+o.Status+" at the CA"), nil
}

// Continue implements backends.Continuer.
func (b *Backend) Continue(ctx context.Context, r backends.Request, t backends.Ticket) (backends.Result, error) {
	s, o, err := b.look(ctx, t)
	if err != nil {
		return backends.Result{}, err
	}
	// Should the order be somebody else's, it is not finalized by us.
	if _, err := b.claims.hold(o.URL, b.provable(o.Authorizations), o.Expires, r); err != nil {
		return backends.Result{}, fmt.Errorf("upstream: continue order %s: %w", r.Order, err)
	}
	result, err := b.advance(ctx, s, o, r)
	switch {
	case isRefusal(err):
		b.hide(ctx, o)
		b.claims.release(o.URL)
	case err == nil && result.Chain != nil:
		b.hide(ctx, o)
		b.claims.done(o.URL)
	}
	return result, err
}

// provable are the authorizations that are ours to prove. Without solvers they are
// the CA's own, whoever orders.
func (b *Backend) provable(authorizations []string) []string {
	if len(b.cfg.Solvers) == 0 {
		return nil
	}
	return authorizations
}

// advance does what the state of the order asks for.
func (b *Backend) advance(ctx context.Context, s *session, o order, r backends.Request) (backends.Result, error) {
	if o.issued() {
		return b.download(ctx, s, o)
	}
	switch o.Status {
	case xacme.StatusPending:
		return b.prove(ctx, s, o, r)
	case xacme.StatusReady:
		var err error
		if o, err = b.finalize(ctx, s, o, r); err != nil {
			return backends.Result{}, err
		}
		if o.issued() {
			return b.download(ctx, s, o)
		}
		return waiting(o, "the CA issues the certificate"), nil
	case xacme.StatusProcessing:
		return waiting(o, "the CA issues the certificate"), nil
	case xacme.StatusInvalid:
		return backends.Result{}, b.ended(ctx, s, o, r)
	}
	return backends.Result{}, fmt.Errorf("upstream: the order is in the state %q, which RFC 8555 does not have", o.Status)
}

// look reads the order that a ticket names.
func (b *Backend) look(ctx context.Context, t backends.Ticket) (*session, order, error) {
	if !b.web.oursText(string(t)) || len(t) > maxTicket {
		// The directory in the configuration may be another one by now.
		return nil, order{}, fmt.Errorf("upstream: the ticket %q is no order at the configured CA", string(t))
	}
	s, err := b.session(ctx)
	if err != nil {
		return nil, order{}, err
	}
	got, err := s.post(ctx, string(t), nil)
	if err != nil {
		// A look is no request, so its failure refuses none.
		return nil, order{}, fmt.Errorf("upstream: look at the order: %w", transient(b.settle(s, err)))
	}
	o, err := b.readOrder(string(t), got)
	return s, o, err
}

// finalize makes the purchase. It is never repeated from here: when its reply
// gets lost, the next look at the order tells what became of it, and a second
// one would be refused.
func (b *Backend) finalize(ctx context.Context, s *session, o order, r backends.Request) (order, error) {
	if !b.web.oursText(o.Finalize) {
		return o, fmt.Errorf("%w: finalize of an order", errOrigin)
	}
	got, err := s.post(ctx, o.Finalize, struct {
		CSR string `json:"csr"`
	}{base64.RawURLEncoding.EncodeToString(r.CSR)})
	var p *xacme.Error
	if errors.As(err, &p) && isProblem(p, "orderNotReady") {
		// It was ready a moment ago: it went on without us, as after a lost reply.
		o.Status, o.wait = xacme.StatusProcessing, time.Second
		return o, nil
	}
	if p != nil && p.StatusCode == http.StatusForbidden && isProblem(p, "unauthorized") {
		// The account was let in a moment ago, to look at this very order.
		return o, fmt.Errorf("upstream: finalize order %s: %w", r.Order, backends.Refused("the certificate authority does not authorize the order", err))
	}
	if err != nil {
		return o, fmt.Errorf("upstream: finalize order %s: %w", r.Order, b.settle(s, err))
	}
	next, err := b.readOrder(o.URL, got)
	if next.Authorizations == nil {
		next.Authorizations = o.Authorizations
	}
	return next, err
}

func waiting(o order, note string) backends.Result {
	return backends.Result{After: o.wait, Note: note}
}

// ended is the refusal of an order that the CA has ended. When that was because of
// a name, the authorizations say which.
func (b *Backend) ended(ctx context.Context, s *session, o order, r backends.Request) error {
	for _, url := range o.Authorizations {
		a, err := s.GetAuthorization(ctx, url)
		if err != nil {
			break // then without the name
		}
		if a.Status == xacme.StatusInvalid {
			return failed(a, r)
		}
	}
	if o.Error == nil {
		return backends.Refused("the certificate authority has ended the order", nil)
	}
	cause := &xacme.Error{ProblemType: o.Error.Type, Detail: o.Error.Detail}
	if isProblem(cause, "dns", "connection", "tls", "incorrectResponse", "unauthorized") {
		return backends.Refused("the certificate authority could not verify control of a name of this order", cause)
	}
	if err := classify(cause, b.cfg.Now()); isRefusal(err) {
		return err
	}
	return backends.Refused("the certificate authority has ended the order", cause)
}
