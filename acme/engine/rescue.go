package engine

import (
	"context"
	"fmt"

	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// died is the last error of a job that an earlier run had in hand when it died.
const died = "the server died with this job in hand"

// rescue frees the jobs that an earlier run had leased when it died. The store
// is locked by this process, so no other run can still be at work on them; the
// steps themselves know how to go on from whatever the earlier run left.
//
// A rescue that is itself cut off leaves the rest for the next start.
func (e *Engine) rescue(ctx context.Context) error {
	for {
		var stale []storage.Job
		err := e.view(ctx, func(tx storage.Tx) error {
			var err error
			stale, _, err = tx.Jobs().LeasedByOthers(e.cfg.Holder, storage.Page{Limit: claimAtOnce})
			return e.leaveOut(err)
		})
		if err != nil || len(stale) == 0 {
			return err
		}
		err = e.commit(ctx, func(tx storage.Tx) error {
			for _, j := range stale {
				j.Lease, j.Due = storage.Lease{}, e.now()
				// A job that takes the process down with it never gets to fail.
				j.Failures++
				// Many failures may be ones that are not held against it, so it
				// takes two deaths in a row.
				again := j.LastError == died
				j.LastError, j.Credentials = died, false
				if again && j.Failures >= e.cfg.MaxAttempts && parks(j.Kind) {
					if err := e.park(tx, j, fmt.Sprintf("failed %d times; the last times %s", j.Failures, died)); err != nil {
						return err
					}
					continue
				}
				if err := tx.Jobs().Put(j); err != nil {
					return err
				}
			}
			return nil
		}, failpoint.Rescue)
		if err != nil {
			return err
		}
		for _, j := range stale {
			e.log.Info("resuming a job that an earlier run left", "event", "job.rescued", "job", j.ID, "kind", j.Kind, "attempt", j.Attempt)
		}
		e.Counters.Rescued.Add(int64(len(stale)))
	}
}
