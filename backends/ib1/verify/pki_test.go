package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"testing"
	"time"

	"acmebridge/backends/ib1/extension"
	"acmebridge/backends/ib1/verify"
)

const (
	application = "https://directory.core.trust.ib1.org/a/883391"
	member      = "https://directory.core.trust.ib1.org/m/827252"
	provider    = "https://registry.core.trust.ib1.org/scheme/energy/role/data-provider"
	auditor     = "https://registry.core.trust.ib1.org/scheme/energy/role/auditor"
	framework   = "https://registry.core.trust.ib1.org/trust-framework"
	leafList    = "http://crl.example.org/1.crl"
	issuerList  = "http://crl.example.org/root.crl"
)

func begin() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }

// world is a tree with one member certificate in it and both lists. As it comes
// everything about it is right; a test changes one thing before it is built.
type world struct {
	rootT, issuerT, leafT       *x509.Certificate
	rootKey, issuerKey, leafKey *ecdsa.PrivateKey
	leafListT, rootListT        *x509.RevocationList // nil: there is none
	listKey                     *ecdsa.PrivateKey    // signs the list of the issuer, if it is another
	now                         time.Time
	alter                       func(*built) // after all was made
}

type built struct {
	root, issuer, leaf *x509.Certificate
	presented          []*x509.Certificate
	trust              verify.Trust
	lists              map[string][]byte
}

func key(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func caTemplate(cn string, serial int64, ski byte, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{Country: []string{"GB"}, Organization: []string{"Core Trust Framework"}, CommonName: cn},
		NotBefore: begin(), NotAfter: end, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: bytes.Repeat([]byte{ski}, 20),
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		rootT:   caTemplate("Core Trust Framework Client CA", 0x51, 1, begin().AddDate(25, 0, 0)),
		issuerT: caTemplate("Core Trust Framework Client Issuer", 0x52, 2, begin().AddDate(0, 0, 455).Add(-time.Second)),
		rootKey: key(t, elliptic.P384()), issuerKey: key(t, elliptic.P256()), leafKey: key(t, elliptic.P256()),
		now: begin().AddDate(0, 0, 10),
	}
	w.issuerT.MaxPathLenZero = true
	w.issuerT.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	w.issuerT.CRLDistributionPoints = []string{issuerList}
	w.leafT = &x509.Certificate{
		SerialNumber: big.NewInt(0x53), Subject: pkix.Name{Country: []string{"GB"}, Organization: []string{"Example Company Ltd"}, CommonName: application},
		NotBefore: begin(), NotAfter: begin().AddDate(0, 0, 365).Add(-time.Second), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs: []*url.URL{mustURL(t, application)}, SubjectKeyId: bytes.Repeat([]byte{3}, 20), CRLDistributionPoints: []string{leafList},
		ExtraExtensions: extensions(t, member, provider, auditor),
	}
	w.leafListT, w.rootListT = listTemplate(w.now, 10), listTemplate(w.now, 1)
	return w
}

func listTemplate(now time.Time, number int64) *x509.RevocationList {
	return &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.AddDate(0, 0, 7)}
}

func extensions(t testing.TB, member string, roles ...string) []pkix.Extension {
	t.Helper()
	all, err := extension.Values{Member: member, Roles: roles}.Extensions()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func certify(t testing.TB, template, parent *x509.Certificate, subjectKey, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &subjectKey.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func revocations(t testing.TB, template *x509.RevocationList, issuer *x509.Certificate, k *ecdsa.PrivateKey) []byte {
	t.Helper()
	// What the issuer may not do is for the verifier to find out.
	able := *issuer
	able.KeyUsage |= x509.KeyUsageCRLSign
	able.PublicKey = &k.PublicKey
	der, err := x509.CreateRevocationList(rand.Reader, template, &able, k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (w *world) build(t testing.TB) *built {
	t.Helper()
	b := &built{lists: make(map[string][]byte)}
	b.root = certify(t, w.rootT, w.rootT, w.rootKey, w.rootKey)
	b.issuer = certify(t, w.issuerT, b.root, w.issuerKey, w.rootKey)
	b.leaf = certify(t, w.leafT, b.issuer, w.leafKey, w.issuerKey)
	b.presented = []*x509.Certificate{b.leaf, b.issuer}
	b.trust = verify.Trust{Roots: []*x509.Certificate{b.root}, CRLs: verify.NewCRLs(verify.CRLConfig{}), Now: func() time.Time { return w.now }}
	if w.leafListT != nil {
		k := w.issuerKey
		if w.listKey != nil {
			k = w.listKey
		}
		b.add(t, leafList, revocations(t, w.leafListT, b.issuer, k))
	}
	if w.rootListT != nil {
		b.add(t, issuerList, revocations(t, w.rootListT, b.root, w.rootKey))
	}
	if w.alter != nil {
		w.alter(b)
	}
	return b
}

func (b *built) add(t testing.TB, at string, der []byte) {
	t.Helper()
	b.lists[at] = der
	if err := b.trust.CRLs.Add(der); err != nil {
		t.Fatal(err)
	}
}

func (b *built) client(t testing.TB) *verify.Client {
	t.Helper()
	c, err := verify.NewClient(b.trust)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// otherCA is a root that nobody asked for.
func otherCA(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	k := key(t, elliptic.P384())
	template := caTemplate("Core Trust Framework Other CA", 0x61, 9, begin().AddDate(25, 0, 0))
	return certify(t, template, template, k, k), k
}

func without(all []pkix.Extension, oid asn1.ObjectIdentifier) []pkix.Extension {
	var kept []pkix.Extension
	for _, e := range all {
		if !e.Id.Equal(oid) {
			kept = append(kept, e)
		}
	}
	return kept
}

func replaced(all []pkix.Extension, oid asn1.ObjectIdentifier, critical bool, value []byte) []pkix.Extension {
	return append(without(all, oid), pkix.Extension{Id: oid, Critical: critical, Value: value})
}
