package acme

import "time"

// Window is when a certificate had better be renewed (RFC 9773, section 4.2).
type Window struct {
	Start time.Time `cbor:"1,keyasint,omitzero"`
	End   time.Time `cbor:"2,keyasint,omitzero"`
}

// Renewal is a window that somebody has decided for one certificate, in place
// of the usual one, and where a person may read why.
type Renewal struct {
	Window      Window `cbor:"1,keyasint,omitzero"`
	Explanation string `cbor:"2,keyasint,omitempty"`
}

// shortLived is the validity below which half of it has to be left.
const shortLived = 10 * 24 * time.Hour

// RenewalWindow returns when c should be renewed: around two thirds of its
// life, or half of it when it is short, a hundredth either way, so that a day's
// issuance does not come back on one day (R9773-4.2-2). A revoked certificate
// should have been renewed an hour ago.
func RenewalWindow(c Certificate, now time.Time) (w Window, explanation string) {
	switch {
	case c.Revocation != nil:
		// Fixed by the revocation, not by the asking, so that all answers agree.
		end := c.Revocation.At.Add(-30 * time.Minute)
		return Window{Start: end.Add(-30 * time.Minute), End: end}, ""
	case c.Renewal != nil:
		return c.Renewal.Window, c.Renewal.Explanation
	}
	life := c.NotAfter.Sub(c.NotBefore)
	left := life / 3
	if life < shortLived {
		left = life / 2
	}
	centre := c.NotAfter.Add(-left)
	half := max(life/100, time.Second)
	return Window{Start: centre.Add(-half).Truncate(time.Second), End: centre.Add(half).Truncate(time.Second)}, ""
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
