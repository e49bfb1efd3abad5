package xroad_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"acmebridge/conformance/xroad"
)

// TestActivateBites: no Security Server activates a certificate on the word of
// these.
func TestActivateBites(t *testing.T) {
	t.Parallel()
	key, signerKey := signer(t), signer(t)
	now := time.Now().Truncate(time.Second)
	issue := func(template, parent *x509.Certificate, public, by crypto.Signer) *x509.Certificate {
		t.Helper()
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
		der, err := x509.CreateCertificate(nil, template, parent, public.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	root = issue(root, root, key, key)
	leaf := issue(&x509.Certificate{SerialNumber: big.NewInt(2)}, root, signerKey, key)
	delegate := issue(&x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "responder"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}}, root, signerKey, key)
	useless := issue(&x509.Certificate{SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: "server"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, root, signerKey, key)

	good := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	for name, tt := range map[string]struct {
		change func(*ocsp.Response)
		by     *x509.Certificate
		status int
		says   string
	}{
		"good":             {func(*ocsp.Response) {}, delegate, 200, ""},
		"an hour old":      {func(r *ocsp.Response) { r.ThisUpdate = now.Add(-61 * time.Minute) }, delegate, 200, "too old"},
		"a newer one":      {func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Minute) }, delegate, 200, "newer"},
		"unknown":          {func(r *ocsp.Response) { r.Status = ocsp.Unknown }, delegate, 200, "unknown"},
		"revoked":          {func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, now }, delegate, 200, "revoked"},
		"another's":        {func(r *ocsp.Response) { r.SerialNumber = big.NewInt(9) }, delegate, 200, "another certificate"},
		"by SHA-256":       {func(r *ocsp.Response) { r.IssuerHash = crypto.SHA256 }, delegate, 200, "another certificate"},
		"by a server":      {func(*ocsp.Response) {}, useless, 200, "may not sign"},
		"not status 200":   {func(*ocsp.Response) {}, delegate, 201, "status 201"},
		"by somebody else": {func(r *ocsp.Response) { r.Certificate = nil }, delegate, 200, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := good
			template.Certificate = tt.by
			tt.change(&template)
			answer, err := ocsp.CreateResponse(root, tt.by, template, signerKey)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = w.Write(answer)
			}))
			defer server.Close()
			s, err := xroad.New(xroad.Config{DirectoryURL: "https://nowhere.example", Challenges: &xroad.Challenges{}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Activate(t.Context(), leaf, root, xroad.Global{Responders: []string{server.URL}})
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}
