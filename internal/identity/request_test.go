package identity_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"

	"acmebridge/internal/identity"
)

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60) + ".example"
	for _, tt := range []struct {
		given, want []string
		says        string
	}{
		{[]string{"VASP.example", "192.0.2.7", "2001:DB8::1"}, []string{"vasp.example", "192.0.2.7", "2001:db8::1"}, ""},
		{[]string{"short.example", long}, []string{"short.example", long}, ""},
		{[]string{long}, nil, "put a shorter one first"},
		{[]string{"bücher.example"}, nil, "bücher"},
		{[]string{"xn--bcher-kva.example"}, []string{"xn--bcher-kva.example"}, ""},
		{[]string{"*.vasp.example"}, nil, "wildcard"},
		{[]string{"vasp.example."}, nil, "dot"},
		{[]string{"vasp"}, nil, "vasp"},
		{[]string{"a_b.example"}, nil, "a_b"},
		{[]string{"vasp.example", "VASP.example"}, nil, "twice"},
		{nil, nil, "no name"},
		{slices.Repeat([]string{"x"}, 251), nil, "too many"},
	} {
		got, err := identity.Names(tt.given)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%.50q: %q, %v; want %q, %q", tt.given, got, err, tt.want, tt.says)
		}
	}
}

func TestRequestAsksForBothUsages(t *testing.T) {
	t.Parallel()
	for _, kind := range identity.KeyTypes() {
		if kind == "rsa4096" {
			continue // takes seconds, and differs from the others by a number
		}
		key, err := identity.NewKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		der, err := identity.NewRequest([]string{"vasp.example", "api.vasp.example", "192.0.2.7"}, key)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		r, err := identity.ReadRequest(der)
		if err != nil || len(r.Warnings) > 0 || !r.ServerAuth || !r.ClientAuth || r.CommonName != "vasp.example" || len(r.Names) != 3 {
			t.Errorf("%s: %+v, %v", kind, r, err)
		}
	}
	if _, err := identity.NewKey("rsa1024"); err == nil {
		t.Error("a key of 1024 bits was made")
	}
}

func TestWarningsAboutRequests(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for says, template := range map[string]*x509.CertificateRequest{
		"clientAuth is not requested": {Subject: pkix.Name{CommonName: "vasp.example"}, DNSNames: []string{"vasp.example"}},
		"no subject alternative name": {Subject: pkix.Name{CommonName: "vasp.example"}},
		"wildcard":                    {DNSNames: []string{"*.vasp.example"}},
		"of the kind":                 {DNSNames: []string{"vasp.example"}, EmailAddresses: []string{"a@vasp.example"}},
	} {
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := identity.ReadRequest(der)
		if err != nil || !strings.Contains(strings.Join(r.Warnings, "\n"), says) {
			t.Errorf("%v, %q; want %q", err, r.Warnings, says)
		}
	}
	if _, err := identity.ReadRequest([]byte("no CSR")); err == nil {
		t.Error("it was read")
	}
}
