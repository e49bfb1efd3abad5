package server_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
)

// TestAlternateChains: a certificate of a CA that another root has certified is
// a certificate for those who trust that root only, and each chain leads to the
// others, one Link for each line (R8555-7.4.2-2, C-SH-3).
func TestAlternateChains(t *testing.T) {
	t.Parallel()
	for name, queued := range map[string]bool{"inline": false, "queued": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, servertest.Options{CrossSigned: true, Queued: queued})
			c := f.registered(t, "default")
			usual := c.issue(t, "a.localhost").Certificate
			first := c.post(t, usual, "")
			if got, want := alternates(first), []string{usual + "/1"}; !slices.Equal(got, want) {
				t.Fatalf("the usual chain links %v, want %v", got, want)
			}
			second := c.post(t, usual+"/1", "")
			if got, want := alternates(second), []string{usual}; !slices.Equal(got, want) {
				t.Errorf("the other chain links %v, want %v", got, want)
			}
			roots := f.CA.Roots()
			for i, r := range []reply{first, second} {
				if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/pem-certificate-chain" || r.header.Get("Cache-Control") != "no-store" { // R8555-7.4.2-5
					t.Fatalf("chain %d: %d %v", i, r.status, r.header)
				}
				if err := verify(r.body, roots[i]); err != nil {
					t.Errorf("chain %d for those who trust root %d only: %v", i, i, err)
				}
			}
			if verify(first.body, roots[1]) == nil {
				t.Error("the usual chain leads to the other root, so this test proves nothing")
			}
			for path, status := range map[string]int{
				"/0": http.StatusNotFound, "/2": http.StatusNotFound, "/65535": http.StatusNotFound,
				"/65536": http.StatusBadRequest, "/x": http.StatusBadRequest, "/-1": http.StatusBadRequest, "/01": http.StatusBadRequest, "/+1": http.StatusBadRequest,
			} {
				wantProblem(t, c.post(t, usual+path, ""), status, acme.Malformed)
			}
			wantProblem(t, f.registered(t, "default").post(t, usual+"/1", ""), http.StatusNotFound, acme.Malformed)
		})
	}
}

// alternates are where the Link headers with rel="alternate" point.
func alternates(r reply) (urls []string) {
	for _, l := range r.header.Values("Link") {
		if url, ok := strings.CutSuffix(l, `>;rel="alternate"`); ok {
			urls = append(urls, strings.TrimPrefix(url, "<"))
		}
	}
	return urls
}

// verify is what a TLS client does with a chain when it trusts one root.
func verify(chain []byte, root []byte) error {
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	trusted, err := x509.ParseCertificate(root)
	if err != nil {
		return err
	}
	o.Roots.AddCert(trusted)
	block, rest := pem.Decode(chain)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	o.Intermediates.AppendCertsFromPEM(rest)
	_, err = leaf.Verify(o)
	return err
}
