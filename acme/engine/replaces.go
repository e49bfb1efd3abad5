package engine

import (
	"context"
	"errors"
	"slices"

	"acmebridge/acme"
	"acmebridge/storage"
)

// inherited returns the profile of the certificate that an order without a
// profile says it replaces, where the directory still has it; otherwise none.
// X-Road names its profile with the first order only (R9773-P-1).
func (e *Engine) inherited(ctx context.Context, owner acme.Account, certID string) (name acme.ProfileName, err error) {
	aki, serial, p := acme.ParseCertID(certID)
	if p != nil {
		return "", nil // replace judges it
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		name = ""
		c, err := tx.Certificates().ByCertID(aki, serial)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		mine := c.Account == owner.ID || owner.Member != "" && c.Member == owner.Member
		if err == nil && mine && slices.Contains(e.directories[owner.Directory].Profiles, c.Profile) {
			name = c.Profile
		}
		return err
	})
	return name, err
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

// replacedAt is the id of the certificate that an order replaces, where the
// backend that it goes to has issued that one too: to any other CA it says nothing.
func replacedAt(tx storage.Tx, o acme.Order, backend string) (certID string, err error) {
	aki, serial, p := acme.ParseCertID(o.Replaces)
	if o.Replaces == "" || p != nil {
		return "", nil
	}
	c, err := tx.Certificates().ByCertID(aki, serial)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	if err != nil || c.Backend != backend {
		return "", err
	}
	return acme.CertID(c.AuthorityKeyID, c.Serial), nil
}
