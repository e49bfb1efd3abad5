package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"

	"acmebridge/acme"
	"acmebridge/storage"
)

// sealedFor names the record that a sealed MAC key belongs to.
func sealedFor(id acme.KeyID) []byte { return []byte("external_keys/" + id) }

// verifyBinding checks the MAC before anything is written. Whether the key has
// a use left is decided again, for good, in the commit (SP-10).
func (e *Engine) verifyBinding(ctx context.Context, d acme.Directory, b Binding) error {
	var k acme.ExternalAccountKey
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		k, err = tx.ExternalKeys().Get(b.KeyID)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		e.refuseBinding(d, b.KeyID, "it is not known")
		return acme.UnknownExternalKey()
	}
	if err != nil {
		return err
	}
	if p, cause := acme.ExternalKeyUsable(k, d.Name, e.now()); p != nil {
		e.refuseBinding(d, b.KeyID, cause)
		return p
	}
	mac, err := e.cfg.Sealer.Open(k.Sealed, sealedFor(k.ID))
	if err != nil {
		return err
	}
	p := b.Verify(mac)
	if p != nil && p.Detail == acme.UnknownExternalKey().Detail && e.forXRoad(d) {
		// Without mac-key-base64-encoded in its acme.yml, a Security Server takes
		// the text of the key for the key. Nobody knows the one without the other.
		p = b.Verify([]byte(base64.RawURLEncoding.EncodeToString(mac)))
	}
	if p != nil {
		cause := p.Detail
		if cause == acme.UnknownExternalKey().Detail {
			// The client is told what it would be told of an unknown key
			// (R8555-7.3.4-11); the key is known here, so it is the MAC.
			cause = "the signature does not fit this key: wrong HMAC key at the client"
		}
		e.refuseBinding(d, b.KeyID, cause)
		return p
	}
	return nil
}

// forXRoad reports whether a directory is one for Security Servers.
func (e *Engine) forXRoad(d acme.Directory) bool {
	return slices.ContainsFunc(d.Profiles, func(n acme.ProfileName) bool { return e.cfg.Profiles[n].XRoad.Usage != "" })
}

func (e *Engine) refuseBinding(d acme.Directory, id acme.KeyID, cause string) {
	e.log.Warn("external account binding refused", "event", "external_key.refused", "directory", d.Name,
		"external_key", clip(string(id), 100), "cause", cause)
}

// bind makes an account the member's, and uses the key up by one, in the
// transaction that creates the account.
func bind(tx storage.Tx, d acme.Directory, b *Binding, a *acme.Account, e *Engine) error {
	k, err := tx.ExternalKeys().Get(b.KeyID)
	if err != nil {
		return err
	}
	if p, cause := acme.ExternalKeyUsable(k, d.Name, e.now()); p != nil {
		e.refuseBinding(d, b.KeyID, cause)
		return p
	}
	m, err := loadMember(tx, k.Member)
	if err != nil {
		return err
	}
	if m != nil && acme.MemberStanding(*m) != nil {
		e.refuseBinding(d, b.KeyID, "its member is "+string(m.Status))
		return acme.UnknownExternalKey()
	}
	k.Used++
	if k.Uses > 0 && k.Used >= k.Uses {
		k.Sealed = nil // SK-3: a key that binds nothing any more needs no secret
	}
	a.ExternalKey, a.Member, a.Binding = k.ID, k.Member, b.Raw
	return tx.ExternalKeys().Put(k)
}
