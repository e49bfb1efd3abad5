package engine

import (
	"context"
	"fmt"

	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

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
				if j.Failures >= e.cfg.MaxAttempts && parks(j.Kind) {
					if err := e.park(tx, j, fmt.Sprintf("the server died %d times with this job in hand", j.Failures)); err != nil {
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
