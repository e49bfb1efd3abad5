package main

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// step is a part of an order that is timed on its own.
type step int

const (
	stepNewOrder step = iota
	stepAuthorization
	stepChallenge
	stepPoll
	stepFinalize
	stepCertificate
	stepOrder // the whole of it
	steps
)

func (s step) String() string {
	return [steps]string{"newOrder", "authorization", "challenge", "poll", "finalize", "certificate", "order"}[s]
}

// recorder keeps the times of one client. Only that client writes to it, so it has no
// lock; microseconds in 32 bits keep a million orders in a few megabytes per step.
type recorder struct {
	times  [steps][]uint32
	done   []time.Duration // since the start of the run, one per finished order
	errors map[string]int
}

func newRecorder() *recorder { return &recorder{errors: map[string]int{}} }

func (r *recorder) add(s step, d time.Duration) {
	r.times[s] = append(r.times[s], uint32(min(d.Microseconds(), math.MaxUint32)))
}

// fail counts an error under where it happened and what it was, not its full text,
// which differs from order to order.
func (r *recorder) fail(s step, err error) { r.errors[s.String()+": "+kindOf(err)]++ }

func kindOf(err error) string {
	var p *problem
	var network *net.OpError
	switch {
	case errors.As(err, &p):
		return p.kind()
	case errors.Is(err, errInvalid):
		return "became invalid"
	case errors.Is(err, errWrongCertificate):
		return "wrong certificate"
	case errors.Is(err, errProtocol):
		return "unexpected answer"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "time-out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.As(err, &network):
		return "network " + network.Op
	}
	return err.Error()
}

// latency is in milliseconds, as people read it.
type latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func summarize(micros []uint32) latency {
	slices.Sort(micros)
	return latency{
		Count: len(micros),
		P50:   percentile(micros, 50),
		P90:   percentile(micros, 90),
		P99:   percentile(micros, 99),
		Max:   percentile(micros, 100),
	}
}

// percentile is the nearest-rank one: a time that really occurred. The slice is sorted.
func percentile(sorted []uint32, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return float64(sorted[max(rank, 1)-1]) / 1000
}

// windowSize is how many orders the comparison of start and end looks at.
const windowSize = 1000

// drift compares the speed of the first and the last orders: a server that slows down
// as its database grows, or that leaks, shows here. Below two windows, halves are compared.
type drift struct {
	Window int     `json:"window_orders"`
	First  float64 `json:"first_per_second"`
	Last   float64 `json:"last_per_second"`
	Ratio  float64 `json:"last_to_first"` // 1 means no change, 0.5 that it became half as fast
}

func driftOf(done []time.Duration) drift {
	slices.Sort(done)
	n := min(windowSize, len(done)/2)
	if n == 0 {
		return drift{}
	}
	d := drift{
		Window: n,
		First:  perSecond(n, done[n-1]),
		Last:   perSecond(n, done[len(done)-1]-done[len(done)-1-n]),
	}
	if d.First > 0 {
		d.Ratio = d.Last / d.First
	}
	return d
}

func perSecond(n int, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Seconds()
}
