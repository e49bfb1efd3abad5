package xroad_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/conformance/testport"
)

// gate stands before a CA that speaks ACME, and makes it slow: an order whose name
// begins with "slow" is still being worked on until the gate is opened for it.
type gate struct {
	mu        sync.Mutex
	open      map[string]bool // by name
	finalized map[string]int  // by name: what would be bought
}

// release says that the CA is done with a name.
func (g *gate) release(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[name] = true
}

// bought counts the requests for a certificate of a name.
func (g *gate) bought(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.finalized[name]
}

// await waits until the CA was asked for a certificate of a name.
func (g *gate) await(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(patience); g.bought(name) == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("nobody has asked the CA for %s", name)
		}
		if err := brief(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// startCA starts another acmebridge as the CA behind the bridge, with a gate before
// it, and returns what to configure there. It knows one member, and two names.
func startCA(t *testing.T) (*gate, func(config string) string) {
	t.Helper()
	g := &gate{open: map[string]bool{}, finalized: map[string]int{}}
	front := httptest.NewUnstartedServer(nil)
	responder := testport.Port(t)
	ca := startBridge(t, func(config string) string { return strings.ReplaceAll(config, "retry_after: 5s", "hold: 8s") },
		"ACMEBRIDGE_BASE_URL=https://"+front.Listener.Addr().String(), fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", responder))
	to := &url.URL{Scheme: "https", Host: ca.host}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: ca.transport(t), ModifyResponse: g.pass}
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		g.count(body)
		proxy.ServeHTTP(w, r)
	})
	front.StartTLS()
	t.Cleanup(front.Close)

	ca.acmeYML(t, member, "slow20.localhost", "slow37.localhost")
	account := ca.credential(t, "xroad", member, "xroad-sign")
	dir := t.TempDir()
	files := map[string][]byte{
		"tls.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}),
		"hmac-key": []byte(base64.RawURLEncoding.EncodeToString(account.MAC)),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := filepath.Join(ca.dir, "data", "ca", "xroad", "root.pem")
	backend := fmt.Sprintf(`
  behind:
    type: upstream
    url: https://%s/xroad/directory
    ca_file: %s
    roots_file: %s
    agree_to_terms: true
    private: true
    external_account: {key_id: %q, hmac_key_file: %s}
    http_01: {listen: "127.0.0.1:%d"}
`, front.Listener.Addr(), filepath.Join(dir, "tls.pem"), roots, account.KID, filepath.Join(dir, "hmac-key"), responder)
	return g, func(config string) string { return strings.Replace(config, "\nbackends:\n", "\nbackends:"+backend, 1) }
}

// count notes the names of the CSRs that pass.
func (g *gate) count(body []byte) {
	var jws struct{ Payload string }
	var finalize struct{ CSR string }
	if json.Unmarshal(body, &jws) != nil {
		return
	}
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil || json.Unmarshal(payload, &finalize) != nil || finalize.CSR == "" {
		return
	}
	der, err := base64.RawURLEncoding.DecodeString(finalize.CSR)
	if err != nil {
		return
	}
	if csr, err := x509.ParseCertificateRequest(der); err == nil && len(csr.DNSNames) > 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.finalized[csr.DNSNames[0]]++
	}
}

// pass changes the answers about orders that are not to be done yet.
func (g *gate) pass(r *http.Response) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.Request.Method != http.MethodPost {
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var order map[string]any
	if err := json.Unmarshal(text, &order); err != nil {
		return err
	}
	if all, ok := order["identifiers"].([]any); ok && len(all) == 1 && order["status"] == "valid" && g.holds(all[0]) {
		order["status"] = "processing"
		delete(order, "certificate")
		r.Header.Set("Retry-After", "1")
		if text, err = json.Marshal(order); err != nil {
			return err
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

func (g *gate) holds(identifier any) bool {
	i, _ := identifier.(map[string]any)
	name, _ := i["value"].(string)
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.HasPrefix(name, "slow") && !g.open[name]
}
