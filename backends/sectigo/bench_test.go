//go:build unix

package sectigo_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/challenges"
	"acmebridge/internal/secret"
	"acmebridge/internal/standin"
	"acmebridge/storage"
	"acmebridge/storage/bolt"
)

// fleet is an engine on a database file in front of the stand-in, whose time
// is that of the stand-in: it moves when the benchmark says so, and the engine
// then does what is due, and nothing else.
type fleet struct {
	b       *testing.B
	ca      *sectigotest.CA
	backend *sectigo.Backend
	store   storage.Store
}

func newFleet(b *testing.B) *fleet {
	b.Helper()
	ca, err := sectigotest.New(sectigotest.Config{Clock: sectigotest.Stopped(begin), Balance: 10_000, Processing: 365 * 24 * time.Hour, AccessLifetime: 24 * time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	f := &fleet{b: b, ca: ca}
	p := standin.NewPipes()
	server := &http.Server{Handler: ca.Handler(), ReadHeaderTimeout: time.Hour}
	go func() { _ = server.Serve(p) }()
	client, err := sectigo.New(sectigo.Config{
		URL: "http://127.0.0.1:1", Username: username, Password: secret.New([]byte(password)), Dial: p.Dial, Now: ca.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	issuing, root := ca.Roots()
	f.backend, err = sectigo.NewBackend(sectigo.BackendConfig{
		Client: client, ProfileID: profile, Roots: [][]byte{root}, Intermediates: [][]byte{issuing}, Now: ca.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	store, err := bolt.Open(b.Context(), bolt.Config{Path: filepath.Join(b.TempDir(), "acmebridge.db")})
	if err != nil {
		b.Fatal(err)
	}
	f.store = store
	b.Cleanup(func() {
		client.Close()
		_ = server.Close()
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return f
}

// polled leaves out the hourly look at the whole of the account, which would
// come with each run.
type polled struct {
	backends.Backend
	backends.Finder
	backends.Rooted
}

// run runs an engine until do has returned and nothing is due any more.
func (f *fleet) run(do func(*engine.Engine)) {
	f.b.Helper()
	e, err := engine.New(engine.Config{
		Store: f.store, Backends: map[string]backends.Backend{"ca": polled{f.backend, f.backend, f.backend}}, Validators: []challenges.Validator{everybody{}},
		Directories: []acme.Directory{{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}}},
		Profiles: map[acme.ProfileName]acme.Profile{"tls": {
			Name: "tls", Backend: "ca", Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
			Identifiers: acme.IdentifierPolicy{Max: 100}, Usages: []acme.Usage{acme.ServerAuth, acme.ClientAuth}, Subject: acme.SubjectCommonName,
			Validity: 90 * 24 * time.Hour, OrderLifetime: 48 * time.Hour, AuthorizationLifetime: 96 * time.Hour, IssuanceDeadline: 300 * 24 * time.Hour,
		}},
		Sealer: noSealer{}, Holder: rand.Text(), Now: f.ca.Now,
	})
	if err != nil {
		f.b.Fatal(err)
	}
	ctx, stop := context.WithCancel(f.b.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Started()
	do(e)
	f.idle()
	stop()
	if err := <-ended; err != nil {
		f.b.Fatal(err)
	}
}

// idle waits until nothing is due.
func (f *fleet) idle() {
	f.b.Helper()
	for busy := true; busy; {
		time.Sleep(time.Millisecond)
		err := f.store.View(f.b.Context(), func(tx storage.Tx) error {
			due, err := tx.Jobs().Due(f.ca.Now(), 1)
			if err != nil {
				return err
			}
			leased, _, err := tx.Jobs().LeasedByOthers("", storage.Page{Limit: 1})
			busy = len(due)+len(leased) > 0
			return err
		})
		if err != nil {
			f.b.Fatal(err)
		}
	}
}

func (f *fleet) account(e *engine.Engine) acme.Account {
	f.b.Helper()
	spki := newOrder(f.b, "x").key
	a, _, err := e.NewAccount(f.b.Context(), engine.AccountRequest{
		Directory: "default", Key: spki, KeyHash: sha256.Sum256(spki), Thumbprint: rand.Text(), CheckKey: func() *acme.Problem { return nil },
	})
	if err != nil {
		f.b.Fatal(err)
	}
	return a
}

// order has so many orders wait for the CA.
func (f *fleet) order(n int) {
	f.b.Helper()
	f.run(func(e *engine.Engine) {
		ctx := f.b.Context()
		var a acme.Account
		for i := range n {
			if i%100 == 0 {
				a = f.account(e)
			}
			name := fmt.Sprintf("n%d.example.org", i)
			o, err := e.NewOrder(ctx, a, engine.OrderRequest{Identifiers: []acme.Identifier{{Type: acme.DNSIdentifier, Value: name}}})
			if err == nil {
				_, _, err = e.Respond(ctx, a, o.Authorizations[0], acme.HTTP01)
			}
			if err == nil {
				_, _, err = e.Finalize(ctx, a, o.ID, newOrder(f.b, name).csr)
			}
			if err != nil {
				f.b.Fatal(err)
			}
		}
	})
	// A lane takes so many at a time and puts the others off.
	for range 100 {
		if len(f.ca.Purchases()) < n {
			f.ca.Advance(30 * time.Second)
			f.run(func(*engine.Engine) {})
		}
	}
	if got := len(f.ca.Purchases()); got != n {
		f.b.Fatalf("%d purchases for %d orders", got, n)
	}
}

// BenchmarkThousandOpen is one minute of a thousand orders that wait for a slow
// CA, which is asked at a pace that does not grow with their number.
func BenchmarkThousandOpen(b *testing.B) {
	f := newFleet(b)
	f.order(1000)
	for range 60 { // until all are old, and spread out
		f.ca.Advance(time.Minute)
		f.run(func(*engine.Engine) {})
	}
	asked := f.ca.Count("request")
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		f.ca.Advance(time.Minute)
		f.run(func(*engine.Engine) {})
		n++
	}
	b.ReportMetric(float64(f.ca.Count("request")-asked)/float64(n), "requests/minute")
	b.ReportMetric(heap(), "heap-MiB")
}

// BenchmarkPollAmongFinished is one look at each of a hundred open orders, with
// and without finished ones in the file: these must not be walked over.
func BenchmarkPollAmongFinished(b *testing.B) {
	for _, finished := range []int{0, 50_000} {
		b.Run(fmt.Sprintf("finished=%d", finished), func(b *testing.B) {
			f := newFleet(b)
			f.order(100)
			f.finished(finished)
			f.ca.Advance(time.Hour)
			f.run(func(*engine.Engine) {})
			asked, n := f.ca.Count("batch"), 0
			b.ReportAllocs()
			runtime.GC()
			before := processorTime()
			for b.Loop() {
				f.ca.Advance(10 * time.Minute) // more than any pause of theirs
				f.run(func(*engine.Engine) {})
				n++
			}
			used := processorTime() - before
			b.ReportMetric(float64(f.ca.Count("batch")-asked)/float64(n), "polls/op")
			b.ReportMetric(float64(used.Microseconds())/float64(f.ca.Count("batch")-asked), "µs-cpu/poll")
			b.ReportMetric(heap(), "heap-MiB")
		})
	}
}

// finished puts orders into the file that have their certificates.
func (f *fleet) finished(n int) {
	f.b.Helper()
	const each = 1000
	for first := 0; first < n; first += each {
		err := f.store.Update(f.b.Context(), func(tx storage.Tx) error {
			for i := range each {
				if err := f.finish(tx, first+i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			f.b.Fatal(err)
		}
	}
}

func (f *fleet) finish(tx storage.Tx, i int) error {
	at := f.ca.Now().Add(-time.Duration(i) * time.Minute)
	id := fmt.Sprintf("finished%08d", i)
	names := []acme.Identifier{{Type: acme.DNSIdentifier, Value: id + ".example.org"}}
	hash := sha256.Sum256([]byte(id))
	account := acme.AccountID(fmt.Sprintf("account%04d", i/100))
	blob := make([]byte, 1000)
	copy(blob, hash[:])
	o := acme.Order{
		ID: acme.OrderID(id), Account: account, Directory: "default", Profile: "tls", Status: acme.OrderValid, Identifiers: names,
		Expires: at.Add(48 * time.Hour), Submission: acme.SubmissionID(id), Certificate: acme.CertificateID(id),
	}
	o.Note(at, "ordered")
	o.Note(at, "the certificate is issued")
	if err := tx.Orders().Put(o); err != nil {
		return err
	}
	contract := acme.Contract{Profile: "tls", Identifiers: names, KeyHash: hash, Usages: []acme.Usage{acme.ServerAuth}, NotAfter: at.Add(90 * 24 * time.Hour)}
	if err := tx.Submissions().Put(storage.Submission{
		ID: acme.SubmissionID(id), Key: hex.EncodeToString(hash[:16]), Order: o.ID, Account: account, Backend: "ca", CSR: blob[:500],
		Contract: contract, CreatedAt: at, SentAt: at, Ticket: id, Deadline: at.Add(7 * 24 * time.Hour),
	}); err != nil {
		return err
	}
	return tx.Certificates().Put(acme.Certificate{
		ID: acme.CertificateID(id), Order: o.ID, Account: account, Directory: "default", Backend: "ca", Profile: "tls", Leaf: blob,
		Serial: binary.BigEndian.AppendUint64([]byte{1}, uint64(i)), AuthorityKeyID: hash[:20], KeyHash: hash, Identifiers: names,
		NotBefore: at, NotAfter: at.Add(90 * 24 * time.Hour), IssuedAt: at,
	})
}

// processorTime is what this process has used so far: it says how long a look
// would take with the machine to itself.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is what is in use when the garbage is collected.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse) / (1 << 20)
}
