package memory

import (
	"context"
	"sync"
	"sync/atomic"

	"acmebridge/storage"
)

// Store keeps records until it is closed. Make one with New.
type Store struct {
	writing sync.Mutex            // held by the one Update that runs
	current atomic.Pointer[state] // what was committed last; nil once closed
}

var _ storage.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	s := new(Store)
	s.current.Store(new(state))
	return s
}

// View runs fn over the state as it is now.
func (s *Store) View(ctx context.Context, fn func(storage.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := s.current.Load()
	if now == nil {
		return storage.ErrClosed
	}
	t := &tx{state: *now}
	defer t.end()
	return fn(t)
}

// Update runs fn over a copy of the state, which takes the place of the state
// when fn succeeds.
func (s *Store) Update(ctx context.Context, fn func(storage.Tx) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	now := s.current.Load()
	if now == nil {
		return storage.ErrClosed
	}
	t := &tx{state: *now, writable: true}
	defer t.end()
	if err := fn(t); err != nil {
		return err
	}
	next := t.state
	s.current.Store(&next)
	return nil
}

// Close waits for the Update that runs and forgets everything.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.current.Swap(nil) == nil {
		return storage.ErrClosed
	}
	return nil
}
