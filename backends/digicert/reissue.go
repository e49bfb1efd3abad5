package digicert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// A certificate that is not what was ordered is issued again by the CA for
// nothing, under the same order. It has the key of the first one, so it is told
// from that by the serial number.

// isWrong says whether a certificate is the one that is to be issued again.
func (t ticket) isWrong(serial *big.Int) bool {
	return t.wrong != nil && serial != nil && t.wrong.Cmp(serial) == 0
}

// again is the ticket of a request whose certificate is wrong.
func (b *Backend) again(text backends.Ticket, r backends.Request, wrong []byte) (ticket, error) {
	earlier, err := readTicket(text)
	if err != nil {
		return ticket{}, err
	}
	leaf, err := x509.ParseCertificate(wrong)
	if err != nil {
		return ticket{}, fmt.Errorf("digicert: what is wrong with order %d cannot be read: %w", earlier.order, err)
	}
	t := ticketFor(earlier.order, r)
	t.since, t.twins, t.wrong = b.cfg.Now(), earlier.twins, leaf.SerialNumber
	return t, nil
}

// Reissue implements backends.Reissuer: the same key, names and usages once more,
// for an order whose certificate is in force and that nobody else changes.
func (b *Backend) Reissue(ctx context.Context, r backends.Request, text backends.Ticket, wrong []byte) (backends.Ticket, error) {
	t, err := b.again(text, r, wrong)
	if err != nil {
		return "", backends.Refused(refusedAgain, err)
	}
	w, err := b.wishFor(r)
	if err != nil {
		return "", err
	}
	o, err := b.client.Order(ctx, t.order)
	switch {
	case errors.Is(err, caclient.ErrNotFound):
		return "", backends.Refused(refusedLost, err)
	case err != nil:
		return "", backends.NotSent(err)
	}
	switch status := strings.ToLower(o.Status); status {
	case "issued":
	case "revoked", "expired", "canceled", "rejected", "denied":
		return "", backends.Refused(refusedGone, fmt.Errorf("digicert: order %d is %s", t.order, status))
	default:
		return "", backends.NotSent(fmt.Errorf("digicert: order %d is %s, and cannot be issued again before it is issued", t.order, caclient.Printable(status)))
	}
	list, err := b.client.Reissues(ctx, t.order)
	if err != nil {
		return "", backends.NotSent(err)
	}
	if _, found := reissueFor(list, t); !found {
		_, err = b.client.Reissue(ctx, t.order, w)
	}
	switch {
	case caclient.OutcomeOf(err) == caclient.Refused && errors.Is(err, caclient.ErrNotFound):
		return "", backends.Refused(refusedLost, err)
	case err != nil:
		return "", b.classify(err)
	}
	b.unwatch(t.order)
	return t.String(), nil
}

// FindReissue implements backends.Reissuer: by the key, among what the order shows
// besides the certificate that is wrong.
func (b *Backend) FindReissue(ctx context.Context, r backends.Request, text backends.Ticket, wrong []byte) (backends.Ticket, bool, error) {
	t, err := b.again(text, r, wrong)
	if err != nil {
		return "", false, backends.Refused(refusedAgain, err)
	}
	list, err := b.client.Reissues(ctx, t.order)
	if err != nil {
		return "", false, err
	}
	if _, found := reissueFor(list, t); !found {
		return "", false, nil
	}
	b.unwatch(t.order)
	return t.String(), true, nil
}
