package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Operator is what the people who run the server may do and see: everything,
// on nobody's behalf. Client-facing code has no use for it.
type Operator struct{ e *Engine }

// Operator returns the operator's verbs.
func (e *Engine) Operator() Operator { return Operator{e} }

// ErrNoSuch is returned for an id that does not exist.
var ErrNoSuch = errors.New("there is no such record")

func read[R any](ctx context.Context, e *Engine, what string, get func(storage.Tx) (R, error)) (r R, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		r, err = get(tx)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("%s: %w", what, ErrNoSuch)
	}
	return r, err
}

// paged adapts a list of the store.
func paged[R any](ctx context.Context, e *Engine, list func(storage.Tx) ([]R, string, error)) (rs []R, next string, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		rs, next, err = list(tx)
		return err
	})
	return rs, next, err
}

// Accounts lists accounts, oldest first.
func (o Operator) Accounts(ctx context.Context, p storage.Page) ([]acme.Account, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.Account, string, error) { return tx.Accounts().List(p) })
}

// Account reads one.
func (o Operator) Account(ctx context.Context, id acme.AccountID) (acme.Account, error) {
	return read(ctx, o.e, "account "+string(id), func(tx storage.Tx) (acme.Account, error) { return tx.Accounts().Get(id) })
}

// RevokeAccount ends an account against its owner's wish.
func (o Operator) RevokeAccount(ctx context.Context, id acme.AccountID) (a acme.Account, err error) {
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if a, err = tx.Accounts().Get(id); err != nil {
			return err
		}
		if !a.Status.CanBecome(acme.AccountRevoked) {
			return fmt.Errorf("account %s is %s already", id, a.Status)
		}
		a.Status = acme.AccountRevoked
		if err := o.e.cancelOrders(tx, id); err != nil {
			return err
		}
		return tx.Accounts().Put(a)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("account %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.nudge()
		o.e.log.Info("account revoked by the operator", "event", "account.revoked", "account", id)
	}
	return a, err
}

// Orders lists orders, oldest first; of one account when it is given.
func (o Operator) Orders(ctx context.Context, account acme.AccountID, p storage.Page) ([]acme.Order, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.Order, string, error) {
		if account != "" {
			return tx.Orders().ByAccount(account, p)
		}
		return tx.Orders().List(p)
	})
}

// Explanation is everything there is to know of an order.
type Explanation struct {
	Order          acme.Order
	Authorizations []acme.Authorization
	Submission     *storage.Submission
	Job            *storage.Job
	ValidationJobs []storage.Job
	Certificate    *acme.Certificate
}

// Explain gathers the life of an order.
func (o Operator) Explain(ctx context.Context, id acme.OrderID) (Explanation, error) {
	return read(ctx, o.e, "order "+string(id), func(tx storage.Tx) (x Explanation, err error) {
		if x.Order, err = tx.Orders().Get(id); err != nil {
			return x, err
		}
		x.Order = x.Order.At(o.e.now())
		if x.Authorizations, err = loadAuthorizations(tx, x.Order.Authorizations); err != nil {
			return x, err
		}
		for _, a := range x.Authorizations {
			if j, err := tx.Jobs().Get(authzJob(a.ID)); err == nil {
				x.ValidationJobs = append(x.ValidationJobs, j)
			}
		}
		if j, err := tx.Jobs().Get(orderJob(id)); err == nil {
			x.Job = &j
		}
		if x.Order.Submission != "" {
			s, err := tx.Submissions().Get(x.Order.Submission)
			if err != nil {
				return x, err
			}
			x.Submission = &s
		}
		if x.Order.Certificate != "" {
			c, err := tx.Certificates().Get(x.Order.Certificate)
			if err != nil {
				return x, err
			}
			x.Certificate = &c
		}
		return x, nil
	})
}

// Parked lists the jobs that wait for a person.
func (o Operator) Parked(ctx context.Context, p storage.Page) ([]storage.Job, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]storage.Job, string, error) { return tx.Jobs().Parked(p) })
}

// Retry gives a parked order back to the engine. With resend, the operator
// answers for the CA not having the request: it will be sent once more.
func (o Operator) Retry(ctx context.Context, id acme.OrderID, resend bool) error {
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		order, err := tx.Orders().Get(id)
		if err != nil {
			return err
		}
		j, err := tx.Jobs().Get(orderJob(id))
		if errors.Is(err, storage.ErrNotFound) || err == nil && j.Parked == "" {
			return fmt.Errorf("order %s is %s and not parked, so there is nothing to retry", id, order.Status)
		}
		if err != nil {
			return err
		}
		note := "put back to work by the operator"
		if resend && j.Kind == storage.JobSubmit {
			sub, err := tx.Submissions().Get(order.Submission)
			if err != nil {
				return err
			}
			sub.SentAt = time.Time{}
			if err := tx.Submissions().Put(sub); err != nil {
				return err
			}
			note = "to be sent once more, as the operator decided"
		}
		j.Parked, j.Attempt, j.Due, j.Lease = "", 0, o.e.now(), storage.Lease{}
		order.Note(o.e.now(), note)
		if err := tx.Orders().Put(order); err != nil {
			return err
		}
		return tx.Jobs().Put(j)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("order %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.nudge()
	}
	return err
}

