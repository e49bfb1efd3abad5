package ib1_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"

	"acmebridge/backends/ib1"
)

// TestIdentifierIsCopied: what an authority is called by its certificate is what
// is below it calls it, by whatever method that was made (section 8, 2). One that
// is computed anew would lead to no authority.
func TestIdentifierIsCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	key := newKey(t, elliptic.P256())
	imported := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, issuerTemplate(w, key.Public()), w.root.Certificate(), key.Public(), w.rootKey))))
	issuer := must(w.framework.OpenIssuer(ib1.Client, w.root.Certificate(), imported, key))
	leaf := must(issuer.IssueMember(holder(), newKey(t, elliptic.P256()).Public(), at(birth)))
	list := must(x509.ParseRevocationList(must(issuer.SignList(ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth}))))
	if want := imported.SubjectKeyId; !bytes.Equal(leaf.AuthorityKeyId, want) || !bytes.Equal(list.AuthorityKeyId, want) {
		t.Errorf("the issuer is %x, its certificate says %x and its list %x", want, leaf.AuthorityKeyId, list.AuthorityKeyId)
	}

	template := *w.root.Certificate()
	template.SubjectKeyId, template.AuthorityKeyId, template.MaxPathLen = []byte("a root by SHA-1 #20."), nil, -1
	root := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &template, &template, w.rootKey.Public(), w.rootKey))))
	below := must(must(w.framework.OpenRoot(ib1.Client, root, w.rootKey)).CreateIssuer(newKey(t, elliptic.P256()).Public(), at(birth)))
	if !bytes.Equal(below.AuthorityKeyId, root.SubjectKeyId) {
		t.Errorf("the root is %q, and the issuer below it says %q", root.SubjectKeyId, below.AuthorityKeyId)
	}
}
