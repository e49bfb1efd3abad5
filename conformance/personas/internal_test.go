package personas

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWholeLines(t *testing.T) {
	t.Parallel()
	const one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	for chain, want := range map[string]bool{
		one: true, one + one: true, strings.TrimSpace(one + one): true, "subject=us\n" + one: true,
		strings.TrimSpace(one) + one: false, "us " + one: false, one + "\n" + one: true, strings.ReplaceAll(one, "-\n", "- \n"): true,
	} {
		if got := wholeLines([]byte(chain)); got != want {
			t.Errorf("%q: %t, want %t", chain, got, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for nonce, want := range map[string]bool{
		"AAAA": true, "AAA": true, "AA": true, "A": false, "AAAAA": false, // no octets have that length
		"AB": false, "AQ": true, // the bits that no octet holds have to be zero
		"AA==": false, "A+": false, "_-": false, "_w": true,
	} {
		if got := canonical(nonce); got != want {
			t.Errorf("%q: %t, want %t", nonce, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		value   string
		want    time.Duration
		present bool
		ok      bool
	}{
		{"", 0, false, true},
		{"7", 7 * time.Second, true, true},
		{"Sat, 02 Jan 2027 03:05:05 GMT", time.Minute, true, true},
		{"soon", 0, true, false},
	} {
		x := &exchange{header: http.Header{}}
		if tt.value != "" {
			x.header.Set("Retry-After", tt.value)
		}
		d, present, err := x.retryAfter(now)
		if present != tt.present || (err == nil) != tt.ok || tt.ok && d != tt.want {
			t.Errorf("%q: %s, %t, %v", tt.value, d, present, err)
		}
	}
}

// TestLinesAreLowerOverHTTP2, as curl prints them, so that a persona that forgot to
// ignore case would not find anything.
func TestLinesAreLowerOverHTTP2(t *testing.T) {
	t.Parallel()
	x := &exchange{proto: "HTTP/2.0", header: http.Header{"Replay-Nonce": {"n"}, "Location": {" u "}}}
	if got := strings.Join(x.lines(), "|"); got != "location:  u |replay-nonce: n" {
		t.Errorf("%q", got)
	}
	if got := x.line("Location"); got != "u" {
		t.Errorf("%q", got)
	}
}

// TestHastyClock: the pause is short and the clock has gone the whole way.
func TestHastyClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock, begun := Hasty(100*time.Millisecond), time.Now()
		for _, d := range []time.Duration{time.Hour, 10 * time.Millisecond} {
			if err := clock.Sleep(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		if real, told := time.Since(begun), clock.Elapsed(); real != 110*time.Millisecond || told != time.Hour+10*time.Millisecond {
			t.Errorf("%s of real time, %s of its own", real, told)
		}
	})
}
