package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
)

// TestLanesAreFair: an account with a thousand tasks does not keep another one
// waiting for more than a turn.
func TestLanesAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(1, 1)
		l.validations = 1
		var done []string
		add := func(who string, n int) {
			for range n {
				l.add(laneValidate, acme.AccountID(who), func(context.Context) {
					time.Sleep(time.Second)
					done = append(done, who)
				})
			}
		}
		add("greedy", 1000)
		add("modest", 2)
		l.start(t.Context())
		time.Sleep(5500 * time.Millisecond)
		l.close()
		l.running.Wait()
		if got := fmt.Sprint(done); got != "[greedy modest greedy modest greedy greedy]" {
			t.Errorf("the order of work was %s", got)
		}
		if waiting, running := l.depth(); waiting != 1000-4 || running != 0 {
			t.Errorf("%d wait and %d run after closing", waiting, running)
		}
	})
}

// TestLanesHaveRoomForOthers: an account that brings more dead hosts than there
// are places leaves half of them to others, who need not wait for a turn, and
// fills the queue for itself only (SV-11).
func TestLanesHaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(256, 1)
		var dead, live atomic.Int32
		for range 2000 {
			l.add(laneValidate, "hog", func(context.Context) {
				dead.Add(1)
				time.Sleep(time.Minute)
			})
		}
		l.start(t.Context())
		synctest.Wait()
		if n := dead.Load(); n != 512 {
			t.Errorf("%d validations of one account are under way, want 512", n)
		}
		if l.room(laneValidate, "hog") || !l.room(laneValidate, "other") {
			t.Error("there is room for those who fill the queue, or none for others")
		}
		for n := range 500 {
			l.add(laneValidate, acme.AccountID(fmt.Sprint(n)), func(context.Context) { live.Add(1) })
		}
		synctest.Wait()
		if n := live.Load(); n != 500 {
			t.Errorf("only %d of the others had their turn", n)
		}
		time.Sleep(10 * time.Minute)
		if n := dead.Load(); n != 2000 {
			t.Errorf("%d of the 2000 had their turn in the end", n)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.lanes[laneValidate].busy) != 0 {
			t.Errorf("accounts without a task are remembered: %v", l.lanes[laneValidate].busy)
		}
	})
}

// TestLanesAreBounded: so many at a time, and a lane that is full holds up
// itself only (SC-14).
func TestLanesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(8, 3)
		var running, most, finished atomic.Int32
		for i := range 100 {
			l.add("backend sick", acme.AccountID(fmt.Sprint(i)), func(context.Context) {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Minute)
				running.Add(-1)
			})
		}
		l.add("backend well", "a", func(context.Context) { finished.Add(1) })
		l.start(t.Context())
		synctest.Wait()
		if finished.Load() != 1 {
			t.Error("the other lane had to wait")
		}
		time.Sleep(time.Hour)
		if most.Load() != 3 {
			t.Errorf("%d ran at once, want 3", most.Load())
		}
		l.running.Wait()
	})
}
