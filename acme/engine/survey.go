package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Looks at CAs. Each CA that can be looked at is, when Run begins and every hour
// after that, and sooner while something stops purchases there: that costs a few
// calls and spares clients a wait. What the facts of a profile were when it was
// first seen, or when a person agreed to them, is stored; anything else is a
// drift, and nothing is bought until a person has looked (SC-19). The drift is
// stored too.

const (
	surveyUsual = time.Hour
	// surveyStopped is the pause while something stops purchases or cannot be
	// seen. No login is tried with credentials that were refused, so it is no
	// storm (SC-13).
	surveyStopped = time.Minute
)

// agreement is what the profile of a backend was taken for. It is stored under
// the backend's name.
type agreement struct {
	Subject string            `cbor:"1,keyasint,omitempty"`
	Facts   map[string]string `cbor:"2,keyasint,omitempty"`
	At      time.Time         `cbor:"3,keyasint,omitzero"`
	// Seen is what it was last seen to be where that is a drift, so that a run
	// whose first look finds nobody in knows of it.
	Seen map[string]string `cbor:"4,keyasint,omitempty"`
}

// known is what the profile was when it was last seen.
func (a agreement) known() map[string]string {
	if len(a.Seen) > 0 {
		return a.Seen
	}
	return a.Facts
}

// drift is how what was seen differs from what was agreed on.
func (a agreement) drift() []string {
	if len(a.Seen) == 0 {
		return nil
	}
	return backends.Drift(a.Facts, backends.Survey{Facts: a.Seen})
}

func agreementOf(backend string) string { return "agreed/" + backend }

func loadAgreement(tx storage.Tx, backend string) (a agreement, err error) {
	value, err := tx.Meta().Get(agreementOf(backend))
	if errors.Is(err, storage.ErrNotFound) || err == nil && len(value) == 0 {
		return agreement{}, nil
	}
	if err == nil {
		a, err = storage.Decode[agreement](value)
	}
	return a, err
}

func putAgreement(tx storage.Tx, backend string, a agreement) error {
	value, err := storage.Encode(a)
	if err != nil {
		return err
	}
	return tx.Meta().Put(agreementOf(backend), value)
}

// recall takes up the drifts that an earlier run saw: nobody has agreed to them,
// and it may be a while until the CA can be looked at again (SC-19).
func (e *Engine) recall(ctx context.Context) error {
	return e.view(ctx, func(tx storage.Tx) error {
		for name, a := range e.backends {
			if a.surveyor == nil {
				continue
			}
			agreed, err := loadAgreement(tx, name)
			switch {
			case errors.Is(err, storage.ErrDamaged): // then nobody knows what may be bought
				a.standing.recall(agreement{}, nil, backends.Finding{
					Kind: backends.FindingDrift, Stops: backends.StopAll,
					Text: fmt.Sprintf("what the profile was taken for cannot be read (%v). Nothing is bought until 'acmebridge backend accept %s' agrees to what it is", err, name),
				})
			case err != nil:
				return err
			case len(agreed.drift()) > 0:
				a.standing.recall(agreed, agreed.drift(), a.drifted(agreed.drift()))
			default:
				a.standing.recall(agreed, nil)
			}
		}
		return nil
	})
}

func (a *authority) drifted(how []string) backends.Finding {
	return backends.Finding{
		Kind: backends.FindingDrift, Stops: backends.StopAll,
		Text: fmt.Sprintf("the CA has changed the profile: %s. Nothing is bought until 'acmebridge backend accept %s' agrees to that, or the CA takes it back", strings.Join(how, "; "), a.name),
	}
}

// watchCAs looks at the CAs until ctx ends. The caller waits with the function
// that is returned.
func (e *Engine) watchCAs(ctx context.Context) (wait func()) {
	var all sync.WaitGroup
	for _, name := range sortedKeys(e.backends) {
		if a := e.backends[name]; a.looksBack() {
			all.Go(func() { e.watchCA(ctx, a) })
		}
	}
	return all.Wait
}

