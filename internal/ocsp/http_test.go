package ocsp_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"acmebridge/internal/ocsp"
)

func serve(h http.Handler, method, path string, body []byte, header ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, path, bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w
}

// slashed is a request whose base64 has the letters that paths do not like.
func slashed(t *testing.T, c *ca) (der []byte, text string) {
	t.Helper()
	for i := range int64(5000) {
		der = ask(t, c, c.issue(1<<40+i), crypto.SHA1)
		if text = base64.StdEncoding.EncodeToString(der); strings.Contains(text, "/") && strings.Contains(text, "+") && strings.HasSuffix(text, "=") {
			return der, text
		}
	}
	t.Fatal("no serial number gives such a request")
	return nil, ""
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	r := responder(t, ocsp.Config{}, c)
	der, text := slashed(t, c)
	want := r.Answer(t.Context(), der).Body
	for name, path := range map[string]string{
		"as it is": text, "escaped": url.QueryEscape(text), "half escaped": strings.ReplaceAll(text, "/", "%2f"), "no padding": strings.TrimRight(text, "="),
	} {
		w := serve(r, "GET", "/ocsp/"+path, nil)
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("%s: status %d, body %x", name, w.Code, w.Body)
		}
	}
	if w := serve(r, "POST", "/ocsp", der, "Content-Type", "application/ocsp-request"); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), want) ||
		w.Header().Get("Content-Type") != "application/ocsp-response" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("POST: status %d, header %v", w.Code, w.Header())
	}
	malformed := []byte{0x30, 3, 0x0a, 1, 1}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"nothing": serve(r, "GET", "/ocsp", nil), "no base64": serve(r, "GET", "/ocsp/!!", nil), "bad escape": serve(r, "GET", "/ocsp/AA", nil),
		"too long": serve(r, "GET", "/ocsp/"+strings.Repeat("A", 5000), nil), "empty": serve(r, "POST", "/ocsp", nil),
		"huge": serve(r, "POST", "/ocsp", make([]byte, 10<<20)),
	} {
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), malformed) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, body %x, header %v", name, w.Code, w.Body, w.Header())
		}
	}
	if w := serve(r, "PUT", "/ocsp", der); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT: status %d", w.Code)
	}
}

// TestCacheHeaders are those of RFC 5019, section 6.2.
func TestCacheHeaders(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	start := time.Now().Truncate(time.Second)
	now := start
	r := responder(t, ocsp.Config{CacheFor: 20 * time.Minute, Now: func() time.Time { return now }}, c)
	der, text := slashed(t, c)
	w := serve(r, "GET", "/ocsp/"+text, nil)
	tag := w.Header().Get("ETag")
	for name, want := range map[string]string{
		"Cache-Control": "max-age=1200, public, no-transform, must-revalidate", "Last-Modified": start.UTC().Format(http.TimeFormat),
		"Expires": start.Add(time.Hour).UTC().Format(http.TimeFormat), "Content-Type": "application/ocsp-response", "Content-Length": fmt.Sprint(w.Body.Len()),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if w := serve(r, "GET", "/ocsp/"+text, nil, "If-None-Match", tag); w.Code != 304 || w.Body.Len() > 0 || len(tag) < 10 {
		t.Errorf("with the tag %s: status %d", tag, w.Code)
	}
	// What a cache hands out at the end of max-age must still be fresh.
	now = start.Add(29 * time.Minute)
	if got := serve(r, "GET", "/ocsp/"+text, nil).Header().Get("Cache-Control"); !strings.HasPrefix(got, "max-age=960,") {
		t.Errorf("an answer of 29 minutes may be kept for %q", got)
	}
	nonce := base64.StdEncoding.EncodeToString(request(t, der, 1, []byte("nonce")))
	if got := serve(r, "GET", "/ocsp/"+nonce, nil).Header(); got.Get("Cache-Control") != "no-store" || got.Get("ETag") != "" {
		t.Errorf("an answer for one: %v", got)
	}
}

// TestOpenSSL asks with the tool that everybody tries first.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	good, revoked, unknown := c.issue(0x7001), c.issue(0x7002), c.unregistered(0x7003)
	c.set(revoked, ocsp.Status{State: ocsp.Revoked, At: time.Now(), Reason: 1})
	server := httptest.NewServer(responder(t, ocsp.Config{}, c))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := func(name string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	issuer := file("ca.pem", c.cert.Raw)
	goodFile, revokedFile, unknownFile := file("good.pem", good.Raw), file("revoked.pem", revoked.Raw), file("unknown.pem", unknown.Raw)
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"good, with a nonce":    {[]string{"-cert", goodFile}, []string{"good.pem: good"}},
		"good, without a nonce": {[]string{"-no_nonce", "-cert", goodFile}, []string{"good.pem: good"}},
		"good by SHA-256":       {[]string{"-sha256", "-cert", goodFile}, []string{"good.pem: good"}},
		"revoked":               {[]string{"-cert", revokedFile}, []string{"revoked.pem: revoked", "Reason: keyCompromise"}},
		"unknown":               {[]string{"-cert", unknownFile}, []string{"unknown.pem: unknown"}},
		"three at once":         {[]string{"-cert", goodFile, "-cert", revokedFile, "-sha256", "-cert", unknownFile}, []string{"good.pem: good", "revoked.pem: revoked", "unknown.pem: unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"ocsp", "-issuer", issuer, "-CAfile", issuer, "-url", server.URL + "/ocsp"}, tt.args...)
			out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, want := range append(tt.want, "Response verify OK") {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("no %q in %s", want, out)
				}
			}
			if strings.Contains(name, "with a nonce") && bytes.Contains(out, []byte("WARNING")) {
				t.Errorf("the nonce is missing: %s", out)
			}
		})
	}
}

