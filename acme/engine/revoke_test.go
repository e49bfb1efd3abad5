package engine_test

import (
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// issue returns a certificate of an account.
func (r *run) issue(a acme.Account, csr []byte, names ...string) acme.Certificate {
	r.w.t.Helper()
	o := r.ready(a, names...)
	o, _, err := r.Finalize(r.w.t.Context(), a, o.ID, csr)
	if err != nil || o.Status != acme.OrderValid {
		r.w.t.Fatalf("finalize: %s, %v", o.Status, err)
	}
	c, _, err := r.Certificate(r.w.t.Context(), a.ID, o.Certificate)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return c
}

// TestRevoke: who may, and for what reason it is then (SP-12): an account that
// holds the names by now can say no more than that they have moved on
// (R8555-7.6-12). A key that was compromised serves nobody any more (EK-9).
func TestRevoke(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		owner, stranger, holder := r.account(), r.account(), r.account()
		key := newKey(t)
		spki, _ := x509.MarshalPKIXPublicKey(key.Public())
		r.ready(holder, "a.example.org", "b.example.org")
		r.ready(stranger, "a.example.org")
		for _, test := range []struct {
			name   string
			by     func(engine.Revocation) engine.Revocation
			fails  acme.ProblemType
			reason acme.RevocationReason
		}{
			{"owner", func(x engine.Revocation) engine.Revocation { x.Owner, x.Reason = owner.ID, acme.Superseded; return x }, "", acme.Superseded},
			{"owner with a reason for operators", func(x engine.Revocation) engine.Revocation {
				x.Owner, x.Reason = owner.ID, acme.CACompromise
				return x
			}, acme.BadRevocationReason, 0},
			{"account with all authorizations", func(x engine.Revocation) engine.Revocation { x.Owner = holder.ID; return x }, "", acme.CessationOfOperation},
			{"account with some authorizations", func(x engine.Revocation) engine.Revocation { x.Owner = stranger.ID; return x }, acme.Unauthorized, 0},
			{"another key", func(x engine.Revocation) engine.Revocation { x.Key = sha256.Sum256(nil); return x }, acme.Unauthorized, 0},
			{"nobody", func(x engine.Revocation) engine.Revocation { return x }, acme.Unauthorized, 0},
			{"its own key", func(x engine.Revocation) engine.Revocation { x.Key = sha256.Sum256(spki); return x }, "", acme.KeyCompromise},
		} {
			t.Log(test.name) // bubbles have no subtests
			func() {
				csr := csrFor(t, newKey(t), "a.example.org", "b.example.org")
				if test.name == "its own key" {
					csr = csrFor(t, key, "a.example.org", "b.example.org")
				}
				c := r.issue(owner, csr, "a.example.org", "b.example.org")
				err := r.Revoke(t.Context(), test.by(engine.Revocation{Directory: "default", Certificate: c.Leaf}))
				if test.fails != "" {
					wantProblem(t, err, test.fails)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				c, _, err = r.Operator().Certificate(t.Context(), c.ID)
				if err != nil || c.Revocation == nil || c.Revocation.Reason != test.reason || c.Revocation.DoneAt.IsZero() {
					t.Fatalf("the certificate is %+v, %v", c.Revocation, err)
				}
				wantProblem(t, r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: owner.ID}), acme.AlreadyRevoked)
			}()
		}
		// R8555-7.6-10: the key is blocked.
		o := r.ready(owner, "a.example.org")
		_, _, err := r.Finalize(t.Context(), owner, o.ID, csrFor(t, key, "a.example.org"))
		wantProblem(t, err, acme.BadCSR)
		_, _, err = r.NewAccount(t.Context(), accountRequest(t, "default", key.Public()))
		wantProblem(t, err, acme.BadPublicKey)
	})
}

// TestRevokeUpgrade: what was revoked for another reason becomes a key
// compromise when its own key says so, and nothing else (R8555-7.6-11).
func TestRevokeUpgrade(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, key := r.account(), newKey(t)
		spki, _ := x509.MarshalPKIXPublicKey(key.Public())
		c := r.issue(a, csrFor(t, key, "a.example.org"), "a.example.org")
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: a.ID}); err != nil {
			t.Fatal(err)
		}
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Key: sha256.Sum256(spki)}); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Key: sha256.Sum256(spki)}), acme.AlreadyRevoked)
		c, _, err := r.Operator().Certificate(t.Context(), c.ID)
		if err != nil || c.Revocation.Reason != acme.KeyCompromise {
			t.Errorf("the reason is %+v, %v", c.Revocation, err)
		}
	})
}

// TestRevokeLater: a CA that is down is told when it is back (R8555-7.6-13),
// and expired certificates are left alone (R8555-7.6-9).
func TestRevokeLater(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		late := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		w.fake.set(func(f *fakeCA) { f.down = true })
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: a.ID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		w.fake.set(func(f *fakeCA) { f.down = false })
		time.Sleep(time.Hour)
		w.fake.set(func(f *fakeCA) {
			if len(f.revoked) != 1 || f.revoked[0] != c.ID {
				t.Errorf("the CA was told of %v", f.revoked)
			}
		})
		time.Sleep(91 * 24 * time.Hour)
		wantProblem(t, r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: late.Leaf, Owner: a.ID}), acme.Unauthorized)
	})
}

// TestPublish: a revocation is on the list by the time it is answered, the
// list is made anew before it ends, and its number only grows, also over a
// restart.
func TestPublish(t *testing.T) {
	w := newWorld(t)
	w.backend = w.ca
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
		before := r.crl(w.ca)
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: a.ID, Reason: acme.KeyCompromise}); err != nil {
			t.Fatal(err)
		}
		after := r.crl(w.ca)
		if len(before.RevokedCertificateEntries) != 0 || len(after.RevokedCertificateEntries) != 1 {
			t.Fatalf("the list had %d entries and has %d", len(before.RevokedCertificateEntries), len(after.RevokedCertificateEntries))
		}
		entry := after.RevokedCertificateEntries[0]
		if entry.SerialNumber.Cmp(new(big.Int).SetBytes(c.Serial)) != 0 || entry.ReasonCode != int(acme.KeyCompromise) {
			t.Errorf("the entry is %v, reason %d", entry.SerialNumber, entry.ReasonCode)
		}
		if after.Number.Cmp(before.Number) <= 0 {
			t.Errorf("number %v after %v", after.Number, before.Number)
		}
		time.Sleep(30 * 24 * time.Hour)
		if fresh := r.crl(w.ca); !fresh.NextUpdate.After(time.Now()) {
			t.Errorf("the list ended at %s", fresh.NextUpdate)
		}
		last := r.crl(w.ca)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		r = w.start()
		defer r.end()
		time.Sleep(time.Minute)
		if next := r.crl(w.ca); next.Number.Cmp(last.Number) <= 0 {
			t.Errorf("after the restart number %v follows %v", next.Number, last.Number)
		}
	})
}

// crl reads the published list of a CA.
func (r *run) crl(ca backends.CRLSigner) *x509.RevocationList {
	r.w.t.Helper()
	<-r.Started()
	synctest.Wait()
	p, ok, err := r.Publication(r.w.t.Context(), ca.CRLNames()[0])
	if err != nil || !ok {
		r.w.t.Fatalf("no list: %t, %v", ok, err)
	}
	list, err := x509.ParseRevocationList(p.Body)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return list
}