func (e *Engine) watchCA(ctx context.Context, a *authority) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.standing.again:
		case <-t.C:
		}
		pause := surveyUsual
		if err := e.survey(ctx, a); err != nil && ctx.Err() == nil {
			e.log.Error("cannot keep what a CA was seen to be like", "event", "ca.survey_failed", "backend", a.name, "cause", err)
			pause = surveyStopped
		}
		if _, stopped := a.stopped(false); stopped || a.current().Has(backends.FindingUnreachable) {
			pause = surveyStopped
		}
		// A CA that wants to be left alone is (SC-15).
		t.Reset(e.jitter(max(pause, min(a.standing.pauseAsked(), time.Hour)*5/4)))
	}
}

// pauseAsked is for how long the CA asked to be left alone at the last look.
func (s *standing) pauseAsked() time.Duration {
	s.surveying.Lock()
	defer s.surveying.Unlock()
	return s.asked
}

// survey looks at a CA once and takes in what it sees. An error is one of the
// store; what is wrong with the CA is a finding.
func (e *Engine) survey(ctx context.Context, a *authority) error {
	s := a.standing
	s.surveying.Lock()
	defer s.surveying.Unlock()
	seen, err := e.lookAtCA(ctx, a)
	s.asked = backends.PauseAsked(err)
	if ctx.Err() != nil {
		return ctx.Err() // cut off by a stop
	}
	defer s.firstOnce.Do(func() { close(s.first) })
	if err != nil {
		e.unseen(a, err)
		return nil
	}
	agreed, drift, err := e.compare(ctx, a, seen)
	if err != nil {
		return err
	}
	if seen.Requests, err = e.orphans(ctx, seen.Requests); err != nil {
		return err
	}
	found := slices.Clone(seen.Findings)
	if len(drift) > 0 {
		found = append(found, a.drifted(drift))
	}
	for _, r := range seen.Requests {
		if !r.Over {
			found = append(found, backends.Finding{
				Kind: backends.FindingOrphan,
				Text: fmt.Sprintf("the CA has a request of ours that nothing here knows of: %s. Find out who made it (another server on the account, a restored backup); cancel or revoke it there", r.Label),
			})
		}
	}
	s.mu.Lock()
	s.at, s.survey, s.found, s.agreed, s.drift = e.now(), seen, found, agreed, drift
	s.mu.Unlock()
	e.raise(a, found)
	return nil
}

// lookAtCA contains what is wrong with a backend.
func (e *Engine) lookAtCA(ctx context.Context, a *authority) (seen backends.Survey, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if hit := failpoint.Hit(failpoint.AskSurvey); hit != nil {
		return seen, hit
	}
	const calls = 3 // a look is more than one call
	ctx, cancel := context.WithTimeout(ctx, calls*e.cfg.CallTimeout)
	defer cancel()
	if a.surveyor != nil {
		return a.surveyor.Survey(ctx)
	}
	if err := a.checker.Check(ctx); err != nil {
		f := backends.Finding{Kind: backends.FindingOther, Text: err.Error()}
		if errors.Is(err, backends.ErrCredentials) { // as when an order meets it, only sooner
			f.Kind, f.Stops = backends.FindingLogin, backends.StopAll
		}
		seen.Findings = []backends.Finding{f}
	}
	return seen, nil
}

// unseen keeps what was seen before: only that nothing can be seen is new.
func (e *Engine) unseen(a *authority, cause error) {
	f := backends.Finding{Kind: backends.FindingUnreachable, Text: fmt.Sprintf("the CA cannot be looked at: %v", cause)}
	if errors.Is(cause, backends.ErrCredentials) {
		f = backends.Finding{
			Kind: backends.FindingLogin, Stops: backends.StopAll,
			Text: fmt.Sprintf("%v. Correct what backend %s logs in with; it is not tried again before it has changed", cause, a.name),
		}
	}
	s := a.standing
	s.mu.Lock()
	found := slices.DeleteFunc(slices.Clone(s.found), func(old backends.Finding) bool {
		return old.Kind == backends.FindingLogin || old.Kind == backends.FindingUnreachable
	})
	found = append(found, f)
	s.found = found
	s.mu.Unlock()
	e.raise(a, found)
}

