package sectigo

import (
	"context"
	"errors"
	"math/big"

	"acmebridge/acme"
)

// Revoke implements backends.Revoker. The CA knows a certificate by its profile
// and its serial number. Those that were bought before the backend got another
// profile are below that one; the number is theirs alone wherever it is.
func (b *Backend) Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error {
	profile := b.cfg.ProfileID
	if profile == 0 {
		a, err := b.authorityOfOld(ctx)
		if err != nil {
			return err
		}
		profile = a.ProfileID
	}
	err := b.revoke(ctx, profile, serialOf(c), reason)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	all, listErr := b.client.Authorities(ctx)
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	for _, a := range all {
		if a.ProfileID == profile {
			continue
		}
		if other := b.revoke(ctx, a.ProfileID, serialOf(c), reason); !errors.Is(other, ErrNotFound) && !errors.Is(other, ErrForbidden) {
			return other
		}
	}
	return err
}

// revoke is nil as well when it was done before.
func (b *Backend) revoke(ctx context.Context, profile int64, serial *big.Int, reason acme.RevocationReason) error {
	err := b.client.Revoke(ctx, profile, serial, reason)
	if err == nil || !errors.Is(err, ErrBadRequest) {
		return err
	}
	// How the CA says that it has done so already is not documented; what it
	// shows of the certificate tells.
	found, findErr := b.client.Find(ctx, Query{SerialNumber: FormatSerial(serial)})
	if findErr != nil {
		return errors.Join(err, findErr)
	}
	for _, item := range found.Items {
		if SameSerial(item.SerialNumber, serial) && ParseStatus(item.Status) == StatusRevoked {
			return nil
		}
	}
	return err
}
