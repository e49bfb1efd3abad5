package storagetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"acmebridge/storage"
)

func exit() { runtime.Goexit() }

var lifetimes = []testCase{
	{"lifetime/closed", closedRefuses},
	{"lifetime/closed under load", closedUnderLoad},
	{"lifetime/transaction ends with its function", transactionEnds},
}

func closedRefuses(t *testing.T, s storage.Store) {
	put(t, s, order(1))
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	ran := func(storage.Tx) error { t.Error("ran on a closed store"); return nil }
	if err := s.Update(t.Context(), ran); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Update: %v, want ErrClosed", err)
	}
	if err := s.View(t.Context(), ran); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("View: %v, want ErrClosed", err)
	}
}

// closedUnderLoad closes while others write: each of them is told the truth
// and none of them waits for ever.
func closedUnderLoad(t *testing.T, s storage.Store) {
	var wg sync.WaitGroup
	first := make(chan struct{}, 16)
	for range 16 {
		wg.Go(func() {
			for {
				err := s.Update(context.Background(), func(tx storage.Tx) error { return increment(tx, "n") })
				select {
				case first <- struct{}{}:
				default:
				}
				if errors.Is(err, storage.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("Update: %v", err)
					return
				}
			}
		})
	}
	<-first
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
}

func transactionEnds(t *testing.T, s storage.Store) {
	var kept storage.Tx
	uses := func() {
		t.Helper()
		_, get := kept.Orders().Get(orderID(1))
		_, _, list := kept.Orders().List(storage.Page{})
		_, _, by := kept.Orders().ByAccount(accountID(1), storage.Page{})
		_, _, next := kept.Jobs().Next()
		_, _, count := kept.Jobs().Count()
		_, used := kept.Accounts().KeyInUse(account(1).KeyHash)
		for _, err := range []error{get, list, by, next, count, used, kept.Orders().Put(order(2)), kept.Jobs().Delete(jobID(1))} {
			if !errors.Is(err, storage.ErrClosed) {
				t.Errorf("a transaction used after its function: %v, want ErrClosed", err)
			}
		}
	}
	put(t, s, everything(1)...)
	update(t, s, func(tx storage.Tx) error { kept = tx; return nil })
	uses()
	view(t, s, func(tx storage.Tx) error { kept = tx; return nil })
	uses()
	fails := errors.New("no")
	if err := s.Update(t.Context(), func(tx storage.Tx) error { kept = tx; return fails }); !errors.Is(err, fails) {
		t.Error(err)
	}
	uses()
}
