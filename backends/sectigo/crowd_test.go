package sectigo

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurnstile: a few at once, then two a second, however many want to go.
func TestTurnstile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := turnstile{every: 500 * time.Millisecond}
		for _, quiet := range []time.Duration{0, time.Hour} {
			time.Sleep(quiet)
			begun := time.Now()
			done := make(chan time.Duration, 100)
			for range 100 {
				go func() {
					if err := gate.pass(t.Context()); err != nil {
						t.Error(err)
					}
					done <- time.Since(begun)
				}()
			}
			passed := map[time.Duration]int{}
			for range 100 {
				passed[(<-done).Truncate(time.Second)]++
			}
			for second, n := range passed {
				if want := 2; n > want && second > 0 || second == 0 && n > atOnce+want {
					t.Errorf("%d passed in second %s", n, second)
				}
			}
			if len(passed) < 40 {
				t.Errorf("all passed within %d s", len(passed))
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if gate.pass(ended) == nil {
			t.Error("who has given up passed")
		}
		if begun := time.Now(); (&turnstile{}).pass(t.Context()) != nil || time.Since(begun) > 0 {
			t.Error("without a pace there was a pause")
		}
	})
}

// TestCrowd: pauses grow with the number of batches of one age, and what is not
// asked for any more does not count for ever.
func TestCrowd(t *testing.T) {
	t.Parallel()
	var c crowd
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old := now.Add(-24 * time.Hour)
	for id := range int64(1000) {
		if got := c.stays(id, old, now); got != time.Duration(id+1)*time.Second {
			t.Fatalf("%s for %d", got, id+1)
		}
	}
	if got := c.stays(7, old, now); got != 1000*time.Second {
		t.Errorf("the same again: %s", got)
	}
	if got := c.stays(5000, now, now); got != time.Second {
		t.Errorf("a young one among a thousand old ones: %s", got)
	}
	if got := c.stays(5000, now, now.Add(20*time.Minute)); got != 1001*time.Second {
		t.Errorf("when it has grown old: %s", got)
	}
	for id := range int64(990) {
		c.leaves(id)
	}
	if got := c.stays(5000, now, now.Add(20*time.Minute)); got != 11*time.Second {
		t.Errorf("of eleven: %s", got)
	}
	if got := c.stays(5000, now, now.Add(3*time.Hour)); got != time.Second {
		t.Errorf("when the others are forgotten: %s", got)
	}
}
