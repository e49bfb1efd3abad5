package server_test

import (
	"context"
	"sync/atomic"

	"acmebridge/storage"
)

// watchedStore is a store that counts, and fails, what one request does with
// it. The engine's own work does not carry the watch in its context, so it
// neither counts nor fails.
type watchedStore struct{ storage.Store }

// watch is what happens to the transactions of a request.
type watch struct {
	views, updates atomic.Int64
	// onView, when set, takes the place of a View; onUpdate that of an Update,
	// and is given what would have been done.
	onView   func() error
	onUpdate func(do func() error) error
}

type watchKey struct{}

func (w *watch) in(ctx context.Context) context.Context { return context.WithValue(ctx, watchKey{}, w) }

func (s watchedStore) View(ctx context.Context, fn func(storage.Tx) error) error {
	if w, ok := ctx.Value(watchKey{}).(*watch); ok {
		w.views.Add(1)
		if w.onView != nil {
			return w.onView()
		}
	}
	return s.Store.View(ctx, fn)
}

func (s watchedStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	do := func() error { return s.Store.Update(ctx, fn) }
	if w, ok := ctx.Value(watchKey{}).(*watch); ok {
		w.updates.Add(1)
		if w.onUpdate != nil {
			return w.onUpdate(do)
		}
	}
	return do()
}
