package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// errLeaseLost says that a job was given to somebody else, or is gone, while
// its step was under way. The step's result is dropped, but for what was
// bought: whoever has the job now finds out the same.
var errLeaseLost = errors.New("engine: the job is no longer ours")

// step does one job once. What the step itself did not settle is tried again
// later, and parked when it never works (SS-15).
func (e *Engine) step(ctx context.Context, j storage.Job) {
	err := e.attempt(ctx, j)
	switch {
	case err == nil, errors.Is(err, errLeaseLost), errors.Is(err, storage.ErrUnknown):
		return
	case ctx.Err() != nil:
		return // cut off by a stop; the lease brings the job back
	}
	e.Counters.StepFailures.Add(1)
	e.log.Error("step failed", "event", "step.failed", "job", j.ID, "kind", j.Kind, "account", j.Account,
		"backend", j.Backend, "attempt", j.Attempt, "cause", err)
	if err := e.stumble(ctx, j, err); err != nil && !errors.Is(err, errLeaseLost) {
		e.log.Error("cannot reschedule", "event", "step.failed", "job", j.ID, "cause", err)
	}
}

// attempt runs the step of j's kind and contains its panic.
func (e *Engine) attempt(ctx context.Context, j storage.Job) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	switch j.Kind {
	case storage.JobValidate:
		return e.stepValidate(ctx, j)
	case storage.JobSubmit:
		return e.stepSubmit(ctx, j)
	case storage.JobApprove:
		return e.stepApprove(ctx, j)
	case storage.JobPoll:
		return e.stepPoll(ctx, j)
	case storage.JobExpire:
		return e.stepExpire(ctx, j)
	case storage.JobRevoke:
		return e.stepRevoke(ctx, j)
	case storage.JobPublish:
		return e.stepPublish(ctx, j)
	case storage.JobCancel:
		return e.stepCancel(ctx, j)
	case storage.JobMember:
		return e.stepMember(ctx, j)
	default:
		return fmt.Errorf("engine: job %s is of unknown kind %q", j.ID, j.Kind)
	}
}

// ours returns the stored job if it is still leased to this run.
func (e *Engine) ours(tx storage.Tx, j storage.Job) (storage.Job, error) {
	stored, err := tx.Jobs().Get(j.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return stored, errLeaseLost
	}
	// A request that another step is sending along with its own is that one's.
	if err == nil && (stored.Lease.Holder != e.cfg.Holder || stored.Lease.Batch != j.Lease.Batch || stored.Kind != j.Kind) {
		err = errLeaseLost
	}
	return stored, err
}

// stumble puts a failed job back, later each time, or parks it.
func (e *Engine) stumble(ctx context.Context, j storage.Job, cause error) error {
	return e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, j)
		if err != nil {
			return err
		}
		stumbled(&stored, cause)
		if stored.Failures >= e.cfg.MaxAttempts && parks(stored.Kind) && !patient(cause) {
			return e.park(tx, stored, fmt.Sprintf("failed %d times, last with: %s", stored.Failures, clip(cause.Error(), 300)))
		}
		stored.Lease = storage.Lease{}
		stored.Due = e.now().Add(e.pauseAfter(cause, stored.Failures))
		return tx.Jobs().Put(stored)
	}, failpoint.Reschedule)
}

// stumbled notes on a job why its step got nowhere.
func stumbled(j *storage.Job, cause error) {
	j.LastError, j.Credentials = clip(cause.Error(), 1024), errors.Is(cause, backends.ErrCredentials)
	j.Stopped = j.Stopped || j.Kind == storage.JobSubmit && (j.Credentials || errors.Is(cause, backends.ErrExhausted))
	j.Failures++
}

// parks says whether a job that never works waits for a person in the end. A
// revocation, its publication and the end of a member do not: they are tried,
// and complained of, until they work (R8555-7.6-13). Nor does a poll: asking costs nothing, and a CA
// that is down for a night should not need a person for each order; its
// deadline ends it. See patient for submissions.
func parks(k storage.JobKind) bool {
	return k != storage.JobRevoke && k != storage.JobPublish && k != storage.JobPoll && k != storage.JobMember
}

// patient says whether what failed may be tried for as long as there is time,
// because trying costs nothing: a request that did not leave us, or a question
// whether an earlier one has arrived. A CA that is away for a night, or has no
// balance until Monday, should not need a person for each order.
func patient(cause error) bool {
	var l lookUpError
	return backends.IsNotSent(cause) || errors.As(cause, &l)
}

// lookUpError: nobody can tell at the moment whether the CA has a request.
type lookUpError struct{ error }

func (l lookUpError) Unwrap() error { return l.error }

// park takes a job out of the queue until a person decides.
func (e *Engine) park(tx storage.Tx, j storage.Job, why string) error {
	e.Counters.Parked.Add(1)
	e.log.Error("parked: a person has to decide", "event", "job.parked", "job", j.ID, "kind", j.Kind,
		"account", j.Account, "backend", j.Backend, "cause", why)
	j.Parked, j.Lease = why, storage.Lease{}
	return tx.Jobs().Put(j)
}

// backoff is 2 s, doubled with each attempt, and never more than 10 minutes.
func backoff(attempt int) time.Duration {
	return min(2*time.Second<<min(attempt, 16), 10*time.Minute)
}

// pauseAfter is backoff, or what the CA asks for in err when that is longer. No
// CA may ask for more than an hour (SC-15).
func (e *Engine) pauseAfter(err error, attempt int) time.Duration {
	pause := backoff(attempt)
	if asked := backends.PauseAsked(err); asked > 0 {
		// Later than asked by up to a half, and never earlier.
		pause = max(pause, e.jitter(min(asked, time.Hour)*5/4))
	}
	return pause
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
