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

func newLanes(validations, calls int) *lanes {
	return &lanes{validations: validations, calls: calls, lanes: map[string]*lane{}}
}

// ahead is how many tasks may wait in a lane before no more jobs are taken for
// it. A lane that is full is nobody's trouble but its own.
const ahead = 256

// room reports whether a lane takes more.
func (l *lanes) room(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lanes[name]
	return ln == nil || ln.waiting < ahead
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
		ln = &lane{limit: l.limit(name), turns: list.New(), queues: map[acme.AccountID]*list.Element{}}
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
		t, ok := ln.next()
		if !ok {
			return
		}
		ln.running++
		l.running.Go(func() {
			defer func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				ln.running--
				l.fill(ln)
			}()
			t(l.ctx)
		})
	}
}

// next takes the first task of the account whose turn it is, and sends the
// account to the back.
func (ln *lane) next() (task, bool) {
	el := ln.turns.Front()
	if el == nil {
		return nil, false
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
	return t, true
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
