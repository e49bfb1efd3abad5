package godaddy_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/challenges"
	"acmebridge/internal/standin"
	"acmebridge/storage/memory"
)

type everybody struct{}

func (everybody) Type() acme.ChallengeType { return acme.HTTP01 }
func (everybody) Validate(context.Context, challenges.Target) acme.Outcome {
	return acme.Outcome{Valid: true}
}

type noSealer struct{}

func (noSealer) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (noSealer) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// TestAnotherKeyMeanwhile: somebody takes a day to put the CA's record in place, and
// the client comes back with another key each time, once across a restart. One credit
// is taken; the last key gets the certificate, and the earlier orders end (D9).
func TestAnotherKeyMeanwhile(t *testing.T) {
	t.Parallel()
	private := []*rsa.PrivateKey{keys.key(t), keys.key(t), keys.key(t)}
	synctest.Test(t, func(t *testing.T) {
		ca, err := godaddytest.New(godaddytest.Config{Processing: 24 * time.Hour}) // its clock is that of the bubble
		if err != nil {
			t.Fatal(err)
		}
		at := standin.NewPipes()
		server := &http.Server{Handler: ca.Handler(), ReadHeaderTimeout: time.Hour}
		go func() { _ = server.Serve(at) }()
		t.Cleanup(func() { _ = server.Close() })
		store := memory.New()
		profile := acme.Profile{
			Name: "tls", Backend: "ca", Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
			Identifiers: acme.IdentifierPolicy{Max: 5}, Usages: []acme.Usage{acme.ServerAuth, acme.ClientAuth}, Subject: acme.SubjectByCA,
			Validity: 199 * 24 * time.Hour, OrderLifetime: 14 * 24 * time.Hour, AuthorizationLifetime: 30 * 24 * time.Hour,
			Hold: time.Second, IssuanceDeadline: 14 * 24 * time.Hour, Reattach: acme.ReattachSwap, ReattachWithin: 24 * time.Hour,
		}
		life := func(do func(*engine.Engine)) {
			t.Helper()
			client, err := godaddy.New(godaddy.Config{URL: "http://127.0.0.1:1", Dial: at.Dial, Login: login(apiKey, apiSecret)})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			issuing, root := ca.Roots()
			b, err := godaddy.NewBackend(godaddy.BackendConfig{
				Client: client, Shopper: shopper, Reissue: true, ReissueDelay: 72 * time.Hour, Roots: [][]byte{root}, Intermediates: [][]byte{issuing},
			})
			if err != nil {
				t.Fatal(err)
			}
			e, err := engine.New(engine.Config{
				Store: store, Backends: map[string]backends.Backend{"ca": b}, Validators: []challenges.Validator{everybody{}},
				Directories: []acme.Directory{{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}}},
				Profiles:    map[acme.ProfileName]acme.Profile{"tls": profile}, Sealer: noSealer{}, Holder: rand.Text(),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			do(e)
			stop()
			if err := <-ended; err != nil {
				t.Errorf("the engine ended with %v", err)
			}
		}
		var account acme.Account
		order := func(e *engine.Engine, key *rsa.PrivateKey) acme.OrderID {
			t.Helper()
			const name = "slow.example.org"
			o, err := e.NewOrder(t.Context(), account, engine.OrderRequest{Identifiers: []acme.Identifier{{Type: acme.DNSIdentifier, Value: name}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range o.Authorizations {
				if _, _, err := e.Respond(t.Context(), account, id, acme.HTTP01); err != nil {
					t.Fatal(err)
				}
			}
			csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = e.Finalize(t.Context(), account, o.ID, csr); err != nil {
				t.Fatal(err)
			}
			return o.ID
		}
		var all []acme.OrderID
		life(func(e *engine.Engine) {
			spki, err := x509.MarshalPKIXPublicKey(private[0].Public())
			if err != nil {
				t.Fatal(err)
			}
			account, _, err = e.NewAccount(t.Context(), engine.AccountRequest{
				Directory: "default", Key: spki, KeyHash: sha256.Sum256(spki), Thumbprint: rand.Text(), CheckKey: func() *acme.Problem { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, order(e, private[1]))
			time.Sleep(time.Hour)
			all = append(all, order(e, private[2]))
			time.Sleep(time.Hour)
		})
		life(func(e *engine.Engine) {
			all = append(all, order(e, keys.key(t)))
			time.Sleep(72 * time.Hour)
			for i, id := range all {
				o, _, err := e.Order(t.Context(), account.ID, id)
				want := acme.OrderInvalid
				if i == len(all)-1 {
					want = acme.OrderValid
				}
				if err != nil || o.Status != want {
					t.Errorf("order %d is %s, want %s: %v, %v", i, o.Status, want, o.Problem, o.History)
				}
			}
		})
		if p, r := ca.Count("purchase"), len(ca.Journal("reissue")); p != 1 || r != 1 {
			t.Errorf("%d purchases, %d reissues", p, r)
		}
	})
}
