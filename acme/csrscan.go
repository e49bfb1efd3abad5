package acme

import (
	"bytes"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of a CSR, applied while nothing has been built from it yet (PX-1).
const (
	maxCSRBytes      = 24 << 10
	maxCSRAttributes = 32
	maxCSRRDNs       = 32
	maxCSRExtensions = 32
)

// scannedCSR is what a first look at the DER finds.
type scannedCSR struct {
	hasSAN bool
	san    sanNames
}

// scanCSR walks a CSR once, counting, before the parser proper may build
// anything from it. The error is for the client.
//
//	CertificationRequest ::= SEQUENCE {
//	  SEQUENCE { version, subject, SubjectPublicKeyInfo, [0] attributes },
//	  signatureAlgorithm, signature }
func scanCSR(der []byte) (scannedCSR, error) {
	var found scannedCSR
	if len(der) > maxCSRBytes {
		return found, fmt.Errorf("the CSR has %d bytes; at most %d are read", len(der), maxCSRBytes)
	}
	if bytes.HasPrefix(der, []byte("-----BEGIN")) {
		return found, fmt.Errorf("the CSR is PEM; send the DER that is inside of it")
	}
	var outer, info, subject, spki, attributes cryptobyte.String
	var version int64
	var hasAttributes bool
	input := cryptobyte.String(der)
	switch {
	case !input.ReadASN1(&outer, cbasn1.SEQUENCE):
		return found, fmt.Errorf("the CSR is not DER")
	case !input.Empty():
		return found, fmt.Errorf("something follows the CSR")
	case !outer.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Integer(&version):
		return found, fmt.Errorf("the CSR is not a PKCS #10 request")
	case version != 0:
		return found, fmt.Errorf("the CSR has version %d; there is only version 1, written as 0", version)
	case !info.ReadASN1(&subject, cbasn1.SEQUENCE),
		!info.ReadASN1(&spki, cbasn1.SEQUENCE),
		!info.ReadOptionalASN1(&attributes, &hasAttributes, cbasn1.Tag(0).Constructed().ContextSpecific()),
		!info.Empty():
		return found, fmt.Errorf("the CSR is not a PKCS #10 request")
	}
	if err := scanSubject(subject); err != nil {
		return found, err
	}
	if err := scanKey(spki); err != nil {
		return found, err
	}
	return found, found.scanAttributes(attributes)
}

// scanSubject counts attributes rather than sets, since one set can hold any
// number of them.
func scanSubject(rdns cryptobyte.String) error {
	for n := 0; !rdns.Empty(); {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, cbasn1.SET) {
			return fmt.Errorf("the subject of the CSR cannot be read")
		}
		for !rdn.Empty() {
			if n++; n > maxCSRRDNs {
				return fmt.Errorf("the subject of the CSR has more than %d parts", maxCSRRDNs)
			}
			if !rdn.SkipASN1(cbasn1.SEQUENCE) {
				return fmt.Errorf("the subject of the CSR cannot be read")
			}
		}
	}
	return nil
}

// scanKey bounds the numbers of an RSA key by their length in the DER, so that
// none is turned into a big number, let alone computed with (PX-3, EK-15).
func scanKey(spki cryptobyte.String) error {
	unreadable := fmt.Errorf("the public key of the CSR cannot be read")
	var algorithm, key, modulus, exponent cryptobyte.String
	var oid asn1.ObjectIdentifier
	var bits []byte
	if !spki.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!spki.ReadASN1BitStringAsBytes(&bits) || !spki.Empty() {
		return unreadable
	}
	if !oid.Equal(oidRSAEncryption) {
		return nil
	}
	rest := cryptobyte.String(bits)
	if !rest.ReadASN1(&key, cbasn1.SEQUENCE) || !rest.Empty() ||
		!key.ReadASN1(&modulus, cbasn1.INTEGER) || !key.ReadASN1(&exponent, cbasn1.INTEGER) || !key.Empty() {
		return unreadable
	}
	switch {
	case len(modulus) > hardRSABits/8+1: // one octet for the sign
		return fmt.Errorf("the RSA modulus has more than %d bits; use %d to %d", hardRSABits, minRSABits, maxRSABits)
	case len(exponent) > 4:
		return fmt.Errorf("the RSA exponent has %d bytes; use %d", len(exponent), rsaExponent) // EK-2
	}
	return nil
}

func (found *scannedCSR) scanAttributes(attributes cryptobyte.String) error {
	requests := 0
	for n := 0; !attributes.Empty(); n++ {
		if n == maxCSRAttributes {
			return fmt.Errorf("the CSR has more than %d attributes", maxCSRAttributes)
		}
		var attribute, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
			!attribute.ReadASN1(&values, cbasn1.SET) || !attribute.Empty() {
			return fmt.Errorf("the attributes of the CSR cannot be read")
		}
		switch {
		case oid.Equal(oidMicrosoftRequest):
			// It asks for extensions in a place where nobody here looks.
			return fmt.Errorf("the CSR asks for extensions in a Microsoft attribute; use the extensionRequest of PKCS #9")
		case !oid.Equal(oidExtensionRequest):
			continue // a challenge password and the like say nothing about the certificate
		}
		if requests++; requests > 1 {
			return fmt.Errorf("the CSR has more than one list of extensions")
		}
		if err := found.scanExtensions(values); err != nil {
			return err
		}
	}
	return nil
}

func (found *scannedCSR) scanExtensions(values cryptobyte.String) error {
	unreadable := fmt.Errorf("the extensions of the CSR cannot be read")
	var list cryptobyte.String
	if !values.ReadASN1(&list, cbasn1.SEQUENCE) || !values.Empty() {
		return unreadable
	}
	seen := make(map[string]bool)
	for n := 0; !list.Empty(); n++ {
		if n == maxCSRExtensions {
			return fmt.Errorf("the CSR asks for more than %d extensions", maxCSRExtensions)
		}
		var extension, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !list.ReadASN1(&extension, cbasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) ||
			!extension.SkipOptionalASN1(cbasn1.BOOLEAN) || // whether it is critical
			!extension.ReadASN1(&value, cbasn1.OCTET_STRING) || !extension.Empty() {
			return unreadable
		}
		if seen[oid.String()] {
			return fmt.Errorf("the CSR asks for extension %s twice", extensionName(oid))
		}
		seen[oid.String()] = true
		if oid.Equal(oidSubjectAltName) {
			var err error
			if found.san, err = parseSAN(value); err != nil {
				return err
			}
			found.hasSAN = true
		}
	}
	return nil
}
