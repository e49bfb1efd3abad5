package verify_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"time"

	"acmebridge/backends/ib1/verify"
)

// A data service that ends TLS itself lets in who holds one of its roles.
func ExampleClient_TLSConfig() {
	trust := verify.Trust{
		Roots: []*x509.Certificate{exampleRoot()},
		CRLs:  verify.NewCRLs(verify.CRLConfig{Fetch: verify.FetchHTTP(&http.Client{Timeout: 5 * time.Second})}),
	}
	clients, err := verify.NewClient(trust)
	if err != nil {
		fmt.Println(err)
		return
	}
	data := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := verify.IdentityOf(r.Context())
		fmt.Fprintf(w, "for %s of %s\n", id.Application, id.Member)
	})
	guarded, err := clients.Middleware(verify.MiddlewareConfig{
		AnyRole: []string{"https://registry.core.trust.ib1.org/scheme/energy/role/data-provider"},
	}, data)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewUnstartedServer(guarded)
	server.TLS = clients.TLSConfig(&tls.Config{MinVersion: tls.VersionTLS13})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	// This client has no certificate.
	response, err := server.Client().Get(server.URL)
	if err == nil {
		_ = response.Body.Close()
	}
	fmt.Println(err != nil)
	// Output: true
}

// Behind a load balancer the certificate is in a header, which counts only when
// the load balancer sent it.
func ExampleSource() {
	balancers := netip.MustParsePrefix("10.0.0.0/24")
	source := verify.Source{
		Header: verify.HeaderALBLeaf,
		FromProxy: func(r *http.Request) bool {
			from, err := netip.ParseAddrPort(r.RemoteAddr)
			return err == nil && balancers.Contains(from.Addr().Unmap())
		},
	}
	fmt.Println(source.FromProxy(&http.Request{RemoteAddr: "10.0.0.9:4711"}), source.FromProxy(&http.Request{RemoteAddr: "192.0.2.1:4711"}))
	// Output: true false
}

// Without a current list of the issuer nothing is accepted, and the failure
// says that it is not the certificate's fault.
func ExampleFailureOf() {
	clients, err := verify.NewClient(verify.Trust{
		Roots: []*x509.Certificate{exampleRoot()}, CRLs: verify.NewCRLs(verify.CRLConfig{}),
		Now: func() time.Time { return time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = clients.Verify(context.Background(), nil)
	fmt.Println(verify.FailureOf(err), errors.Is(err, verify.CertificateMissing), verify.CRLUnavailable.Status())
	// Output: certificate_missing true 503
}

func exampleRoot() *x509.Certificate {
	raw, err := os.ReadFile("testdata/golden-root.pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(raw)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err)
	}
	return root
}