// Abandon fails an order that is processing, for a reason that its client is
// told. What the CA may still deliver for it is never used.
func (o Operator) Abandon(ctx context.Context, id acme.OrderID, reason string) error {
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		order, err := tx.Orders().Get(id)
		if err != nil {
			return err
		}
		if order.Status.Final() {
			return fmt.Errorf("order %s is %s already", id, order.Status)
		}
		if err := tx.Jobs().Delete(orderJob(id)); err != nil {
			return err
		}
		p := acme.Problemf(acme.Unauthorized, "the operator ended the order: %s", reason)
		return tx.Orders().Put(acme.Fail(order, p, o.e.now()))
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("order %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.watchers.tell(string(orderJob(id)))
		o.e.log.Info("order ended by the operator", "event", "order.abandoned", "order", id, "cause", reason)
	}
	return err
}

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
	err := o.e.revoke(ctx, id, reason, "operator")
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("certificate %s: %w", id, ErrNoSuch)
	}
	return err
}

// NewExternalKey says what an external account key shall allow.
type NewExternalKey struct {
	Directory   acme.DirectoryName
	Member      acme.MemberID
	Profiles    []acme.ProfileName
	Identifiers []string
	Uses        int
	Expires     time.Time
}

// CreateExternalKey makes an external account key. The MAC key, 32 random
// bytes, is returned this once and kept sealed (SK-5).
func (o Operator) CreateExternalKey(ctx context.Context, n NewExternalKey) (k acme.ExternalAccountKey, macKey []byte, err error) {
	if err := o.checkExternalKey(n); err != nil {
		return k, nil, err
	}
	random := make([]byte, 16+32)
	if _, err := io.ReadFull(o.e.cfg.Random, random); err != nil {
		return k, nil, fmt.Errorf("engine: draw an external account key: %w", err)
	}
	macKey = random[16:]
	k = acme.ExternalAccountKey{
		ID: acme.KeyID(base64.RawURLEncoding.EncodeToString(random[:16])), Directory: n.Directory, Member: n.Member,
		Profiles: n.Profiles, Identifiers: n.Identifiers, Uses: n.Uses, Expires: n.Expires, CreatedAt: o.e.now(),
	}
	if k.Sealed, err = o.e.cfg.Sealer.Seal(macKey, sealedFor(k.ID)); err != nil {
		return k, nil, err
	}
	err = o.e.commit(ctx, func(tx storage.Tx) error { return tx.ExternalKeys().Put(k) }, failpoint.ExternalKey)
	if err == nil {
		o.e.log.Info("external account key created", "event", "external_key.created", "external_key", k.ID, "directory", k.Directory, "member", k.Member)
	}
	return k, macKey, err
}

func (o Operator) checkExternalKey(n NewExternalKey) error {
	d, ok := o.e.directories[n.Directory]
	switch {
	case !ok:
		return fmt.Errorf("there is no directory %q", n.Directory)
	case d.ExternalAccount == acme.ExternalAccountOff:
		return fmt.Errorf("directory %q takes no external account binding; set its external_account to optional or required", n.Directory)
	case n.Member == "":
		return errors.New("an external account key needs a member to act for")
	case n.Uses < 0:
		return errors.New("the number of uses cannot be negative; 0 means any number")
	case !n.Expires.IsZero() && !n.Expires.After(o.e.now()):
		return errors.New("the key would have expired already")
	}
	for _, p := range n.Profiles {
		if _, refused := o.e.profileFor(n.Directory, p); refused != nil || p == "" {
			return fmt.Errorf("directory %q has no profile %q", n.Directory, p)
		}
	}
	for _, id := range n.Identifiers {
		if p := acme.CheckIdentifierPattern(id); p != nil {
			return p
		}
	}
	return nil
}

// ExternalKeys lists external account keys.
func (o Operator) ExternalKeys(ctx context.Context, p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.ExternalAccountKey, string, error) { return tx.ExternalKeys().List(p) })
}

// ExternalKey reads one.
func (o Operator) ExternalKey(ctx context.Context, id acme.KeyID) (acme.ExternalAccountKey, error) {
	return read(ctx, o.e, "external account key "+string(id), func(tx storage.Tx) (acme.ExternalAccountKey, error) { return tx.ExternalKeys().Get(id) })
}

// RevokeExternalKey ends a key: it binds no more accounts, and those that it
// has bound order nothing more.
func (o Operator) RevokeExternalKey(ctx context.Context, id acme.KeyID) (k acme.ExternalAccountKey, err error) {
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if k, err = tx.ExternalKeys().Get(id); err != nil {
			return err
		}
		if !k.RevokedAt.IsZero() {
			return nil
		}
		k.RevokedAt, k.Sealed = o.e.now(), nil
		return tx.ExternalKeys().Put(k)
	}, failpoint.ExternalKey)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("external account key %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.log.Info("external account key revoked", "event", "external_key.revoked", "external_key", id, "member", k.Member)
	}
	return k, err
}

// Publications lists what is published, but for the CA certificates.
func (o Operator) Publications(ctx context.Context, p storage.Page) ([]storage.Publication, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]storage.Publication, string, error) { return tx.Publications().List(p) })
}

// Publish has the revocation lists of every backend that signs its own made anew.
func (o Operator) Publish(ctx context.Context) error {
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		for _, name := range sortedKeys(o.e.backends) {
			if a := o.e.backends[name]; a.crls != nil {
				if err := o.e.publishNow(tx, a); err != nil {
					return err
				}
			}
		}
		return nil
	}, failpoint.SchedulePublisher)
	o.e.nudge()
	return err
}

// Jobs counts the stored jobs, and the parked ones among them.
func (o Operator) Jobs(ctx context.Context) (all, parked int, err error) {
	err = o.e.view(ctx, func(tx storage.Tx) error {
		all, parked, err = tx.Jobs().Count()
		return err
	})
	return all, parked, err
}
