package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// RenewalMove is a decision on when to renew one certificate, or all those of a
// member, a profile or a backend: exactly one of these is given.
type RenewalMove struct {
	Certificate acme.CertificateID
	Member      acme.MemberID
	Profile     acme.ProfileName
	Backend     string

	// Window is the new window. AtOnce in its place is one that is over, and
	// Lift takes an earlier decision of the same scope back.
	Window       acme.Window
	AtOnce, Lift bool
	// Explanation is the URL of a page for people. Reason is for the record.
	Explanation, Reason string
	// IssuedBefore bounds which certificates of a member, a profile or a backend
	// are meant; now when zero. What replaces them is not.
	IssuedBefore time.Time
}

// RenewalMoved is what came of a RenewalMove.
type RenewalMoved struct {
	// Renewal is the decision that is in force for that scope, with no window
	// when there is none.
	Renewal acme.Renewal
	// Changed is false when that was so already.
	Changed bool
	// Certificates is how many of them, not expired, the decision is about.
	// TooShort is how many more would be meant, but end before the window begins
	// and keep the one that they have.
	Certificates, TooShort int
}

// MoveRenewal decides when certificates should be renewed, in place of the
// usual windows. The newest decision about a certificate counts. It is one
// commit however many certificates it is about, and saying the same again
// changes nothing: above all, what was issued since is not meant then either.
func (o Operator) MoveRenewal(ctx context.Context, m RenewalMove) (done RenewalMoved, err error) {
	next, err := o.decision(m)
	if err != nil {
		return done, err
	}
	if err := o.knowsScope(ctx, m); err != nil {
		return done, err
	}
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if m.Certificate != "" {
			done, err = moveOne(tx, m, next)
		} else {
			done, err = moveMany(tx, m, next)
		}
		return err
	}, failpoint.OperatorDecision)
	if err != nil {
		return RenewalMoved{}, err
	}
	if done.Changed {
		o.e.log.Info("renewals moved", "event", "renewal.moved", "certificate", m.Certificate, "member", m.Member, "profile", m.Profile,
			"backend", m.Backend, "lifted", m.Lift, "start", next.Window.Start, "end", next.Window.End, "reason", m.Reason)
	}
	done.Certificates, done.TooShort, err = o.countRenewals(ctx, m, done.Renewal)
	return done, err
}

// decision is what a move stores.
func (o Operator) decision(m RenewalMove) (r acme.Renewal, err error) {
	scopes := 0
	for _, given := range []bool{m.Certificate != "", m.Member != "", m.Profile != "", m.Backend != ""} {
		if given {
			scopes++
		}
	}
	if scopes != 1 {
		return r, errors.New("name one certificate, member, profile or backend")
	}
	ways := 0
	for _, given := range []bool{!m.Window.Start.IsZero() || !m.Window.End.IsZero(), m.AtOnce, m.Lift} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return r, errors.New("give a window, or ask for renewal at once, or lift the decision there is")
	}
	if m.Lift {
		return r, nil
	}
	now := o.e.now().UTC().Round(0) // as it is read back
	r = acme.Renewal{Window: m.Window, Explanation: m.Explanation, At: now, Reason: m.Reason}
	if m.AtOnce {
		r.Window = acme.RenewAtOnce(now)
	}
	r.Window = acme.Window{Start: r.Window.Start.UTC().Truncate(time.Second), End: r.Window.End.UTC().Truncate(time.Second)}
	if m.Certificate == "" {
		if r.IssuedBefore = m.IssuedBefore; r.IssuedBefore.IsZero() {
			r.IssuedBefore = now
		}
	}
	if p := acme.CheckRenewal(r); p != nil {
		return r, errors.New(p.Detail)
	}
	return r, nil
}

// said reports whether stored is what m decides already.
func (m RenewalMove) said(stored, next acme.Renewal) bool {
	sameWindow := stored.Window == next.Window || m.AtOnce && !stored.Window.Start.IsZero() && stored.Window == acme.RenewAtOnce(stored.At)
	return sameWindow && stored.Explanation == next.Explanation && stored.Reason == next.Reason &&
		(m.IssuedBefore.IsZero() || stored.IssuedBefore.Equal(m.IssuedBefore))
}