// BenchmarkCached is one client after another over one connection's handler,
// from cache.
func BenchmarkCached(b *testing.B) {
	c := newCA(b, "one")
	r := responder(b, ocsp.Config{}, c)
	der := ask(b, c, c.issue(7), crypto.SHA1)
	b.ReportAllocs()
	for b.Loop() {
		if w := serve(r, "POST", "/ocsp", der); w.Body.Len() < 100 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkSigned is what a nonce costs.
func BenchmarkSigned(b *testing.B) {
	c := newCA(b, "one")
	r := responder(b, ocsp.Config{Signatures: 1 << 30}, c)
	der := request(b, ask(b, c, c.issue(7), crypto.SHA1), 1, []byte("nonce"))
	b.ReportAllocs()
	for b.Loop() {
		if w := serve(r, "POST", "/ocsp", der); w.Body.Len() < 100 {
			b.Fatal(w.Body)
		}
	}
}

// FuzzRequest holds the parser against the one of x/crypto, and wants an answer
// to everything, of a bounded size.
func FuzzRequest(f *testing.F) {
	c := newCA(f, "one")
	cert := c.issue(7)
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		q := ask(f, c, cert, hash)
		f.Add(q)
		f.Add(request(f, q, 2, []byte("nonce")))
		f.Add(extended(f, q, 1, []int{1, 2, 3}, true, []byte{5, 0}))
	}
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80, 0, 0})
	r := responder(f, ocsp.Config{}, c)
	f.Fuzz(func(t *testing.T, der []byte) {
		q, err := ocsp.ParseRequest(der)
		a := r.Answer(t.Context(), der)
		if err != nil {
			if failed(a) != 1 {
				t.Fatalf("%v, but status %d", err, failed(a))
			}
			return
		}
		if len(q.IDs) == 0 || len(q.IDs) > 16 {
			t.Fatalf("%d certificates", len(q.IDs))
		}
		if len(a.Body) > 2*len(der)+8<<10 {
			t.Fatalf("%d bytes are answered with %d", len(der), len(a.Body))
		}
		for _, id := range q.IDs {
			if !bytes.Contains(der, id.Raw) || len(id.Serial) == 0 {
				t.Fatalf("a CertID %x that is not in the request", id.Raw)
			}
		}
		theirs, err := xocsp.ParseRequest(der)
		if err != nil {
			return // it reads requests without names of requestors only
		}
		if first := q.IDs[0]; first.Hash != 0 && (theirs.HashAlgorithm != first.Hash || !bytes.Equal(theirs.IssuerNameHash, first.NameHash) || !bytes.Equal(theirs.IssuerKeyHash, first.KeyHash)) {
			t.Fatalf("x/crypto reads another CertID")
		}
	})
}
