package acme

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// However often and however long a target is tried, what is kept of it is
// small, and the last attempt is whole.
func TestTrialsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var c Challenge
	var before []Trial
	for i := range 100 {
		out := Outcome{Problem: Problemf(Connection, "attempt %d: %s", i, strings.Repeat("x", 1000))}
		for j := range 60 {
			out.Steps = append(out.Steps, Step{Host: fmt.Sprintf("%d.%s", j, strings.Repeat("long.", 10)), Query: "A", Result: "line\nbreak\x1b[31m \u202e"})
		}
		if i == 3 {
			before = c.Trials
		}
		c.AddTrial(now.Add(time.Duration(i)*time.Second), out)
	}
	n := len(c.Trials)
	if n != 20 || !strings.HasPrefix(c.Trials[0].Detail, "attempt 0:") || !strings.HasPrefix(c.Trials[n-1].Detail, "attempt 99:") {
		t.Errorf("%d attempts are kept, from %q to %q", n, c.Trials[0], c.Trials[n-1])
	}
	last := c.Trials[n-1]
	if len(last.Steps) != 41 || last.Steps[40] != "and 20 further steps" || c.Trials[0].Steps != nil {
		t.Errorf("the last attempt has %d steps, ending with %q; the first has %d", len(last.Steps), last.Steps[len(last.Steps)-1], len(c.Trials[0].Steps))
	}
	if strings.ContainsFunc(last.String(), func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("control characters are kept: %q", last)
	}
	b, err := json.Marshal(c)
	if err != nil || len(b) > 24<<10 {
		t.Errorf("the record has %d bytes, %v", len(b), err)
	}
	if len(before) != 3 || len(before[2].Steps) == 0 {
		t.Error("the record that an attempt was added to has changed")
	}
}
