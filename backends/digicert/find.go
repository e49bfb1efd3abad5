package digicert

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"acmebridge/backends"
)

// skew is how far the CA's clock may be from ours.
const skew = 10 * time.Minute

// Find implements backends.Finder: first by our reference, and then, because a
// product may drop it and a label may show late, by the public key among the
// orders for the name since then. The engine does so twice, some minutes apart,
// before it believes in an absence (SC-4).
func (b *Backend) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	if r.TakesOver != "" {
		// Nothing was bought, and Poll goes on from wherever it is.
		t, err := takeOver(r)
		return t.String(), err == nil, err
	}
	hits, err := b.client.ByReference(ctx, r.Key)
	if err != nil {
		return "", false, err
	}
	// A row without a number is none.
	if hits = slices.DeleteFunc(hits, func(c Change) bool { return c.Order <= 0 }); len(hits) > 0 {
		return b.adopt(ctx, hits, r), true, nil
	}
	w, err := b.wishFor(r)
	if err != nil {
		return "", false, err
	}
	orders, complete, err := b.client.Orders(ctx, map[string]string{
		"domain_name": w.CommonName, "product_name_id": b.cfg.Product, "date_created": between(r.At.Add(-skew), b.cfg.Now().Add(skew)),
	})
	if err != nil {
		return "", false, err
	}
	for _, o := range orders {
		info, err := b.client.Order(ctx, int64(o.ID))
		if err != nil {
			return "", false, err
		}
		if of := ownerOf(info); of != "" && of != r.Key {
			continue // another request of ours, for the same key
		}
		if spki, err := publicKeyOf(info.Certificate.CSR); err == nil && bytes.Equal(spki, r.PublicKey) {
			return ticketFor(int64(o.ID), r).String(), true, nil
		}
	}
	if !complete {
		return "", false, errors.New("digicert: the CA shows a part of its orders only, and the request is not in it, which proves nothing")
	}
	return "", false, nil
}

// ownerOf is the key of the request that an order was placed for: its reference,
// or, where that was dropped, what its comment begins with. It is empty for an
// order that says neither.
func ownerOf(o Order) string {
	if o.Reference != "" {
		return o.Reference
	}
	for _, q := range o.Requests {
		if key, _, ok := strings.Cut(q.Comments, commentMark); ok {
			return key
		}
	}
	return ""
}

// adopt takes the oldest of the orders with our reference, and cancels what
// should never have been. What cannot be cancelled stays for a person, who sees
// it in the note of each poll.
func (b *Backend) adopt(ctx context.Context, hits []Change, r backends.Request) backends.Ticket {
	slices.SortFunc(hits, func(x, y Change) int { return int(x.Order - y.Order) })
	t := ticketFor(int64(hits[0].Order), r)
	t.twins = len(hits) - 1
	for _, twin := range hits[1:] {
		_ = b.client.Cancel(ctx, int64(twin.Order), "ordered twice; see order "+t.orderText()) // see above
	}
	return t.String()
}
