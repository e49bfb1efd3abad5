package personas

import (
	"context"
	"time"
)

// Clock is the time of one story.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// realTime is the clock on the wall.
type realTime struct{}

func (realTime) Now() time.Time { return time.Now() }

func (realTime) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Hasty is a clock that keeps no pause longer than most while its own time goes the
// whole way: a persona that gives up after 90 seconds does so after as many polls as
// its client, only sooner.
func Hasty(most time.Duration) *HastyClock { return &HastyClock{most: most, begun: time.Now()} }

// HastyClock belongs to one story and is not safe for concurrent use.
type HastyClock struct {
	most, ahead time.Duration
	begun       time.Time
}

// Now is the time that would be if every pause had been kept.
func (c *HastyClock) Now() time.Time { return time.Now().Add(c.ahead) }

// Elapsed is how long the story would have taken.
func (c *HastyClock) Elapsed() time.Duration { return c.Now().Sub(c.begun) }

// Sleep waits for d or most, whichever is shorter.
func (c *HastyClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= c.most {
		return realTime{}.Sleep(ctx, d)
	}
	c.ahead += d - c.most
	return realTime{}.Sleep(ctx, c.most)
}
