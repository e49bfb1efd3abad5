package godaddy_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/conformance/backendtest"
	"acmebridge/internal/secret"
	"acmebridge/internal/standin"
)

// begin is when the stand-in's clock starts; it moves only by Advance.
var begin = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

const apiKey, apiSecret, shopper = "godaddy-key", "godaddy-secret", 1234567

// rsaKeys makes RSA keys that differ, quickly, of a few primes. They are good for
// nothing else.
type rsaKeys struct {
	primes func() []*big.Int
	next   atomic.Int64
}

var keys = rsaKeys{primes: sync.OnceValue(func() (primes []*big.Int) {
	for len(primes) < 45 {
		p, err := rand.Prime(rand.Reader, 1024)
		if err != nil {
			panic(err)
		}
		primes = append(primes, p)
	}
	return primes
})}

func (k *rsaKeys) key(t testing.TB) *rsa.PrivateKey {
	primes, one, e := k.primes(), big.NewInt(1), big.NewInt(65537)
	for {
		n := int(k.next.Add(1) - 1)
		i, j := n/len(primes), n%len(primes)
		if i >= len(primes) {
			t.Fatal("no more keys: take more primes")
		}
		if i >= j {
			continue
		}
		p, q := primes[i], primes[j]
		product := new(big.Int).Mul(p, q)
		d := new(big.Int).ModInverse(e, new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
		if product.BitLen() != 2048 || d == nil {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: product, E: 65537}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		return key
	}
}

// world is a stand-in that runs, and a backend in front of it.
type world struct {
	ca  *godaddytest.CA
	url string
}

func newWorld(t *testing.T, cfg godaddytest.Config) world {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = standin.Stopped(begin)
	}
	if cfg.PerMinute == 0 {
		cfg.PerMinute = -1 // its clock stands still while a test makes its calls
	}
	ca, err := godaddytest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return world{ca: ca, url: url}
}

func login(key, value string) func() (godaddy.Login, error) {
	return func() (godaddy.Login, error) {
		return godaddy.Login{Key: secret.New([]byte(key)), Secret: secret.New([]byte(value))}, nil
	}
}

func (w world) client(t *testing.T, change ...func(*godaddy.Config)) *godaddy.Client {
	t.Helper()
	cfg := godaddy.Config{
		URL: w.url, Login: login(apiKey, apiSecret), Dial: new(net.Dialer).DialContext, Now: w.ca.Now, PerMinute: 1 << 20, PerSecond: 1 << 20,
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := godaddy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w world) backend(t *testing.T, client *godaddy.Client, change ...func(*godaddy.BackendConfig)) *godaddy.Backend {
	t.Helper()
	issuing, root := w.ca.Roots()
	cfg := godaddy.BackendConfig{Client: client, Shopper: shopper, Product: "UCC_DV_SSL", Roots: [][]byte{root}, Intermediates: [][]byte{issuing}, Now: w.ca.Now}
	for _, c := range change {
		c(&cfg)
	}
	b, err := godaddy.NewBackend(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w world) breaks(t *testing.T, faults ...standin.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := w.ca.Break(f); err != nil {
			t.Fatal(err)
		}
	}
}

// request is one for new names and a new key, which is RSA.
func (w world) request(t testing.TB) backends.Request {
	return w.forKey(t, backendtest.NewRequest(w.ca.Now(), backends.Traits{}))
}

// like is a request for the names of another one, and another key.
func (w world) like(t testing.TB, earlier backends.Request) backends.Request {
	t.Helper()
	r := backendtest.NewRequest(w.ca.Now(), backends.Traits{})
	r.Account, r.Contract.CommonName, r.Contract.Identifiers = earlier.Account, earlier.Contract.CommonName, earlier.Contract.Identifiers
	return w.forKey(t, r)
}

// forKey gives a request a new RSA key, and a CSR.
func (w world) forKey(t testing.TB, r backends.Request) backends.Request {
	key := keys.key(t)
	names := []string{r.Contract.Identifiers[0].Value, r.Contract.Identifiers[1].Value}
	var err error
	if r.CSR, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names}, key); err != nil {
		t.Fatal(err)
	}
	if r.PublicKey, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		t.Fatal(err)
	}
	r.Contract.KeyHash = sha256.Sum256(r.PublicKey)
	return r
}

