package memory

import (
	"bytes"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

func (t *tx) Certificates() storage.Certificates {
	return certificates{t, &t.state.certificates, &t.state.chains}
}

type certificates struct {
	*tx
	*collection
	chains *collection
}

var certificateKind = kind[acme.Certificate]{
	name: "certificates",
	key:  func(c acme.Certificate) string { return string(c.ID) },
	index: func(c acme.Certificate) []string {
		id := string(c.ID)
		es := []string{
			entry("serial", string(c.Serial), id),
			entry("key", string(c.KeyHash[:]), id),
			entry("account", string(c.Account), id),
			entry("expiry", sortable(c.NotAfter)+id),
		}
		if c.CountsNames {
			es = append(es, issuedFor(c.CountsAs())+sortable(c.IssuedAt)+id)
		}
		if c.Member != "" && c.Revocation == nil && c.RenewedAt.IsZero() {
			es = append(es, under("live", string(c.Member))+sortable(c.NotAfter)+id)
		}
		if c.Member != "" {
			es = append(es, entry("member", string(c.Member), id))
		}
		if c.Revocation != nil {
			es = append(es, entry("revoked", c.Backend, id))
		}
		return es
	},
}

var chainKind = kind[acme.Chain]{
	name: "chains",
	key:  func(c acme.Chain) string { return string(c.Hash[:]) },
}

func (c certificates) Get(id acme.CertificateID) (acme.Certificate, error) {
	return get(c.tx, c.collection, certificateKind, string(id))
}

func (c certificates) Put(r acme.Certificate) error {
	return put(c.tx, c.collection, certificateKind, r)
}

func (c certificates) BySerial(serial []byte) ([]acme.Certificate, error) {
	var all []acme.Certificate
	for p := (storage.Page{}); ; {
		found, next, err := listBy(c.tx, c.collection, certificateKind, under("serial", string(serial)), p)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		if p.After = next; next == "" {
			return all, nil
		}
	}
}

func (c certificates) ByCertID(authorityKeyID, serial []byte) (acme.Certificate, error) {
	found, err := c.BySerial(serial)
	if err != nil {
		return acme.Certificate{}, err
	}
	for _, r := range found {
		if bytes.Equal(r.AuthorityKeyID, authorityKeyID) {
			return r, nil
		}
	}
	return acme.Certificate{}, fmt.Errorf("%w: certificate with serial %x of issuer %x", storage.ErrNotFound, serial, authorityKeyID)
}

func (c certificates) KeyInUse(h acme.KeyHash) (bool, error) {
	found, _, err := listBy(c.tx, c.collection, certificateKind, under("key", string(h[:])), storage.Page{Limit: 1})
	return len(found) > 0, err
}

func (c certificates) ByKey(h acme.KeyHash, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, c.collection, certificateKind, under("key", string(h[:])), p)
}

func (c certificates) ByAccount(a acme.AccountID, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, c.collection, certificateKind, under("account", string(a)), p)
}

func (c certificates) ByMember(m acme.MemberID, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, c.collection, certificateKind, under("member", string(m)), p)
}

func (c certificates) List(p storage.Page) ([]acme.Certificate, string, error) {
	return list(c.tx, c.collection, certificateKind, p)
}

func (c certificates) Expiring(from, to time.Time, p storage.Page) ([]acme.Certificate, string, error) {
	// The moment before from, so to say: entries at from begin with it and go on.
	if first := sortable(from); p.After < first {
		p.After = first
	}
	found, next, err := listBy(c.tx, c.collection, certificateKind, under("expiry"), p)
	if err != nil {
		return nil, "", err
	}
	for i, r := range found {
		if !r.NotAfter.Before(to) {
			return found[:i:i], "", nil
		}
	}
	return found, c.unlessPast(next, to), nil
}

// unlessPast returns the key to go on with, or "" when what follows it is not
// before to.
func (c certificates) unlessPast(next string, to time.Time) string {
	if next == "" {
		return ""
	}
	following, _, err := listBy(c.tx, c.collection, certificateKind, under("expiry"), storage.Page{After: next, Limit: 1})
	if err != nil || len(following) == 0 || !following[0].NotAfter.Before(to) {
		return ""
	}
	return next
}

func (c certificates) Revoked(backend string, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, c.collection, certificateKind, under("revoked", backend), p)
}

func (c certificates) Chain(h acme.ChainHash) (acme.Chain, error) {
	return get(c.tx, c.chains, chainKind, string(h[:]))
}

func (c certificates) PutChain(r acme.Chain) error { return put(c.tx, c.chains, chainKind, r) }
