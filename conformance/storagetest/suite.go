package storagetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"acmebridge/storage"
)

// testCase is one thing that the contract promises.
type testCase struct {
	name string
	run  func(t *testing.T, s storage.Store)
}

// Run tries everything that the contract promises while a process lives. open
// returns a new, empty store each time.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Run("fixtures have no zero fields", fixturesAreFull)
	for _, c := range slices.Concat(roundTrips, lists, counts, jobCases, isolation, failures, lifetimes, models) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
					t.Errorf("Close: %v", err)
				}
			}()
			c.run(t, s)
		})
	}
}

// update commits fn or ends the test.
func update(t *testing.T, s storage.Store, fn func(tx storage.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// view reads with fn or ends the test.
func view(t *testing.T, s storage.Store, fn func(tx storage.Tx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// put commits each of the records, of whatever table.
func put(t *testing.T, s storage.Store, records ...any) {
	t.Helper()
	update(t, s, func(tx storage.Tx) error { return putAll(tx, records...) })
}
