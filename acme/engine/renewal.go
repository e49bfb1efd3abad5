package engine

import (
	"context"
	"errors"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// RenewalInfo returns when the certificate of that RFC 9773 id should be
// renewed. Anybody may ask, so nobody else is asked meanwhile: what its CA says
// is from an earlier time, and a newer word is fetched behind the answer.
func (e *Engine) RenewalInfo(ctx context.Context, certID string) (s acme.RenewalSuggestion, err error) {
	aki, serial, p := acme.ParseCertID(certID)
	if p != nil {
		return s, p
	}
	var c acme.Certificate
	err = e.view(ctx, func(tx storage.Tx) error {
		if c, err = tx.Certificates().ByCertID(aki, serial); err != nil {
			return err
		}
		s, err = e.newAdviser(tx).suggest(c)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		// R9773-4.3-1: a certificate of tomorrow may have that id.
		return s, acme.Problemf(acme.Malformed, "this server did not issue a certificate of that id").WithStatus(404).WithRetryAfter(unknownAgain)
	}
	if err != nil {
		return s, err
	}
	if e.wantAdvice(c) && c.RenewalAdvice == nil {
		s.Again = min(s.Again, firstAdvice)
	}
	return s, nil
}

const (
	// unknownAgain is when to ask again for what is not there.
	unknownAgain = 6 * time.Hour
	// firstAdvice is when to ask again for what a CA is just being asked.
	firstAdvice = 5 * time.Minute
)

// adviser suggests renewals within one transaction. It reads what many
// certificates have in common once.
type adviser struct {
	e       *Engine
	tx      storage.Tx
	decided map[string]acme.Renewal
	members map[acme.MemberID]*acme.Member
}

func (e *Engine) newAdviser(tx storage.Tx) *adviser {
	return &adviser{e: e, tx: tx, decided: map[string]acme.Renewal{}, members: map[acme.MemberID]*acme.Member{}}
}

func (a *adviser) suggest(c acme.Certificate) (s acme.RenewalSuggestion, err error) {
	var wider []acme.Renewal
	for _, name := range []string{memberRenewal(c.Member), profileRenewal(c.Profile), backendRenewal(c.Backend)} {
		r, ok := a.decided[name]
		if !ok {
			if r, err = loadRenewal(a.tx, name); err != nil {
				return s, err
			}
			a.decided[name] = r
		}
		wider = append(wider, r)
	}
	m, ok := a.members[c.Member]
	if !ok {
		if m, err = loadMember(a.tx, c.Member); err != nil {
			return s, err
		}
		a.members[c.Member] = m
	}
	return acme.SuggestRenewal(c, a.e.cfg.Profiles[c.Profile].Renewal, wider, m), nil
}
