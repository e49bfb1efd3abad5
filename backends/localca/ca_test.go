package localca

import (
	"crypto/x509"
	"os"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/conformance/backendtest"
)

// birth is when the CAs of these tests are made.
var birth = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testConfig(t testing.TB) Config {
	t.Helper()
	return Config{Dir: t.TempDir() + "/ca", Name: "local", PublicURL: "http://pki.example.org", Now: func() time.Time { return birth }}
}

func open(t testing.TB, cfg Config) *CA {
	t.Helper()
	ca, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newRequest(at time.Time) backends.Request { return backendtest.NewRequest(at, backends.Traits{}) }

func leafOf(t testing.TB, chain [][]byte) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestContract(t *testing.T) {
	for name, configure := range map[string]func(*Config){
		"issuer": func(*Config) {},
		"queued": func(c *Config) { c.Queued = true },
		"p384":   func(c *Config) { c.KeyType, c.RootKeyType = P384, P384 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backendtest.Subject {
				cfg := testConfig(t)
				cfg.OCSP = true
				configure(&cfg)
				return backendtest.Subject{
					Backend: open(t, cfg).Backend(),
					Now:     cfg.Now,
					Derived: true,
					Reopen:  func() backends.Backend { return open(t, cfg).Backend() },
					Refuse: func() backends.Request {
						r := newRequest(birth)
						r.Contract.Usages = []acme.Usage{"time_stamping"}
						return r
					},
				}
			})
		})
	}
}

func TestQueuedHidesIssue(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if _, ok := open(t, cfg).Backend().(backends.Issuer); !ok {
		t.Error("the CA does not offer to issue at once")
	}
	cfg.Queued = true
	b := open(t, cfg).Backend()
	if _, ok := b.(backends.Issuer); ok {
		t.Error("the queued CA offers to issue at once")
	}
	_, finder := b.(backends.Finder)
	_, revoker := b.(backends.Revoker)
	_, signer := b.(backends.CRLSigner)
	_, rooted := b.(backends.Rooted)
	_, checker := b.(backends.Checker)
	_, publisher := b.(backends.Publisher)
	if !finder || !revoker || !signer || !rooted || !checker || !publisher {
		t.Error("the queued CA lost abilities that it should keep")
	}
}

// TestIssueTouchesNoFile is what lets the engine issue inside of its commit.
func TestIssueTouchesNoFile(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ca := open(t, cfg)
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Issue(newRequest(birth)); err != nil {
		t.Error(err)
	}
}
