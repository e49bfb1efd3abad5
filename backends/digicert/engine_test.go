package digicert_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/digicert"
	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/challenges"
	"acmebridge/internal/secret"
	"acmebridge/internal/standin"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

// bridge is an engine in front of the stand-in, in a bubble: days of waiting
// take no time.
type bridge struct {
	t       *testing.T
	ca      *digicerttest.CA
	store   storage.Store
	profile acme.Profile
	pipes   *standin.Pipes
}

func newBridge(t *testing.T, cfg digicerttest.Config) *bridge {
	t.Helper()
	ca, err := digicerttest.New(cfg) // its clock is that of the bubble
	if err != nil {
		t.Fatal(err)
	}
	b := &bridge{t: t, ca: ca, store: memory.New(), pipes: standin.NewPipes()}
	b.profile = acme.Profile{
		Name: "x9", Backend: "ca", Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
		Identifiers: acme.IdentifierPolicy{Max: 250}, Usages: []acme.Usage{acme.ServerAuth, acme.ClientAuth}, Subject: acme.SubjectByCA,
		Validity: 365 * 24 * time.Hour, OrderLifetime: 14 * 24 * time.Hour, AuthorizationLifetime: 30 * 24 * time.Hour,
		Hold: time.Second, IssuanceDeadline: 14 * 24 * time.Hour, Reattach: acme.ReattachSwap, ReattachWithin: 24 * time.Hour,
	}
	server := &http.Server{Handler: ca.Handler(), ReadHeaderTimeout: time.Hour}
	go func() { _ = server.Serve(b.pipes) }()
	t.Cleanup(func() { _ = server.Close() })
	return b
}

// life runs an engine, with a backend of its own as after a restart, until do
// returns.
func (b *bridge) life(do func(*engine.Engine)) {
	b.t.Helper()
	client, err := digicert.New(digicert.Config{
		URL: "http://127.0.0.1:1/services/v2", Dial: b.pipes.Dial,
		Key: func() (secret.Secret, error) { return secret.New([]byte(apiKey)), nil },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	issuing, root := b.ca.Roots()
	backend, err := digicert.NewBackend(digicert.BackendConfig{Client: client, Organization: 117, Roots: [][]byte{root}, Intermediates: [][]byte{issuing}})
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := engine.New(engine.Config{
		Store: b.store, Backends: map[string]backends.Backend{"ca": backend}, Validators: []challenges.Validator{everybody{}},
		Directories: []acme.Directory{{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"x9"}}},
		Profiles:    map[acme.ProfileName]acme.Profile{"x9": b.profile}, Sealer: noSealer{}, Holder: rand.Text(), MaxAttempts: 1000,
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

// orders takes an order with a new key as far as the answer to finalize.
func (b *bridge) orders(e *engine.Engine, a acme.Account, name string) (acme.OrderID, error) {
	b.t.Helper()
	return b.ordersFor(e, a, name, newKey(b.t))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (b *bridge) ordersFor(e *engine.Engine, a acme.Account, name string, key *ecdsa.PrivateKey) (acme.OrderID, error) {
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
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		b.t.Fatal(err)
	}
	_, _, err = e.Finalize(ctx, a, o.ID, csr)
	return o.ID, err
}

// status is that of an order, with what an operator sees of it.
func (b *bridge) status(e *engine.Engine, a acme.Account, id acme.OrderID) (acme.OrderStatus, string) {
	b.t.Helper()
	o, _, err := e.Order(b.t.Context(), a.ID, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o.Status, fmt.Sprintf("problem %v, history %v", o.Problem, o.History)
}

// TestFiveDays: a person at the CA approves after five days. Meanwhile the
// client has come back three times, each time with another key, and the server
// was started anew each time. There is one order, and the last client has its
// certificate; without the swap the earlier ones are told to wait (D9).
func TestFiveDays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg    digicerttest.Config
		rule   acme.ReattachRule
		faults []digicerttest.Fault
		valid  int // which of the four orders is valid in the end
	}{
		"swapped":      {digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour}, acme.ReattachSwap, nil, 3},
		"reissued":     {digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour, NoSwap: true}, acme.ReattachSwap, nil, 3},
		"told to wait": {digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour}, acme.ReattachRefuse, nil, 0},
		"and much goes wrong": {digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour, Seed: 3}, acme.ReattachSwap, []digicerttest.Fault{
			{Endpoint: "order", Kind: "reset-after", Count: 1}, {Endpoint: "swap", Kind: "reset-after", Probability: 0.3},
			{Endpoint: "info", Kind: "status", Status: 429, RetryAfter: "30", Probability: 0.2}, {Endpoint: "changes", Kind: "html-502", Probability: 0.2},
			{Endpoint: "download", Kind: "pem-truncated", Probability: 0.4}, {Endpoint: "alternate", Kind: "status", Status: 500, Probability: 0.3},
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, test.cfg)
				b.profile.Reattach = test.rule
				for _, f := range test.faults {
					if err := b.ca.Break(f); err != nil {
						t.Fatal(err)
					}
				}
				const name = "trust.example.org"
				var a acme.Account
				var all []acme.OrderID
				for run := range 4 {
					b.life(func(e *engine.Engine) {
						if run == 0 {
							a = b.account(e)
						}
						id, err := b.orders(e, a, name)
						var p *acme.Problem
						told := errors.As(err, &p) && p.Type == acme.RateLimited && p.RetryAfter > 0
						if wants := test.rule == acme.ReattachRefuse && run > 0; told != wants || err != nil && !told {
							t.Errorf("run %d: %v", run, err)
						}
						all = append(all, id)
						time.Sleep(30 * time.Hour)
					})
				}
				if err := b.ca.Approve(b.ca.Purchases()[0].Order); err != nil {
					t.Fatal(err)
				}
				b.life(func(e *engine.Engine) {
					time.Sleep(24 * time.Hour)
					for i, id := range all {
						if status, why := b.status(e, a, id); (status == acme.OrderValid) != (i == test.valid) {
							t.Errorf("order %d is %s: %s", i, status, why)
						}
					}
				})
				if n := len(b.ca.Purchases()); n != 1 {
					t.Errorf("%d purchases", n)
				}
			})
		})
	}
}

