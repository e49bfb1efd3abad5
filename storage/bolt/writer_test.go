//go:build linux

package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"acmebridge/storage"
)

// commits returns how many commits there were.
func commits(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable.txid
}

// queueBehind has n updates wait behind one whose function does not return
// until they do, and returns when all are through.
func queueBehind(t *testing.T, s *Store, n int, fn func(i int) func(storage.Tx) error) []error {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	if err := s.Update(t.Context(), func(storage.Tx) error {
		for i := range n {
			wg.Go(func() { errs[i] = s.Update(context.Background(), fn(i)) })
		}
		for len(s.queue) < n { // they are on their way; nothing else keeps them
			runtime.Gosched()
		}
		return nil
	}); err != nil {
		t.Errorf("Update: %v", err)
	}
	wg.Wait()
	return errs
}

func put1(i int) func(storage.Tx) error {
	return func(tx storage.Tx) error { return tx.Meta().Put(fmt.Sprint(i), []byte("x")) }
}

// TestOneCommitForAll: D6. What waits shares one commit, and the bound on it
// holds.
func TestOneCommitForAll(t *testing.T) {
	t.Parallel()
	for maxBatch, want := range map[int]int{0: 1, 1: 50, 10: 5} {
		s := open(t, t.TempDir(), func(c *Config) { c.MaxBatch = maxBatch })
		before := commits(s)
		for i, err := range queueBehind(t, s, 50, put1) {
			if err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		}
		// The first one shares the commit of the others when the bound lets it.
		if got := commits(s) - before; got < want || got > want+1 {
			t.Errorf("51 updates with a bound of %d took %d commits, want %d", maxBatch, got, want)
		}
		shut(t, s)
	}
}

// TestNothingToCommit: what wrote nothing, or failed, costs no wait for the disk.
func TestNothingToCommit(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	defer shut(t, s)
	before := commits(s)
	fails := errors.New("no")
	for i, err := range queueBehind(t, s, 10, func(i int) func(storage.Tx) error {
		return func(tx storage.Tx) error {
			if i%2 == 0 {
				_, _, err := tx.Orders().List(storage.Page{})
				return err
			}
			return errors.Join(tx.Meta().Put("m", []byte("x")), fails)
		}
	}) {
		if errors.Is(err, fails) != (i%2 == 1) {
			t.Errorf("update %d: %v", i, err)
		}
	}
	if got := commits(s) - before; got != 0 {
		t.Errorf("%d commits for updates without effect", got)
	}
}

// TestLeavesTheQueue: an update whose caller gave up is answered at once, not
// when its turn would have come.
func TestLeavesTheQueue(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	defer shut(t, s)
	if err := s.Update(t.Context(), func(storage.Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- s.Update(ctx, func(storage.Tx) error { t.Error("ran although its caller had left"); return nil })
		}()
		for len(s.queue) == 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Update: %v, want context.Canceled", err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestCommitFails: SS-4. Everybody whose answer hangs on the commit is told
// that nobody knows, those behind it are refused, OnUnknown is called once.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		files []*os.File
		calls atomic.Int32
		told  atomic.Value
	)
	s := open(t, t.TempDir(), func(c *Config) {
		c.MaxBatch = 10
		c.OnUnknown = func(err error) { calls.Add(1); told.Store(err) }
		c.openFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			mu.Lock()
			defer mu.Unlock()
			files = append(files, f)
			return f, err
		}
	})
	fails := errors.New("no")
	var unknown, refused int
	var wg sync.WaitGroup
	errs := make([]error, 20)
	first := s.Update(t.Context(), func(tx storage.Tx) error {
		for i := range errs {
			wg.Go(func() {
				errs[i] = s.Update(context.Background(), func(tx storage.Tx) error {
					if i%2 == 0 {
						return fails // perhaps because of what a neighbour wrote
					}
					return put1(i)(tx)
				})
			})
		}
		for len(s.queue) < len(errs) {
			runtime.Gosched()
		}
		mu.Lock()
		defer mu.Unlock()
		return errors.Join(tx.Meta().Put("m", nil), files[len(files)-1].Close()) // the disk is gone
	})
	wg.Wait()
	for _, err := range append(errs, first) {
		switch {
		case errors.Is(err, storage.ErrUnknown):
			unknown++
		case errors.Is(err, storage.ErrClosed):
			refused++
		default:
			t.Errorf("Update: %v", err)
		}
	}
	if unknown != 10 || refused != 11 {
		t.Errorf("%d unknown and %d refused, want 10 of the batch and 11", unknown, refused)
	}
	if calls.Load() != 1 || !errors.Is(told.Load().(error), storage.ErrUnknown) {
		t.Errorf("OnUnknown was called %d times, with %v", calls.Load(), told.Load())
	}
	ran := func(storage.Tx) error { t.Error("ran on a store that stopped"); return nil }
	for _, err := range []error{s.Update(t.Context(), ran), s.View(t.Context(), ran)} {
		if !errors.Is(err, storage.ErrClosed) || errors.Is(err, storage.ErrUnknown) || !strings.Contains(err.Error(), "end the process") {
			t.Errorf("after that: %v", err)
		}
	}
	_ = s.Close() // the file is closed already; that Close returns is enough
	select {
	case <-s.ended:
	default:
		t.Error("Close returned before the writer had ended")
	}
}

// TestViewIsNotAheadOfTheDisk: bbolt shows a commit before it is synced; a
// view that sees it waits until it is.
func TestViewIsNotAheadOfTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Store{durable: version{txid: 7}, upcoming: version{txid: 8, state: state{jobs: 1}}}
		s.known = sync.NewCond(&s.mu)
		if now, err := s.stateAt(7); err != nil || now.jobs != 0 {
			t.Errorf("what is durable: %+v, %v", now, err)
		}
		if _, err := s.stateAt(6); !errors.Is(err, errPassed) {
			t.Errorf("what is long gone: %v, want to be sent to begin anew", err)
		}
		for _, failed := range []error{nil, storage.ErrClosed} {
			var returned atomic.Bool
			var now state
			var err error
			go func() {
				now, err = s.stateAt(s.upcoming.txid)
				returned.Store(true)
			}()
			synctest.Wait()
			if returned.Load() {
				t.Error("a view ran on what is not on the disk")
			}
			s.mu.Lock()
			if s.failed = failed; failed == nil {
				s.durable = s.upcoming
			}
			s.known.Broadcast()
			s.mu.Unlock()
			synctest.Wait()
			if !returned.Load() || !errors.Is(err, failed) || failed == nil && now.jobs != 1 {
				t.Errorf("after the disk answered %v: returned %t with %+v, %v", failed, returned.Load(), now, err)
			}
			s.upcoming.txid++
		}
	})
}
