package online_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/backends/ib1/online"
	"acmebridge/storage"
	"acmebridge/storage/bolt"
)

type noSealer struct{}

func (noSealer) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (noSealer) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// BenchmarkPublish is the whole way of a list of 100,000 entries: read from the
// database what is revoked, store the number, sign, and store the list. It is
// bounded by 1 s of a core.
func BenchmarkPublish(b *testing.B) {
	w := newPublishing(b)
	stop := w.start(b)
	defer stop()
	w.measure(b, func() {
		if err := w.engine.Operator().Publish(b.Context()); err != nil {
			b.Fatal(err)
		}
		<-w.heard
	})
}

// BenchmarkPublishFirst is that list once more, after a start: nothing of it is
// in memory. It has the same bound.
func BenchmarkPublishFirst(b *testing.B) {
	w := newPublishing(b)
	w.measure(b, func() { w.start(b)() })
}

// publishing is a server with 100,000 certificates that were revoked.
type publishing struct {
	ca     *online.CA
	store  storage.Store
	engine *engine.Engine
	heard  chan struct{}
}

func newPublishing(b *testing.B) *publishing {
	b.Helper()
	const entries = 100_000
	dir := b.TempDir()
	keys := ceremony.FileKeys{Dir: dir, Iterations: 1000, Passphrase: func(string) ([]byte, error) { return []byte("correct horse"), nil }}
	f, err := ceremony.Open(ceremony.Config{Dir: dir, Keys: keys, Settings: &ib1.Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org"}})
	if err != nil {
		b.Fatal(err)
	}
	_, err1 := f.CreateRoot(ib1.Client)
	_, issuer, err2 := f.RotateIssuer(ib1.Client)
	if err := errors.Join(err1, err2, f.Close()); err != nil {
		b.Fatal(err)
	}
	ca, err := online.Open(online.Config{Dir: dir, Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "db")
	store := open(b, path)
	seed(b, store, issuer, entries)
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	// Opened again, it has nothing in memory of what was written.
	store = open(b, path)
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	runtime.GC()
	return &publishing{ca: ca, store: store, heard: make(chan struct{}, 1)}
}

func open(b *testing.B, path string) storage.Store {
	b.Helper()
	store, err := bolt.Open(b.Context(), bolt.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// start runs an engine until stop, and returns when its first list is out.
func (w *publishing) start(b *testing.B) (stop func()) {
	b.Helper()
	e, err := engine.New(engine.Config{
		Log: slog.New(announced{slog.DiscardHandler, w.heard}), Store: w.store, Backends: map[string]backends.Backend{"ib1": w.ca}, Sealer: noSealer{}, Holder: "bench",
		Directories: []acme.Directory{{Name: "d", Path: "/d", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"p"}}},
		Profiles:    map[acme.ProfileName]acme.Profile{"p": {Name: "p", Backend: "ib1"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	w.engine = e
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-w.heard
	return func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

// measure reports time and the time of cores for each round.
func (w *publishing) measure(b *testing.B, round func()) {
	b.Helper()
	core, wall, n := processor(b), time.Now(), 0
	for b.Loop() {
		round()
		n++
	}
	b.ReportMetric((processor(b)-core).Seconds()/float64(n), "core-s/op")
	b.ReportMetric(time.Since(wall).Seconds()/float64(n), "s/op")
}

// announced is a log that tells when a list was published.
type announced struct {
	slog.Handler
	heard chan struct{}
}

func (a announced) Enabled(context.Context, slog.Level) bool { return true }
func (a announced) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "revocation list published" {
		a.heard <- struct{}{}
	}
	return nil
}

// seed stores certificates that were revoked.
func seed(b *testing.B, store storage.Store, issuer *x509.Certificate, count int) {
	b.Helper()
	leaf := make([]byte, 900) // as long as those of members are
	now := time.Now()
	for done := 0; done < count; done += 5000 {
		if err := store.Update(b.Context(), func(tx storage.Tx) error {
			for range min(5000, count-done) {
				var serial [16]byte
				_, _ = rand.Read(serial[:])
				serial[0] = serial[0]&0x3f | 0x40
				id := hex.EncodeToString(serial[:])
				if err := tx.Certificates().Put(acme.Certificate{
					ID: acme.CertificateID(id), Order: acme.OrderID(id), Account: "a", Backend: "ib1", Profile: "p", Leaf: leaf,
					Serial: serial[:], AuthorityKeyID: issuer.SubjectKeyId, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), IssuedAt: now,
					Revocation: &acme.Revocation{At: now, Reason: acme.KeyCompromise, DoneAt: now},
				}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// processor is the time that this process has had of processors: others on the
// machine do not count.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
