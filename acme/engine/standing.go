package engine

import (
	"maps"
	"slices"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/storage"
)

// standing is what is known of a CA: what the last look at it found, and what
// its calls have told since. Nothing of it is stored but what was agreed on, and
// a drift from that; a restart looks again.
type standing struct {
	surveying sync.Mutex    // one look at a time
	asked     time.Duration // for how long the CA asked to be left alone; guarded by surveying
	again     chan struct{} // a call has told of something: look soon; buffered, sends never block
	first     chan struct{} // closed when the first look is over
	firstOnce sync.Once

	mu     sync.Mutex // guards what is below
	at     time.Time  // of the last look that saw something
	survey backends.Survey
	found  []backends.Finding
	agreed agreement
	drift  []string
	told   map[string]bool // alarms that were raised and still stand
}

func newStanding() *standing {
	return &standing{again: make(chan struct{}, 1), first: make(chan struct{}), told: map[string]bool{}}
}

// Standing is what is known of a backend's CA.
type Standing struct {
	Backend string
	// At is when the CA was last seen; zero never.
	At       time.Time
	Subject  string
	Balance  *int64
	Facts    map[string]string
	Findings []backends.Finding
	// AgreedAt is when the facts were taken for what should be; Drift is how
	// they differ from that now.
	AgreedAt time.Time
	Drift    []string
	// Orphans are requests of ours at the CA that nothing here knows of.
	Orphans []backends.Sighting
}

// Stops is the most that any finding stops.
func (s Standing) Stops() (most backends.Stop) {
	for _, f := range s.Findings {
		most = max(most, f.Stops)
	}
	return most
}

// Has reports whether there is a finding of that kind.
func (s Standing) Has(kind backends.FindingKind) bool {
	return slices.ContainsFunc(s.Findings, func(f backends.Finding) bool { return f.Kind == kind })
}

// Standings are what is known of every CA that can be looked at, by name.
func (e *Engine) Standings() []Standing {
	var all []Standing
	for _, name := range sortedKeys(e.backends) {
		if a := e.backends[name]; a.looksBack() {
			all = append(all, a.current())
		}
	}
	return all
}

// looksBack reports whether the CA can be looked at.
func (a *authority) looksBack() bool { return a.surveyor != nil || a.checker != nil }

func (a *authority) current() Standing {
	s := a.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Standing{
		Backend: a.name, At: s.at, Subject: s.survey.Subject, Balance: s.survey.Balance, Facts: maps.Clone(s.survey.Facts),
		Findings: slices.Clone(s.found), AgreedAt: s.agreed.At, Drift: slices.Clone(s.drift),
	}
	for _, r := range s.survey.Requests {
		if !r.Over {
			v.Orphans = append(v.Orphans, r)
		}
	}
	return v
}

// recall is what a run begins with.
func (s *standing) recall(agreed agreement, drift []string, found ...backends.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agreed, s.drift, s.found = agreed, drift, found
}

// proposal is what was last seen, as something to agree on.
func (s *standing) proposal(now time.Time) agreement {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.agreed.Seen) > 0: // what the drift that is told of is from, be it an earlier run's
		return agreement{Subject: s.agreed.Subject, Facts: s.agreed.Seen, At: now}
	case len(s.survey.Facts) == 0:
		return agreement{}
	}
	return agreement{Subject: s.survey.Subject, Facts: backends.Agree(s.agreed.Facts, s.survey), At: now}
}

// agree ends a drift.
func (s *standing) agree(a agreement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agreed, s.drift = a, nil
	s.found = slices.DeleteFunc(slices.Clone(s.found), func(f backends.Finding) bool { return f.Kind == backends.FindingDrift })
}

