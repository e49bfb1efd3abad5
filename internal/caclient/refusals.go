package caclient

import (
	"sync"
	"time"

	"acmebridge/internal/secret"
)

// Refusals remembers credentials that a CA has refused. They are left alone for a
// minute, and each time that they are refused again for twice as long, up to an
// hour: CAs lock accounts, and looks and orders come back for ever (SC-13). Others
// that were put in their place are tried at once. The zero value knows of none.
type Refusals struct {
	mu    sync.Mutex
	given []secret.Secret // what was refused last,
	until time.Time       // how long it is left alone,
	pause time.Duration   // and how long that was
}

const (
	refusedOnce = time.Minute
	refusedMost = time.Hour
)

// Hold says whether to leave credentials alone.
func (r *Refusals) Hold(now time.Time, given ...secret.Secret) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.same(given) && now.Before(r.until)
}

// Refused notes that the CA has refused them.
func (r *Refusals) Refused(now time.Time, given ...secret.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.same(given):
		r.given, r.pause = given, refusedOnce
	case now.Before(r.until):
		return // a call that was under way when the first was refused
	default:
		r.pause = min(2*r.pause, refusedMost)
	}
	r.until = now.Add(r.pause)
}

// LetIn forgets what was refused.
func (r *Refusals) LetIn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given = nil
}

func (r *Refusals) same(given []secret.Secret) bool {
	if len(r.given) == 0 || len(r.given) != len(given) {
		return false
	}
	for i := range given {
		if !given[i].Equal(r.given[i]) {
			return false
		}
	}
	return true
}
