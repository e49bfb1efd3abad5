package digicert_test

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/digicert"
	"acmebridge/backends/digicert/digicerttest"
)

// TestPublicProduct: a product other than X9 has no lists of usages. It is for
// servers, and for clients too when that is said, up to a day: what it does not have
// any more is refused before it is paid for.
func TestPublicProduct(t *testing.T) {
	t.Parallel()
	server, both := []acme.Usage{acme.ServerAuth}, []acme.Usage{acme.ServerAuth, acme.ClientAuth}
	for name, c := range map[string]struct {
		from  time.Time
		want  []acme.Usage
		names []string
		is    []x509.ExtKeyUsage
		says  string // to a client that is refused
	}{
		"for servers":             {begin, server, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, ""},
		"for both, before":        {begin.AddDate(0, 1, 0), both, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, ""},
		"for both, no day":        {time.Time{}, both, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, ""},
		"for both, after":         {begin.Add(-time.Hour), both, nil, nil, "for servers only from 2026-03-01"},
		"for both, short of it":   {begin.AddDate(0, 0, 6), both, nil, nil, "for servers only from 2026-03-07"},
		"for clients":             {time.Time{}, []acme.Usage{acme.ClientAuth}, nil, nil, "for nothing else alone"},
		"for neither":             {time.Time{}, []acme.Usage{acme.ServerAuth, acme.CodeSigning}, nil, nil, "no other usage"},
		"for all names in a zone": {begin, server, []string{"*.example.org"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, digicerttest.Config{Products: []string{"x9_pki", "ssl_basic"}})
			b := w.backend(t, w.client(t), func(c2 *digicert.BackendConfig) {
				c2.Product, c2.ServerOnlyFrom, c2.KeyExchange = "ssl_basic", c.from, true
			})
			r := w.request()
			r.Contract.Usages = c.want
			if c.names != nil {
				r.Contract.Identifiers, r.Contract.CommonName = nil, ""
				for _, n := range c.names {
					r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: acme.DNSIdentifier, Value: n})
				}
			}
			ticket, err := b.Submit(t.Context(), r)
			if c.says != "" {
				if detail, refused := backends.RefusalDetail(err); !refused || !strings.Contains(detail, c.says) || len(w.ca.Purchases()) != 0 {
					t.Errorf("%v, and %d purchases", err, len(w.ca.Purchases()))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Poll(t.Context(), ticket)
			if err != nil || got.Chain == nil {
				t.Fatalf("%+v, %v", got, err)
			}
			leaf, err := x509.ParseCertificate(got.Chain[0])
			if err != nil || !slices.Equal(leaf.ExtKeyUsage, c.is) {
				t.Errorf("it is for %v, %v", leaf.ExtKeyUsage, err)
			}
			// Who comes back with another key gets the same.
			second := w.again(r, ticket)
			second.Contract.Usages = c.want
			again, err := b.Submit(t.Context(), second)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got, err = b.Poll(t.Context(), again); err != nil {
					t.Fatal(err)
				}
			}
			if leaf, err = x509.ParseCertificate(got.Chain[0]); err != nil || !slices.Equal(leaf.ExtKeyUsage, c.is) {
				t.Errorf("reissued it is for %v, %v", leaf.ExtKeyUsage, err)
			}
		})
	}
}
