//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The tests here change what the whole process does at its points, so they run
// one after the other.

var probe = Write{"FP-T1", "FP-T2"}

const childVariable = "ACMEBRIDGE_TEST_FAILPOINT_CHILD"

// TestMain lets this program be started again as the process that a point
// kills.
func TestMain(m *testing.M) {
	if spec := os.Getenv(childVariable); spec != "" {
		if err := Setup(spec); err != nil {
			os.Exit(3)
		}
		_ = Around(probe, func() error {
			_, err := os.Stdout.WriteString("written\n")
			return err
		})
		os.Exit(4) // what was to be killed lives
	}
	os.Exit(m.Run())
}

func setup(t *testing.T, spec string) {
	t.Helper()
	if err := Setup(spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = Setup("") })
}

func TestAround(t *testing.T) {
	fails := errors.New("the write failed")
	for _, c := range []struct {
		spec           string
		write          error
		wantDone       bool
		wantInjected   bool
		wantWriteError bool
	}{
		{spec: "", wantDone: true},
		{spec: "FP-T1=off;FP-T2=off", wantDone: true},
		{spec: "FP-X=error", wantDone: true},
		{spec: "FP-T1=error", wantInjected: true},
		{spec: "FP-T1=error-after", wantDone: true, wantInjected: true},
		{spec: "FP-T2=error", wantDone: true, wantInjected: true},
		{spec: "FP-T2=error-after", wantDone: true, wantInjected: true},
		// What did not happen is not reported as having happened.
		{spec: "FP-T1=error-after", write: fails, wantDone: true, wantWriteError: true},
		{spec: "FP-T2=error-after", write: fails, wantDone: true, wantWriteError: true},
	} {
		name := c.spec
		if c.write != nil {
			name += ", failing write"
		}
		t.Run(name, func(t *testing.T) {
			setup(t, c.spec)
			done := false
			err := Around(probe, func() error { done = true; return c.write })
			if done != c.wantDone {
				t.Errorf("the write ran: %t, want %t", done, c.wantDone)
			}
			if got := errors.Is(err, ErrInjected); got != c.wantInjected {
				t.Errorf("injected: %t, want %t (%v)", got, c.wantInjected, err)
			}
			if got := errors.Is(err, fails); got != c.wantWriteError {
				t.Errorf("the write's own error: %t, want %t (%v)", got, c.wantWriteError, err)
			}
		})
	}
}

func TestHit(t *testing.T) {
	for spec, want := range map[string]bool{
		"": false, "FP-T1=off": false, "FP-T2=error": false, "FP-T1=error": true, "FP-T1=error-after": true,
	} {
		setup(t, spec)
		if err := Hit("FP-T1"); errors.Is(err, ErrInjected) != want || (err != nil) != want {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// TestNth: a number means that hit and no other, in both spellings.
func TestNth(t *testing.T) {
	for _, spec := range []string{"FP-T1=error:2", "FP-T1=count:2:error"} {
		setup(t, spec)
		for hit := 1; hit <= 3; hit++ {
			if err := Hit("FP-T1"); (err != nil) != (hit == 2) {
				t.Errorf("%s, hit %d: %v", spec, hit, err)
			}
		}
	}
}

func TestPanic(t *testing.T) {
	setup(t, "FP-T1=panic")
	done := false
	defer func() {
		if r := recover(); r != "failpoint FP-T1" {
			t.Errorf("recovered %v", r)
		}
		if done {
			t.Error("the write ran before the panic in front of it")
		}
	}()
	_ = Around(probe, func() error { done = true; return nil })
}

func TestStall(t *testing.T) {
	setup(t, "FP-T1=stall:250ms")
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		done := false
		err := Around(probe, func() error { done = true; return nil })
		if took := time.Since(begun); took != 250*time.Millisecond || !done || err != nil {
			t.Errorf("took %v, done %t, %v", took, done, err)
		}
	})
}

// TestKill: nothing of the process is left, and the write has happened exactly
// when the point is behind it.
func TestKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{"FP-T1=kill": "", "FP-T2=kill": "written\n"} {
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), childVariable+"="+spec)
		out, err := child.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s: the process ended with %v, want SIGKILL", spec, err)
		}
		if string(out) != want {
			t.Errorf("%s: it wrote %q, want %q", spec, out, want)
		}
	}
}

func TestSetupRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		"FP-T1":                "is not POINT=ACTION",
		"FP-T1=explode":        "is no action",
		"FP-T1=kill:0":         "bad count",
		"FP-T1=kill:x":         "bad count",
		"FP-T1=stall":          "invalid duration",
		"FP-T1=count:3":        "wants an action after the count",
		"FP-T1=count:-1:kill":  "bad count",
		"FP-T1=off;FP-T2=kil:": "is no action",
	} {
		if err := Setup(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
	}
	if err := Setup(" FP-T1=off ; ;"); err != nil {
		t.Errorf("spaces and empty items: %v", err)
	}
}
