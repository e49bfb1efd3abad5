package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// What may be refused is refused in an order (SL-45): first new orders, which
// nobody has put anything into yet, then new accounts. What is under way goes
// on whatever the load: challenges, finalizations, reads, downloads and
// revocations end work rather than begin it.
//
// Three queues say how much there is: changes that wait for the disk,
// challenges that wait to be tried, and jobs that wait for one CA. The last one
// counts only for orders that would go to that CA (SC-14).

// mayBegin refuses new orders for a backend while there is too much to do.
func (e *Engine) mayBegin(ctx context.Context, backend string) *acme.Problem {
	if p := e.busy(1); p != nil {
		return p
	}
	limit := e.cfg.Limits.Queue
	if limit <= 0 || e.queues.of(ctx, e, backend, limit) < limit {
		return nil
	}
	return e.shed(30*time.Second, "so many orders wait for the CA of this profile that no more are taken for it now")
}

// busy refuses what is worth less than what the server is busy with: a higher
// worth is refused later.
func (e *Engine) busy(worth int64) *acme.Problem {
	if limit := int64(e.cfg.Limits.Commits); limit > 0 && e.committing.Load() >= limit*worth {
		return e.shed(10*time.Second, "more changes wait for the disk than it can take now")
	}
	if limit := int64(e.cfg.Limits.Queue); limit > 0 && int64(e.lanes.waitingIn(laneValidate)) >= limit*worth {
		return e.shed(30*time.Second, "more challenges wait to be tried than the server can try now")
	}
	return nil
}

// shed is the answer to whoever should come back later. Spread, so that they do
// not all come back in one second.
func (e *Engine) shed(wait time.Duration, why string) *acme.Problem {
	e.Counters.Shed.Add(1)
	return acme.Overloaded(e.jitter(wait), why)
}

// queues remember for a second how long the queue of each CA is: counting is
// cheap, but not for every order of a flood.
type queues struct {
	mu    sync.Mutex
	known map[string]*queueLength
}

type queueLength struct {
	counting sync.Mutex
	at       atomic.Int64 // when it was counted, in Unix nanoseconds
	n        atomic.Int64
}

const queueStays = time.Second

func (q *queues) of(ctx context.Context, e *Engine, backend string, limit int) int {
	q.mu.Lock()
	if q.known == nil {
		q.known = map[string]*queueLength{}
	}
	l := q.known[backend]
	if l == nil {
		l = &queueLength{}
		q.known[backend] = l
	}
	q.mu.Unlock()
	now := e.now().UnixNano()
	if age := now - l.at.Load(); age >= 0 && age < int64(queueStays) || !l.counting.TryLock() {
		return int(l.n.Load())
	}
	defer l.counting.Unlock()
	n := 0
	if err := e.view(ctx, func(tx storage.Tx) (err error) {
		n, err = tx.Jobs().Queued(backend, limit)
		return err
	}); err != nil {
		return int(l.n.Load()) // the order itself will find out
	}
	l.n.Store(int64(n))
	l.at.Store(now)
	return n
}
