package ib1

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Phase is what an issuer does at a time.
type Phase string

// The phases, in their order.
const (
	// NotYet: it does nothing before its time.
	NotYet Phase = "not yet valid"
	// Active: it signs certificates of full validity, and lists.
	Active Phase = "active"
	// Retired: it signs lists alone.
	Retired Phase = "retired"
	// Expired: it signs nothing. Its certificate and its last list are kept, for
	// signatures from its time.
	Expired Phase = "expired"
)

// Phase returns the phase of an issuer of a tree.
func (f *Framework) Phase(t Tree, issuer *x509.Certificate, now time.Time) Phase {
	switch {
	case now.Before(issuer.NotBefore):
		return NotYet
	case now.After(issuer.NotAfter):
		return Expired
	case now.Truncate(time.Second).After(f.LastStart(t, issuer)):
		return Retired
	}
	return Active
}

// LastStart is the latest beginning of a certificate that ends no later than its
// issuer.
func (f *Framework) LastStart(t Tree, issuer *x509.Certificate) time.Time {
	return issuer.NotAfter.Add(time.Second - f.Validity(t))
}

// Current picks the issuer to sign with: of those that are active the newest. It
// returns nil when none is.
func (f *Framework) Current(t Tree, issuers []*x509.Certificate, now time.Time) *x509.Certificate {
	var best *x509.Certificate
	for _, c := range issuers {
		if f.Phase(t, c, now) == Active && (best == nil || c.NotBefore.After(best.NotBefore)) {
			best = c
		}
	}
	return best
}

// Alarm says that somebody has to do something.
type Alarm struct {
	// Urgent: certificates cannot be issued, or not from tomorrow on.
	Urgent bool
	// Due is when it is too late.
	Due  time.Time
	Text string
}

// ceremonyNotice is how long before it is due a ceremony is announced: people
// must find the key of the root, and each other.
const ceremonyNotice = 30 * day

// Alarms says what a tree needs. It knows nothing but what it is given, so what
// will be said at another time can be asked now.
func (f *Framework) Alarms(t Tree, root *x509.Certificate, issuers []*x509.Certificate, now time.Time) []Alarm {
	var alarms []Alarm
	// With a short regeneration period a month of notice would be always.
	notice := min(ceremonyNotice, f.Regeneration()/2)
	covered := f.covered(t, issuers, now)
	switch {
	case f.Current(t, issuers, now) == nil:
		alarms = append(alarms, Alarm{true, now, fmt.Sprintf("no issuer of the %s tree covers %s from now on, so no certificate can be issued: rotate the issuer", t, days(f.Validity(t)))})
	case !now.Before(covered.Add(-day)):
		alarms = append(alarms, Alarm{true, covered, fmt.Sprintf("from %s on no issuer of the %s tree covers %s: rotate the issuer today", stamp(covered), t, days(f.Validity(t)))})
	case !now.Before(covered.Add(-notice)):
		alarms = append(alarms, Alarm{false, covered, fmt.Sprintf("from %s on no issuer of the %s tree covers %s: rotate the issuer before", stamp(covered), t, days(f.Validity(t)))})
	}
	// The last issuer that fits below the root begins then.
	lastIssuer := root.NotAfter.Add(time.Second - f.IssuerValidity(t))
	if need := now.Add(f.Regeneration() + notice); need.After(lastIssuer) {
		alarms = append(alarms, Alarm{now.After(lastIssuer), lastIssuer, fmt.Sprintf("after %s no issuer fits below the root of the %s tree, which ends on %s: make a new root and have it trusted", stamp(lastIssuer), t, stamp(root.NotAfter))})
	}
	slices.SortStableFunc(alarms, func(a, b Alarm) int { return a.Due.Compare(b.Due) })
	return alarms
}

// Covered is until when the issuers of a tree can sign certificates of full
// validity from now on, without a gap. It is not after now when they cannot.
func (f *Framework) Covered(t Tree, issuers []*x509.Certificate, now time.Time) time.Time {
	return f.covered(t, issuers, now)
}

// covered is until when certificates can be issued without a gap from now on.
func (f *Framework) covered(t Tree, issuers []*x509.Certificate, now time.Time) time.Time {
	until := now
	for again := true; again; {
		again = false
		for _, c := range issuers {
			if end := f.LastStart(t, c); !c.NotBefore.After(until) && end.After(until) {
				until, again = end, true
			}
		}
	}
	return until
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", d/day) }
