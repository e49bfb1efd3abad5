package acme

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
)

// TestXRoadGate goes through every key usage and several extended ones that a CA
// could put into a certificate: what a Security Server would take for both kinds,
// for neither, or for the other kind than was ordered, is never delivered, and
// the certificates that are meant are.
func TestXRoadGate(t *testing.T) {
	t.Parallel()
	client, server, responder := usageOIDs[ClientAuth], usageOIDs[ServerAuth], asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}
	for _, usage := range []XRoadUsage{XRoadAuth, XRoadSign} {
		for _, granted := range [][]Usage{nil, {ServerAuth, ClientAuth}, {ServerAuth}} {
			rule := XRoadRule{Usage: usage, Subject: XRoadBasic}
			contract := Contract{Usages: granted, KeyUsage: rule.keyUsage()}
			if usage == XRoadSign && granted != nil {
				continue // see TestXRoadSigningHasNoUsages
			}
			passed := 0
			for bits := range x509.KeyUsage(1 << len(keyUsageNames)) {
				for _, extended := range [][]asn1.ObjectIdentifier{nil, {client}, {server}, {server, client}, {responder}} {
					for _, critical := range []bool{true, false} {
						leaf := leafFor(t, bits, extended, critical)
						if checkLeafUsages(contract, leaf) != nil || checkLeafKeyUsage(contract, leaf) != nil {
							continue
						}
						passed++
						if got := kindsOf(leaf); !slices.Equal(got, []XRoadUsage{usage}) {
							t.Errorf("ordered %s, delivered one with key usage %v and extended %v, which a Security Server takes for %v", usage, keyUsageWords(bits), extended, got)
						}
					}
				}
			}
			if passed == 0 {
				t.Errorf("%s with %v: nothing passes", usage, granted)
			}
		}
	}
}

// kindsOf is how a Security Server tells the kinds: by the presence of each.
func kindsOf(leaf *x509.Certificate) (kinds []XRoadUsage) {
	if leafExtension(leaf, oidKeyUsage) == nil {
		return nil
	}
	if slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment) != 0 {
		kinds = append(kinds, XRoadAuth)
	}
	if leaf.KeyUsage&x509.KeyUsageContentCommitment != 0 {
		kinds = append(kinds, XRoadSign)
	}
	return kinds
}

// leafFor is a leaf as the parser makes it, as far as usages go.
func leafFor(t *testing.T, bits x509.KeyUsage, extended []asn1.ObjectIdentifier, critical bool) *x509.Certificate {
	t.Helper()
	key := testKey()
	leaf := &x509.Certificate{KeyUsage: bits, PublicKey: key.Public()}
	if bits != 0 {
		leaf.Extensions = append(leaf.Extensions, pkix.Extension{Id: oidKeyUsage, Critical: critical, Value: []byte{0x03, 0x02, 0x00, 0xff}})
	}
	if extended != nil {
		value, err := asn1.Marshal(extended)
		if err != nil {
			t.Fatal(err)
		}
		leaf.Extensions = append(leaf.Extensions, pkix.Extension{Id: oidExtKeyUsage, Value: value})
		if slices.ContainsFunc(extended, usageOIDs[ClientAuth].Equal) {
			leaf.ExtKeyUsage = append(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
	}
	return leaf
}

// TestXRoadSigningHasNoUsages: whatever the profile grants, the contract of a
// signing certificate has no extended key usage: clientAuth would make a Security
// Server take it for both kinds, and import it as none.
func TestXRoadSigningHasNoUsages(t *testing.T) {
	t.Parallel()
	template := x509.CertificateRequest{RawSubject: subjectDER(subjectOf("C=EX O=Member category=COM serial=555 CN=Member")), DNSNames: []string{"ss1.example.org"}}
	csr, p := ParseCSR(newCSR(t, testKey(), template))
	if p != nil {
		t.Fatal(p)
	}
	order := Order{Identifiers: names("ss1.example.org"), Member: "EX:COM:555"}
	c, p := CheckCSR(order, Profile{Name: "x", Usages: []Usage{ClientAuth}, XRoad: XRoadRule{Usage: XRoadSign, Subject: XRoadBasic}}, csr)
	if p != nil || len(c.Usages) != 0 {
		t.Errorf("usages %v, %v", c.Usages, p)
	}
}
