package godaddy

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// What follows a certificate that is there: a renewal for one whose end is near, and
// a reissue for another key. Each makes a certificate with an id of its own, so what
// got lost is found like an order.

// bySerial looks for the certificate with a serial number in so many pages of the list.
func (b *Backend) bySerial(ctx context.Context, serial *big.Int, pages int) (found Certificate, err error) {
	customer, err := b.account(ctx)
	if err != nil {
		return found, err
	}
	complete, err := b.client.walk(ctx, customer, pages, func(row Certificate) (bool, error) {
		if row.has(serial) {
			found = row
		}
		return found.ID != "", nil
	})
	switch {
	case err != nil || found.ID != "":
		return found, err
	case !complete:
		return found, errUnread
	}
	return found, fmt.Errorf("godaddy: the account has no certificate with the serial number %X: %w", serial, caclient.ErrNotFound)
}

// errUnread: the account has more orders than are read.
var errUnread = errors.New("godaddy: the account has more orders than are read, and the certificate is not among those")

// renewalPages bounds how far an order looks for what it renews: a key may ask once in
// a second, and an order is good enough.
const renewalPages = 10

// renew buys what follows the certificate that a request replaces. renewed is false
// when the CA has nothing that could be renewed, or does not want to: nothing was
// bought then, and a plain order is what remains.
func (b *Backend) renew(ctx context.Context, r backends.Request, p Purchase) (id string, renewed bool, err error) {
	_, serial, problem := acme.ParseCertID(r.Replaces)
	if !b.cfg.Renew || r.Replaces == "" || problem != nil {
		return "", false, nil
	}
	earlier, err := b.bySerial(ctx, new(big.Int).SetBytes(serial), renewalPages)
	switch {
	case errors.Is(err, caclient.ErrNotFound), errors.Is(err, errUnread):
		return "", false, nil
	case err != nil:
		return "", false, backends.NotSent(err)
	case !strings.EqualFold(earlier.Status, "ISSUED"), !strings.EqualFold(earlier.CommonName, p.CommonName), earlier.Product != "" && earlier.Product != p.Product:
		return "", false, nil
	}
	id, err = b.client.Renew(ctx, earlier.ID, Renewal{CommonName: p.CommonName, CSR: p.CSR, Period: p.Period, Root: p.Root, Names: p.Names})
	switch {
	case err == nil:
		return id, true, nil
	case caclient.OutcomeOf(err) == caclient.Refused && !noCredit(err):
		return "", false, nil
	}
	return "", true, b.classify(err)
}

// waits is the error of what has to wait for something at the CA.
type waits struct{ error }

// PauseAsked implements backends.Pausing.
func (waits) PauseAsked() time.Duration { return 2 * time.Minute }

// takeOver has what an earlier request was for issued for the key of this one. A
// certificate has to be there first; until then nothing is sent.
func (b *Backend) takeOver(ctx context.Context, r backends.Request, p Purchase) (backends.Ticket, error) {
	if !b.cfg.Reissue {
		return "", backends.NotSent(errors.New("godaddy: a request is to be brought to another key, and reissues have been switched off since: switch them on, or abandon the order"))
	}
	earlier, err := readTicket(r.TakesOver)
	if err != nil {
		return "", backends.NotSent(err)
	}
	got, err := b.client.Certificate(ctx, earlier.ID)
	if err != nil {
		return "", backends.NotSent(err)
	}
	switch strings.ToUpper(got.Status) {
	case "ISSUED":
	case "DENIED":
		return "", backends.Refused(refusedDenied, got.says())
	case "CANCELED":
		return "", backends.Refused(refusedCanceled, got.says())
	case "REVOKED", "PENDING_REVOCATION":
		return "", backends.Refused(refusedGone, got.says())
	default:
		return "", backends.NotSent(waits{fmt.Errorf("godaddy: certificate %s is %s; once it is issued, it is issued again for the other key", earlier.ID, caclient.Printable(got.Status))})
	}
	id, err := b.client.Reissue(ctx, earlier.ID, Reissue{
		CommonName: p.CommonName, CSR: p.CSR, Root: p.Root, Names: p.Names, Delay: int(b.cfg.ReissueDelay / time.Hour),
	})
	switch {
	case err != nil:
		return "", b.classify(err)
	case id == earlier.ID:
		return "", fmt.Errorf("godaddy: the CA calls the reissue of certificate %s by the same id", id)
	}
	return ticketFor(id, r), nil
}
