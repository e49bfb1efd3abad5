//go:build linux

package bolt

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// TestRevokedEntries: the short way of listing what is revoked finds the same
// certificates as the long one, in the same order, and says the same of them.
func TestRevokedEntries(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(c *Config) { c.noSync = true })
	defer shut(t, s)
	at := time.Date(2026, 12, 1, 10, 0, 0, 5, time.UTC)
	if err := s.Update(t.Context(), func(tx storage.Tx) error {
		for n := range 25 {
			c := acme.Certificate{
				ID: acme.CertificateID(fmt.Sprintf("c%02d", n)), Order: "o", Account: "a", Member: "m", Backend: "ib1", Leaf: make([]byte, 700), Serial: []byte{byte(n + 1)},
				AuthorityKeyID: []byte("key"), NotBefore: at, NotAfter: at.Add(time.Duration(n) * time.Hour), IssuedAt: at, Holder: &acme.IB1Holder{Member: "m"},
			}
			if n%3 != 0 {
				c.Revocation = &acme.Revocation{At: at.Add(time.Duration(n)), Reason: acme.KeyCompromise, By: "key", DoneAt: at}
			}
			if n%5 == 0 {
				c.Backend = "other"
			}
			if err := tx.Certificates().Put(c); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), func(tx storage.Tx) error {
		count := 0
		for p := (storage.Page{Limit: 4}); ; {
			want, next, err := tx.Certificates().Revoked("ib1", p)
			if err != nil {
				return err
			}
			got, gotNext, err := tx.Certificates().(storage.RevokedLister).RevokedEntries("ib1", p)
			if err != nil || gotNext != next || len(got) != len(want) {
				t.Fatalf("%d entries, next %q, %v; want %d, %q", len(got), gotNext, err, len(want), next)
			}
			for i, c := range want {
				if e := (storage.RevokedEntry{ID: c.ID, Backend: c.Backend, Serial: c.Serial, AuthorityKeyID: c.AuthorityKeyID, NotAfter: c.NotAfter, Revocation: c.Revocation}); !reflect.DeepEqual(got[i], e) {
					t.Errorf("%+v, want %+v", got[i], e)
				}
			}
			count += len(got)
			if p.After = next; next == "" {
				break
			}
		}
		if count != 13 {
			t.Errorf("%d entries", count)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
