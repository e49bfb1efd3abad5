package engine_test

import (
	"context"
	"errors"

	"acmebridge/storage"
)

// rerunning is a store that runs each change twice, and forgets what the first
// run wrote, as one does that found itself overtaken.
type rerunning struct{ storage.Store }

var errOvertaken = errors.New("overtaken")

func (s rerunning) Update(ctx context.Context, fn func(storage.Tx) error) error {
	err := s.Store.Update(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errOvertaken
	})
	if !errors.Is(err, errOvertaken) {
		return err
	}
	return s.Store.Update(ctx, fn)
}
