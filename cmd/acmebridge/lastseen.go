package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/storage"
)

// backwards is how far the clock may have gone back since the last run (SS-23).
const backwards = time.Minute

const lastSeenName = "last_seen"

// checkClock compares the clock with that of the last run. The store remembers
// it from start and stop only: to write it down while running would cost
// commits and tell nothing that matters.
func checkClock(ctx context.Context, s storage.Store, now time.Time) (complaint string, err error) {
	err = s.View(ctx, func(tx storage.Tx) error {
		b, err := tx.Meta().Get(lastSeenName)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		last, err := time.Parse(time.RFC3339Nano, string(b))
		if err == nil && last.Sub(now) > backwards {
			complaint = fmt.Sprintf("the clock says %s, but an earlier run saw %s: correct the clock, or wait until it is later than that",
				now.UTC().Format(time.RFC3339), last.Format(time.RFC3339))
		}
		return nil
	})
	return complaint, err
}

// rememberClock stores the time, unless an earlier run saw a later one.
func rememberClock(ctx context.Context, s storage.Store, now time.Time) error {
	return s.Update(ctx, func(tx storage.Tx) error {
		b, err := tx.Meta().Get(lastSeenName)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if last, err := time.Parse(time.RFC3339Nano, string(b)); err == nil && last.After(now) {
			return nil
		}
		return tx.Meta().Put(lastSeenName, []byte(now.UTC().Format(time.RFC3339Nano)))
	})
}
