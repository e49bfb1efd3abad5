package engine_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"acmebridge/acme"
	"acmebridge/storage"
)

// countedStore counts the certificates that are read in lists.
type countedStore struct {
	storage.Store
	read atomic.Int64
}

func (s *countedStore) View(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.View(ctx, func(tx storage.Tx) error { return fn(countedTx{tx, s}) })
}

func (s *countedStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.Update(ctx, func(tx storage.Tx) error { return fn(countedTx{tx, s}) })
}

type countedTx struct {
	storage.Tx
	s *countedStore
}

func (t countedTx) Certificates() storage.Certificates {
	return countedCertificates{t.Tx.Certificates(), t.s}
}

type countedCertificates struct {
	storage.Certificates
	s *countedStore
}

func (c countedCertificates) counted(found []acme.Certificate, next string, err error) ([]acme.Certificate, string, error) {
	c.s.read.Add(int64(len(found)))
	return found, next, err
}

func (c countedCertificates) ByMember(m acme.MemberID, p storage.Page) ([]acme.Certificate, string, error) {
	return c.counted(c.Certificates.ByMember(m, p))
}

func (c countedCertificates) ByKey(h acme.KeyHash, p storage.Page) ([]acme.Certificate, string, error) {
	return c.counted(c.Certificates.ByKey(h, p))
}

// TestKeyOfManyCertificates: whether a key may be used again is asked of the
// certificates of that key and not of all that the member has.
func TestKeyOfManyCertificates(t *testing.T) {
	w, _ := newFramework(t)
	store := &countedStore{Store: w.store}
	w.store = store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing)
		a := r.applicationAccount()
		key := newKey(t)
		first := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, key), app1))
		if err := store.Update(t.Context(), func(tx storage.Tx) error {
			for n := range 10_000 {
				c := first
				c.ID, c.KeyHash = acme.CertificateID(fmt.Sprintf("c%05d", n)), acme.KeyHash{byte(n >> 8), byte(n), 1}
				c.Serial, c.CountsNames = c.KeyHash[:], false
				if err := tx.Certificates().Put(c); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		store.read.Store(0)
		r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, key), app1))
		_, err := r.obtain(a, "ib1-signing", bareCSR(t, key), app1)
		wantProblem(t, err, acme.BadPublicKey)
		if n := store.read.Load(); n < 2 || n > 10 {
			t.Errorf("%d certificates were read for a key that had two", n)
		}
	})
}
