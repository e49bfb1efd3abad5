package engine

import (
	"context"
	"errors"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// RenewalInfo returns when the certificate of that RFC 9773 id should be
// renewed. Anybody may ask.
func (e *Engine) RenewalInfo(ctx context.Context, certID string) (w acme.Window, explanation string, err error) {
	aki, serial, p := acme.ParseCertID(certID)
	if p != nil {
		return w, "", p
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		c, err := tx.Certificates().ByCertID(aki, serial)
		if errors.Is(err, storage.ErrNotFound) {
			return acme.Problemf(acme.Malformed, "this server did not issue a certificate of that id").WithStatus(404)
		}
		if err != nil {
			return err
		}
		w, explanation = acme.RenewalWindow(c, e.now())
		m, err := loadMember(tx, c.Member)
		if err != nil || m == nil || c.Revocation != nil {
			return err
		}
		if past, ok := m.RenewalWindow(); ok {
			w, explanation = past, ""
		}
		return nil
	})
	return w, explanation, err
}

// replace marks the certificate that an order says it replaces. Where the
// profile is lenient, an order that cannot replace anything is an ordinary one.
func (e *Engine) replace(tx storage.Tx, profile acme.Profile, certID string, o *acme.Order) error {
	err := e.markReplaced(tx, certID, *o)
	var p *acme.Problem
	if errors.As(err, &p) && profile.LenientReplaces {
		o.Replaces = ""
		o.Note(e.now(), "replaces was ignored: "+p.Detail)
		return nil
	}
	return err
}

func (e *Engine) markReplaced(tx storage.Tx, certID string, o acme.Order) error {
	aki, serial, p := acme.ParseCertID(certID)
	if p != nil {
		return p
	}
	c, err := tx.Certificates().ByCertID(aki, serial)
	if errors.Is(err, storage.ErrNotFound) {
		return acme.Problemf(acme.Malformed, "replaces names a certificate that this server did not issue").WithStatus(404)
	}
	if err != nil {
		return err
	}
	var earlier *acme.Order
	if c.ReplacedBy != "" {
		stored, err := tx.Orders().Get(c.ReplacedBy)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if err == nil {
			earlier = &stored
		}
	}
	if p := acme.CheckReplaces(c, o.Account, o.Identifiers, earlier, e.now()); p != nil {
		return p
	}
	c.ReplacedBy = o.ID
	return tx.Certificates().Put(c)
}

// MoveRenewal decides when a certificate should be renewed, in place of the
// usual window; a window without a start brings the usual one back.
// explanation is the URL of a page for people, or empty.
func (o Operator) MoveRenewal(ctx context.Context, id acme.CertificateID, w acme.Window, explanation string) (c acme.Certificate, err error) {
	if !w.Start.IsZero() && !w.End.After(w.Start) {
		return c, errors.New("the window has to end after it starts")
	}
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if c, err = tx.Certificates().Get(id); err != nil {
			return err
		}
		c.Renewal = nil
		if !w.Start.IsZero() {
			c.Renewal = &acme.Renewal{
				Window:      acme.Window{Start: w.Start.UTC().Truncate(time.Second), End: w.End.UTC().Truncate(time.Second)},
				Explanation: explanation,
			}
		}
		return tx.Certificates().Put(c)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = ErrNoSuch
	}
	return c, err
}
