package engine

import (
	"context"
	"errors"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// noteRefusal writes into the history of an order why finalize was refused. The
// operator of a Security Server sees a fixed text whatever it was, so whoever he
// asks has to find it here. The same reason again is not written again, and a
// history is bounded, so that nobody fills the store with it.
//
// It is no more than a note: when it cannot be written, the refusal stays what it is.
func (e *Engine) noteRefusal(ctx context.Context, owner acme.Account, id acme.OrderID, refused error) {
	var p *acme.Problem
	if !errors.As(refused, &p) {
		return
	}
	what := acme.RefusedNote(p)
	var told *acme.Order
	err := e.view(ctx, func(tx storage.Tx) error {
		o, err := loadOrder(tx, owner.ID, id)
		if err == nil && o.XRoad != "" && o.Status == acme.OrderReady && !o.Noted(what) {
			told = &o
		}
		return err
	})
	if err != nil || told == nil {
		return
	}
	err = e.commit(context.WithoutCancel(ctx), func(tx storage.Tx) error {
		o, err := loadOrder(tx, owner.ID, id)
		if err != nil || o.Status != acme.OrderReady || o.Noted(what) {
			return err
		}
		o.Note(e.now(), what)
		return putOrder(tx, o)
	}, failpoint.NoteRefusal)
	if err != nil {
		e.log.Warn("a refusal could not be noted", "event", "order.note", "order", id, "cause", err)
	}
	names := make([]string, len(told.Identifiers))
	for i, id := range told.Identifiers {
		names[i] = id.Value
	}
	e.log.Warn("a Security Server was refused", "event", "order.refused", "order", id, "account", owner.ID, "member", owner.Member,
		"server", names, "usage", told.XRoad, "profile", told.Profile, "type", p.Type, "cause", p.Detail)
}
