package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
)

// request is an update on its way through the writer.
type request struct {
	place atomic.Int32 // waiting, then taken by the writer or left by its caller
	turn  chan *tx     // the writer lends the transaction; nil when it refuses
	back  chan result  // the caller gives it back
	done  chan error   // the group is committed, or not
}

const (
	waiting = iota
	taken
	left
)

// result is what became of a loan.
type result struct {
	state   state
	changes []entryChange
	wrote   bool
	broken  error // the transaction cannot be used any more
}

// Update queues for a place in the next commit and runs fn when its turn comes.
func (s *Store) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{turn: make(chan *tx, 1), back: make(chan result, 1), done: make(chan error, 1)}
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return s.ending()
	}
	var t *tx
	select {
	case t = <-r.turn:
	case <-ctx.Done():
		if r.leave() {
			return ctx.Err()
		}
		t = <-r.turn
	case <-s.ended:
		if r.leave() {
			return s.ending()
		}
		t = <-r.turn
	}
	if t == nil {
		return <-r.done
	}
	failed := run(ctx, r, t, fn)
	// What fn decided, it may have decided on what a neighbour wrote: neither
	// its success nor its error is told before that is on disk.
	if err := <-r.done; err != nil {
		return err
	}
	return failed
}

// leave takes a request out of the queue; the writer passes over it.
func (r *request) leave() bool { return r.place.CompareAndSwap(waiting, left) }

// run runs fn with the transaction on loan, and gives it back whatever fn
// does: return, fail, panic, or end its goroutine.
func run(ctx context.Context, r *request, t *tx, fn func(storage.Tx) error) (err error) {
	succeeded := false
	defer func() {
		res := result{wrote: succeeded && (len(t.undo) > 0 || len(t.changes) > 0)}
		if !succeeded {
			res.broken = t.takeBack()
		}
		t.ended = true
		res.state, res.changes = t.state, t.changes
		r.back <- res
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := fn(t); err != nil {
		return err
	}
	succeeded = true
	return nil
}

// write is the writer: the only goroutine that begins transactions that write,
// so bbolt's own lock is never waited for.
func (s *Store) write() {
	defer close(s.ended)
	for {
		select {
		case <-s.closing:
			s.refuseQueue(storage.ErrClosed)
			return
		case r := <-s.queue:
			if err := s.commitGroup(r); err != nil {
				s.refuseQueue(err)
			}
		}
	}
}

// refuseQueue answers what waits in the queue now.
func (s *Store) refuseQueue(err error) {
	for {
		select {
		case r := <-s.queue:
			r.refuse(err)
		default:
			return
		}
	}
}

func (r *request) refuse(err error) {
	if r.place.CompareAndSwap(waiting, taken) {
		r.done <- err
		r.turn <- nil
	}
}

// ending is what an update is told that came when the writer had ended.
func (s *Store) ending() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	return storage.ErrClosed
}

// commitGroup runs the first update and those that queue meanwhile, commits,
// and tells all of them. It returns an error when the store is of no more use.
func (s *Store) commitGroup(first *request) error {
	s.mu.Lock()
	failed, now := s.failed, s.durable.state
	s.mu.Unlock()
	if failed != nil {
		first.refuse(failed)
		return failed
	}
	btx, err := s.db.Begin(true)
	if err != nil {
		err = fmt.Errorf("storage/bolt: begin a transaction: %w", err)
		first.refuse(err)
		return nil
	}
	var (
		group   []*request
		changes []entryChange
		wrote   bool
		broken  error
	)
	for r := first; r != nil && broken == nil; r = s.following(len(group)) {
		if !r.place.CompareAndSwap(waiting, taken) {
			continue // its caller has left
		}
		group = append(group, r)
		r.turn <- begin(btx, now, true)
		res := <-r.back
		now, broken = res.state, res.broken
		changes = append(changes, res.changes...)
		wrote = wrote || res.wrote
	}
	switch {
	case broken != nil:
		err = errors.Join(broken, btx.Rollback()) // nothing was written, and that is known
	case !wrote:
		err = btx.Rollback()
	default:
		err = s.commit(btx, now, changes)
	}
	for _, r := range group {
		r.done <- err
	}
	if errors.Is(err, storage.ErrUnknown) {
		return s.ending()
	}
	return nil
}

// following returns the next request for the group, if one is there. Callers
// that were told of the last commit just now may be about to come back, and
// others may be on their way here, so they get some chances to run; that is no
// wait when there are none, and under load it makes groups larger and the
// bytes written for each update fewer.
func (s *Store) following(size int) *request {
	if size >= s.maxBatch {
		return nil
	}
	for range 1 + chances {
		select {
		case r := <-s.queue:
			return r
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// chances is how often the writer lets others run before it commits.
const chances = 8

// commit makes a group durable. An error means that nobody knows (SS-4): bbolt
// reports the failed sync of a page that is written all the same.
func (s *Store) commit(btx *bbolt.Tx, now state, changes []entryChange) error {
	if err := writeState(btx, &now, changes, s.foldAt); err != nil {
		return errors.Join(fmt.Errorf("storage/bolt: write the index log: %w", err), btx.Rollback())
	}
	next := version{btx.ID(), now}
	s.mu.Lock()
	s.upcoming = next
	s.mu.Unlock()

	err := btx.Commit()
	if err != nil {
		_ = btx.Rollback() // gives up bbolt's lock where Commit did not; its error says nothing new
	}

	s.mu.Lock()
	if err == nil {
		s.durable = next
	} else {
		s.failed = fmt.Errorf("%w: the commit of %s failed (%v); end the process, look at the disk, and start again", storage.ErrClosed, s.path, err) //nolint:errorlint // later updates are refused, and not of unknown outcome
	}
	s.known.Broadcast()
	s.mu.Unlock()

	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: commit to %s: %w", storage.ErrUnknown, s.path, err)
	if s.onUnknown != nil {
		s.onUnknown(err)
	}
	return err
}
