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
