package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"acmebridge/acme"
	"acmebridge/storage"
)

func joined(errs ...error) error { return errors.Join(errs...) }

var failures = []testCase{
	{"failure/error leaves no trace", func(t *testing.T, s storage.Store) {
		leavesNoTrace(t, s, func(fn func(storage.Tx) error) {
			fails := errors.New("decided otherwise")
			err := s.Update(t.Context(), func(tx storage.Tx) error {
				if err := fn(tx); err != nil {
					return err
				}
				return fmt.Errorf("in the function: %w", fails)
			})
			if !errors.Is(err, fails) || errors.Is(err, storage.ErrUnknown) {
				t.Errorf("Update: %v, want the error of its function", err)
			}
		})
	}},
	{"failure/panic leaves no trace", func(t *testing.T, s storage.Store) {
		leavesNoTrace(t, s, func(fn func(storage.Tx) error) {
			type bang struct{ n int }
			defer func() {
				if p := recover(); p != (bang{7}) {
					t.Errorf("the caller of Update recovered %v, want the panic of its function", p)
				}
			}()
			err := s.Update(t.Context(), func(tx storage.Tx) error {
				if err := fn(tx); err != nil {
					t.Errorf("writing: %v", err)
				}
				panic(bang{7})
			})
			t.Errorf("Update returned %v after a panic", err)
		})
	}},
	{"failure/a goroutine that ends leaves no trace", func(t *testing.T, s storage.Store) {
		leavesNoTrace(t, s, func(fn func(storage.Tx) error) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = s.Update(context.Background(), func(tx storage.Tx) error {
					if err := fn(tx); err != nil {
						t.Errorf("writing: %v", err)
					}
					exit() // what t.Fatal does
					return nil
				})
			}()
			<-done
		})
	}},
	{"failure/neighbours are not harmed", neighboursAreNotHarmed},
	{"failure/cancelled before it runs", cancelledBefore},
	{"failure/cancelled while it waits", cancelledWaiting},
	{"failure/cancelled while it runs", cancelledRunning},
}

// everything is one record of each table, for n.
func everything(n int) []any {
	return []any{
		account(n), order(n), authorization(n), job(n), dueJob(100 + n), submission(n), certificate(n), chain(n), externalKey(n), registered(n), blockedKey(n), publication(n),
	}
}

// leavesNoTrace has an update write in every way there is and then fail. The
// store is as it was: every record, every index, every count.
func leavesNoTrace(t *testing.T, s storage.Store, failing func(fn func(storage.Tx) error)) {
	put(t, s, everything(1)...)
	put(t, s, everything(2)...)
	before := snapshot(t, s)
	failing(func(tx storage.Tx) error {
		a, o, z, j, sub, c, k := account(1), order(1), authorization(1), dueJob(1), submission(1), certificate(1), externalKey(1)
		a.KeyHash, a.Member = hash("swapped", 1), member(2)
		o.Account, o.Member = accountID(2), ""
		z.Status = acme.AuthorizationRevoked
		j.Due = at(500)
		sub.Key = "swapped"
		c.Revocation, c.NotAfter, c.Serial, c.KeyHash = nil, at(900), []byte{7}, hash("swapped", 2)
		k.Member = ""
		if err := joined(
			putAll(tx, a, o, z, j, sub, c, k), putAll(tx, a, o, z, j, sub, c, k), // twice over
			putAll(tx, everything(3)...), tx.Meta().Put("m", []byte("x")), tx.Meta().Put("m", []byte("y")),
			tx.Jobs().Delete(jobID(2)), tx.Jobs().Delete(jobID(102)), tx.Jobs().Put(dueJob(102)), tx.Jobs().Delete(jobID(101)), tx.Jobs().Delete(jobID(3)),
		); err != nil {
			return err
		}
		if all, _, err := tx.Orders().List(storage.Page{}); err != nil || len(all) != 3 {
			return fmt.Errorf("the update does not see its own order: %d, %w", len(all), err)
		}
		return nil
	})
	same(t, "the store after a failed update", snapshot(t, s), before)
	put(t, s, everything(3)...) // and still works
	view(t, s, func(tx storage.Tx) error {
		got, err := tx.Orders().Get(orderID(3))
		same(t, "an order after a failed update", got, order(3))
		return err
	})
}

// neighboursAreNotHarmed runs many updates at once, of which some fail in
// their own ways after writing to the same few places as all the others.
func neighboursAreNotHarmed(t *testing.T, s storage.Store) {
	const n = 48
	fails := errors.New("no")
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil && i%4 != 2 {
					t.Errorf("update %d panicked: %v", i, p)
				}
			}()
			err := s.Update(t.Context(), func(tx storage.Tx) error {
				o := order(i)
				o.Account = accountID(1)
				if err := joined(increment(tx, "n"), putAll(tx, o, dueJob(i), account(0), certificate(0)), tx.Jobs().Delete(jobID(i-1))); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return fails
				case 2:
					panic("no")
				}
				return nil
			})
			if (i%4 == 1) != errors.Is(err, fails) || (err != nil && !errors.Is(err, fails)) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := value(t, s, "n"); got != n/2 {
		t.Errorf("%d updates succeeded and added up to %d", n/2, got)
	}
	view(t, s, func(tx storage.Tx) error {
		for i := range n {
			if _, err := tx.Orders().Get(orderID(i)); isNotFound(err) != (i%4 == 1 || i%4 == 2) {
				t.Errorf("order %d: %v", i, err)
			}
		}
		got, err := pages(5, func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().ByAccount(accountID(1), p) })
		if len(got) != n/2 {
			t.Errorf("the account has %d orders, want %d", len(got), n/2)
		}
		all, _, err2 := tx.Jobs().Count()
		due, err3 := tx.Jobs().Due(farFuture, n)
		if len(due) != all {
			t.Errorf("%d jobs are due and %d counted", len(due), all)
		}
		return joined(err, err2, err3)
	})
}

func cancelledBefore(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(ctx, func(tx storage.Tx) error { return tx.Orders().Put(order(1)) }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want context.Canceled", err)
	}
	if err := s.View(ctx, func(tx storage.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v, want context.Canceled", err)
	}
	same(t, "the store", snapshot(t, s), nothing)
}

// trace checks that an update which was cancelled at some point either
// happened and said so, or did not and said so.
func trace(t *testing.T, s storage.Store, id acme.OrderID, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want nil or context.Canceled", err)
	}
	view(t, s, func(tx storage.Tx) error {
		if _, got := tx.Orders().Get(id); isNotFound(got) == (err == nil) {
			t.Errorf("Update returned %v and the order is there: %t", err, !isNotFound(got))
		}
		return nil
	})
}

func cancelledWaiting(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	inside, release := make(chan struct{}), make(chan struct{})
	var (
		once   sync.Once
		wg     sync.WaitGroup
		second error
	)
	wg.Go(func() {
		if err := s.Update(t.Context(), func(tx storage.Tx) error {
			once.Do(func() { close(inside) })
			<-release
			return tx.Orders().Put(order(1))
		}); err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	<-inside
	started := make(chan struct{})
	wg.Go(func() {
		close(started)
		second = s.Update(ctx, func(tx storage.Tx) error { return tx.Orders().Put(order(2)) })
	})
	<-started
	cancel()
	close(release)
	wg.Wait()
	trace(t, s, orderID(2), second)
	trace(t, s, orderID(1), nil)
}

func cancelledRunning(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx storage.Tx) error {
		cancel()
		return tx.Orders().Put(order(1))
	})
	trace(t, s, orderID(1), err)
}
