package sectigo_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"testing"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// begin is when the stand-in's clock starts; it moves only by Advance.
var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	username  = "bridge"
	password  = "bridge-password"
	profile   = 423
	authority = 23
)

// world is a stand-in that runs, and a client of it.
type world struct {
	ca     *sectigotest.CA
	url    string
	client *sectigo.Client
}

func newWorld(t *testing.T, cfg sectigotest.Config, change ...func(*sectigo.Config)) world {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = sectigotest.Stopped(begin)
	}
	ca, err := sectigotest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w := world{ca: ca, url: url}
	w.client = w.connect(t, change...)
	return w
}

// connect makes another client.
func (w world) connect(t *testing.T, change ...func(*sectigo.Config)) *sectigo.Client {
	t.Helper()
	cfg := sectigo.Config{URL: w.url, Username: username, Password: secret.New([]byte(password)), Now: w.ca.Now, Dial: new(net.Dialer).DialContext}
	for _, c := range change {
		c(&cfg)
	}
	client, err := sectigo.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w world) breaks(t *testing.T, faults ...sectigotest.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := w.ca.Break(f); err != nil {
			t.Fatal(err)
		}
	}
}

// order is a CSR and what it asks for.
type order struct {
	csr, key []byte
	names    []string
}

func newOrder(t testing.TB, names ...string) order {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return orderFor(t, key, names...)
}

func orderFor(t testing.TB, key crypto.Signer, names ...string) order {
	t.Helper()
	template := &x509.CertificateRequest{DNSNames: names}
	if len(names) > 0 {
		template.Subject = pkix.Name{CommonName: names[0]}
	} else {
		template.Subject = pkix.Name{CommonName: "no-san.example"}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return order{csr: der, key: spki, names: names}
}

// uploads buys a certificate for each order.
func (w world) uploads(t *testing.T, name string, orders ...order) sectigo.Batch {
	t.Helper()
	u := sectigo.Upload{ProfileID: profile, BatchName: name}
	for _, o := range orders {
		u.CSRs = append(u.CSRs, o.csr)
	}
	b, err := w.client.Upload(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// archive downloads and opens the archive of a batch.
func (w world) archive(t *testing.T, b sectigo.Batch) sectigo.Archive {
	t.Helper()
	d, err := w.client.Download(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	a, err := sectigo.ReadArchive(d.Content, sectigo.ArchiveLimits{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
