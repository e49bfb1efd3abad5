package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// day is the calendar's, as in validities: certificates know nothing of
// daylight saving.
const day = 24 * time.Hour

var errDuration = errors.New("not a duration; write for example 90d, 12h30m or 500ms")

// ParseDuration reads durations as time.ParseDuration does, and d for days
// before all other units: 90d, 1d12h, 12h30m. It takes neither signs nor
// a number without a unit, except 0.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" || strings.ContainsAny(text, "+-") {
		return 0, errDuration
	}
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	var n int64
	if days == "" || len(days) > 6 {
		return 0, errDuration
	}
	for _, c := range []byte(days) {
		if c < '0' || c > '9' {
			return 0, errDuration
		}
		n = n*10 + int64(c-'0')
	}
	if n > math.MaxInt64/int64(day) {
		return 0, errDuration
	}
	total := time.Duration(n) * day
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || total+d < total {
			return 0, errDuration
		}
		total += d
	}
	return total, nil
}

// FormatDuration writes d as ParseDuration reads it, with days and without
// parts that are zero.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if d >= day {
		b.WriteString(strconv.FormatInt(int64(d/day), 10))
		b.WriteByte('d')
		d %= day
	}
	if d == 0 {
		return b.String()
	}
	rest := d.String()
	if strings.HasSuffix(rest, "m0s") {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if strings.HasSuffix(rest, "h0m") {
		rest = strings.TrimSuffix(rest, "0m")
	}
	b.WriteString(rest)
	return b.String()
}
