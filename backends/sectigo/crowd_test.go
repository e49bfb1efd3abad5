package sectigo

import (
	"testing"
	"time"
)

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
