package engine

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/storage"
)

// revoked is what the lists of one backend hold, read from the store once and
// then kept up to date: with 100,000 entries reading them takes longer than
// signing the list, and a list is signed at every revocation.
//
// What changes it is always a step that carries out a revocation, which touches
// the certificate after the revocation was stored and before the list is asked
// for. So whichever round of publishing sees the touch finds the revocation.
type revoked struct {
	reading sync.Mutex // held by who reads the store, and for what follows
	read    bool
	places  map[acme.CertificateID]int
	ids     []acme.CertificateID
	entries []backends.Revoked

	mu      sync.Mutex
	touched map[acme.CertificateID]int // how often, since it was last read
}

// touch has a certificate read again.
func (r *revoked) touch(id acme.CertificateID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.touched == nil {
		r.touched = map[acme.CertificateID]int{}
	}
	r.touched[id]++
}

// partOf is what counts of a certificate.
func partOf(c acme.Certificate) storage.RevokedEntry {
	return storage.RevokedEntry{ID: c.ID, Backend: c.Backend, Serial: c.Serial, AuthorityKeyID: c.AuthorityKeyID, NotAfter: c.NotAfter, Revocation: c.Revocation}
}

func (r *revoked) put(certs []storage.RevokedEntry) {
	// Doubled when it is full: append by itself grows large slices in small steps.
	if room := cap(r.entries) - len(r.entries); room < len(certs) {
		more := max(len(certs), len(r.entries))
		r.entries, r.ids = slices.Grow(r.entries, more), slices.Grow(r.ids, more)
	}
	for _, c := range certs {
		if n := len(r.entries); n > 0 && bytes.Equal(c.AuthorityKeyID, r.entries[n-1].AuthorityKeyID) {
			c.AuthorityKeyID = r.entries[n-1].AuthorityKeyID // there are few, and many have the same
		}
		if c.Revocation == nil {
			continue
		}
		entry := backends.Revoked{
			Serial: c.Serial, AuthorityKeyID: c.AuthorityKeyID, At: c.Revocation.At, Reason: c.Revocation.Reason, NotAfter: c.NotAfter,
		}
		if at, ok := r.places[c.ID]; ok {
			r.entries[at] = entry
			continue
		}
		r.places[c.ID] = len(r.entries)
		r.ids, r.entries = append(r.ids, c.ID), append(r.entries, entry)
	}
}

// revokedBy returns what the lists of a backend hold.
func (e *Engine) revokedBy(ctx context.Context, a *authority) (entries []backends.Revoked, ids []acme.CertificateID, err error) {
	r := &a.revoked
	r.reading.Lock()
	defer r.reading.Unlock()
	r.mu.Lock()
	touched := maps.Clone(r.touched)
	r.mu.Unlock()
	if r.read {
		err = e.readTouched(ctx, r, slices.Sorted(maps.Keys(touched)))
	} else {
		err = e.readRevoked(ctx, a.name, r)
	}
	if err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	for id, times := range touched {
		if r.touched[id] == times {
			delete(r.touched, id)
		}
	}
	r.mu.Unlock()
	return slices.Clone(r.entries), slices.Clone(r.ids), nil
}

// revokedAtOnce is how many certificates are read in one look at the store.
const revokedAtOnce = 500

func (e *Engine) readTouched(ctx context.Context, r *revoked, touched []acme.CertificateID) error {
	for ids := range slices.Chunk(touched, revokedAtOnce) {
		var certs []storage.RevokedEntry
		err := e.view(ctx, func(tx storage.Tx) error {
			certs = nil
			for _, id := range ids {
				c, err := tx.Certificates().Get(id)
				if err != nil {
					return err
				}
				certs = append(certs, partOf(c))
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.put(certs)
	}
	return nil
}

func (e *Engine) readRevoked(ctx context.Context, backend string, r *revoked) error {
	r.places, r.ids, r.entries = map[acme.CertificateID]int{}, nil, nil
	for after := ""; ; {
		var certs []storage.RevokedEntry
		var next string
		err := e.view(ctx, func(tx storage.Tx) (err error) {
			certs, next, err = revokedPage(tx.Certificates(), backend, storage.Page{After: after, Limit: revokedAtOnce})
			return err
		})
		if err != nil {
			return err
		}
		r.put(certs)
		if after = next; after == "" {
			r.read = true
			return nil
		}
	}
}

// revokedPage reads a page in the way that takes the least time.
func revokedPage(of storage.Certificates, backend string, p storage.Page) (part []storage.RevokedEntry, next string, err error) {
	if l, ok := of.(storage.RevokedLister); ok {
		return l.RevokedEntries(backend, p)
	}
	certs, next, err := of.Revoked(backend, p)
	for _, c := range certs {
		part = append(part, partOf(c))
	}
	return part, next, err
}
