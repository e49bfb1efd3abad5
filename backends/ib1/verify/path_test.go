package verify_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"testing"

	"acmebridge/backends/ib1/verify"
)

// What a stranger presents besides must not hide that the certificate is one of
// another tree: that is what tells an operator which of two was installed.
func TestWrongTreeIsNotHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.build(t)
	// It has the name of the issuer, no key identifier that would tell them
	// apart, and did not sign the certificate.
	template := *w.issuerT
	template.SubjectKeyId = nil
	k := key(t, elliptic.P256())
	twin := certify(t, &template, b.root, k, w.rootKey)
	unnamed := *twin
	unnamed.SubjectKeyId = nil
	other, _ := otherCA(t)
	b.trust.Roots, b.trust.OtherRoots = []*x509.Certificate{other}, []*x509.Certificate{b.root}
	for name, presented := range map[string][]*x509.Certificate{
		"alone":  {b.leaf, b.issuer},
		"before": {b.leaf, &unnamed, b.issuer},
		"after":  {b.leaf, b.issuer, &unnamed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := b.client(t).Verify(t.Context(), presented)
			wantOnly(t, err, verify.WrongTree)
		})
	}
}
