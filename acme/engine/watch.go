package engine

import (
	"context"
	"sync"
	"time"
)

// watchers let a held request wait for the work half to finish with a subject.
// Nothing is lost when nobody watches, or when the watcher comes too late: it
// looks at the store before and after it waits.
type watchers struct {
	released chan struct{} // closed when nobody shall wait any more
	once     sync.Once

	mu sync.Mutex
	of map[string]*watcher // guarded by mu; an entry lives as long as somebody waits
}

type watcher struct {
	done    chan struct{}
	waiting int
}

func newWatchers() *watchers {
	return &watchers{of: map[string]*watcher{}, released: make(chan struct{})}
}

func (w *watchers) release() { w.once.Do(func() { close(w.released) }) }

// watch begins to watch a subject. The caller calls cancel when it is through.
func (w *watchers) watch(subject string) (done <-chan struct{}, cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.of[subject]
	if x == nil {
		x = &watcher{done: make(chan struct{})}
		w.of[subject] = x
	}
	x.waiting++
	return x.done, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if x.waiting--; x.waiting == 0 && w.of[subject] == x {
			delete(w.of, subject)
		}
	}
}

// tell wakes everybody who watches a subject.
func (w *watchers) tell(subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x := w.of[subject]; x != nil {
		delete(w.of, subject)
		close(x.done)
	}
}

// wait waits for done, for the hold window to pass, for the client to leave, or
// for the server to stop.
func (w *watchers) wait(ctx context.Context, done <-chan struct{}, hold time.Duration) {
	if hold <= 0 {
		return
	}
	t := time.NewTimer(hold)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-ctx.Done():
	case <-w.released:
	}
}