// heard takes in what a call has told, long before the next look would.
func (a *authority) heard(kind backends.FindingKind, stops backends.Stop, cause error) {
	if !a.looksBack() {
		return
	}
	s := a.standing
	s.mu.Lock()
	known := slices.ContainsFunc(s.found, func(f backends.Finding) bool { return f.Kind == kind && f.Stops >= stops })
	if !known {
		s.found = append(s.found, backends.Finding{Kind: kind, Stops: stops, Text: cause.Error()})
	}
	s.mu.Unlock()
	if !known {
		s.lookAgain()
	}
}

func (s *standing) lookAgain() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// letIn ends what a refused login had stopped.
func (a *authority) letIn() {
	s := a.standing
	s.mu.Lock()
	before := len(s.found)
	s.found = slices.DeleteFunc(slices.Clone(s.found), func(f backends.Finding) bool { return f.Kind == backends.FindingLogin })
	over := len(s.found) < before
	s.mu.Unlock()
	if over {
		s.lookAgain()
	}
}

// stopped says why nothing may be bought at a CA now, looking at everything but
// the kinds that are left out.
func (a *authority) stopped(renewal bool, but ...backends.FindingKind) (f backends.Finding, stopped bool) {
	least := backends.StopNew
	if renewal {
		least = backends.StopAll
	}
	s := a.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.found {
		if f.Stops >= least && !slices.Contains(but, f.Kind) {
			return f, true
		}
	}
	return f, false
}

// stopPause is when a client should come back whose order was not taken: a
// person has to do something first.
const stopPause = 15 * time.Minute

// mayBuy refuses an order that cannot be bought, as a fault of the server: it is
// left as it is, and can go on when the cause is gone (SC-16). The client learns
// what kind of trouble it is, the operator what to do.
func (e *Engine) mayBuy(tx storage.Tx, a *authority, o acme.Order, but ...backends.FindingKind) error {
	if _, stopped := a.stopped(false, but...); !stopped {
		return nil
	}
	renewal, err := e.renewal(tx, o)
	if err != nil {
		return err
	}
	f, stopped := a.stopped(renewal, but...)
	if !stopped {
		return nil
	}
	e.Counters.Stopped.Add(1)
	return acme.Overloaded(e.jitter(stopPause), stopWords(f))
}

// stopWords are the words for clients (SC-18).
func stopWords(f backends.Finding) string {
	switch f.Kind {
	case backends.FindingLogin:
		return "the certificate authority of this profile does not let this server in, and its operator has to see to that"
	case backends.FindingBalance:
		if f.Stops == backends.StopNew {
			return "few certificates are left to this profile, and they are kept for renewals"
		}
		return "no certificates are left to this profile, and its operator has to order more"
	case backends.FindingDrift:
		return "the certificate authority has changed this profile, and its operator has to look at that before anything is issued"
	case backends.FindingProfile, backends.FindingParameters, backends.FindingUnreachable, backends.FindingOrphan, backends.FindingOther:
	}
	return "this profile does not fit what the certificate authority offers, and its operator has to see to that"
}

// renewal says whether an order takes the place of a certificate that is about
// to end: it says so itself, or the last certificate for the same need has come
// to the time of its renewal. Many clients do not say so.
func (e *Engine) renewal(tx storage.Tx, o acme.Order) (bool, error) {
	if o.Renews {
		return true, nil
	}
	const lookBack = 8 // requests that came to nothing lie in between
	earlier, _, err := tx.Submissions().ByNeed(acme.NeedOf(o), storage.Page{Limit: lookBack})
	if err != nil {
		return false, err
	}
	for _, sub := range earlier {
		before, err := tx.Orders().Get(sub.Order)
		if err != nil || before.Certificate == "" || before.ID == o.ID {
			continue // it may have been removed since
		}
		c, err := tx.Certificates().Get(before.Certificate)
		if err != nil || c.Revocation != nil && c.Revocation.ByClient() {
			return false, err
		}
		if c.NotAfter, err = e.usualEnd(tx, c); err != nil {
			return false, err
		}
		s, err := e.newAdviser(tx).suggest(c)
		return err == nil && !e.now().Before(s.Window.Start), err
	}
	return false, nil
}
