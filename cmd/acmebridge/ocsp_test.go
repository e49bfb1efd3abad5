package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/ocsp"
	"acmebridge/storage"
)

// registered stores a certificate of the local CA, as if it had been ordered.
func registered(t testing.TB, p *parts, issuer *x509.Certificate, serial int64, revoked *acme.Revocation) {
	t.Helper()
	c := acme.Certificate{
		ID: acme.CertificateID(strings.Repeat("0", 30) + big.NewInt(serial+100000).String()), Backend: "local", Leaf: make([]byte, 900), Serial: acme.SerialOctets(big.NewInt(serial)),
		AuthorityKeyID: issuer.SubjectKeyId, NotAfter: p.now().Add(time.Hour), Revocation: revoked,
	}
	if err := p.store.Update(context.Background(), func(tx storage.Tx) error { return tx.Certificates().Put(c) }); err != nil {
		t.Fatal(err)
	}
}

func localIssuer(t testing.TB, p *parts) (backends.StatusDelegate, *x509.Certificate) {
	t.Helper()
	d := p.issuers["local"].(backends.StatusDelegate)
	issuer, err := x509.ParseCertificate(d.StatusSigners()[0].Issuer)
	if err != nil {
		t.Fatal(err)
	}
	return d, issuer
}

func question(t testing.TB, issuer *x509.Certificate, serial int64) []byte {
	t.Helper()
	der, err := xocsp.CreateRequest(&x509.Certificate{SerialNumber: big.NewInt(serial), RawIssuer: issuer.RawSubject}, issuer, &xocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func answered(t *testing.T, r *ocsp.Responder, issuer *x509.Certificate, serial int64) (*xocsp.Response, error) {
	t.Helper()
	return xocsp.ParseResponse(r.Answer(t.Context(), question(t, issuer, serial)).Body, issuer)
}

// writePEM writes a file that nobody else can read.
func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// remote makes the local CA look like one whose operator supplies a signer. The
// files are in a folder.
func remote(t *testing.T, p *parts, number int64) (dir string, d backends.StatusDelegate, issuer *x509.Certificate) {
	t.Helper()
	dir = t.TempDir()
	d, issuer = localIssuer(t, p)
	writePEM(t, filepath.Join(dir, "issuer.pem"), "CERTIFICATE", issuer.Raw)
	writeSigner(t, dir, d, number)
	local := p.cfg.Backends["local"]
	local.OCSP = config.BackendOCSP{
		Source: config.OCSPDatabase, Issuer: filepath.Join(dir, "issuer.pem"), SignerCert: filepath.Join(dir, "signer.pem"),
		SignerKey: filepath.Join(dir, "signer.key"), CRL: filepath.Join(dir, "list.crl"),
	}
	p.cfg.Backends["local"] = local
	p.issuers["local"] = struct{ backends.Backend }{p.issuers["local"]} // without the ability
	return dir, d, issuer
}

func writeSigner(t *testing.T, dir string, d backends.StatusDelegate, number int64) {
	t.Helper()
	name := d.StatusSigners()[0].Name
	der, _, err := d.CertifySigner(name, number, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, err := d.SignerKey(name, number)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "signer.pem"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(dir, "signer.key"), "PRIVATE KEY", pkcs8)
}

// TestSuppliedSigner: for a CA elsewhere answers come from the records, signed
// with what the operator has put there, and with its successor when that comes.
func TestSuppliedSigner(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	p := assembled(t, t.TempDir(), func() time.Time { return time.Now().Add(ahead) })
	dir, d, issuer := remote(t, p, 7)
	registered(t, p, issuer, 1, nil)
	registered(t, p, issuer, 2, &acme.Revocation{At: time.Now(), Reason: acme.KeyCompromise}) // the CA has not been told yet
	r, err := p.responder()
	if err != nil {
		t.Fatal(err)
	}
	signers := map[string]bool{}
	for _, number := range []int64{7, 8} {
		for serial, want := range map[int64]int{1: xocsp.Good, 2: xocsp.Revoked, 3: xocsp.Unknown} {
			got, err := answered(t, r, issuer, serial)
			if err != nil || got.Status != want {
				t.Fatalf("serial %d: %v, %v", serial, got, err)
			}
			signers[got.Certificate.Subject.CommonName] = true
		}
		writeSigner(t, dir, d, number+1)
		ahead += time.Minute
	}
	if len(signers) != 2 {
		t.Errorf("signers %v", signers)
	}
	// What cannot be used is not.
	if err := os.WriteFile(filepath.Join(dir, "signer.pem"), []byte("nonsense of another length"), 0o600); err != nil {
		t.Fatal(err)
	}
	ahead += time.Minute
	if got, err := answered(t, r, issuer, 1); err != nil || got.Status != xocsp.Good {
		t.Errorf("with a broken successor: %v", err)
	}
	if warnings := p.ocspWarnings(); len(warnings) != 1 || !strings.Contains(warnings[0], "signer_cert") {
		t.Errorf("warnings %q", warnings)
	}
	writeSigner(t, dir, d, 9)
	if warnings := p.ocspWarnings(); len(warnings) != 0 {
		t.Errorf("warnings %q", warnings)
	}
	ahead = 20 * 24 * time.Hour
	if warnings := p.ocspWarnings(); len(warnings) != 1 || !strings.Contains(warnings[0], "have it renewed") {
		t.Errorf("warnings of one that ends soon: %q", warnings)
	}
	ahead = 0

	for name, spoil := range map[string]func(){
		"a key that others can read": func() { _ = os.Chmod(filepath.Join(dir, "signer.key"), 0o644) },
		"another's key": func() {
			writeSigner(t, t.TempDir(), d, 1)
			copyFile(t, filepath.Join(dir, "issuer.pem"), filepath.Join(dir, "signer.pem"))
		},
		"no issuer": func() { _ = os.Remove(filepath.Join(dir, "issuer.pem")) },
	} {
		writePEM(t, filepath.Join(dir, "issuer.pem"), "CERTIFICATE", issuer.Raw)
		writeSigner(t, dir, d, 9)
		spoil()
		if _, err := p.responder(); err == nil || !strings.Contains(err.Error(), "backends.local.ocsp") {
			t.Errorf("%s: %v", name, err)
		}
		_ = os.Remove(filepath.Join(dir, "signer.key"))
	}
}

// TestListAsSource: what is on the list of the CA is revoked, and so is what was
// revoked here since the list was made; everything else of the CA is good.
func TestListAsSource(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	var told bytes.Buffer
	p := assembled(t, t.TempDir(), func() time.Time { return time.Now().Add(ahead) })
	p.log = slog.New(slog.NewTextHandler(&told, nil))
	dir, _, issuer := remote(t, p, 7)
	local := p.cfg.Backends["local"]
	local.OCSP.Source = config.OCSPList
	p.cfg.Backends["local"] = local
	if _, err := p.responder(); err == nil || !strings.Contains(err.Error(), "crl: ") {
		t.Errorf("without a list: %v", err)
	}
	ca := p.cas["local"].(signingCA)
	der, _, err := ca.SignCRL("crl/local.crl", 1, time.Now().Add(-time.Hour), []backends.Revoked{{Serial: []byte{5}, AuthorityKeyID: issuer.SubjectKeyId, At: time.Now().Add(-2 * time.Hour), Reason: acme.Superseded}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "list.crl"), der, 0o600); err != nil {
		t.Fatal(err)
	}
	registered(t, p, issuer, 1, nil)
	registered(t, p, issuer, 2, &acme.Revocation{At: time.Now()})
	r, err := p.responder()
	if err != nil {
		t.Fatal(err)
	}
	for serial, want := range map[int64]int{1: xocsp.Good, 2: xocsp.Revoked, 5: xocsp.Revoked, 77: xocsp.Good} {
		if got, err := answered(t, r, issuer, serial); err != nil || got.Status != want {
			t.Errorf("serial %d: %v, %v", serial, got, err)
		}
	}
	// A list from before something was revoked makes nothing good, and is told of.
	if der, _, err = ca.SignCRL("crl/local.crl", 1, time.Now().Add(-2*time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "list.crl"), der, 0o600); err != nil {
		t.Fatal(err)
	}
	ahead = time.Minute
	for range 2 {
		if got, err := answered(t, r, issuer, 5); err != nil || got.Status != xocsp.Revoked {
			t.Errorf("by an older list: %v, %v", got, err)
		}
		ahead += time.Minute
	}
	if n := strings.Count(told.String(), "older than the one in hand"); n != 1 {
		t.Errorf("told of it %d times: %s", n, told.String())
	}
}

// TestOCSPOfTheServer: the listener answers as soon as the engine has certified
// a signer, and turns huge requests away without reading them.
func TestOCSPOfTheServer(t *testing.T) {
	t.Parallel()
	s, _ := startService(t)
	<-s.engine.Started()
	_, issuer := localIssuer(t, s.parts)
	registered(t, s.parts, issuer, 1, nil)
	url := "http://" + s.cfg.PKIListen + "/ocsp"
	post := func(body io.Reader) []byte {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/ocsp-response" {
			t.Fatalf("status %d, header %v: %v", resp.StatusCode, resp.Header, err)
		}
		return b
	}
	deadline := time.Now().Add(time.Minute)
	for {
		got, err := xocsp.ParseResponse(post(bytes.NewReader(question(t, issuer, 1))), issuer)
		if err == nil && got.Status == xocsp.Good && time.Since(got.ThisUpdate) < 30*time.Minute {
			break
		}
		if time.Now().After(deadline) { // the signer comes right after the start
			t.Fatalf("%v, %v", got, err)
		}
	}
	if got := post(io.LimitReader(rand.Reader, 1<<20)); !bytes.Equal(got, []byte{0x30, 3, 0x0a, 1, 1}) {
		t.Errorf("a megabyte of nothing: %x", got)
	}
}

// BenchmarkOCSP is one client after another, with the state of each certificate
// read from the database, and signatures kept.
func BenchmarkOCSP(b *testing.B) {
	p := assembled(b, b.TempDir(), time.Now)
	d, issuer := localIssuer(b, p)
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	name := d.StatusSigners()[0].Name
	der, next, err := d.CertifySigner(name, 1, at)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.store.Update(b.Context(), func(tx storage.Tx) error {
		return tx.Publications().Put(storage.Publication{Name: name, Backend: "local", Body: der, Number: 1, At: at, Next: next})
	}); err != nil {
		b.Fatal(err)
	}
	const certificates = 1000 // two of each of 500 Security Servers
	var questions [][]byte
	for i := range int64(certificates) {
		registered(b, p, issuer, 1+i, nil)
		questions = append(questions, question(b, issuer, 1+i))
	}
	r, err := p.responder()
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	ask := func() {
		i++
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/ocsp", bytes.NewReader(questions[i%certificates])))
		if w.Body.Len() < 100 {
			b.Fatalf("%x", w.Body)
		}
	}
	for range certificates {
		ask()
	}
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask()
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "responses/s")
	})
	// Here the client is part of what is measured.
	b.Run("connection", func(b *testing.B) {
		server := httptest.NewServer(r)
		defer server.Close()
		for b.Loop() {
			i++
			resp, err := server.Client().Post(server.URL+"/ocsp", "application/ocsp-request", bytes.NewReader(questions[i%certificates]))
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if err != nil || n < 100 || resp.Body.Close() != nil {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "responses/s")
	})
}
