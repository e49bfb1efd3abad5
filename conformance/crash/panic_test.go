package crash_test

import (
	"fmt"
	"testing"

	"acmebridge/internal/failpoint"
)

// TestPanic has the program panic at every point once (SP-15). Beside a write
// that is an outcome nobody knows, like an error there: the process ends and
// recovers. Anywhere else it harms one request or one step.
func TestPanic(t *testing.T) {
	t.Parallel()
	eachPoint(t, func(t *testing.T, issue string, at failpoint.Point, w *failpoint.Write) {
		spec := fmt.Sprintf("%s=panic:1", at)
		s, l := liveWith(t, issue, spec, w)
		p := s.aimed(spec)
		if p.failpoints != spec {
			t.Fatalf("no process had %s", spec)
		}
		want := -1
		if w != nil {
			want = 75
		}
		if code := exitCode(p); code != want {
			t.Errorf("the process with %s ended with %d, want %d (-1: not at all)", spec, code, want)
		}
		if at == failpoint.FinalizeParsed && l.member.refused != 1 {
			t.Errorf("%d requests were answered with a failure, want the one", l.member.refused)
		}
	})
}