// TestNeverCollected: a certificate is there, and its client comes back without
// its key, twice, and a server was started anew in between. It gets certificates
// for its new keys, and nothing is bought again (D9). What was issued stays valid.
func TestNeverCollected(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]acme.ReattachRule{"swap": acme.ReattachSwap, "refuse": acme.ReattachRefuse} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, digicerttest.Config{Processing: time.Minute})
				b.profile.Reattach, b.profile.ReattachWithin = rule, 24*time.Hour
				const name = "trust.example.org"
				var a acme.Account
				certificates := map[acme.CertificateID]bool{}
				var all []acme.OrderID
				for run := range 3 {
					b.life(func(e *engine.Engine) {
						if run == 0 {
							a = b.account(e)
						}
						id, err := b.orders(e, a, name)
						if err != nil {
							t.Fatal(err)
						}
						all = append(all, id)
						time.Sleep(time.Hour)
						for i, id := range all {
							o, _, err := e.Order(t.Context(), a.ID, id)
							if err != nil || o.Status != acme.OrderValid {
								t.Errorf("run %d, order %d is %s, %v: %v", run, i, o.Status, err, o.History)
							}
							certificates[o.Certificate] = true
						}
					})
				}
				want := map[acme.ReattachRule]int{acme.ReattachSwap: 1, acme.ReattachRefuse: 3}[rule]
				if n := len(b.ca.Purchases()); n != want || len(certificates) != 3 {
					t.Errorf("%d purchases, want %d, and %d certificates", n, want, len(certificates))
				}
			})
		})
	}
}

// TestTakenOverInVain: an order that was to take over what was bought and ends
// before the CA has heard of that, here for a key that the CA does not take, leaves
// it to the next one. One need is one purchase (D9).
func TestTakenOverInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour})
		const name = "trust.example.org"
		b.life(func(e *engine.Engine) {
			a := b.account(e)
			if _, err := b.orders(e, a, name); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			odd, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			vain, err := b.ordersFor(e, a, name, odd)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if status, why := b.status(e, a, vain); status != acme.OrderInvalid {
				t.Fatalf("the order with the odd key is %s: %s", status, why)
			}
			// The same key again is refused again, and takes nothing with it.
			if _, err := b.ordersFor(e, a, name, odd); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			last, err := b.orders(e, a, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.ca.Approve(b.ca.Purchases()[0].Order); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
			if status, why := b.status(e, a, last); status != acme.OrderValid {
				t.Errorf("the last one is %s: %s", status, why)
			}
		})
		if n := len(b.ca.Purchases()); n != 1 {
			t.Errorf("%d purchases", n)
		}
	})
}

