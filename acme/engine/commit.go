package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// commit is the only way to write. It runs fn in one transaction between the
// failpoints of what the commit means; one commit may mean several things.
//
// A commit whose outcome is unknown ends the process (SS-4): the caller gets an
// error, Run returns, and recovery decides from what is in the store.
func (e *Engine) commit(ctx context.Context, fn func(storage.Tx) error, means ...failpoint.Write) error {
	do := func() error { return e.store.Update(ctx, fn) }
	for _, w := range slices.Backward(means) {
		inner := do
		do = func() error { return failpoint.Around(w, inner) }
	}
	err := do()
	if errors.Is(err, failpoint.ErrInjected) {
		err = fmt.Errorf("%w: %w", storage.ErrUnknown, err)
	}
	if errors.Is(err, storage.ErrUnknown) {
		e.stop(fmt.Errorf("engine: a commit has an unknown outcome, restart to recover: %w", err))
	}
	return err
}

// stop makes Run return err at once. The first reason stays.
func (e *Engine) stop(err error) {
	select {
	case e.fatal <- err:
		e.log.Error("stopping", "event", "engine.stop", "cause", err)
	default:
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
