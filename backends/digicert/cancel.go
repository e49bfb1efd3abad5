package digicert

import (
	"context"
	"fmt"
	"strings"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// Cancel implements backends.Canceler. It looks first, because the same call ends a
// mere reissue of an order that is issued, and afterwards, because the CA's yes need
// not be the end of an order, and a reply may be lost.
func (b *Backend) Cancel(ctx context.Context, _ backends.Request, text backends.Ticket, reason string) error {
	t, err := readTicket(text)
	if err != nil {
		return err
	}
	o, err := b.client.Order(ctx, t.order)
	if err != nil {
		return err
	}
	switch status := strings.ToLower(o.Status); {
	case status == "canceled":
		return nil
	case status == "issued", status == "reissue_pending", o.Certificate.ID != 0 && status == "approved":
		return fmt.Errorf("digicert: order %d is %s: what was issued cannot be cancelled, and is revoked in CertCentral if nobody wants it", t.order, status)
	case status == "rejected", status == "denied", status == "revoked", status == "expired":
		return fmt.Errorf("digicert: order %d is %s already, which ends it here when it is asked for next", t.order, status)
	}
	b.unwatch(t.order)
	asked := b.client.Cancel(ctx, t.order, reason)
	now, err := b.client.Order(ctx, t.order)
	switch {
	case err == nil && strings.EqualFold(now.Status, "canceled"):
		return nil
	case asked != nil:
		return asked
	case err != nil:
		return fmt.Errorf("digicert: order %d was to be cancelled, and nobody can tell whether it is: %w", t.order, err)
	}
	return fmt.Errorf("digicert: order %d is %s after it was cancelled: look at it in CertCentral", t.order, caclient.Printable(now.Status))
}