// TestContract joins the suite of all backends: before the cut-off and after it,
// with orders that show their CSR and with such that do not, and with renewals.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg           godaddytest.Config
		after, renews bool
	}{
		"both usages, its CSR shown": {cfg: godaddytest.Config{Processing: time.Minute, ShowCSR: true, Visibility: 30 * time.Second}},
		"servers alone, no CSR":      {cfg: godaddytest.Config{Processing: time.Minute, ServerOnlyFrom: begin}, after: true},
		"renewals":                   {cfg: godaddytest.Config{Processing: time.Minute}, renews: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backendtest.Subject {
				w := newWorld(t, test.cfg)
				kinds := []godaddytest.Kind{godaddytest.DropName, godaddytest.AddName, godaddytest.WrongKey, godaddytest.NoServer, godaddytest.Outlived}
				request, endpoint := func() backends.Request { return w.request(t) }, "order"
				cutOff := func(*godaddy.BackendConfig) {}
				if test.after {
					request = func() backends.Request {
						r := w.request(t)
						r.Contract.Usages = []acme.Usage{acme.ServerAuth}
						return r
					}
					cutOff = func(c *godaddy.BackendConfig) { c.ServerOnlyFrom = begin }
				} else {
					kinds = append(kinds, godaddytest.NoClient)
				}
				open := func(change ...func(*godaddy.Config)) backends.Backend {
					return w.backend(t, w.client(t, change...), cutOff)
				}
				if test.renews {
					var replaces sync.Map // by common name; the engine of the suite knows of no certificates from before
					request, endpoint = func() backends.Request {
						r := w.renewal(t)
						replaces.Store(r.Contract.CommonName, r.Replaces)
						return r
					}, "renew"
					open = func(change ...func(*godaddy.Config)) backends.Backend {
						return renewing{w.backend(t, w.client(t, change...), renews), &replaces}
					}
				}
				return backendtest.Subject{
					Backend: open(),
					Request: request,
					Now:     w.ca.Now,
					Settle:  func() { w.ca.Advance(time.Minute) },
					Reopen:  func() backends.Backend { return open() },
					Refuse: func() backends.Request {
						w.ca.Next(godaddytest.Outcome{Kind: godaddytest.Denied, Reason: "not yours"})
						return request()
					},
					Bought:   func() int { return len(w.ca.Purchases()) },
					Misissue: ways(func(kind godaddytest.Kind) { w.ca.Next(godaddytest.Outcome{Kind: kind}) }, kinds...),
					Damage: ways(func(kind string) { w.breaks(t, standin.Fault{Endpoint: "download", Kind: kind}) },
						"pem-truncated", "pem-leaf-only", "html", "html-502", "empty", "half-body", "reset-before", "redirect", "huge", "invalid-json"),
					Mend:      w.ca.Mend,
					LoseReply: func() { w.breaks(t, standin.Fault{Endpoint: endpoint, Kind: "reset-after", Count: 1}) },
					Unreachable: func() backends.Backend {
						return open(func(c *godaddy.Config) {
							c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
						})
					},
				}
			})
		})
	}
}

// renewing has each request replace the certificate that there is for its name.
type renewing struct {
	*godaddy.Backend
	replaces *sync.Map
}

func (b renewing) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if id, ok := b.replaces.Load(r.Contract.CommonName); ok {
		r.Replaces = id.(string)
	}
	return b.Backend.Submit(ctx, r)
}

// sold is a certificate that was bought before for what a request is for.
func (w world) sold(t testing.TB, r backends.Request) (id, certID string) {
	t.Helper()
	var names []string
	for _, i := range r.Contract.Identifiers {
		names = append(names, i.Value)
	}
	id, err := w.ca.Sold(r.CSR, "UCC_DV_SSL", r.Contract.CommonName, names...)
	if err != nil {
		t.Fatal(err)
	}
	leaf := w.ca.Certificate(id)
	return id, acme.CertID(leaf.AuthorityKeyId, acme.SerialOctets(leaf.SerialNumber))
}

// renewal is a request with another key for names that have a certificate.
func (w world) renewal(t testing.TB) backends.Request {
	t.Helper()
	earlier := w.request(t)
	r := w.like(t, earlier)
	r.Renewal = true
	_, r.Replaces = w.sold(t, earlier)
	return r
}

// ways makes of each kind of trouble something that brings it about.
func ways[T ~string](do func(T), kinds ...T) map[string]func() {
	m := map[string]func(){}
	for _, kind := range kinds {
		m[string(kind)] = func() { do(kind) }
	}
	return m
}
