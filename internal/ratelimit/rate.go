package ratelimit

import (
	"fmt"
	"strings"
	"time"
)

// Rate is how often something may be done: Count times at once, and as often
// again in each Per. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Bounded reports whether there is a limit at all.
func (r Rate) Bounded() bool { return r.Count > 0 }

// interval is the time after which one more is allowed.
func (r Rate) interval() int64 { return max(1, int64(r.Per)/int64(r.Count)) }

// String says the rate in words: "300 in 3h".
func (r Rate) String() string {
	if !r.Bounded() {
		return "no limit"
	}
	return fmt.Sprintf("%d in %s", r.Count, Short(r.Per))
}

// Short writes a duration without the parts that are zero: 3h, not 3h0m0s.
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