// TestRejectedHeir: what a person at the CA took too long for is paid for, and stays
// so when the operator here rejects the order that was to take it over. The next one
// needs an approval of its own, also with the key of the one that was rejected.
func TestRejectedHeir(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour})
		b.profile.IssuanceDeadline = 48 * time.Hour
		b.profile.Approval.Required, b.profile.Approval.Within = true, 24*time.Hour
		const name, who, why = "trust.example.org", "token:anna", "looked at"
		b.life(func(e *engine.Engine) {
			ctx, a := t.Context(), b.account(e)
			first, err := b.orders(e, a, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Operator().Approve(ctx, first, who, why); err != nil {
				t.Fatal(err)
			}
			time.Sleep(49 * time.Hour)
			key := newKey(t)
			second, err := b.ordersFor(e, a, name, key)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Operator().Reject(ctx, second, who, "not this one"); err != nil {
				t.Fatal(err)
			}
			third, err := b.ordersFor(e, a, name, key)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.ca.Approve(b.ca.Purchases()[0].Order); err != nil {
				t.Fatal(err)
			}
			time.Sleep(12 * time.Hour)
			if status, why := b.status(e, a, third); status != acme.OrderProcessing {
				t.Errorf("without approval it is %s: %s", status, why)
			}
			if err := e.Operator().Approve(ctx, third, who, why); err != nil {
				t.Fatal(err)
			}
			time.Sleep(12 * time.Hour)
			if status, why := b.status(e, a, third); status != acme.OrderValid {
				t.Errorf("it is %s: %s", status, why)
			}
		})
		if n := len(b.ca.Purchases()); n != 1 {
			t.Errorf("%d purchases", n)
		}
	})
}

// TestWrongIsIssuedAgain: what the CA issues otherwise than ordered was paid for,
// and nobody gets it (D10, SC-9). The CA issues it again for nothing, once.
func TestWrongIsIssuedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []digicerttest.Kind{
		digicerttest.DropName, digicerttest.AddName, digicerttest.WrongKey, digicerttest.NoClient, digicerttest.NoServer, digicerttest.Outlived,
	} {
		for name, c := range map[string]struct {
			then   digicerttest.Kind
			status acme.OrderStatus
		}{
			"then right": {digicerttest.Ready, acme.OrderValid}, "twice": {kind, acme.OrderInvalid},
			"then withdrawn": {digicerttest.Rejected, acme.OrderInvalid}, "then never": {digicerttest.Stuck, acme.OrderInvalid},
		} {
			if (c.then == digicerttest.Stuck || c.then == digicerttest.Rejected) && kind != digicerttest.NoClient {
				continue
			}
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBridge(t, digicerttest.Config{Processing: time.Minute})
					b.ca.Next(digicerttest.Outcome{Kind: kind, Reissue: c.then})
					b.life(func(e *engine.Engine) {
						a := b.account(e)
						bad, err := b.orders(e, a, "a.example.org")
						if err != nil {
							t.Fatal(err)
						}
						good, err := b.orders(e, a, "b.example.org")
						if err != nil {
							t.Fatal(err)
						}
						wait := 2 * time.Hour
						if c.then == digicerttest.Stuck {
							wait = 15 * 24 * time.Hour
						}
						time.Sleep(wait)
						if status, why := b.status(e, a, bad); status != c.status {
							t.Errorf("the wrong one is %s: %s", status, why)
						}
						if status, why := b.status(e, a, good); status != acme.OrderValid {
							t.Errorf("the other one is %s: %s", status, why)
						}
					})
					if bought, again := len(b.ca.Purchases()), b.ca.Count("reissue"); bought != 2 || again != 2 { // a request and what it did
						t.Errorf("%d purchases, and %d events of reissues", bought, again)
					}
				})
			})
		}
	}
}

