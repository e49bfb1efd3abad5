package challenges

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
)

// oids are the extensions that matter, and one that must not be there.
func oids() (san, acmeIdentifier, obsolete asn1.ObjectIdentifier) {
	return asn1.ObjectIdentifier{2, 5, 29, 17},
		asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31},
		asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 30, 1}
}

// judgeCertificate says why a certificate does not prove control of host; it
// is empty when it does. Nothing of the certificate is shown (SV-8).
func judgeCertificate(cert *x509.Certificate, host string, digest [32]byte) (why string) {
	sanOID, acmeOID, obsoleteOID := oids()
	var san, proof *pkix.Extension
	seen := make(map[string]bool, len(cert.Extensions))
	for i := range cert.Extensions {
		e := &cert.Extensions[i]
		if id := e.Id.String(); seen[id] { // R8737-3-7
			return "the certificate has an extension twice"
		} else {
			seen[id] = true
		}
		switch {
		case e.Id.Equal(sanOID):
			san = e
		case e.Id.Equal(acmeOID):
			proof = e
		case e.Id.Equal(obsoleteOID): // R8737-3-7
			return "the certificate has the extension of an early draft (1.3.6.1.5.5.7.1.30.1); the client is too old"
		}
	}
	switch {
	case proof == nil:
		return "the certificate has no acmeIdentifier extension (1.3.6.1.5.5.7.1.31)"
	case !proof.Critical: // R8737-3-5
		return "the acmeIdentifier extension of the certificate is not critical"
	case !isDigest(proof.Value, digest):
		return "the acmeIdentifier extension of the certificate is not the SHA-256 of the key authorization (of another order, or of another account key)"
	case san == nil: // R8737-3-4
		return "the certificate has no subject alternative name"
	case !namesOnly(san.Value, host):
		return "the certificate does not name " + host + ", and nothing else, as its subject alternative name"
	case !selfSigned(cert): // R8737-3-6
		return "the certificate is not self-signed"
	}
	return ""
}

// isDigest compares the value of the extension with the one form that it can
// have: an OCTET STRING of 32 bytes, nothing behind it.
func isDigest(value []byte, digest [32]byte) bool {
	want := append([]byte{asn1.TagOctetString, byte(len(digest))}, digest[:]...)
	return subtle.ConstantTimeCompare(value, want) == 1
}

// namesOnly compares the extension as it was sent, so that no kind of name can
// hide in it that a parser skips (R8737-3-8). Letters of a DNS name match in
// either case.
func namesOnly(value []byte, host string) bool {
	name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(host)}
	if addr, err := netip.ParseAddr(host); err == nil {
		name.Tag, name.Bytes = 7, addr.AsSlice() // R8738-6-1
	}
	want, err := asn1.Marshal([]asn1.RawValue{name})
	if err != nil || len(value) != len(want) {
		return false
	}
	head := len(want) - len(name.Bytes)
	if !bytes.Equal(value[:head], want[:head]) {
		return false
	}
	if name.Tag == 2 {
		return bytes.Equal(lowerASCII(value[head:]), name.Bytes)
	}
	return bytes.Equal(value[head:], name.Bytes)
}

func lowerASCII(b []byte) []byte {
	lower := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return lower
}

func selfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}
