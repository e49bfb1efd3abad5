package sectigo

import (
	"sync"
	"time"
)

// crowd counts the batches that are waited for, so that a thousand of them ask
// no more of the CA than a hundred: their pauses grow with their number. Young
// ones are counted apart, so that they do not wait for those that wait for days.
type crowd struct {
	mu     sync.Mutex
	open   map[int64]waiting
	pruned time.Time
}

// waiting is a batch that was not done when it was last looked at.
type waiting struct {
	since, seen time.Time
	// swapped is when its archive was first that of another batch.
	swapped time.Time
}

const (
	// youth is how long a batch may be expected to be done any moment.
	youth = 10 * time.Minute
	// share is the least time between two looks at any batches of one age.
	share = time.Second
	// forgotten is when a batch that is not asked for any more leaves the crowd;
	// no pause is longer.
	forgotten = 2 * time.Hour
)

// stays notes that a batch is waited for and returns the least pause before the
// next look at it.
func (c *crowd) stays(batch int64, since, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[int64]waiting{}
	}
	c.open[batch] = waiting{since, now, c.open[batch].swapped}
	n := 0
	prune := now.Sub(c.pruned) > youth
	for id, w := range c.open {
		if prune && now.Sub(w.seen) > forgotten {
			delete(c.open, id)
			continue
		}
		if (now.Sub(w.since) < youth) == (now.Sub(since) < youth) {
			n++
		}
	}
	if prune {
		c.pruned = now
	}
	return time.Duration(n) * share
}

// swapped notes that the archive of a batch was that of another one, and returns
// for how long it has been.
func (c *crowd) swapped(batch int64, since, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[int64]waiting{}
	}
	w := c.open[batch]
	if w.swapped.IsZero() {
		w.swapped = now
	}
	w.since, w.seen = since, now
	c.open[batch] = w
	return now.Sub(w.swapped)
}

// leaves notes that a batch is done.
func (c *crowd) leaves(batch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, batch)
}
