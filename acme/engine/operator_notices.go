package engine

import (
	"context"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// Notices lists certificates of members that end within d and that nothing has
// taken the place of, soonest first, a page at a time. Those that live shorter
// than d are due in the last third of their life: clients renew them before.
func (o Operator) Notices(ctx context.Context, d time.Duration, p storage.Page) ([]acme.Certificate, string, error) {
	now := o.e.now()
	return paged(ctx, o.e, func(tx storage.Tx) (due []acme.Certificate, next string, err error) {
		certs, next, err := tx.Certificates().Expiring(now, now.Add(d), p)
		if err != nil {
			return nil, "", err
		}
		for _, c := range certs {
			if c.Member == "" || c.Revocation != nil || !c.RenewedAt.IsZero() || c.ReplacedBy != "" || c.NotAfter.Sub(now) > c.NotAfter.Sub(c.NotBefore)/3 {
				continue
			}
			if c.CountsNames {
				// A client that renews without replaces leaves no mark on this one.
				later, err := tx.Certificates().IssuedFor(c.CountsAs(), c.IssuedAt.Add(1), 1)
				if err != nil {
					return nil, "", err
				}
				if len(later) > 0 {
					continue
				}
			}
			due = append(due, c)
		}
		return due, next, nil
	})
}
