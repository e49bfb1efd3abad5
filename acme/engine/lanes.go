package engine

import (
	"container/list"
	"context"
	"strings"
	"sync"

	"acmebridge/acme"
)

// lanes run tasks, so many at a time in each lane, and within a lane one
// account after the other: an account that brings a thousand orders waits for
// its own, not everybody for it. A slow CA fills its own lane only (SC-14).
//
// The lane of validations is wide: a host that does not answer takes a place for
// as long as the time-out, and costs us little more than that place. How many
// connections may be open is not decided here (SV-11). One account may have half
// of it, so that its dead hosts leave places for the hosts of others.
type lanes struct {
	validations, calls int

	mu      sync.Mutex
	open    bool             // guarded by mu, like all below; closed lanes queue but start nothing
	closing bool             // no task starts any more, for good
	lanes   map[string]*lane // by name
	running sync.WaitGroup
	ctx     context.Context // of Run, handed to tasks
}

type lane struct {
	limit, running int
	perAccount     int // of limit
	busy           map[acme.AccountID]int
	waiting        int
	turns          *list.List // of *queue, each with at least one task
	queues         map[acme.AccountID]*list.Element
}

type queue struct {
	account acme.AccountID
	tasks   []task
}

// task is one run of one step.
type task func(context.Context)

// The lanes that do not belong to a backend.
const (
	laneValidate  = "validate"
	laneHousework = "housework"
	// laneAdvice and the name of a backend: questions that may wait, so that
	// they never stand in front of an order.
	laneAdvice = "advice "
)

// inTheMaking is how many validations may be under way for each connection that
// validations may have open.
const inTheMaking = 4

func newLanes(validations, calls int) *lanes {
	return &lanes{validations: validations * inTheMaking, calls: calls, lanes: map[string]*lane{}}
}

// ahead is how many tasks may wait in a lane before no more jobs are taken for
// it. A lane that is full is nobody's trouble but its own, and that of those who
// fill it.
const ahead = 256

// room reports whether a lane takes more of an account.
func (l *lanes) room(name string, account acme.AccountID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lanes[name]
	return ln == nil || ln.waiting < ahead || ln.queues[account] == nil
}

// start lets tasks run, with ctx.
func (l *lanes) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx, l.open = ctx, true
	for _, ln := range l.lanes {
		l.fill(ln)
	}
}

// close keeps further tasks from starting. What runs goes on; wait for it
// with running.Wait.
func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
}

// add queues a task.
func (l *lanes) add(name string, account acme.AccountID, t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lanes[name]
	if ln == nil {
		ln = &lane{limit: l.limit(name), turns: list.New(), queues: map[acme.AccountID]*list.Element{}, busy: map[acme.AccountID]int{}}
		ln.perAccount = ln.limit
		if name == laneValidate {
			ln.perAccount = max(1, ln.limit/2)
		}
		l.lanes[name] = ln
	}
	ln.waiting++
	if el := ln.queues[account]; el != nil {
		q := el.Value.(*queue)
		q.tasks = append(q.tasks, t)
	} else {
		ln.queues[account] = ln.turns.PushBack(&queue{account: account, tasks: []task{t}})
	}
	l.fill(ln)
}

func (l *lanes) limit(name string) int {
	switch {
	case name == laneValidate:
		return l.validations
	case name == laneHousework:
		return 2
	case strings.HasPrefix(name, laneAdvice):
		return 1
	default:
		return l.calls
	}
}

// fill starts what may be started. l.mu is held.
func (l *lanes) fill(ln *lane) {
	for l.open && !l.closing && ln.running < ln.limit {
		account, t, ok := ln.next()
		if !ok {
			return
		}
		ln.running++
		ln.busy[account]++
		l.running.Go(func() {
			defer func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				ln.running--
				if ln.busy[account]--; ln.busy[account] == 0 {
					delete(ln.busy, account)
				}
				l.fill(ln)
			}()
			t(l.ctx)
		})
	}
}

// next takes the first task of the account whose turn it is, and sends the
// account to the back. An account that has all that it may have is passed over.
func (ln *lane) next() (acme.AccountID, task, bool) {
	el := ln.turns.Front()
	for el != nil && ln.busy[el.Value.(*queue).account] >= ln.perAccount {
		el = el.Next()
	}
	if el == nil {
		return "", nil, false
	}
	q := el.Value.(*queue)
	ln.waiting--
	t := q.tasks[0]
	q.tasks = q.tasks[1:]
	if len(q.tasks) == 0 {
		ln.turns.Remove(el)
		delete(ln.queues, q.account)
	} else {
		ln.turns.MoveToBack(el)
	}
	return q.account, t, true
}

// waitingIn returns how many tasks wait in one lane.
func (l *lanes) waitingIn(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln := l.lanes[name]; ln != nil {
		return ln.waiting
	}
	return 0
}

// depth returns how many tasks wait and how many run.
func (l *lanes) depth() (waiting, running int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.lanes {
		running += ln.running
		waiting += ln.waiting
	}
	return waiting, running
}

// inflight are the jobs that a task of this process holds. It keeps a job from
// being stepped twice when its lease ends before its step does.
type inflight struct {
	mu   sync.Mutex
	jobs map[string]bool
}

// take reports whether the caller now holds the job.
func (f *inflight) take(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.jobs[id] {
		return false
	}
	if f.jobs == nil {
		f.jobs = map[string]bool{}
	}
	f.jobs[id] = true
	return true
}

func (f *inflight) release(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.jobs, id)
}
