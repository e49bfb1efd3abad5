package verify_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1/verify"
)

// albEncode encodes as ALB does: + = and / are left as they are.
func albEncode(text string) string {
	return strings.NewReplacer("%2B", "+", "%3D", "=", "%2F", "/", "+", "%20").Replace(url.QueryEscape(text))
}

func TestFromHeader(t *testing.T) {
	t.Parallel()
	b := newWorld(t).build(t)
	leaf, both := pemOf(b.leaf), pemOf(b.leaf)+pemOf(b.issuer)
	for _, tt := range []struct {
		name   string
		values []string
		chain  bool
		want   verify.Failure
		n      int
	}{
		{"ALB", []string{albEncode(leaf)}, false, "", 1},
		{"nginx", []string{url.PathEscape(leaf)}, false, "", 1},
		{"all of it escaped", []string{strings.ReplaceAll(url.QueryEscape(leaf), "+", "%20")}, false, "", 1},
		{"ALB, chain", []string{albEncode(both)}, true, "", 2},
		{"none", nil, false, verify.CertificateMissing, 0},
		{"empty", []string{""}, false, verify.CertificateMissing, 0},
		{"nothing but space", []string{"%20"}, false, verify.CertificateMissing, 0},
		{"two headers", []string{albEncode(leaf), albEncode(leaf)}, false, verify.CertificateMalformed, 0},
		{"chain for a leaf", []string{albEncode(both)}, false, verify.CertificateMalformed, 0},
		{"encoded as a form", []string{url.QueryEscape(leaf)}, false, verify.CertificateMalformed, 0},
		{"bad percent", []string{"%zz"}, false, verify.CertificateMalformed, 0},
		{"a key", []string{albEncode("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")}, false, verify.CertificateMalformed, 0},
		{"no DER", []string{albEncode("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")}, false, verify.CertificateMalformed, 0},
		{"words before it", []string{albEncode("x\n" + leaf)}, false, verify.CertificateMalformed, 0},
		{"words after it", []string{albEncode(leaf + "x")}, false, verify.CertificateMalformed, 0},
		{"too many", []string{albEncode(strings.Repeat(leaf, 9))}, true, verify.CertificateMalformed, 0},
		{"too long", []string{strings.Repeat("A", 1<<17)}, true, verify.CertificateMalformed, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{verify.HeaderALBLeaf: tt.values}
			got, err := verify.FromHeader(h, verify.HeaderALBLeaf, tt.chain)
			if tt.want != "" {
				wantOnly(t, err, tt.want)
			} else if err != nil {
				t.Fatal(err)
			}
			if len(got) != tt.n {
				t.Errorf("%d certificates", len(got))
			}
		})
	}
}

func FuzzFromHeader(f *testing.F) {
	f.Add(url.PathEscape(string(goldenFile(f, "leaf"))), true)
	f.Add(albEncode("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), false)
	f.Add("%", false)
	f.Fuzz(func(t *testing.T, value string, chain bool) {
		got, err := verify.FromHeader(http.Header{verify.HeaderALBLeaf: {value}}, verify.HeaderALBLeaf, chain)
		if (err == nil) != (len(got) > 0) || err != nil && verify.FailureOf(err) == "" || !chain && len(got) > 1 {
			t.Fatalf("%d certificates, %v", len(got), err)
		}
	})
}

// whoami answers with what the middleware found.
func whoami(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := verify.IdentityOf(r.Context())
		if !ok {
			t.Error("no identity in the context")
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amzn-Mtls-") || name == "X-Verify" || name == "X-Cert" {
				t.Errorf("header %s comes through", name)
			}
		}
		_, _ = io.WriteString(w, id.Member)
	})
}

