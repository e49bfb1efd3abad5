package acme

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// RenewalPolicy is what a profile says of the renewal of its certificates. The
// zero value is the usual: around two thirds of the life.
type RenewalPolicy struct {
	// Start and End are the window; both or neither.
	Start, End RenewalPoint
	// Explanation is the URL of a page for people, for certificates that nobody
	// has given another one.
	Explanation string
}

// RenewalPoint is a moment in the life of a certificate: a part of the life
// that has passed, Part of Whole, or a time that is left of it. The zero value
// is none.
type RenewalPoint struct {
	Part, Whole int
	Left        time.Duration
}

// IsZero reports whether there is no such moment.
func (p RenewalPoint) IsZero() bool { return p == RenewalPoint{} }

// In returns the moment in a life. It lies outside of a life that is shorter
// than what should be left of it.
func (p RenewalPoint) In(begin, end time.Time) time.Time {
	if p.Whole > 0 {
		life := end.Sub(begin)
		whole := time.Duration(p.Whole)
		// Divided first: a life of centuries must not overflow.
		return begin.Add(life/whole*time.Duration(p.Part) + life%whole*time.Duration(p.Part)/whole)
	}
	return end.Add(-p.Left)
}

// maxWhole bounds the denominators, which are for people.
const maxWhole = 1000

var errFraction = errors.New("not a fraction between 0 and 1, such as 2/3")

// ParseFraction reads a part of a life, "2/3".
func ParseFraction(text string) (RenewalPoint, error) {
	first, second, ok := strings.Cut(text, "/")
	part, err1 := strconv.Atoi(first)
	whole, err2 := strconv.Atoi(second)
	if !ok || err1 != nil || err2 != nil || part < 1 || whole > maxWhole || part >= whole {
		return RenewalPoint{}, errFraction
	}
	return RenewalPoint{Part: part, Whole: whole}, nil
}

// shortLived is the validity below which half of it has to be left.
const shortLived = 10 * 24 * time.Hour

// window is that of the profile, where it lies within the life of c, and
// otherwise the usual: around two thirds of the life, or half of it when it is
// short, a hundredth either way, so that a day's issuance does not come back
// on one day (R9773-4.2-2).
func (p RenewalPolicy) window(c Certificate) (RenewalSource, Window) {
	begin, end := useful(c)
	if !p.Start.IsZero() && !p.End.IsZero() {
		from, to := p.Start.In(begin, end), p.End.In(begin, end)
		// A client may ask for a shorter life than the profile's: a window that
		// began before it would have it renew without end.
		if from.After(begin) && to.After(from) {
			return RenewalByProfile, whole(from, to)
		}
	}
	life := end.Sub(begin)
	left := life / 3
	if life < shortLived {
		left = life / 2
	}
	centre := end.Add(-left)
	half := max(life/100, time.Second)
	return RenewalUsual, whole(centre.Add(-half), centre.Add(half))
}

// useful is the life of a certificate from when its owner could have it. Many
// CAs date certificates back, and of one that lives for an hour, half would be
// over before it was issued.
func useful(c Certificate) (begin, end time.Time) {
	begin = c.NotBefore
	if c.IssuedAt.After(begin) && c.IssuedAt.Before(c.NotAfter) {
		begin = c.IssuedAt.Truncate(time.Second) // certificates know no smaller unit
	}
	return begin, c.NotAfter
}

// whole is a window in the seconds of the wire, never empty.
func whole(from, to time.Time) Window {
	w := Window{Start: from.UTC().Truncate(time.Second), End: to.UTC().Truncate(time.Second)}
	if !w.End.After(w.Start) {
		w.End = w.Start.Add(time.Second)
	}
	return w
}
