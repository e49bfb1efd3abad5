package acme

import (
	"net/url"
	"time"
)

// Window is when a certificate had better be renewed (RFC 9773, section 4.2).
type Window struct {
	Start time.Time `cbor:"1,keyasint,omitzero"`
	End   time.Time `cbor:"2,keyasint,omitzero"`
}

// Renewal is a window that the operator has decided, for one certificate or
// for many, in place of the usual one, and where a person may read why. The
// newest decision about a certificate is the one that counts.
type Renewal struct {
	Window      Window `cbor:"1,keyasint,omitzero"`
	Explanation string `cbor:"2,keyasint,omitempty"`
	// At is when it was decided, and Reason is why; clients do not see it.
	At     time.Time `cbor:"3,keyasint,omitzero"`
	Reason string    `cbor:"4,keyasint,omitempty"`
	// IssuedBefore keeps a decision about many certificates away from those
	// that replace them, which would be asked back at once otherwise.
	IssuedBefore time.Time `cbor:"5,keyasint,omitzero"`
}

// RenewalAdvice is the last that the CA of a certificate said of its renewal.
type RenewalAdvice struct {
	// Window has no start when the CA had nothing to say, or nothing sensible.
	Window      Window    `cbor:"1,keyasint,omitzero"`
	Explanation string    `cbor:"2,keyasint,omitempty"`
	At          time.Time `cbor:"3,keyasint,omitzero"`
	// Again is when it is to be asked again.
	Again time.Time `cbor:"4,keyasint,omitzero"`
}

// RenewalSource says who decided on a window.
type RenewalSource string

// The sources, the strongest first.
const (
	// RenewalByMember: the member was frozen or removed.
	RenewalByMember RenewalSource = "member"
	// RenewalByOperator: somebody moved the window.
	RenewalByOperator RenewalSource = "operator"
	// RenewalByRevocation: the certificate is revoked.
	RenewalByRevocation RenewalSource = "revocation"
	// RenewalByRegistry: the registry says something else of its holder by now,
	// such as another legal name.
	RenewalByRegistry RenewalSource = "registry"
	// RenewalByBackend: the CA said so.
	RenewalByBackend RenewalSource = "backend"
	// RenewalByProfile: the profile has windows of its own.
	RenewalByProfile RenewalSource = "profile"
	// RenewalUsual: nobody had anything to say.
	RenewalUsual RenewalSource = "usual"
)

// RenewalSuggestion is what is answered about one certificate.
type RenewalSuggestion struct {
	Window Window
	// Explanation is the URL of a page for people, or empty.
	Explanation string
	Source      RenewalSource
	// Reason is what the operator noted; clients do not see it.
	Reason string
	// Again is how long the answer is good for.
	Again time.Duration
}

// SuggestRenewal decides when c should be renewed. wider are the decisions
// about many certificates that may be about c too, and m is the record of its
// member, nil without one.
//
// A revocation is not weaker than a decision from before it: that one was about
// a certificate that still worked. Deciding once more, an operator can spread
// the renewals of what was revoked.
func SuggestRenewal(c Certificate, p RenewalPolicy, wider []Renewal, m *Member) RenewalSuggestion {
	s := RenewalSuggestion{Again: askAgain(c)}
	decided := decidedRenewal(c, wider)
	if decided != nil {
		s.Explanation = decided.Explanation
	}
	var stopped bool
	if m != nil {
		s.Window, stopped = m.RenewalWindow()
	}
	switch {
	case stopped:
		s.Source = RenewalByMember
	case decided != nil && (c.Revocation == nil || !decided.At.Before(c.Revocation.At)):
		s.Source, s.Window, s.Reason = RenewalByOperator, decided.Window, decided.Reason
		if s.Window.End.After(c.NotAfter) {
			s.Window.End = c.NotAfter // clients choose a moment in the window
		}
	case c.Revocation != nil:
		s.Source, s.Window = RenewalByRevocation, RenewAtOnce(c.Revocation.At)
	case c.outdated(m):
		s.Source, s.Window = RenewalByRegistry, RenewAtOnce(m.ChangedAt)
	case c.RenewalAdvice != nil && !c.RenewalAdvice.Window.Start.IsZero():
		s.Source, s.Window = RenewalByBackend, c.RenewalAdvice.Window
		s.Explanation = c.RenewalAdvice.Explanation
	default:
		s.Source, s.Window = p.window(c)
	}
	if s.Explanation == "" {
		s.Explanation = p.Explanation
	}
	return s
}