func moveOne(tx storage.Tx, m RenewalMove, next acme.Renewal) (done RenewalMoved, err error) {
	c, err := tx.Certificates().Get(m.Certificate)
	if errors.Is(err, storage.ErrNotFound) {
		return done, fmt.Errorf("certificate %s: %w", m.Certificate, ErrNoSuch)
	}
	if err != nil {
		return done, err
	}
	switch stored := c.Renewal; {
	case m.Lift && stored == nil:
		return done, nil
	case !m.Lift && stored != nil && m.said(*stored, next):
		return RenewalMoved{Renewal: *stored}, nil
	}
	if !m.Lift && next.Window.End.After(c.NotAfter) {
		return done, fmt.Errorf("certificate %s ends at %s, which is before the end of that window; a client that waits for it would let the certificate expire, so choose one that ends earlier",
			m.Certificate, c.NotAfter.UTC().Format(time.RFC3339))
	}
	c.Renewal = &next
	if m.Lift {
		c.Renewal = nil
	}
	return RenewalMoved{Renewal: next, Changed: true}, tx.Certificates().Put(c)
}

func moveMany(tx storage.Tx, m RenewalMove, next acme.Renewal) (done RenewalMoved, err error) {
	name := m.name()
	stored, err := loadRenewal(tx, name)
	if err != nil {
		return done, err
	}
	if m.Lift && stored.Window.Start.IsZero() || !m.Lift && m.said(stored, next) {
		return RenewalMoved{Renewal: stored}, nil
	}
	if err := listRenewal(tx, name, !m.Lift); err != nil {
		return done, err
	}
	return RenewalMoved{Renewal: next, Changed: true}, putRenewal(tx, name, next)
}

// name is where the decision about many certificates is kept.
func (m RenewalMove) name() string {
	switch {
	case m.Member != "":
		return memberRenewal(m.Member)
	case m.Profile != "":
		return profileRenewal(m.Profile)
	default:
		return backendRenewal(m.Backend)
	}
}

// errFound ends a walk.
var errFound = errors.New("found")

// knowsScope refuses names that mean nothing, which are typing errors. A
// profile or a backend that the configuration has lost still has certificates.
func (o Operator) knowsScope(ctx context.Context, m RenewalMove) error {
	_, profile := o.e.cfg.Profiles[m.Profile]
	if m.Certificate != "" || profile || o.e.backends[m.Backend] != nil {
		return nil
	}
	if m.Member != "" {
		if _, err := o.Member(ctx, m.Member); err == nil || !errors.Is(err, ErrNoSuch) {
			return err
		}
	}
	err := o.certificatesOf(ctx, m, func(acme.Certificate) error { return errFound })
	switch {
	case errors.Is(err, errFound):
		return nil
	case err != nil:
		return err
	case m.Member != "":
		return fmt.Errorf("member %s: %w, and no certificate of that member either", m.Member, ErrNoSuch)
	case m.Profile != "":
		return fmt.Errorf("profile %s: %w, and no certificate of that profile either; there are %v", m.Profile, ErrNoSuch, sortedKeys(o.e.cfg.Profiles))
	default:
		return fmt.Errorf("backend %s: %w, and no certificate of that backend either; there are %v", m.Backend, ErrNoSuch, sortedKeys(o.e.backends))
	}
}

// certificatesOf calls fn for each certificate of a scope that has not expired.
func (o Operator) certificatesOf(ctx context.Context, m RenewalMove, fn func(acme.Certificate) error) error {
	now := o.e.now()
	return o.walk(ctx, func(tx storage.Tx, at storage.Page) (string, error) {
		certs, next, err := unexpired(tx, m.Member, now, at)
		for _, c := range certs {
			if m.Profile != "" && c.Profile != m.Profile || m.Backend != "" && c.Backend != m.Backend || !now.Before(c.NotAfter) {
				continue
			}
			if err := fn(c); err != nil {
				return "", err
			}
		}
		return next, err
	})
}