// raise complains once of each finding, and says when it is over.
func (e *Engine) raise(a *authority, found []backends.Finding) {
	s := a.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[string]bool{}
	for _, f := range found {
		about := string(f.Kind) + " " + f.Text
		if f.Kind != backends.FindingOrphan && f.Kind != backends.FindingDrift {
			about = fmt.Sprint(f.Kind, f.Stops) // its text counts, or has a time in it
		}
		now[about] = true
		if s.told[about] {
			continue
		}
		log := e.log.Warn
		if f.Stops > backends.StopNothing || f.Kind == backends.FindingOrphan {
			log = e.log.Error
		}
		log("a look at the CA: "+f.Text, "event", "ca."+string(f.Kind), "backend", a.name, "stops", f.Stops.String())
	}
	for about := range s.told {
		if !now[about] {
			kind, _, _ := strings.Cut(about, " ")
			e.log.Info("a look at the CA: what was found is over", "event", "ca.recovered", "backend", a.name, "was", kind)
		}
	}
	s.told = now
}

// compare holds what is seen against what was agreed on. What is seen for the
// first time is agreed on; so is what could not be seen before. A drift is kept
// with the agreement until it is taken back, and one that has gone out of sight
// is not, be it that nothing at all is in sight.
func (e *Engine) compare(ctx context.Context, a *authority, seen backends.Survey) (agreed agreement, drift []string, err error) {
	if a.surveyor == nil {
		return agreement{}, nil, nil
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		agreed, err = loadAgreement(tx, a.name)
		return err
	})
	if err != nil {
		return agreed, nil, err
	}
	same := agreed.Subject == seen.Subject && len(agreed.Facts) > 0
	switch {
	case len(seen.Facts) == 0 && same:
		return agreed, agreed.drift(), nil
	case len(seen.Facts) == 0:
		return agreement{}, nil, nil
	}
	next := agreement{Subject: seen.Subject, Facts: seen.Facts, At: e.now()}
	if same {
		is := backends.Agree(agreed.known(), seen)
		drift = backends.Drift(agreed.Facts, backends.Survey{Facts: is})
		switch {
		case len(drift) > 0:
			next.Facts, next.At, next.Seen = agreed.Facts, agreed.At, is
		case len(is) == len(agreed.Facts):
			next.Facts, next.At = agreed.Facts, agreed.At
		default:
			next.Facts = is
		}
		if maps.Equal(next.Facts, agreed.Facts) && maps.Equal(next.Seen, agreed.Seen) {
			return agreed, drift, nil
		}
	}
	err = e.commit(ctx, func(tx storage.Tx) error { return putAgreement(tx, a.name, next) }, failpoint.Agree)
	return next, drift, err
}

// orphans are the requests that nothing here knows of (SC-7), and of requests
// that there are two of, all but the first: a request is adopted by its key, and
// the first is the one that is. They are looked up after the CA was asked, so
// whatever it has is here already, because it was stored before it was sent.
func (e *Engine) orphans(ctx context.Context, seen []backends.Sighting) (orphans []backends.Sighting, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		orphans = nil
		met := map[string]bool{}
		for _, r := range seen {
			sub, err := tx.Submissions().ByKey(r.Key)
			switch {
			case errors.Is(err, storage.ErrNotFound) && r.Elsewhere: // it is known there
			case errors.Is(err, storage.ErrNotFound), err == nil && (met[r.Key+r.Batch] || sub.Batch != r.Batch):
				orphans = append(orphans, r)
			case err != nil:
				return err
			}
			met[r.Key+r.Batch] = true
		}
		return nil
	})
	return orphans, err
}

// surveyed waits until a CA was looked at, or could not be, in this run: it may
// have changed while nobody looked, and what is bought under a profile that has
// changed is bought for good.
func (e *Engine) surveyed(ctx context.Context, a *authority) error {
	if a.surveyor == nil {
		return nil
	}
	select {
	case <-a.standing.first:
		return nil
	case <-e.away: // the next run looks, and then buys
		return errLeaseLost
	case <-ctx.Done():
		return ctx.Err()
	}
}
