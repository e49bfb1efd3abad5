package storagetest

import (
	"errors"
	"sync"
	"testing"

	"acmebridge/storage"
)

// RunDurable tries what the contract promises of a store that outlives its
// process. open opens the store that is kept in dir, making it when there is
// none; each case has a dir of its own and opens one store at a time.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) storage.Store) {
	for _, c := range durableCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.run(t, func() storage.Store { return open(t, dir) })
		})
	}
}

var durableCases = []struct {
	name string
	run  func(t *testing.T, open func() storage.Store)
}{
	{"durable/everything is there again", everythingAgain},
	{"durable/failures are not", failuresAreNot},
	{"durable/counts go on", countsGoOn},
}

func closeStore(t *testing.T, s storage.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func everythingAgain(t *testing.T, open func() storage.Store) {
	s := open()
	for n := range known {
		put(t, s, everything(n)...)
	}
	update(t, s, func(tx storage.Tx) error { return tx.Jobs().Delete(jobID(3)) })
	want := snapshot(t, s)
	closeStore(t, s)
	for range 2 {
		s = open()
		same(t, "the store after reopening", snapshot(t, s), want)
		closeStore(t, s)
	}
}

func failuresAreNot(t *testing.T, open func() storage.Store) {
	s := open()
	fails := errors.New("no")
	var wg sync.WaitGroup
	for n := range known {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx storage.Tx) error {
				if err := putAll(tx, everything(n)...); err != nil {
					return err
				}
				if n%2 == 1 {
					return fails
				}
				return nil
			})
			if err != nil && !errors.Is(err, fails) {
				t.Errorf("Update: %v", err)
			}
		})
	}
	wg.Wait()
	closeStore(t, s)
	s = open()
	defer closeStore(t, s)
	view(t, s, func(tx storage.Tx) error {
		for n := range known {
			_, err := tx.Orders().Get(orderID(n))
			_, err2 := tx.Certificates().Get(certID(n))
			if want := n%2 == 1; isNotFound(err) != want || isNotFound(err2) != want {
				t.Errorf("order and certificate %d: %v, %v", n, err, err2)
			}
		}
		all, parked, err := tx.Jobs().Count()
		if all != known || parked != known/2 {
			t.Errorf("Count: %d, %d; want %d, %d", all, parked, known, known/2)
		}
		return err
	})
}

func countsGoOn(t *testing.T, open func() storage.Store) {
	for n := range 5 {
		s := open()
		put(t, s, job(n), dueJob(100+n))
		update(t, s, func(tx storage.Tx) error { return joined(increment(tx, "n"), tx.Jobs().Delete(jobID(100+n))) })
		view(t, s, func(tx storage.Tx) error {
			if all, parked, err := tx.Jobs().Count(); err != nil || all != n+1 || parked != n+1 {
				t.Errorf("after %d times: Count %d, %d, %v", n+1, all, parked, err)
			}
			return nil
		})
		if got := value(t, s, "n"); got != uint64(n+1) {
			t.Errorf("after %d times the counter is %d", n+1, got)
		}
		closeStore(t, s)
	}
}