// unexpired lists certificates that have not expired, soonest end first; those
// of a member in their order, and the expired ones with them.
func unexpired(tx storage.Tx, member acme.MemberID, now time.Time, at storage.Page) ([]acme.Certificate, string, error) {
	if member != "" {
		return tx.Certificates().ByMember(member, at)
	}
	return tx.Certificates().Expiring(now, endOfTime, at)
}

// endOfTime is after the end of every certificate (RFC 5280, 4.1.2.5).
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

func (o Operator) countRenewals(ctx context.Context, m RenewalMove, r acme.Renewal) (n, tooShort int, err error) {
	switch {
	case r.Window.Start.IsZero():
		return 0, 0, nil
	case m.Certificate != "":
		return 1, 0, nil
	}
	err = o.certificatesOf(ctx, m, func(c acme.Certificate) error {
		switch {
		case !c.IssuedAt.Before(r.IssuedBefore):
		case r.BeginsIn(c):
			n++
		default:
			tooShort++
		}
		return nil
	})
	return n, tooShort, err
}

// RenewalFilter says which renewals to list. Empty fields want all.
type RenewalFilter struct {
	Member  acme.MemberID
	Profile acme.ProfileName
	Backend string
	// DueBefore leaves out what need not be renewed by then; now when zero.
	DueBefore time.Time
}

// DueRenewal is a certificate that should be renewed.
type DueRenewal struct {
	Certificate acme.Certificate
	Suggestion  acme.RenewalSuggestion
}

// Renewal says of one certificate when it should be renewed, due or not.
func (o Operator) Renewal(ctx context.Context, id acme.CertificateID) (DueRenewal, error) {
	return read(ctx, o.e, "certificate "+string(id), func(tx storage.Tx) (r DueRenewal, err error) {
		if r.Certificate, err = tx.Certificates().Get(id); err == nil {
			r.Suggestion, err = o.e.newAdviser(tx).suggest(r.Certificate)
		}
		return r, err
	})
}

// looksAtOnce is how many certificates a page of Renewals looks at.
const looksAtOnce = 500

// Renewals lists certificates whose window starts before a time, soonest end
// first, those of a member oldest first. What has expired and what another
// certificate has replaced is left out. A page can be short, even empty, with
// more to come.
func (o Operator) Renewals(ctx context.Context, f RenewalFilter, p storage.Page) (due []DueRenewal, next string, err error) {
	now := o.e.now()
	if f.DueBefore.IsZero() {
		f.DueBefore = now
	}
	err = o.e.view(ctx, func(tx storage.Tx) error {
		due = nil
		var certs []acme.Certificate
		if certs, next, err = unexpired(tx, f.Member, now, storage.Page{After: p.After, Limit: looksAtOnce}); err != nil {
			return err
		}
		a := o.e.newAdviser(tx)
		for i, c := range certs {
			d := DueRenewal{Certificate: c}
			if d.Suggestion, err = a.suggest(c); err != nil {
				return err
			}
			if wanted, err := f.wants(tx, d, now); err != nil {
				return err
			} else if wanted {
				due = append(due, d)
			}
			if len(due) == p.Size() {
				// The next page goes on behind this one.
				_, next, err = unexpired(tx, f.Member, now, storage.Page{After: p.After, Limit: i + 1})
				return err
			}
		}
		return nil
	})
	return due, next, err
}

func (f RenewalFilter) wants(tx storage.Tx, d DueRenewal, now time.Time) (bool, error) {
	c := d.Certificate
	if f.Profile != "" && c.Profile != f.Profile || f.Backend != "" && c.Backend != f.Backend ||
		!now.Before(c.NotAfter) || !d.Suggestion.Window.Start.Before(f.DueBefore) {
		return false, nil
	}
	replaced, err := isReplaced(tx, c)
	return !replaced, err
}

// isReplaced reports whether the order that replaces c has a certificate.
func isReplaced(tx storage.Tx, c acme.Certificate) (bool, error) {
	if c.ReplacedBy == "" {
		return false, nil
	}
	order, err := tx.Orders().Get(c.ReplacedBy)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	return order.Status == acme.OrderValid, err
}
