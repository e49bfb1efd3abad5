package sectigotest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/sectigo/sectigotest"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// caller is a client without any knowledge but the documents'.
type caller struct {
	t     testing.TB
	url   string
	token string
}

func start(t testing.TB, cfg sectigotest.Config) (*sectigotest.CA, *caller) {
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
	c := &caller{t: t, url: url}
	c.login()
	return ca, c
}

func (c *caller) login() (access, refresh string) {
	c.t.Helper()
	var got struct{ AccessToken, RefreshToken string }
	status, body := c.do("POST", "/auth/pwd", "application/json", `{"username":"bridge","password":"bridge-password"}`)
	if status != 200 || json.Unmarshal(body, &got) != nil {
		c.t.Fatalf("login: %d %s", status, body)
	}
	c.token = got.AccessToken
	return got.AccessToken, got.RefreshToken
}

func (c *caller) do(method, path, contentType, body string) (int, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, content
}

func (c *caller) get(path string, v any) {
	c.t.Helper()
	status, body := c.do("GET", path, "application/json", "")
	if status != 200 || json.Unmarshal(body, v) != nil {
		c.t.Fatalf("%s: %d %s", path, status, body)
	}
}

func csr(t testing.TB, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cn := "no-names.example"
	if len(names) > 0 {
		cn = names[0]
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// part is one of an upload.
type part struct{ name, file, kind, body string }

func upload(profile int, csrs ...string) []part {
	return []part{
		{"profileId", "", "", fmt.Sprint(profile)},
		{"csrBatchRequest", "blob", "application/json", fmt.Sprintf(`{"profileId":%d,"batchType":"BATCH","batchName":"n","profileParams":{}}`, profile)},
		{"files", "csr.pem", "text/plain", strings.Join(csrs, "")},
	}
}

type batch struct {
	BatchID      int64
	Status       string
	Active       bool
	RejectReason string
	Size         int
}

func (c *caller) upload(parts []part) (status int, b batch, body string) {
	c.t.Helper()
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	for _, p := range parts {
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
		if p.kind != "" {
			header.Set("Content-Type", p.kind)
		}
		out, err := w.CreatePart(header)
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := out.Write([]byte(p.body)); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	status, answer := c.do("POST", "/api/v1/batches/upload", w.FormDataContentType(), buffer.String())
	if status == 201 {
		if err := json.Unmarshal(answer, &b); err != nil {
			c.t.Fatal(err)
		}
	}
	return status, b, string(answer)
}