func TestMiddlewareBehindProxy(t *testing.T) {
	t.Parallel()
	fromProxy := func(r *http.Request) bool { return strings.HasPrefix(r.RemoteAddr, "10.0.0.1:") }
	alb := verify.Source{Header: verify.HeaderALBLeaf, FromProxy: fromProxy}
	nginx := verify.Source{Header: "X-Cert", VerifyHeader: "X-Verify", FromProxy: fromProxy}
	w := newWorld(t)
	b := w.build(t)
	b.trust.Issuers = []*x509.Certificate{b.issuer}
	leaf := albEncode(pemOf(b.leaf))
	for _, tt := range []struct {
		name    string
		source  verify.Source
		role    string
		from    string
		headers map[string]string
		status  int
		want    verify.Failure
	}{
		{"ALB", alb, provider, "10.0.0.1:1", map[string]string{verify.HeaderALBLeaf: leaf, "X-Amzn-Mtls-Clientcert-Subject": "CN=x"}, 200, ""},
		{"no role asked for", alb, "", "10.0.0.1:1", map[string]string{verify.HeaderALBLeaf: leaf}, 200, ""},
		{"another role", alb, provider + "/", "10.0.0.1:1", map[string]string{verify.HeaderALBLeaf: leaf}, 401, verify.RoleNotHeld},
		{"from outside", alb, provider, "10.0.0.2:1", map[string]string{verify.HeaderALBLeaf: leaf}, 401, verify.CertificateMissing},
		{"the other header of ALB", alb, provider, "10.0.0.1:1", map[string]string{verify.HeaderALBChain: leaf}, 401, verify.CertificateMissing},
		{"nginx", nginx, provider, "10.0.0.1:1", map[string]string{"X-Cert": url.PathEscape(pemOf(b.leaf)), "X-Verify": "SUCCESS"}, 200, ""},
		{"nginx, optional and not verified", nginx, provider, "10.0.0.1:1", map[string]string{"X-Cert": leaf, "X-Verify": "FAILED:expired"}, 401, verify.UntrustedIssuer},
		{"nginx says nothing", nginx, provider, "10.0.0.1:1", map[string]string{"X-Cert": leaf}, 401, verify.UntrustedIssuer},
		{"no TLS at all", verify.Source{}, provider, "10.0.0.1:1", nil, 401, verify.CertificateMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := verify.MiddlewareConfig{Source: tt.source}
			if tt.role != "" {
				cfg.AnyRole = []string{tt.role}
			}
			var refused error
			cfg.Refused = func(_ *http.Request, err error) { refused = err }
			h, err := b.client(t).Middleware(cfg, whoami(t))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.from
			for name, value := range tt.headers {
				r.Header.Set(name, value)
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if answer.Code != tt.status {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
			if tt.want == "" {
				if answer.Body.String() != member {
					t.Errorf("%s", answer.Body)
				}
				return
			}
			wantOnly(t, refused, tt.want)
			var told map[string]string
			if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil || len(told) != 1 || told["error"] != string(tt.want) {
				t.Errorf("%s", answer.Body)
			}
		})
	}
	if _, err := b.client(t).Middleware(verify.MiddlewareConfig{Source: verify.Source{Header: "X-Cert"}}, whoami(t)); err == nil {
		t.Error("a header is believed from everybody")
	}
	if verify.CRLStale.Status() != http.StatusServiceUnavailable {
		t.Error("a stale list is the client's fault")
	}
}

// TestTLSConfigPerClient: a server that chooses its configuration for each client
// checks certificates under all of them.
func TestTLSConfigPerClient(t *testing.T) {
	t.Parallel()
	c := newWorld(t).build(t).client(t)
	var chosen *tls.Config
	config := c.TLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }})
	if got, err := config.GetConfigForClient(nil); got != nil || err != nil {
		t.Errorf("no choice became %v, %v", got, err)
	}
	chosen = &tls.Config{MinVersion: tls.VersionTLS13}
	got, err := config.GetConfigForClient(nil)
	if err != nil || got.MinVersion != tls.VersionTLS13 || got.ClientAuth != tls.RequestClientCert || got.VerifyConnection == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := got.VerifyConnection(tls.ConnectionState{}); verify.FailureOf(err) != verify.CertificateMissing {
		t.Errorf("without a certificate: %v", err)
	}
}

// TestTLS goes through real handshakes: with a certificate, without, and a
// session that is resumed after the certificate was revoked.
func TestTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(time.Now().UTC())
	w.rootT.NotBefore, w.issuerT.NotBefore, w.leafT.NotBefore = w.now.AddDate(0, 0, -1), w.now.AddDate(0, 0, -1), w.now.AddDate(0, 0, -1)
	w.rootT.NotAfter, w.issuerT.NotAfter, w.leafT.NotAfter = w.now.AddDate(9, 0, 0), w.now.AddDate(2, 0, 0), w.now.AddDate(1, 0, 0)
	b := w.build(t)
	c := b.client(t)
	h, err := c.Middleware(verify.MiddlewareConfig{}, whoami(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = c.TLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12})
	server.StartTLS()
	t.Cleanup(server.Close)

	get := func(config *tls.Config) (string, bool, error) {
		transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
		answer, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err != nil {
			return "", false, err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return string(body), answer.TLS.DidResume, err
	}
	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig
	if _, _, err := get(trusting.Clone()); err == nil {
		t.Error("a client without a certificate is let in")
	}
	config := trusting.Clone()
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{b.leaf.Raw, b.issuer.Raw}, PrivateKey: w.leafKey}}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		if body, did, err := get(config); err != nil || body != member || did != resumed {
			t.Fatalf("%s, resumed %v, %v", body, did, err)
		}
	}
	l := listTemplate(w.now, 11)
	l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x53), RevocationTime: w.now}}
	b.add(t, leafList, revocations(t, l, b.issuer, w.issuerKey))
	if _, _, err := get(config); err == nil {
		t.Error("a session is resumed with a revoked certificate")
	}
}
