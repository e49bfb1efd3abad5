package crash_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/failpoint"
)

// eachPoint runs a test for each point that a life passes, with either kind of
// issuance.
func eachPoint(t *testing.T, fn func(t *testing.T, issue string, at failpoint.Point, w *failpoint.Write)) {
	t.Helper()
	all := everyPoint()
	for _, at := range slices.Sorted(maps.Keys(all)) {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			for _, issue := range []string{"inline", "queued"} {
				if silent(issue)[at] == "" {
					t.Run(issue, func(t *testing.T) {
						t.Parallel()
						fn(t, issue, at, all[at])
					})
				}
			}
		})
	}
}

// liveWith lives through a life in which spec acts on a point of w.
func liveWith(t *testing.T, issue, spec string, w *failpoint.Write) (*server, *life) {
	t.Helper()
	var r road
	if w != nil {
		r = roads(issue)[*w]
	}
	web := startResponder(t)
	s := startServer(t, program("server"), issue, web.port, r.plan(spec)...)
	l := newLife(s, web)
	l.restart, l.mayFail = r.restart, r.mayFail
	if err := l.live(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, l
}

// aimed returns the process that had the failpoint under test, ended or not.
func (s *server) aimed(spec string) *process {
	for _, p := range s.ends() {
		if p.failpoints == spec {
			return p
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// TestKill kills the server at every point in turn.
func TestKill(t *testing.T) {
	t.Parallel()
	eachPoint(t, func(t *testing.T, issue string, at failpoint.Point, w *failpoint.Write) {
		for hit := range max(1, repeated[at]) {
			spec := fmt.Sprintf("%s=kill:%d", at, hit+1)
			t.Run(fmt.Sprint(hit+1), func(t *testing.T) {
				t.Parallel()
				s, _ := liveWith(t, issue, spec, w)
				deaths := 0
				for _, p := range s.ends() {
					if p.killed() {
						deaths++
					}
					if p.failpoints == spec && !p.killed() {
						t.Errorf("the process ended with %v, not by %s", p.cmd.ProcessState, spec)
					}
				}
				if aimed := s.aimed(spec); aimed.failpoints != spec || deaths == 0 {
					t.Errorf("%s never fired; if that is right, give the point a row in silent or a road to it", spec)
				}
			})
		}
	})
}

// TestError has every write fail once, without effect and with, in such a way
// that its caller cannot tell which. The process has to end by itself with
// status 75, and soon (SS-4). A point that is not beside a write fails one
// request or step, and the process lives.
func TestError(t *testing.T) {
	t.Parallel()
	eachPoint(t, func(t *testing.T, issue string, at failpoint.Point, w *failpoint.Write) {
		actions := []string{"error"} // behind a write, error-after is the same
		if w != nil && at == w.Before {
			actions = append(actions, "error-after")
		}
		for _, action := range actions {
			t.Run(action, func(t *testing.T) {
				t.Parallel()
				spec := fmt.Sprintf("%s=%s:1", at, action)
				s, l := liveWith(t, issue, spec, w)
				p := s.aimed(spec)
				if p.failpoints != spec {
					t.Fatalf("no process had %s", spec)
				}
				if w == nil {
					survived(t, s, l, p, at)
					return
				}
				if code := exitCode(p); code != 75 {
					t.Fatalf("the process with %s ended with status %d, want 75", spec, code)
				}
				if !strings.Contains(p.text(), "outcome of the commit is unknown") {
					t.Errorf("the process does not say why it ended")
				}
				// Without that line it ended too soon for the line to be written.
				if stop, ok := p.event("engine.stop"); ok && p.ending.Sub(stop) > 5*time.Second {
					t.Errorf("it took %v to end", p.ending.Sub(stop))
				}
			})
		}
	})
}

// exitCode is -1 for a process that runs.
func exitCode(p *process) int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

func survived(t *testing.T, s *server, l *life, p *process, at failpoint.Point) {
	t.Helper()
	if n := len(s.ends()); n > 0 {
		t.Errorf("%d processes ended at a point that is not beside a write", n)
	}
	said := false
	for _, line := range p.lines() {
		// What is wrong at a CA is the message of its finding.
		said = said || strings.Contains(fmt.Sprint(line["cause"], line["msg"]), "injected error at "+string(at))
	}
	if !said {
		t.Errorf("the log does not have the injected error")
	}
	if at == failpoint.FinalizeParsed && l.member.refused != 1 {
		t.Errorf("%d requests were answered with a failure, want the one", l.member.refused)
	}
}

// TestSilent: the points that are said not to be passed are not.
func TestSilent(t *testing.T) {
	t.Parallel()
	for _, issue := range []string{"inline", "queued"} {
		t.Run(issue, func(t *testing.T) {
			t.Parallel()
			var specs []string
			for at, why := range silent(issue) {
				if why == "" {
					t.Errorf("%s is silent without a reason", at)
				}
				specs = append(specs, string(at)+"=kill")
			}
			s, _ := liveWith(t, issue, strings.Join(specs, ";"), nil)
			for _, p := range s.ends() {
				t.Errorf("process %d ended with %v: one of the points was passed", p.number, p.cmd.ProcessState)
			}
		})
	}
}
