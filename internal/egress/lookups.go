package egress

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// What one validation may ask of the DNS (SD-3).
const (
	maxQueries = 20
	lookupTime = 15 * time.Second
)

// Lookup is what one look-up came to, for people to read.
type Lookup struct {
	Name string
	Type string // A, AAAA, TXT, CAA
	Answer
	Records int
	// Err is nil also when there is a name but no record.
	Err error
}

// Lookups counts what one validation asks of the DNS, and keeps what came of
// it. A look-up without one counts alone.
type Lookups struct {
	mu      sync.Mutex
	queries int
	// spent is the time in which somebody was asking; since began when the
	// first of those who are asking now did.
	spent  time.Duration
	asking int
	since  time.Time
	notes  []Lookup
}

type lookupsKey struct{}

// WithLookups makes every look-up under the returned context count towards the
// same limits: a validation that goes from host to host gets no more than one
// that does not.
func WithLookups(ctx context.Context) (context.Context, *Lookups) {
	l := new(Lookups)
	return context.WithValue(ctx, lookupsKey{}, l), l
}

func lookupsOf(ctx context.Context) *Lookups {
	if l, ok := ctx.Value(lookupsKey{}).(*Lookups); ok {
		return l
	}
	return new(Lookups)
}

// Take returns the look-ups that ended since the last call.
func (l *Lookups) Take() []Lookup {
	l.mu.Lock()
	defer l.mu.Unlock()
	notes := l.notes
	l.notes = nil
	return notes
}

// begin bounds ctx by what is left of the time. Time that several look-ups
// spend together counts once.
func (l *Lookups) begin(ctx context.Context) (bounded context.Context, done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.asking == 0 {
		l.since = now
	}
	l.asking++
	ctx, cancel := context.WithDeadline(ctx, l.since.Add(lookupTime-l.spent))
	return ctx, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.asking--; l.asking == 0 {
			l.spent += time.Since(l.since)
		}
	}
}

// query takes one query from what is left.
func (l *Lookups) query() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queries == maxQueries {
		return false
	}
	l.queries++
	return true
}

func (l *Lookups) note(c *chase) {
	n := Lookup{
		Name: strings.TrimSuffix(c.first, "."), Type: dns.TypeToString[c.qtype],
		Answer: c.answer(), Records: len(c.records), Err: c.err,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, n)
}

// Outcome says in a few words what the look-up came to. None of them comes
// from the DNS.
func (l Lookup) Outcome() string {
	switch {
	case l.Err == nil && l.Records == 0:
		return "no such record"
	case l.Err == nil:
		return ""
	}
	for _, known := range []error{ErrNoSuchName, ErrBadAlias, ErrServerFailed, ErrNotAuthenticated, ErrLimit} {
		if errors.Is(l.Err, known) {
			return known.Error()
		}
	}
	return ErrNoAnswer.Error()
}
