package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

const (
	// claimAtOnce is how many due jobs one commit takes.
	claimAtOnce = 64
	// laneFull is for how long a job is put off whose lane has enough waiting.
	laneFull = 30 * time.Second
	// idle is how long Run sleeps when no job is due.
	idle = time.Minute
)

// Run does the work half until ctx is done, then lets the running steps end
// (at most for Config.Drain) and returns nil. It returns an error when the
// process should end at once because the store cannot be trusted any more.
func (e *Engine) Run(ctx context.Context) error {
	// Steps outlive ctx by the drain window: a step that has asked a CA wants
	// to store the answer.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	if err := e.prepareRun(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			err = nil // stopped before it had begun
		}
		return e.reason(err)
	}
	e.lanes.start(work)
	e.startOnce.Do(func() { close(e.started) })
	looking, lookAway := context.WithCancel(ctx)
	looked := e.watchCAs(looking)
	err := e.dispatchUntil(ctx)
	e.lanes.close()
	lookAway()
	looked()
	close(e.away)
	if err != nil {
		cut() // nothing can be stored any more
	}
	if !e.drain() {
		cut()
		e.log.Warn("steps were cut off; the next start resumes them", "event", "engine.drain_timeout", "after", e.cfg.Drain)
		e.lanes.running.Wait()
	}
	return e.reason(err)
}

// reason returns err, or else why the process has to end at once, if it has
// to: that may have turned up while the last steps ended.
func (e *Engine) reason(err error) error {
	if err == nil {
		select {
		case err = <-e.fatal:
		default:
		}
	}
	return err
}

// prepareRun does what has to be done before the first step.
func (e *Engine) prepareRun(ctx context.Context) error {
	if err := e.rescue(ctx); err != nil {
		return fmt.Errorf("engine: rescue jobs of an earlier run: %w", err)
	}
	if err := e.recall(ctx); err != nil {
		return fmt.Errorf("engine: recall what CAs were taken for: %w", err)
	}
	if err := e.schedulePublications(ctx); err != nil {
		return fmt.Errorf("engine: schedule publications: %w", err)
	}
	return nil
}

// ReleaseHolds lets every answer go that waits for the work half, and makes no
// further one wait: a stopping server wants its requests to end, not to be cut
// off.
func (e *Engine) ReleaseHolds() { e.watchers.release() }

// Started is closed once Run is at work.
func (e *Engine) Started() <-chan struct{} { return e.started }

// Depth returns how many steps wait for their turn and how many run.
func (e *Engine) Depth() (waiting, running int) { return e.lanes.depth() }

func (e *Engine) drain() bool {
	done := make(chan struct{})
	go func() {
		e.lanes.running.Wait()
		close(done)
	}()
	t := time.NewTimer(e.cfg.Drain)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// dispatchUntil takes due jobs and hands them to the lanes.
func (e *Engine) dispatchUntil(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-e.fatal:
			return err
		case <-e.wake:
		case <-t.C:
		}
		pause, err := e.dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			e.log.Error("cannot take due jobs", "event", "engine.dispatch", "cause", err)
			pause = 5 * time.Second
		}
		t.Reset(pause)
	}
}

// dispatch claims what is due and returns how long nothing more will be.
func (e *Engine) dispatch(ctx context.Context) (time.Duration, error) {
	for {
		claimed, more, err := e.claim(ctx)
		if err != nil {
			return 0, err
		}
		for _, j := range claimed {
			e.meet(j, "")
		}
		for _, j := range claimed {
			e.launch(j)
		}
		if !more {
			return e.untilNext(ctx)
		}
	}
}

func (e *Engine) untilNext(ctx context.Context) (pause time.Duration, err error) {
	pause = idle
	err = e.view(ctx, func(tx storage.Tx) error {
		due, ok, err := tx.Jobs().Next()
		if err == nil && ok {
			pause = min(idle, max(due.Sub(e.now()), 10*time.Millisecond))
			if e.now().Sub(due) > time.Minute {
				pause = time.Second // a job that cannot be taken must not keep us busy
			}
		}
		return err
	})
	return pause, err
}

// claim leases jobs that are due to this run.
func (e *Engine) claim(ctx context.Context) (claimed []storage.Job, more bool, err error) {
	var due []storage.Job
	err = e.view(ctx, func(tx storage.Tx) error {
		var err error
		due, err = tx.Jobs().Due(e.now(), claimAtOnce)
		return e.leaveOut(err)
	})
	if err != nil || len(due) == 0 {
		return nil, false, err
	}
	// What is still being stepped here keeps its lease; the others are taken.
	postponed := 0
	held := map[storage.JobID]bool{}
	for _, j := range due {
		held[j.ID] = !e.inflight.take(string(j.ID))
	}
	err = e.commit(ctx, func(tx storage.Tx) error {
		claimed, postponed = nil, 0
		now := e.now()
		for _, j := range due {
			stored, err := tx.Jobs().Get(j.ID)
			if errors.Is(err, storage.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if stored.Parked != "" || stored.Due.After(now) {
				continue
			}
			switch {
			case held[j.ID] && stored.Lease.Holder != e.cfg.Holder:
				// Its step has just given it back and is about to let go; it
				// nudges when it has, and then the job is taken.
				continue
			case !held[j.ID] && !e.lanes.room(laneOf(stored), stored.Account):
				// Out of the way of the work of other lanes.
				stored.Due, stored.Lease = now.Add(laneFull), storage.Lease{}
				if err := tx.Jobs().Put(stored); err != nil {
					return err
				}
				postponed++
				continue
			case !held[j.ID]:
				stored.Attempt++
			}
			batch := stored.Lease.Batch
			e.lease(&stored, now)
			if held[j.ID] {
				stored.Lease.Batch = batch
			}
			if err := tx.Jobs().Put(stored); err != nil {
				return err
			}
			if !held[j.ID] {
				claimed = append(claimed, stored)
			}
		}
		return nil
	}, failpoint.Claim)
	mine := map[storage.JobID]bool{}
	if err == nil {
		for _, j := range claimed {
			mine[j.ID] = true
		}
	} else {
		claimed = nil
	}
	for id, h := range held {
		if !h && !mine[id] {
			e.inflight.release(string(id))
		}
	}
	return claimed, len(due) == claimAtOnce && len(claimed)+postponed > 0, err
}

// leaveOut takes jobs that cannot be read out of the way of the others (SS-9,
// SS-15), and complains of each of them once.
func (e *Engine) leaveOut(err error) error {
	if !errors.Is(err, storage.ErrDamaged) {
		return err
	}
	if text := err.Error(); text != e.damaged {
		e.damaged = text
		e.log.Error("a stored job is damaged and left out; check the database and restore a backup", "event", "job.damaged", "cause", text)
	}
	return nil
}

// lease makes j ours until the lease ends, when it is due again by itself.
func (e *Engine) lease(j *storage.Job, now time.Time) {
	j.Lease = storage.Lease{Holder: e.cfg.Holder, Until: now.Add(e.cfg.Lease)}
	j.Due = j.Lease.Until
}

// launch queues the step of a job that is leased to this run and taken in
// e.inflight.
func (e *Engine) launch(j storage.Job) {
	e.lanes.add(laneOf(j), j.Account, func(ctx context.Context) {
		defer e.nudge()
		defer e.inflight.release(string(j.ID))
		e.step(ctx, j)
	})
}

func laneOf(j storage.Job) string {
	switch {
	case j.Kind == storage.JobValidate:
		return laneValidate
	case j.Backend != "":
		return "backend " + j.Backend
	default:
		return laneHousework
	}
}

// nudge makes Run look for due jobs.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
