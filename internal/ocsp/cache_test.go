package ocsp

import (
	"fmt"
	"testing"
)

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(10)
	for i := range 100 {
		c.put(fmt.Sprint(i), &entry{})
		if c.get(fmt.Sprint(i)) == nil {
			t.Fatal("what was just put is not there")
		}
	}
	if n := len(c.all()); n != 10 {
		t.Errorf("%d answers are kept, want 10", n)
	}
	e := c.get("99")
	c.put("99", &entry{})
	if c.drop("99", e); c.get("99") == nil {
		t.Error("what took its place was dropped")
	}
}

// TestCacheKeepsWhatIsUsed: who asks for everything once pushes out little of what
// others ask for again and again.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	const most, used = 1000, 300
	c := newCache(most)
	for i := range used {
		e := &entry{}
		e.use()
		c.put(fmt.Sprint("used ", i), e)
	}
	for i := range 20 * most {
		c.put(fmt.Sprint(i), &entry{})
	}
	left := 0
	for i := range used {
		if c.get(fmt.Sprint("used ", i)) != nil {
			left++
		}
	}
	if left < used/2 {
		t.Errorf("%d of %d answers that are in use are left", left, used)
	}
}
