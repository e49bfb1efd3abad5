package godaddy

import (
	"context"
	"fmt"
	"strings"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// Cancel implements backends.Canceler. The API takes no reason. It looks first,
// because nobody could tell what the same call does to a certificate that is there,
// and afterwards, because a reply may be lost.
func (b *Backend) Cancel(ctx context.Context, _ backends.Request, text backends.Ticket, _ string) error {
	t, err := readTicket(text)
	if err != nil {
		return err
	}
	got, err := b.client.Certificate(ctx, t.ID)
	if err != nil {
		return err
	}
	switch status := strings.ToUpper(got.Status); status {
	case "CANCELED":
		return nil
	case "PENDING_ISSUANCE":
	default:
		return fmt.Errorf("godaddy: certificate %s is %s, and only what waits to be issued for the first time can be cancelled", t.ID, caclient.Printable(status))
	}
	asked := b.client.Cancel(ctx, t.ID)
	now, err := b.client.Certificate(ctx, t.ID)
	switch {
	case err == nil && strings.EqualFold(now.Status, "CANCELED"):
		return nil
	case asked != nil:
		return asked
	case err != nil:
		return fmt.Errorf("godaddy: certificate %s was to be cancelled, and nobody can tell whether it is: %w", t.ID, err)
	}
	return fmt.Errorf("godaddy: certificate %s is %s after it was cancelled: look at it in the account", t.ID, caclient.Printable(now.Status))
}
