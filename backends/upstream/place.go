package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/backends"
)

// Submit implements backends.Backend: it places an order, which buys nothing.
// Whatever goes wrong, short of a refusal, may therefore be tried again.
func (b *Backend) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	url, err := b.place(ctx, r)
	if err == nil {
		return backends.Ticket(url), nil
	}
	err = fmt.Errorf("upstream: place order %s: %w", r.Order, err)
	if isRefusal(err) {
		return "", err
	}
	return "", backends.NotSent(err)
}

// maxTicket bounds the URL of an order: it is the ticket.
const maxTicket = 2048

// wanted is the payload of newOrder (RFC 8555, 7.4; RFC 9773, 5).
type wanted struct {
	Identifiers []wireIdentifier `json:"identifiers"`
	NotAfter    string           `json:"notAfter,omitempty"`
	Profile     string           `json:"profile,omitempty"`
	Replaces    string           `json:"replaces,omitempty"`
}

type wireIdentifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (b *Backend) place(ctx context.Context, r backends.Request) (url string, err error) {
	s, err := b.session(ctx)
	if err != nil {
		return "", err
	}
	b.tidy(ctx)
	w := wanted{Profile: b.cfg.Profile}
	if w.Identifiers, err = wireIdentifiers(r.Contract.Identifiers); err != nil {
		return "", err
	}
	if b.cfg.SendNotAfter {
		w.NotAfter = r.Contract.NotAfter.UTC().Format(time.RFC3339)
	}
	if s.renewalInfo != "" {
		w.Replaces = r.Replaces
	}
	// An order that inherits a proof is made anew, once the proof is gone.
	for range 3 {
		o, err := b.newOrder(ctx, s, w)
		if err != nil && w.Replaces != "" && saysNo(err) {
			// What it replaces is of use to the CA, and none to the order: it may have
			// been replaced, also by an order of ours whose reply got lost.
			w.Replaces = ""
			o, err = b.newOrder(ctx, s, w)
		}
		if err != nil {
			return "", b.settle(s, err)
		}
		inherited, err := b.adopt(ctx, s, o.URL, o.Authorizations, o.Expires, r)
		if err != nil {
			return "", err
		}
		if !inherited {
			return o.URL, nil
		}
	}
	return "", errors.New("the CA keeps giving the order authorizations that were proved for somebody else")
}

// newOrder asks for an order, which buys nothing.
func (b *Backend) newOrder(ctx context.Context, s *session, w wanted) (order, error) {
	got, err := s.post(ctx, s.newOrder, w)
	if err != nil {
		return order{}, err
	}
	location := got.header.Get("Location")
	if !b.web.oursText(location) || len(location) > maxTicket {
		return order{}, fmt.Errorf("%w: an order", errOrigin)
	}
	return b.readOrder(location, got)
}

// saysNo reports whether the CA has answered, and with an error that is not about
// when. Which error an order gets whose predecessor cannot be replaced differs:
// alreadyReplaced, malformed, unauthorized, and of some an error of the server.
func saysNo(err error) bool {
	var p *xacme.Error
	return errors.As(err, &p) && p.StatusCode != http.StatusTooManyRequests && p.StatusCode != http.StatusServiceUnavailable &&
		!isProblem(p, "rateLimited", "badNonce")
}

// wireIdentifiers translates names. An IP address has one spelling on the wire.
func wireIdentifiers(all []acme.Identifier) (ids []wireIdentifier, err error) {
	for _, id := range all {
		switch id.Type {
		case acme.DNSIdentifier:
			ids = append(ids, wireIdentifier{Type: "dns", Value: id.Value})
		case acme.IPIdentifier:
			ids = append(ids, wireIdentifier{Type: "ip", Value: net.ParseIP(id.Value).String()})
		default:
			return nil, backends.Refused("the certificate authority does not issue for names of type "+string(id.Type), nil)
		}
	}
	return ids, nil
}
