package acme

import (
	"strconv"
	"strings"
	"time"
)

// Trial is one attempt at a challenge that did not prove it: what somebody has
// to see to find out why (R8555-8.2-2).
type Trial struct {
	At time.Time `cbor:"1,keyasint,omitzero"`
	// Type and Detail are those of the problem that it came to.
	Type   ProblemType `cbor:"2,keyasint,omitempty"`
	Detail string      `cbor:"3,keyasint,omitempty"`
	// Steps are what was done on the way, a line each, as a client may read
	// them.
	Steps []string `cbor:"4,keyasint,omitempty"`
}

// What a challenge keeps of its attempts, so that a record stays small whatever
// its target does.
const (
	maxTrials     = 20
	maxTrialSteps = 40
	maxTrialLine  = 300
	maxTrialBytes = 8 << 10
)

// AddTrial adds an attempt that failed. When there is too much, the steps of the
// earlier ones go first, the last being the one that people act on, and then the
// attempts in the middle.
func (c *Challenge) AddTrial(now time.Time, out Outcome) {
	t := Trial{At: now.Truncate(time.Second), Type: out.Problem.Type, Detail: line(out.Problem.Detail)}
	for i, s := range out.Steps {
		if i == maxTrialSteps {
			t.Steps = append(t.Steps, "and "+strconv.Itoa(len(out.Steps)-i)+" further steps")
			break
		}
		t.Steps = append(t.Steps, line(s.Told()))
	}
	trials := append(c.Trials[:len(c.Trials):len(c.Trials)], t)
	if n := len(trials); n > maxTrials {
		trials = append(trials[:maxTrials/2:maxTrials/2], trials[n-maxTrials/2:]...)
	}
	left := maxTrialBytes
	for i := len(trials) - 1; i >= 0; i-- {
		size := len(trials[i].Detail)
		for _, s := range trials[i].Steps {
			size += len(s)
		}
		if left -= size; left < 0 && i < len(trials)-1 {
			trials[i].Steps = nil
		}
	}
	c.Trials = trials
}

// line keeps a text on one line of bounded length.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxTrialLine {
		return s[:maxTrialLine] + "..."
	}
	return s
}

// String describes the attempt in one line.
func (t Trial) String() string {
	return strings.Join(append(t.Steps[:len(t.Steps):len(t.Steps)], t.Detail), "; ")
}
