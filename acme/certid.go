package acme

import (
	"encoding/base64"
	"strings"
)

// maxCertIDPart bounds each half of a certificate id: 20 octets of serial
// number, and key identifiers that are hashes.
const maxCertIDPart = 64

// strictBase64 refuses padding and stray bits, so one id has one spelling
// (R8555-6.1-6).
var strictBase64 = base64.RawURLEncoding.Strict()

// CertID returns the RFC 9773 id of a certificate: the key identifier of its
// issuer and the content octets of its serial number, sign octet included
// (R9773-4.1-1). It is empty without a key identifier, because then there is
// nothing that could be addressed (R9773-4.1-3).
func CertID(authorityKeyID, serial []byte) string {
	if len(authorityKeyID) == 0 || len(serial) == 0 {
		return ""
	}
	return strictBase64.EncodeToString(authorityKeyID) + "." + strictBase64.EncodeToString(serial)
}

// ParseCertID is the inverse of CertID. The serial comes back as DER would
// have it, so that an id without the sign octet, as older clients send it,
// finds its certificate too (R9773-4.1-2).
func ParseCertID(id string) (authorityKeyID, serial []byte, p *Problem) {
	key, number, ok := strings.Cut(id, ".")
	if ok {
		authorityKeyID = decodeCertIDPart(key)
		serial = decodeCertIDPart(number)
	}
	if len(authorityKeyID) == 0 || len(serial) == 0 {
		return nil, nil, Problemf(Malformed, "%s is not a certificate id: it should be two base64url parts without padding, joined by a dot (RFC 9773, section 4.1)", quote(id))
	}
	return authorityKeyID, derInteger(serial), nil
}

func decodeCertIDPart(s string) []byte {
	// The decoder skips line ends, which an id cannot have.
	if len(s) > base64.RawURLEncoding.EncodedLen(maxCertIDPart) || strings.ContainsAny(s, "\r\n") {
		return nil
	}
	b, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// derInteger returns the content octets of the positive number with these bytes.
func derInteger(b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if b[0]&0x80 != 0 {
		return append([]byte{0}, b...)
	}
	return b
}