// TestHeirIsIssuedAgain: who takes over what was bought has its own certificate
// issued again when that one is wrong, once.
func TestHeirIsIssuedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, digicerttest.Config{Processing: time.Minute})
		b.ca.Next(digicerttest.Outcome{Kind: digicerttest.Ready, Reissue: digicerttest.WrongKey})
		b.life(func(e *engine.Engine) {
			a := b.account(e)
			for i, want := range []acme.OrderStatus{acme.OrderValid, acme.OrderInvalid} {
				id, err := b.orders(e, a, "a.example.org")
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Hour)
				if status, why := b.status(e, a, id); status != want {
					t.Errorf("order %d is %s: %s", i, status, why)
				}
			}
		})
		if bought, again := len(b.ca.Purchases()), len(b.ca.Journal("reissue")); bought != 1 || again != 2 {
			t.Errorf("%d purchases and %d reissues", bought, again)
		}
	})
}

// TestReissueInTrouble: whatever happens to the request for a reissue, and to the
// server meanwhile, there is one, and the order has its certificate.
func TestReissueInTrouble(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]digicerttest.Fault{
		"the reply is lost":      {{Endpoint: "reissue", Kind: "reset-after", Count: 1}},
		"the request is lost":    {{Endpoint: "reissue", Kind: "reset-before", Count: 1}},
		"done, and an error":     {{Endpoint: "reissue", Kind: "status-after", Status: 500, Count: 1}},
		"a page for people":      {{Endpoint: "reissue", Kind: "html-502", Count: 1}},
		"not done, with a page":  {{Endpoint: "reissue", Kind: "html-400", Count: 1}},
		"a pause is wanted":      {{Endpoint: "reissue", Kind: "status", Status: 429, RetryAfter: "90", Count: 2}},
		"and nothing is shown":   {{Endpoint: "reissue", Kind: "reset-after", Count: 1}, {Endpoint: "reissues", Kind: "status", Status: 500, Count: 4}},
		"and the wrong one came": {{Endpoint: "download", Kind: "sibling", Skip: 1, Count: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, digicerttest.Config{Processing: time.Minute})
				b.ca.Next(digicerttest.Outcome{Kind: digicerttest.NoClient})
				for _, f := range faults {
					if err := b.ca.Break(f); err != nil {
						t.Fatal(err)
					}
				}
				var a acme.Account
				var id acme.OrderID
				b.life(func(e *engine.Engine) {
					a = b.account(e)
					var err error
					if id, err = b.orders(e, a, "a.example.org"); err != nil {
						t.Fatal(err)
					}
				})
				for range 30 { // each a restart
					b.life(func(*engine.Engine) { time.Sleep(20 * time.Second) })
				}
				b.life(func(e *engine.Engine) {
					time.Sleep(time.Hour)
					if status, why := b.status(e, a, id); status != acme.OrderValid {
						t.Errorf("it is %s: %s", status, why)
					}
				})
				if bought, again := len(b.ca.Purchases()), len(b.ca.Journal("reissue")); bought != 1 || again != 1 {
					t.Errorf("%d purchases and %d reissues", bought, again)
				}
			})
		})
	}
}

// TestGivenUp: an order that the CA did not end in time is given up here; who
// comes back soon, with another key, takes over what was bought.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, digicerttest.Config{NoApproval: true, NoSelfApproval: true, Processing: time.Hour})
		b.profile.IssuanceDeadline = 48 * time.Hour
		b.life(func(e *engine.Engine) {
			a := b.account(e)
			key := newKey(t)
			first, err := b.ordersFor(e, a, "trust.example.org", key)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Hour)
			second, err := b.orders(e, a, "trust.example.org")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			// What was given up has gone to the second, also for the first key.
			third, err := b.ordersFor(e, a, "trust.example.org", key)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if err := b.ca.Approve(b.ca.Purchases()[0].Order); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
			for id, want := range map[acme.OrderID]acme.OrderStatus{first: acme.OrderInvalid, second: acme.OrderInvalid, third: acme.OrderValid} {
				if status, why := b.status(e, a, id); status != want {
					t.Errorf("it is %s, want %s: %s", status, want, why)
				}
			}
		})
		if n := len(b.ca.Purchases()); n != 1 {
			t.Errorf("%d purchases", n)
		}
	})
}
