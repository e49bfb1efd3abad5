//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled says whether this build contains failpoints.
const Enabled = true

// ErrInjected is what a point with an error action reports.
var ErrInjected = errors.New("failpoint: injected error")

// plan is what to do at one point.
type plan struct {
	action string
	nth    int // act at this hit only; 0 is every hit
	stall  time.Duration
	hits   int
}

// The plans are set once at start, before anything runs.
var (
	mu    sync.Mutex
	plans map[Point]*plan
)

// Setup reads a list of points and actions.
func Setup(spec string) error {
	next := map[Point]*plan{}
	for _, item := range strings.Split(spec, ";") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, action, ok := strings.Cut(item, "=")
		if !ok {
			return fmt.Errorf("failpoint: %q is not POINT=ACTION", item)
		}
		p, err := parse(action)
		if err != nil {
			return fmt.Errorf("failpoint: %s: %w", name, err)
		}
		next[Point(name)] = p
	}
	mu.Lock()
	defer mu.Unlock()
	plans = next
	return nil
}

func parse(s string) (*plan, error) {
	p := &plan{}
	if rest, ok := strings.CutPrefix(s, "count:"); ok {
		n, action, ok := strings.Cut(rest, ":")
		if !ok {
			return nil, fmt.Errorf("%q wants an action after the count", s)
		}
		var err error
		if p.nth, err = strconv.Atoi(n); err != nil || p.nth < 1 {
			return nil, fmt.Errorf("%q has a bad count", s)
		}
		s = action
	}
	action, arg, hasArg := strings.Cut(s, ":")
	p.action = action
	switch action {
	case "stall":
		var err error
		if p.stall, err = time.ParseDuration(arg); err != nil {
			return nil, err
		}
	case "kill", "panic", "error", "error-after", "off":
		if hasArg {
			var err error
			if p.nth, err = strconv.Atoi(arg); err != nil || p.nth < 1 {
				return nil, fmt.Errorf("%q has a bad count", s)
			}
		}
	default:
		return nil, fmt.Errorf("%q is no action (kill, panic, error, error-after, stall:DUR, off)", s)
	}
	return p, nil
}

// act counts a hit and carries out what does not return; the rest is the
// caller's.
func act(at Point) (action string) {
	mu.Lock()
	p := plans[at]
	if p == nil {
		mu.Unlock()
		return "off"
	}
	p.hits++
	due := p.nth == 0 || p.hits == p.nth
	mu.Unlock()
	if !due {
		return "off"
	}
	switch p.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way; nothing more may happen
	case "panic":
		panic("failpoint " + string(at))
	case "stall":
		time.Sleep(p.stall)
	}
	return p.action
}

// Hit acts at a point that has nothing to apply: both error actions report.
func Hit(at Point) error {
	switch act(at) {
	case "error", "error-after":
		return fmt.Errorf("%w at %s", ErrInjected, at)
	}
	return nil
}

// Around runs do, a durable write, between the two points of w.
func Around(w Write, do func() error) error {
	before := act(w.Before)
	if before == "error" {
		return fmt.Errorf("%w at %s, nothing applied", ErrInjected, w.Before)
	}
	if err := do(); err != nil {
		return err
	}
	if before == "error-after" {
		return fmt.Errorf("%w at %s, applied", ErrInjected, w.Before)
	}
	switch act(w.After) {
	case "error", "error-after":
		return fmt.Errorf("%w at %s, applied", ErrInjected, w.After)
	}
	return nil
}
