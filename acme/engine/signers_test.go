package engine_test

import (
	"bytes"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends/localca"
	"acmebridge/storage"
)

// withOCSP gives the world a CA whose clock is that of the bubble.
func withOCSP(t *testing.T, w *world, dir string) *localca.CA {
	t.Helper()
	ca, err := localca.Open(localca.Config{Dir: dir, Name: "local", OCSP: true})
	if err != nil {
		t.Fatal(err)
	}
	w.ca, w.backend = ca, ca.Backend()
	return ca
}

const signerName = "ca/local.ocsp.cer"

// signer reads the published certificate of an OCSP signer, once everything that
// was due is done.
func (r *run) signer() (storage.Publication, *x509.Certificate) {
	r.w.t.Helper()
	<-r.Started()
	synctest.Wait()
	p, ok, err := r.Publication(r.w.t.Context(), signerName)
	if err != nil || !ok {
		r.w.t.Fatalf("no signer: %t, %v", ok, err)
	}
	cert, err := x509.ParseCertificate(p.Body)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return p, cert
}

// TestSignersFollowEachOther goes through half a year of rotations, with
// restarts in between.
func TestSignersFollowEachOther(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		withOCSP(t, w, dir)
		r := w.start()
		first, _ := r.signer()
		numbers := map[int64][]byte{}
		for day := range 180 {
			p, cert := r.signer()
			if now := time.Now(); now.Before(cert.NotBefore) || cert.NotAfter.Sub(now) < 14*24*time.Hour {
				t.Fatalf("day %d: the signer is good from %s to %s", day, cert.NotBefore, cert.NotAfter)
			}
			if before, known := numbers[p.Number]; known && !bytes.Equal(before, p.Body) {
				t.Fatalf("day %d: two certificates have the number %d", day, p.Number)
			}
			numbers[p.Number] = p.Body
			time.Sleep(24 * time.Hour)
			if day%50 == 7 {
				if err := r.close(); err != nil {
					t.Fatal(err)
				}
				r = w.start()
				if again, _ := r.signer(); again.Number != p.Number && time.Until(p.Next) > 0 {
					t.Errorf("day %d: a restart replaced signer %d by %d", day, p.Number, again.Number)
				}
			}
		}
		defer r.end()
		if len(numbers) != 12 || first.Number != 1 {
			t.Errorf("%d signers in 180 days, want 12", len(numbers))
		}
	})
}

// After a rotation of the CA the new key has a signer too; another CA in the
// folder makes the old one's worthless.
func TestSignersOfNewKeys(t *testing.T) {
	t.Parallel()
	w, one, other := newWorld(t), t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		ca := withOCSP(t, w, one)
		r := w.start()
		before, _ := r.signer()
		time.Sleep(time.Hour)
		if err := ca.Rotate(); err != nil {
			t.Fatal(err)
		}
		if err := r.Operator().Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, ok, err := r.Publication(t.Context(), "ca/local.2.ocsp.cer"); err != nil || !ok {
			t.Errorf("the new issuer has no signer: %v", err)
		}
		if same, _ := r.signer(); same.Number != before.Number {
			t.Errorf("signer %d was replaced by %d for no reason", before.Number, same.Number)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		withOCSP(t, w, other)
		r = w.start()
		defer r.end()
		if next, cert := r.signer(); next.Number <= before.Number || cert.CheckSignatureFrom(mustParse(t, w.ca.Intermediates()[0])) != nil {
			t.Errorf("signer %d is of the CA that was there before", next.Number)
		}
	})
}

func mustParse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIssued: what was delivered is found by issuer and serial, its revocation
// from the moment it was asked for; nothing else is.
func TestIssued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend = w.ca
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		if got, ok, err := r.Issued(t.Context(), c.AuthorityKeyID, c.Serial); err != nil || !ok || got.ID != c.ID || got.Revocation != nil {
			t.Errorf("%v, %t, %v", got.ID, ok, err)
		}
		for _, id := range [][2][]byte{{c.AuthorityKeyID, append(bytes.Clone(c.Serial), 1)}, {{1, 2, 3}, c.Serial}} {
			if _, ok, err := r.Issued(t.Context(), id[0], id[1]); ok || err != nil {
				t.Errorf("%x is there: %v", id, err)
			}
		}
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: a.ID, Reason: acme.KeyCompromise}); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := r.Issued(t.Context(), c.AuthorityKeyID, c.Serial); err != nil || !ok || got.Revocation == nil || got.Revocation.Reason != acme.KeyCompromise {
			t.Errorf("after the revocation: %v, %t, %v", got.Revocation, ok, err)
		}
	})
}
