package godaddytest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/internal/standin"
)

func csrOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a.example.org"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// TestService: keys, credits, dates and usages are as at the real service.
func TestService(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	var journal bytes.Buffer
	ca, err := godaddytest.New(godaddytest.Config{
		Clock: standin.Stopped(begin), Processing: time.Minute, Credits: 1, ServerOnlyFrom: begin.Add(time.Hour), PerMinute: 8, Journal: &journal,
	})
	if err != nil {
		t.Fatal(err)
	}
	service := ca.Handler()
	key := "sso-key godaddy-key:godaddy-secret"
	do := func(method, path string, body any) (int, map[string]any) {
		t.Helper()
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(content))
		req.Header.Set("Authorization", key)
		service.ServeHTTP(rec, req)
		var got map[string]any
		_ = json.Unmarshal(rec.Body.Bytes(), &got)
		return rec.Code, got
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	order := map[string]any{"commonName": "a.example.org", "csr": csrOf(t, curve), "period": 1, "productType": "DV_SSL", "rootType": "GODADDY_SHA_2"}
	if status, got := do("POST", "/v1/certificates", order); status != http.StatusUnprocessableEntity || got["code"] != "INVALID_KEY" {
		t.Errorf("an EC key: %d %v", status, got)
	}
	order["csr"] = csrOf(t, private)
	if status, _ := do("POST", "/v1/certificates/validate", order); status != http.StatusNoContent {
		t.Errorf("the dry run: %d", status)
	}
	status, got := do("POST", "/v1/certificates", order)
	if status != http.StatusAccepted {
		t.Fatalf("the order: %d %v", status, got)
	}
	id := got["certificateId"].(string)
	if status, got := do("POST", "/v1/certificates", order); status != http.StatusConflict || got["code"] != "NO_CREDIT_AVAILABLE" {
		t.Errorf("without a credit: %d %v", status, got)
	}
	if _, got := do("GET", "/v1/certificates/"+id, nil); got["status"] != "PENDING_ISSUANCE" || got["validStart"] != "" {
		t.Errorf("pending: %v", got)
	}
	ca.Advance(time.Hour)
	_, got = do("GET", "/v1/certificates/"+id+"/download", nil)
	pems, _ := got["pems"].(map[string]any)
	block, _ := pem.Decode([]byte(pems["certificate"].(string)))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("after the cut-off: %v, %v", cert.ExtKeyUsage, err)
	}
	for range 8 {
		status, _ = do("GET", "/v1/shoppers/1234567", nil)
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("too many: %d", status)
	}
	key = "sso-key godaddy-key:hunter2"
	if status, _ := do("GET", "/v1/shoppers/1234567", nil); status != http.StatusUnauthorized {
		t.Errorf("another secret: %d", status)
	}
	if strings.Contains(journal.String(), "godaddy-secret") || strings.Contains(journal.String(), "hunter2") {
		t.Error("the journal has a secret")
	}
}

// TestControl: what methods do is done from outside, too.
func TestControl(t *testing.T) {
	t.Parallel()
	ca, err := godaddytest.New(godaddytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	control := ca.Control()
	do := func(path, body string) int {
		rec := httptest.NewRecorder()
		control.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body)))
		return rec.Code
	}
	for path, body := range map[string]string{
		"/next": `{"kind":"stuck"}`, "/plans": `{"pattern":"*.bad.example","kind":"denied","reason":"no"}`, "/credits": `{"left":3}`, "/advance": `{"by":"10m"}`,
	} {
		if status := do(path, body); status != http.StatusNoContent {
			t.Errorf("%s: %d", path, status)
		}
	}
	for path, body := range map[string]string{"/next": `{"kind":"nonsense"}`, "/plans": `{"pattern":"[","kind":"stuck"}`, "/credits": `{"right":3}`} {
		if status := do(path, body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, status)
		}
	}
}
