package bolt

import (
	"bytes"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

func (t *tx) Certificates() storage.Certificates { return certificates{t} }

type certificates struct{ *tx }

var certificateTable = table[acme.Certificate]{
	letter: 'C', name: "certificates",
	id: func(c *acme.Certificate) string { return string(c.ID) },
	entries: func(c *acme.Certificate) []string {
		id := string(c.ID)
		es := []string{
			entry(under('n', string(c.Serial)), id), // finds by RFC 9773 id, too: few share a serial
			entry(append([]byte{'h'}, c.KeyHash[:]...), id),
			entry(under('c', string(c.Account)), id),
			entry(appendTime([]byte{'e'}, c.NotAfter), id),
		}
		if c.CountsNames {
			es = append(es, entry(appendTime(appendSet([]byte{issuedForSet}, c.CountsAs()), c.IssuedAt), id))
		}
		if c.Member != "" && c.Revocation == nil && c.RenewedAt.IsZero() {
			es = append(es, liveEntry(c))
		}
		if c.Member != "" {
			es = append(es, entry(under('q', string(c.Member)), id))
		}
		if c.Revocation != nil {
			es = append(es, entry(under('r', c.Backend), id))
		}
		return es
	},
}

// revokedTable is certificateTable for who needs no more than that.
var revokedTable = table[storage.RevokedEntry]{
	letter: certificateTable.letter, name: certificateTable.name, part: true,
	id: func(c *storage.RevokedEntry) string { return string(c.ID) },
	entries: func(c *storage.RevokedEntry) []string {
		if c.Revocation == nil {
			return nil
		}
		return []string{entry(under('r', c.Backend), string(c.ID))}
	},
}

var chainTable = table[acme.Chain]{
	letter: 'H', name: "chains",
	id: func(c *acme.Chain) string { return string(c.Hash[:]) },
}

func (c certificates) Get(id acme.CertificateID) (acme.Certificate, error) {
	return get(c.tx, certificateTable, string(id))
}

func (c certificates) Put(r acme.Certificate) error { return put(c.tx, certificateTable, r) }

func (c certificates) BySerial(serial []byte) ([]acme.Certificate, error) {
	var all []acme.Certificate
	for p := (storage.Page{}); ; {
		found, next, err := listBy(c.tx, certificateTable, under('n', string(serial)), byID, p, nil, nil)
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
	found, _, err := listBy(c.tx, certificateTable, under('n', string(serial)), byID, storage.Page{Limit: 1}, nil,
		func(r *acme.Certificate) bool { return !bytes.Equal(r.AuthorityKeyID, authorityKeyID) })
	if err != nil {
		return acme.Certificate{}, err
	}
	if len(found) == 0 {
		return acme.Certificate{}, fmt.Errorf("%w: certificate with serial %x of issuer %x", storage.ErrNotFound, serial, authorityKeyID)
	}
	return found[0], nil
}

func (c certificates) KeyInUse(h acme.KeyHash) (bool, error) {
	return exists(c.tx, append([]byte{'h'}, h[:]...))
}

func (c certificates) ByKey(h acme.KeyHash, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, certificateTable, append([]byte{'h'}, h[:]...), byID, p, nil, nil)
}

func (c certificates) ByAccount(a acme.AccountID, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, certificateTable, under('c', string(a)), byID, p, nil, nil)
}

func (c certificates) ByMember(m acme.MemberID, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, certificateTable, under('q', string(m)), byID, p, nil, nil)
}

func (c certificates) List(p storage.Page) ([]acme.Certificate, string, error) {
	return list(c.tx, certificateTable, p)
}

func (c certificates) Expiring(from, to time.Time, p storage.Page) ([]acme.Certificate, string, error) {
	by := cursor{fixed: timeLength}
	if begin := by.place("", appendTime(nil, from)); p.After < begin {
		p.After = begin // no entry is just a time, so none is passed over
	}
	return listBy(c.tx, certificateTable, []byte{'e'}, by, p, func(entry []byte) bool { return keyTime(entry[1:]).Before(to) }, nil)
}

func (c certificates) Revoked(backend string, p storage.Page) ([]acme.Certificate, string, error) {
	return listBy(c.tx, certificateTable, under('r', backend), byID, p, nil, nil)
}

var _ storage.RevokedLister = certificates{}

// RevokedEntries implements storage.RevokedLister.
func (c certificates) RevokedEntries(backend string, p storage.Page) ([]storage.RevokedEntry, string, error) {
	return listBy(c.tx, revokedTable, under('r', backend), byID, p, nil, nil)
}

func (c certificates) Chain(h acme.ChainHash) (acme.Chain, error) {
	return get(c.tx, chainTable, string(h[:]))
}

func (c certificates) PutChain(r acme.Chain) error { return put(c.tx, chainTable, r) }
