package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestPercentilesAreNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]uint32, 100) // 100 ms down to 1 ms
	for i := range hundred {
		hundred[i] = uint32(100-i) * 1000
	}
	for _, c := range []struct {
		name   string
		micros []uint32
		want   latency
	}{
		{"none", nil, latency{}},
		{"one", []uint32{7000}, latency{1, 7, 7, 7, 7}},
		{"two", []uint32{9000, 1000}, latency{2, 1, 9, 9, 9}},
		{"a hundred", hundred, latency{100, 50, 90, 99, 100}},
	} {
		if got := summarize(c.micros); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestRecorderKeepsTheLongestTimesWithoutWrapping(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	r.add(stepOrder, 3*time.Hour)
	if got := r.times[stepOrder][0]; got != math.MaxUint32 {
		t.Errorf("three hours became %d µs", got)
	}
}

func TestDriftComparesStartAndEnd(t *testing.T) {
	t.Parallel()
	// 1500 orders of 1 ms, then 1500 of 4 ms; finished out of order, as clients do.
	var done []time.Duration
	at := time.Duration(0)
	for i := range 3000 {
		at += time.Millisecond
		if i >= 1500 {
			at += 3 * time.Millisecond
		}
		done = append(done, at)
	}
	done[10], done[2900] = done[2900], done[10]
	got := driftOf(done)
	if got.Window != 1000 || math.Abs(got.First-1000) > 1 || math.Abs(got.Last-250) > 1 || math.Abs(got.Ratio-0.25) > 0.01 {
		t.Errorf("drift %+v, want 1000/s then 250/s", got)
	}
	few := driftOf([]time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second})
	if few.Window != 2 || few.Ratio != 1 {
		t.Errorf("drift of four even orders %+v", few)
	}
	if none := driftOf(nil); none != (drift{}) {
		t.Errorf("drift of nothing %+v", none)
	}
}

func TestErrorsAreCountedByKind(t *testing.T) {
	t.Parallel()
	limited := &problem{Status: 429, Type: "urn:ietf:params:acme:error:rateLimited", Detail: "account 7"}
	r := newRecorder()
	r.fail(stepNewOrder, fmt.Errorf("order 1: %w", limited))
	r.fail(stepNewOrder, fmt.Errorf("order 2: %w", limited))
	r.fail(stepFinalize, &problem{Status: 502})
	r.fail(stepPoll, context.DeadlineExceeded)
	r.fail(stepPoll, fmt.Errorf("https://x %w", errInvalid))
	r.fail(stepCertificate, errors.New("other"))
	want := map[string]int{
		"newOrder: rateLimited": 2, "finalize: HTTP 502": 1, "poll: time-out": 1,
		"poll: became invalid": 1, "certificate: other": 1,
	}
	if fmt.Sprint(r.errors) != fmt.Sprint(want) {
		t.Errorf("errors %v, want %v", r.errors, want)
	}
}

func TestRetryAfterTakesBothForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-1": 0, "soon": 0,
		"Sun, 01 Mar 2026 12:00:05 GMT": 5 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("Retry-After %q gives %s, want %s", value, got, want)
		}
	}
}
