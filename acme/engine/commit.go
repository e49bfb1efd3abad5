package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// commit is the only way to write. It runs fn in one transaction between the
// failpoints of what the commit means; one commit may mean several things.
//
// A commit whose outcome is unknown ends the process (SS-4): the caller gets an
// error, Run returns, and recovery decides from what is in the store.
func (e *Engine) commit(ctx context.Context, fn func(storage.Tx) error, means ...failpoint.Write) (err error) {
	e.committing.Add(1)
	defer e.committing.Add(-1)
	inside, change := false, fn
	fn = func(tx storage.Tx) error {
		inside = true
		err := change(tx)
		inside = false
		return err
	}
	// SP-15: a panic of the store is an outcome that nobody knows, too. One of
	// fn is not: the store takes back what fn did, and the step is at fault.
	defer func() {
		if r := recover(); r != nil {
			if inside {
				panic(r)
			}
			err = e.unknown(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	do := func() error { return e.store.Update(ctx, fn) }
	for _, w := range slices.Backward(means) {
		inner := do
		do = func() error { return failpoint.Around(w, inner) }
	}
	err = do()
	if errors.Is(err, failpoint.ErrInjected) || errors.Is(err, storage.ErrUnknown) {
		err = e.unknown(err)
	}
	return err
}

// unknown ends the process because of a commit that may or may not have happened.
func (e *Engine) unknown(cause error) error {
	if !errors.Is(cause, storage.ErrUnknown) {
		cause = fmt.Errorf("%w: %w", storage.ErrUnknown, cause)
	}
	e.stop(fmt.Errorf("engine: a commit has an unknown outcome, restart to recover: %w", cause))
	return cause
}

// stop makes Run return err at once. The first reason stays.
func (e *Engine) stop(err error) {
	e.stopOnce.Do(func() {
		e.log.Error("stopping", "event", "engine.stop", "cause", err)
		e.fatal <- err // buffered; whoever reads it may end the process at once
	})
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
