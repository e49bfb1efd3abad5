package engine

import (
	"context"
	"errors"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// stepExpire ends an order that nobody finalized in time.
func (e *Engine) stepExpire(ctx context.Context, j storage.Job) error {
	err := e.commit(ctx, func(tx storage.Tx) error {
		if _, err := e.ours(tx, j); err != nil {
			return err
		}
		o, err := tx.Orders().Get(acme.OrderID(j.Subject))
		if err != nil {
			return err
		}
		if now := e.now(); o.Status != acme.OrderInvalid && o.At(now).Status == acme.OrderInvalid {
			if err := putOrder(tx, acme.Fail(o, o.At(now).Problem, now)); err != nil {
				return err
			}
		}
		return tx.Jobs().Delete(j.ID)
	}, failpoint.Expire)
	if err == nil {
		e.Counters.OrdersInvalid.Add(1)
	}
	return err
}

// cancelOrders asks for the open orders of an account to be ended. There may
// be many, so it is a job of its own and not part of the caller's commit.
func (e *Engine) cancelOrders(tx storage.Tx, account acme.AccountID) error {
	return tx.Jobs().Put(storage.Job{
		ID: accountJob(account), Kind: storage.JobCancel, Due: e.now(), Account: account, Subject: string(account),
	})
}

// stepCancel ends the orders of an account that nothing was submitted for. An
// order that a CA is working on is paid for and comes to its own end.
func (e *Engine) stepCancel(ctx context.Context, j storage.Job) error {
	after := ""
	for {
		var open []acme.OrderID
		var next string
		err := e.view(ctx, func(tx storage.Tx) error {
			open = nil
			orders, more, err := tx.Orders().ByAccount(acme.AccountID(j.Subject), storage.Page{After: after, Limit: claimAtOnce})
			if err != nil {
				return err
			}
			next = more
			for _, o := range orders {
				if !o.Status.Final() {
					open = append(open, o.ID)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = e.commit(ctx, func(tx storage.Tx) error {
			if _, err := e.ours(tx, j); err != nil {
				return err
			}
			for _, id := range open {
				if _, err := e.cancel(tx, id, "the account of this order is not valid any more"); err != nil {
					return err
				}
			}
			if next == "" {
				return tx.Jobs().Delete(j.ID)
			}
			return nil
		}, failpoint.Cancel)
		if err != nil || next == "" {
			return err
		}
		after = next
	}
}

// cancel ends an order that nothing was submitted for, and says why. One that
// waits for approval here is among those, with all that are attached to it.
func (e *Engine) cancel(tx storage.Tx, id acme.OrderID, why string) (ended bool, err error) {
	o, err := tx.Orders().Get(id)
	if err != nil {
		return false, err
	}
	switch {
	case waits(o):
	case o.Status == acme.OrderProcessing && o.AttachedTo == "":
		j, err := tx.Jobs().Get(orderJob(id))
		if errors.Is(err, storage.ErrNotFound) || err == nil && j.Kind != storage.JobApprove {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	for _, a := range o.Authorizations {
		if err := tx.Jobs().Delete(authzJob(a)); err != nil {
			return false, err
		}
	}
	if err := tx.Jobs().Delete(orderJob(id)); err != nil {
		return false, err
	}
	if err := e.leave(tx, o); err != nil {
		return false, err
	}
	return true, e.endBadly(tx, o, acme.Problemf(acme.Unauthorized, "%s", why))
}
