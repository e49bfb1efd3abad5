package bolt

import (
	"fmt"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// TestLiveIsKeptUp: a count of live certificates that was made in one update
// holds in all later ones, through certificates that come, go and expire, and
// through an update that is taken back.
func TestLiveIsKeptUp(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(c *Config) { c.noSync, c.foldAt = true, 20 })
	defer func() { shut(t, s) }()
	begin := time.Now().UTC().Truncate(time.Second)
	certificate := func(n int) acme.Certificate {
		return acme.Certificate{ID: acme.CertificateID(fmt.Sprintf("c%03d", n)), Member: "m", Serial: []byte{byte(n)}, NotAfter: begin.Add(time.Duration(n) * time.Minute), IssuedAt: begin}
	}
	update := func(fn func(tx storage.Tx) error) error { return s.Update(t.Context(), fn) }
	live := func(minute, want int) {
		t.Helper()
		at := begin.Add(time.Duration(minute) * time.Minute)
		for _, run := range []func(func(storage.Tx) error) error{update, func(fn func(storage.Tx) error) error { return s.View(t.Context(), fn) }} {
			if err := run(func(tx storage.Tx) error {
				n, _, err := tx.Certificates().Live("m", at, 1000)
				if n != want {
					t.Errorf("minute %d: %d live, want %d", minute, n, want)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(c acme.Certificate) {
		t.Helper()
		if err := update(func(tx storage.Tx) error { return tx.Certificates().Put(c) }); err != nil {
			t.Fatal(err)
		}
	}
	live(0, 0)
	for n := 1; n <= 100; n++ {
		put(certificate(n))
		live(0, n)
	}
	live(30, 70)
	put(certificate(10)) // over already, and stored again
	revoked := certificate(50)
	revoked.Revocation = &acme.Revocation{At: begin}
	put(revoked)
	live(30, 69)
	late := certificate(20)
	late.Revocation = &acme.Revocation{At: begin} // over before it was revoked
	put(late)
	live(30, 69)
	live(40, 59)
	live(10, 88) // a clock that was set back: 11 to 100 without 20 and 50
	refused := fmt.Errorf("taken back")
	if err := update(func(tx storage.Tx) error {
		c := certificate(200)
		if err := tx.Certificates().Put(c); err != nil {
			return err
		}
		if n, _, err := tx.Certificates().Live("m", begin.Add(45*time.Minute), 1000); n != 55 || err != nil {
			t.Errorf("within the update: %d, %v", n, err)
		}
		return refused
	}); err != refused { //nolint:errorlint // this very value comes back
		t.Fatal(err)
	}
	live(40, 59)
	live(99, 1)
	live(100, 0)
}

// BenchmarkLive counts the certificates of a member that has ten thousand.
func BenchmarkLive(b *testing.B) {
	s := open(b, b.TempDir(), unsynced)
	defer func() { shut(b, s) }()
	begin := time.Now()
	if err := s.Update(b.Context(), func(tx storage.Tx) error {
		for n := range 10_000 {
			if err := tx.Certificates().Put(acme.Certificate{
				ID: acme.CertificateID(fmt.Sprintf("c%05d", n)), Member: "m", Serial: []byte{byte(n), byte(n >> 8)}, NotAfter: begin.Add(time.Hour + time.Duration(n)),
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	if err := s.Update(b.Context(), func(tx storage.Tx) error {
		for _, way := range []struct {
			name string
			at   time.Time
		}{{"counted once", begin}, {"counted anew", begin.Add(-time.Hour)}} {
			b.Run(way.name, func(b *testing.B) {
				for b.Loop() {
					if n, _, err := tx.Certificates().Live("m", way.at, 10_000); n != 10_000 || err != nil {
						b.Fatal(n, err)
					}
				}
			})
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}
