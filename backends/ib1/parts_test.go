package ib1_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"math/big"
	"slices"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

// TestParts: a certificate names the one part that it would be on, and OpenSSL
// takes that part and no other for it.
func TestParts(t *testing.T) {
	t.Parallel()
	const parts = 4
	s := settings()
	s.ListParts = parts
	w := world{framework: must(ib1.New(s)), rootKey: newKey(t, elliptic.P384()), ownKey: newKey(t, elliptic.P256())}
	root := must(w.framework.CreateRoot(ib1.Client, w.rootKey, at(birth)))
	w.root = must(w.framework.OpenRoot(ib1.Client, root, w.rootKey))
	w.issuer = must(w.framework.OpenIssuer(ib1.Client, root, must(w.root.CreateIssuer(w.ownKey.Public(), at(birth))), w.ownKey))
	names := w.issuer.ListNames()
	if len(names) != parts || len(w.root.ListNames()) != 1 {
		t.Fatalf("lists %q and %q", names, w.root.ListNames())
	}
	key := newKey(t, elliptic.P256()).Public()
	var revoked []ib1.Revocation
	var leaves []*x509.Certificate
	for range 12 {
		leaf := must(w.issuer.IssueMember(holder(), key, at(birth)))
		leaves = append(leaves, leaf)
		revoked = append(revoked, ib1.Revocation{Serial: leaf.SerialNumber, At: birth, Reason: 1})
	}
	lists := map[string]*x509.RevocationList{}
	total := 0
	for i, name := range names {
		lists[name] = must(x509.ParseRevocationList(must(w.issuer.SignListNamed(name, ib1.ListRequest{Number: big.NewInt(int64(i) + 1), ThisUpdate: birth, Revoked: revoked}))))
		total += len(lists[name].RevokedCertificateEntries)
	}
	if total != len(leaves) {
		t.Errorf("%d entries in all parts, want %d", total, len(leaves))
	}
	rootList := must(w.root.SignList(ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth}))
	for _, leaf := range leaves[:3] {
		name := w.issuer.ListOf(leaf.SerialNumber)
		if len(leaf.CRLDistributionPoints) != 1 || leaf.CRLDistributionPoints[0] != "http://pki.example.org/"+name {
			t.Errorf("points %q, want %s", leaf.CRLDistributionPoints, name)
		}
		if !slices.ContainsFunc(lists[name].RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(leaf.SerialNumber) == 0 }) {
			t.Errorf("%s lacks the certificate that points at it", name)
		}
		verify := func(ders ...[]byte) string {
			out, _ := openssl(t, "verify", "-x509_strict", "-purpose", "sslclient", "-attime", unix(birth.Add(time.Hour)), "-crl_check_all",
				"-CRLfile", file(t, "X509 CRL", append(ders, rootList)...),
				"-CAfile", file(t, "CERTIFICATE", root.Raw), "-untrusted", file(t, "CERTIFICATE", w.issuer.Certificate().Raw), file(t, "CERTIFICATE", leaf.Raw))
			return out
		}
		var all, others [][]byte
		for n, l := range lists {
			all = append(all, l.Raw)
			if n != name {
				others = append(others, l.Raw)
			}
		}
		if out := verify(all...); !bytes.Contains([]byte(out), []byte("certificate revoked")) {
			t.Errorf("with all parts: %s", out)
		}
		if out := verify(others...); bytes.Contains([]byte(out), []byte(": OK")) {
			t.Errorf("a part that is not the certificate's was enough: %s", out)
		}
		clean := must(w.issuer.SignListNamed(name, ib1.ListRequest{Number: big.NewInt(9), ThisUpdate: birth}))
		if out := verify(clean); !bytes.Contains([]byte(out), []byte(": OK")) {
			t.Errorf("before it is revoked: %s", out)
		}
	}
	if _, err := w.issuer.SignListNamed(ib1.CRLName(ib1.Client, w.issuer.Certificate()), ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth}); err == nil {
		t.Error("a list that no certificate points at was signed")
	}
	s.ListParts = 257
	if _, err := ib1.New(s); err == nil {
		t.Error("257 parts were taken")
	}
}
