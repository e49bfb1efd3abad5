package engine

import (
	"bytes"
	"context"
	"errors"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// publishSigners has the keys certified that sign OCSP answers, where there is
// none, where the time has come for another, and where the certificate is not
// what the CA would make: its folder or its configuration has changed.
func (e *Engine) publishSigners(ctx context.Context, a *authority, next *time.Time) error {
	if a.delegate == nil {
		return nil
	}
	for _, s := range a.delegate.StatusSigners() {
		var old storage.Publication
		err := e.view(ctx, func(tx storage.Tx) (err error) {
			old, err = tx.Publications().Get(s.Name)
			return err
		})
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		// One of the future is of a clock that was ahead: nobody would believe it yet.
		if err == nil && old.Next.After(e.now()) && !old.At.After(e.now()) {
			same, due, err := a.delegate.CertifySigner(s.Name, old.Number, old.At)
			if err == nil && bytes.Equal(same, old.Body) {
				if due.Before(*next) {
					*next = due
				}
				continue
			}
		}
		p, err := e.publish(ctx, a, s.Name, 0, func(number int64) (p storage.Publication, err error) {
			p = storage.Publication{ContentType: "application/pkix-cert", At: e.now().Truncate(time.Second)}
			p.Body, p.Next, err = a.delegate.CertifySigner(s.Name, number, p.At)
			return p, err
		})
		if err != nil {
			return err
		}
		if p.Next.Before(*next) {
			*next = p.Next
		}
		e.log.Info("a new key signs OCSP answers", "event", "ocsp.signer", "backend", a.name, "name", s.Name, "number", p.Number, "next", p.Next)
	}
	return nil
}

// Issued reads the certificate that the CA with that key has issued under a
// serial number, the content octets of the INTEGER. ok is false when there is
// none.
func (e *Engine) Issued(ctx context.Context, authorityKeyID, serial []byte) (c acme.Certificate, ok bool, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		c, err = tx.Certificates().ByCertID(authorityKeyID, serial)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return c, false, nil
	}
	return c, err == nil, err
}
