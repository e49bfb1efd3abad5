package pki_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/pki"
	"acmebridge/storage"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// source is a publisher with a list, a certificate and a fault.
type source map[string]storage.Publication

func (s source) Publication(_ context.Context, name string) (storage.Publication, bool, error) {
	if name == "crl/broken.crl" {
		return storage.Publication{}, false, errors.New("disk on fire at /secret/path")
	}
	p, ok := s[name]
	return p, ok, nil
}

func newHandler(t *testing.T, chains [][][]byte) *pki.Handler {
	t.Helper()
	h, err := pki.New(pki.Config{
		Source: source{
			"crl/local.crl": {Name: "crl/local.crl", ContentType: "application/pkix-crl", Body: []byte("a list"), At: now.Add(-time.Hour), Next: now.Add(10 * time.Minute)},
			"ca/local.cer":  {Name: "ca/local.cer", ContentType: "application/pkix-cert", Body: []byte("a certificate")},
		},
		Chains: func() [][][]byte { return chains },
		Now:    func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func do(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	h := newHandler(t, [][][]byte{{[]byte("one")}})
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
		header       map[string]string
	}{
		{"GET", "/crl/local.crl", 200, "a list", map[string]string{
			"Content-Type": "application/pkix-crl", "Cache-Control": "public, max-age=600",
			"Last-Modified": "Sun, 01 Mar 2026 11:00:00 GMT", "X-Content-Type-Options": "nosniff"}},
		{"HEAD", "/crl/local.crl", 200, "", map[string]string{"Content-Type": "application/pkix-crl", "Content-Length": "6"}},
		{"GET", "/ca/local.cer", 200, "a certificate", map[string]string{
			"Content-Type": "application/pkix-cert", "Cache-Control": "public, max-age=86400", "Last-Modified": ""}},
		{"GET", "/roots/0.pem", 200, "-----BEGIN CERTIFICATE-----\nb25l\n-----END CERTIFICATE-----\n", map[string]string{
			"Content-Type": "application/pem-certificate-chain"}},
		{"GET", "/roots/1.pem", 404, "", nil},
		{"GET", "/roots/00.pem", 404, "", nil},
		{"GET", "/roots/-1.pem", 404, "", nil},
		{"GET", "/roots/0", 404, "", nil},
		{"GET", "/crl/other.crl", 404, "", nil},
		{"GET", "/", 404, "", nil},
		{"GET", "/crl/../admin.sock", 404, "", nil},
		{"GET", "/crl/" + strings.Repeat("a", 300), 404, "", nil},
		{"POST", "/crl/local.crl", 405, "", map[string]string{"Allow": "GET, HEAD"}},
		{"DELETE", "/roots/0.pem", 405, "", map[string]string{"Allow": "GET, HEAD"}},
		{"GET", "/crl/broken.crl", 503, "", map[string]string{"Retry-After": "30"}},
	} {
		t.Run(tt.method+" "+tt.path[:min(len(tt.path), 30)], func(t *testing.T) {
			t.Parallel()
			w := do(h, tt.method, tt.path)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d", w.Code, tt.status)
			}
			if tt.status == 200 && w.Body.String() != tt.body {
				t.Errorf("body %q, want %q", w.Body, tt.body)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("the answer tells of the inside: %s", w.Body)
			}
			for name, want := range tt.header {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// A cache that has the current list is told so without the list.
func TestConditional(t *testing.T) {
	t.Parallel()
	h := newHandler(t, nil)
	tag := do(h, "GET", "/crl/local.crl").Header().Get("ETag")
	if len(tag) < 10 {
		t.Fatalf("ETag %q", tag)
	}
	if w := do(h, "GET", "/crl/local.crl", "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("same tag: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := do(h, "GET", "/crl/local.crl", "If-None-Match", `"other"`); w.Code != 200 {
		t.Errorf("other tag: %d", w.Code)
	}
	if w := do(h, "GET", "/crl/local.crl", "If-Modified-Since", now.Format(http.TimeFormat)); w.Code != 304 {
		t.Errorf("not modified since: %d", w.Code)
	}
	if other := do(h, "GET", "/ca/local.cer").Header().Get("ETag"); other == tag {
		t.Error("two contents have one tag")
	}
}

func TestChains(t *testing.T) {
	t.Parallel()
	rootA, keyA := certificate(t, "root A", nil, nil)
	rootB, keyB := certificate(t, "root B", nil, nil)
	below, keyBelow := certificate(t, "issuer B", rootB, keyB)
	further, _ := certificate(t, "issuer B 2", below, keyBelow)
	other, _ := certificate(t, "issuer A", rootA, keyA)

	got := pki.Chains([][]byte{rootA.Raw, []byte("no certificate"), rootB.Raw}, [][]byte{further.Raw, other.Raw, []byte("none"), below.Raw})
	want := [][]*x509.Certificate{{rootA, other}, {rootB, below, further}}
	if len(got) != len(want) {
		t.Fatalf("%d chains, want %d", len(got), len(want))
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("chain %d has %d certificates, want %d", i, len(got[i]), len(want[i]))
		}
		for j := range want[i] {
			if string(got[i][j]) != string(want[i][j].Raw) {
				t.Errorf("chain %d, place %d: not %s", i, j, want[i][j].Subject)
			}
		}
	}
	h := newHandler(t, got)
	rest := do(h, "GET", "/roots/1.pem").Body.Bytes()
	block, _ := pem.Decode(rest)
	if block == nil || string(block.Bytes) != string(rootB.Raw) {
		t.Error("the root is not the first certificate of its file")
	}
}

func certificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := pki.New(pki.Config{}); err == nil {
		t.Error("a handler without a source was made")
	}
}