// decidedRenewal returns the newest decision about c, or nil.
func decidedRenewal(c Certificate, wider []Renewal) *Renewal {
	var newest *Renewal
	if c.Renewal != nil && c.Renewal.BeginsIn(c) {
		newest = c.Renewal
	}
	for i := range wider {
		if r := &wider[i]; r.covers(c) && (newest == nil || r.At.After(newest.At)) {
			newest = r
		}
	}
	return newest
}

// covers reports whether a decision about many certificates is about c.
func (r Renewal) covers(c Certificate) bool {
	return !r.Window.Start.IsZero() && c.IssuedAt.Before(r.IssuedBefore) && r.BeginsIn(c)
}

// BeginsIn reports whether the window starts before c ends. A client that waited
// for one that does not would let the certificate expire, so that a decision
// about many certificates leaves those alone that do not live so long.
func (r Renewal) BeginsIn(c Certificate) bool { return r.Window.Start.Before(c.NotAfter) }

// RenewAtOnce is the window of what should have been renewed by then: a half
// hour that is over. It goes by the event and not by the asking, so that all
// answers agree.
func RenewAtOnce(event time.Time) Window {
	end := event.Add(-30 * time.Minute).UTC().Truncate(time.Second)
	return Window{Start: end.Add(-30 * time.Minute), End: end}
}

// Bounds of how long an answer is good for. Clients are told to keep to a
// minute and a day themselves (R9773-4.3-1).
const (
	askSoonest = time.Minute
	askLatest  = 6 * time.Hour
)

// askAgain is six hours, and less for certificates that do not live for days:
// with so long a pause, a client could sleep through the whole window.
func askAgain(c Certificate) time.Duration {
	begin, end := useful(c)
	return min(max(end.Sub(begin)/24, askSoonest), askLatest).Truncate(time.Second)
}

// CheckRenewal says what is wrong with a decision.
func CheckRenewal(r Renewal) *Problem {
	switch {
	case !r.Window.End.After(r.Window.Start):
		return Problemf(Malformed, "the window has to end after it starts")
	case r.Window.End.Sub(r.Window.Start) < time.Second:
		return Problemf(Malformed, "the window has to be a second long at least")
	case len(r.Reason) > maxRenewalText:
		return Problemf(Malformed, "the reason has more than %d bytes", maxRenewalText)
	case r.Explanation != "" && !IsExplanation(r.Explanation):
		return Problemf(Malformed, "the explanation has to be an absolute http or https URL of at most %d bytes", maxRenewalText)
	}
	return nil
}

const maxRenewalText = 1024

// IsExplanation reports whether clients may show people that URL.
func IsExplanation(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxRenewalText && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

// CheckRenewalAdvice returns what of a CA's advice can be passed on: a window
// that ends after it starts, and starts while the certificate is good
// (R9773-4.2-1). A start in the past is how a CA asks for a renewal at once.
func CheckRenewalAdvice(c Certificate, a RenewalAdvice) RenewalAdvice {
	a.Window = Window{Start: a.Window.Start.UTC().Truncate(time.Second), End: a.Window.End.UTC().Truncate(time.Second)}
	if a.Window.End.After(c.NotAfter) {
		a.Window.End = c.NotAfter
	}
	if a.Window.Start.IsZero() || !a.Window.End.After(a.Window.Start) {
		a.Window = Window{}
	}
	if !IsExplanation(a.Explanation) {
		a.Explanation = ""
	}
	return a
}

// CheckReplaces decides whether a new order may say that it replaces c.
// earlier is the order that said so before, nil when there is none
// (R9773-5-2).
func CheckReplaces(c Certificate, owner AccountID, identifiers []Identifier, earlier *Order, now time.Time) *Problem {
	if c.Account != owner {
		return Problemf(Unauthorized, "the certificate that the order replaces belongs to another account")
	}
	if !shareIdentifier(c.Identifiers, identifiers) {
		return Problemf(Malformed, "the order has no identifier of the certificate that it replaces")
	}
	if earlier != nil && earlier.At(now).Status != OrderInvalid {
		return Problemf(AlreadyReplaced, "another order replaces that certificate already; place this one without replaces")
	}
	return nil
}

func shareIdentifier(a, b []Identifier) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Same(y) {
				return true
			}
		}
	}
	return false
}
