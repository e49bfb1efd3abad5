package sectigo_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	"acmebridge/storage/memory"
)

// bridge is an engine in front of the stand-in, in a bubble: hours of waiting
// take no time.
type bridge struct {
	t       *testing.T
	ca      *sectigotest.CA
	store   storage.Store
	profile acme.Profile
	batch   int // how many orders go in one upload
	pipes   atomic.Pointer[standin.Pipes]
	server  *http.Server
}

func newBridge(t *testing.T, cfg sectigotest.Config) *bridge {
	t.Helper()
	ca, err := sectigotest.New(cfg) // its clock is that of the bubble
	if err != nil {
		t.Fatal(err)
	}
	b := &bridge{t: t, ca: ca, store: memory.New()}
	b.profile = acme.Profile{
		Name: "tls", Backend: "ca", Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
		Identifiers: acme.IdentifierPolicy{Max: 100}, Usages: []acme.Usage{acme.ServerAuth, acme.ClientAuth}, Subject: acme.SubjectCommonName,
		Validity: 90 * 24 * time.Hour, OrderLifetime: 48 * time.Hour, AuthorizationLifetime: 96 * time.Hour,
		Hold: time.Second, IssuanceDeadline: 7 * 24 * time.Hour,
	}
	b.serve(ca)
	t.Cleanup(func() { _ = b.server.Close() })
	return b
}

// cut ends the server of the CA and its connections, and waits until nothing
// is under way in it any more.
func (b *bridge) cut() {
	_ = b.server.Close()
	synctest.Wait()
}

// serve lets a CA answer.
func (b *bridge) serve(ca *sectigotest.CA) {
	p := standin.NewPipes()
	b.ca, b.server = ca, &http.Server{Handler: ca.Handler(), ReadHeaderTimeout: time.Hour}
	b.pipes.Store(p)
	go func(s *http.Server) { _ = s.Serve(p) }(b.server)
}

// dial connects to the CA that answers now.
func (b *bridge) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return b.pipes.Load().Dial(ctx, network, address)
}

