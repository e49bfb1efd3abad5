package sectigo

import (
	"crypto/x509"
	encodingasn1 "encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidData       = encodingasn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = encodingasn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// certificatesInPKCS7 returns the certificates of a SignedData (RFC 2315, 9.1)
// in DER. Signatures in it are of no interest: such files are mere bags, and
// what is in them is judged elsewhere.
//
//	ContentInfo ::= SEQUENCE { contentType OID, content [0] EXPLICIT ANY }
//	SignedData  ::= SEQUENCE { version INTEGER, digestAlgorithms SET, contentInfo SEQUENCE,
//	                           certificates [0] IMPLICIT SET OF Certificate OPTIONAL, ... }
func certificatesInPKCS7(der []byte) (certs []*x509.Certificate) {
	in := cryptobyte.String(der)
	var outer, content, signed, bag cryptobyte.String
	var kind encodingasn1.ObjectIdentifier
	explicit := asn1.Tag(0).Constructed().ContextSpecific()
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData) ||
		!outer.ReadASN1(&content, explicit) || !content.ReadASN1(&signed, asn1.SEQUENCE) ||
		!signed.SkipASN1(asn1.INTEGER) || !signed.SkipASN1(asn1.SET) || !signed.SkipASN1(asn1.SEQUENCE) ||
		!signed.ReadASN1(&bag, explicit) {
		return nil
	}
	for range maxBlocks {
		var element cryptobyte.String
		var tag asn1.Tag
		if bag.Empty() || !bag.ReadAnyASN1Element(&element, &tag) {
			return certs
		}
		if tag != asn1.SEQUENCE {
			continue // an attribute certificate or another of the old kinds
		}
		if cert, ok := certificate(element); ok {
			certs = append(certs, cert)
		}
	}
	return certs
}

// looksLikeKeyStore reports whether der begins as PKCS #12 does (RFC 7292, 4):
// version 3, and contents of type data.
func looksLikeKeyStore(der []byte) bool {
	in := cryptobyte.String(der)
	var outer, safe cryptobyte.String
	var version int
	var kind encodingasn1.ObjectIdentifier
	return in.ReadASN1(&outer, asn1.SEQUENCE) && outer.ReadASN1Integer(&version) && version == 3 &&
		outer.ReadASN1(&safe, asn1.SEQUENCE) && safe.ReadASN1ObjectIdentifier(&kind) && kind.Equal(oidData)
}
