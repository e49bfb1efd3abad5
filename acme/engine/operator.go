package engine

import (
	"context"
	"errors"
	"fmt"

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