// life runs an engine, with a client and a backend of its own as after a
// restart, until do returns.
func (b *bridge) life(do func(*engine.Engine)) {
	b.t.Helper()
	client, err := sectigo.New(sectigo.Config{
		URL: "http://127.0.0.1:1", Username: username, Password: secret.New([]byte(password)), Dial: b.dial, MaxReply: 1 << 20, MaxDownload: 1 << 20,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	issuing, root := b.ca.Roots()
	backend, err := sectigo.NewBackend(sectigo.BackendConfig{Client: client, ProfileID: profile, Roots: [][]byte{root}, Intermediates: [][]byte{issuing},
		Archive: sectigo.ArchiveLimits{Total: 2 << 20, Ratio: 20}, // a bomb costs less until it is one
		Batch:   b.batch, BatchWait: 5 * time.Second,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := engine.New(engine.Config{
		Store: b.store, Backends: map[string]backends.Backend{"ca": backend}, Validators: []challenges.Validator{everybody{}},
		Directories: []acme.Directory{{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}}},
		Profiles:    map[acme.ProfileName]acme.Profile{"tls": b.profile}, Sealer: noSealer{}, Holder: rand.Text(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	do(e)
	stop()
	if err := <-ended; err != nil {
		b.t.Errorf("the engine ended with %v", err)
	}
}

// everybody controls every name.
type everybody struct{}

func (everybody) Type() acme.ChallengeType { return acme.HTTP01 }
func (everybody) Validate(context.Context, challenges.Target) acme.Outcome {
	return acme.Outcome{Valid: true}
}

type noSealer struct{}

func (noSealer) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (noSealer) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// placed is an order of somebody.
type placed struct {
	account acme.Account
	id      acme.OrderID
}

// places takes an order of a new account past finalize.
func (b *bridge) places(e *engine.Engine, name string) placed {
	b.t.Helper()
	p, err := b.orders(e, b.account(e), name, newOrder(b.t, name).csr)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bridge) account(e *engine.Engine) acme.Account {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		b.t.Fatal(err)
	}
	a, _, err := e.NewAccount(b.t.Context(), engine.AccountRequest{
		Directory: "default", Key: spki, KeyHash: sha256.Sum256(spki), Thumbprint: rand.Text(), CheckKey: func() *acme.Problem { return nil },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// orders takes an order as far as the answer to finalize.
func (b *bridge) orders(e *engine.Engine, a acme.Account, name string, csr []byte) (placed, error) {
	b.t.Helper()
	ctx := b.t.Context()
	o, err := e.NewOrder(ctx, a, engine.OrderRequest{Identifiers: []acme.Identifier{{Type: acme.DNSIdentifier, Value: name}}})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, id := range o.Authorizations {
		if _, _, err := e.Respond(ctx, a, id, acme.HTTP01); err != nil {
			b.t.Fatal(err)
		}
	}
	_, _, err = e.Finalize(ctx, a, o.ID, csr)
	return placed{a, o.ID}, err
}

// status is that of an order, with what an operator sees of it.
func (b *bridge) status(e *engine.Engine, p placed) (acme.OrderStatus, string) {
	b.t.Helper()
	o, _, err := e.Order(b.t.Context(), p.account.ID, p.id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o.Status, fmt.Sprintf("problem %v, history %v", o.Problem, o.History)
}

// once wants each order to be paid for exactly once, and for its own key.
func (b *bridge) once(orders int) {
	b.t.Helper()
	keys, bought := map[string]int{}, 0
	for _, e := range b.ca.Purchases() {
		bought += e.Size
		for _, key := range append([]string{e.KeySHA256}, e.MoreKeys...) {
			keys[key]++
		}
	}
	if bought != orders || len(keys) != orders {
		b.t.Errorf("%d purchases for %d keys, want %d", bought, len(keys), orders)
	}
	if b.ca.Balance(authority) != 1000-int64(orders) {
		b.t.Errorf("%d are left of the balance", b.ca.Balance(authority))
	}
}

// TestLostReplies: a third of all replies to purchases get lost, what was
// bought shows up late, much else goes wrong too, and the server is started
// anew again and again. Each order gets its certificate and is paid for once
// (D8, SC-3, SC-4).
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg      sectigotest.Config
		faults   []sectigotest.Fault
		resubmit bool
	}{
		"calm": {cfg: sectigotest.Config{Created: 30 * time.Second, Processing: 5 * time.Minute}},
		"lost": {
			cfg:    sectigotest.Config{Created: 30 * time.Second, Processing: 5 * time.Minute, ListDelay: 100 * time.Second, List: "items", PageSize: 4},
			faults: []sectigotest.Fault{{Endpoint: "upload", Kind: "reset-after", Probability: 0.3}},
		},
		"late, nameless and slow": {
			cfg:    sectigotest.Config{NoBatchName: true, Processing: 3 * time.Hour, SingleUse: true},
			faults: []sectigotest.Fault{{Endpoint: "upload", Kind: "half-body", Probability: 0.3}},
		},
		"everything": {
			cfg: sectigotest.Config{Created: 10 * time.Second, Processing: 2 * time.Minute, AccessLifetime: 2 * time.Minute, SingleUse: true},
			faults: []sectigotest.Fault{
				{Endpoint: "upload", Kind: "status-after", Status: 502, Probability: 0.2}, {Endpoint: "upload", Kind: "reset-after", Probability: 0.2},
				{Endpoint: "upload", Kind: "status", Status: 429, RetryAfter: "30", Probability: 0.1}, {Endpoint: "upload", Kind: "status", Status: 401, Probability: 0.1},
				{Endpoint: "batch", Kind: "status", Status: 503, Probability: 0.2}, {Endpoint: "batches", Kind: "invalid-json", Probability: 0.2},
				{Endpoint: "download", Kind: "zip-truncated", Probability: 0.3}, {Endpoint: "download", Kind: "half-body", Probability: 0.2},
				{Endpoint: "refresh", Kind: "reset-after", Probability: 0.3}, {Endpoint: "balance", Kind: "html", Probability: 0.2},
				{Kind: "string-numbers", Probability: 0.1},
			},
		},
		"never arrived, and may be sent again": {
			cfg:      sectigotest.Config{Processing: time.Minute, ListDelay: 60 * time.Second},
			faults:   []sectigotest.Fault{{Endpoint: "upload", Kind: "reset-before", Probability: 0.4}, {Endpoint: "upload", Kind: "reset-after", Probability: 0.2}},
			resubmit: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := test.cfg
				cfg.Seed = 42
				b := newBridge(t, cfg)
				b.profile.ResubmitOnDoubt = test.resubmit
				for _, f := range test.faults {
					if err := b.ca.Break(f); err != nil {
						t.Fatal(err)
					}
				}
				const n = 36 // of so many, some meet a fault
				var orders []placed
				for len(orders) < n {
					b.life(func(e *engine.Engine) {
						for range 9 {
							orders = append(orders, b.places(e, fmt.Sprintf("n%d.example.org", len(orders))))
						}
						time.Sleep(17 * time.Second) // and then it is stopped
					})
				}
				b.life(func(e *engine.Engine) {
					for waited := time.Duration(0); waited < 5*24*time.Hour; waited += time.Minute {
						open := 0
						for _, o := range orders {
							if status, _ := b.status(e, o); status == acme.OrderProcessing {
								open++
							}
						}
						if open == 0 {
							break
						}
						if test.resubmit {
							b.resend(e) // the permission is good for once
						}
						time.Sleep(time.Minute)
					}
					for i, o := range orders {
						if status, why := b.status(e, o); status != acme.OrderValid {
							t.Errorf("order %d is %s: %s", i, status, why)
						}
					}
				})
				b.once(n)
				met := 0
				for _, e := range b.ca.Journal("request") {
					if e.Endpoint == "upload" && e.Fault != "" {
						met++
					}
				}
				if len(test.faults) > 0 && met == 0 {
					t.Error("no upload met a fault")
				}
			})
		})
	}
}

// resend is what an operator does about parked orders who has seen that the CA
// does not have them.
func (b *bridge) resend(e *engine.Engine) {
	b.t.Helper()
	jobs, _, err := e.Operator().Parked(b.t.Context(), storage.Page{})
	for _, j := range jobs {
		err = errors.Join(err, e.Operator().Retry(b.t.Context(), acme.OrderID(j.Subject), true))
	}
	if err != nil {
		b.t.Error(err)
	}
}

// TestDoubtWaitsForAPerson: a request that never arrived, as far as can be
// told, is not sent again without permission.
func TestDoubtWaitsForAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, sectigotest.Config{})
		if err := b.ca.Break(sectigotest.Fault{Endpoint: "upload", Kind: "reset-before", Count: 1}); err != nil {
			t.Fatal(err)
		}
		b.life(func(e *engine.Engine) {
			o := b.places(e, "a.example.org")
			time.Sleep(24 * time.Hour)
			if status, why := b.status(e, o); status != acme.OrderProcessing {
				t.Errorf("it is %s: %s", status, why)
			}
		})
		b.once(0)
		if n := b.ca.Count("upload"); n != 1 {
			t.Errorf("%d uploads", n)
		}
	})
}

// TestWrongIsNotDelivered: what the CA issues otherwise than ordered was paid
// for, and nobody gets it (D10).
func TestWrongIsNotDelivered(t *testing.T) {
	t.Parallel()
	for _, kind := range []sectigotest.Kind{sectigotest.DropName, sectigotest.AddName, sectigotest.WrongKey, sectigotest.WrongSubject} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, sectigotest.Config{})
				b.ca.Next(sectigotest.Outcome{Kind: kind})
				b.life(func(e *engine.Engine) {
					bad := b.places(e, "a.example.org")
					good := b.places(e, "b.example.org")
					time.Sleep(time.Hour)
					if status, why := b.status(e, bad); status != acme.OrderInvalid {
						t.Errorf("the wrong one is %s: %s", status, why)
					}
					if status, why := b.status(e, good); status != acme.OrderValid {
						t.Errorf("the other one is %s: %s", status, why)
					}
				})
				b.once(2)
			})
		})
	}
}
