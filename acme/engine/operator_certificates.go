package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// Certificates lists certificates, oldest first; of one account when given.
func (o Operator) Certificates(ctx context.Context, account acme.AccountID, p storage.Page) ([]acme.Certificate, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.Certificate, string, error) {
		if account != "" {
			return tx.Certificates().ByAccount(account, p)
		}
		return tx.Certificates().List(p)
	})
}

// Expiring lists certificates that end within d from now, soonest first.
func (o Operator) Expiring(ctx context.Context, d time.Duration, p storage.Page) ([]acme.Certificate, string, error) {
	now := o.e.now()
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.Certificate, string, error) {
		return tx.Certificates().Expiring(now, now.Add(d), p)
	})
}

// Certificate reads one, and what is above it.
func (o Operator) Certificate(ctx context.Context, id acme.CertificateID) (c acme.Certificate, chain acme.Chain, err error) {
	c, err = read(ctx, o.e, "certificate "+string(id), func(tx storage.Tx) (acme.Certificate, error) {
		c, err := tx.Certificates().Get(id)
		if err == nil {
			chain, err = tx.Certificates().Chain(c.Chain)
		}
		return c, err
	})
	return c, chain, err
}

// CertificatesBySerial finds certificates by the octets of their serial.
func (o Operator) CertificatesBySerial(ctx context.Context, serial []byte) ([]acme.Certificate, error) {
	return read(ctx, o.e, "serial", func(tx storage.Tx) ([]acme.Certificate, error) { return tx.Certificates().BySerial(serial) })
}

// RevokeCertificate revokes for any reason of RFC 5280 but removeFromCRL.
func (o Operator) RevokeCertificate(ctx context.Context, id acme.CertificateID, reason acme.RevocationReason) error {
	c, _, err := o.Certificate(ctx, id)
	if err == nil && c.Holder != nil && reason != acme.Unspecified && !acme.FrameworkReason(reason) {
		return fmt.Errorf("certificate %s is of a framework, whose revocation lists do not have the reason %d", id, reason)
	}
	err = o.e.revoke(ctx, id, reason, "operator")
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("certificate %s: %w", id, ErrNoSuch)
	}
	return err
}
