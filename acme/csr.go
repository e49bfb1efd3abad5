package acme

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// CSR is a certificate request whose form is in order: it could be read, its
// key is sound and its signature proves that the client has the private key.
// Whether its contents fit an order is for [CheckCSR] to say.
type CSR struct {
	Raw       []byte
	PublicKey crypto.PublicKey
	// SPKI is the SubjectPublicKeyInfo and KeyHash its hash.
	SPKI    []byte
	KeyHash KeyHash
	// CommonName is as written, empty when there is none.
	CommonName string
	// Identifiers are the names asked for, in normal form and each once: those
	// of the subject alternative names, or the common name when there is no
	// such extension.
	Identifiers []Identifier
	// HasSAN tells an absent extension from an empty one, and OtherNames are
	// the kinds of its entries that are neither DNS name nor address.
	HasSAN     bool
	OtherNames []string
	// Subject is the subject as it was read, RawSubject its DER.
	Subject    pkix.Name
	RawSubject []byte
	// Extensions are all that the CSR asks for.
	Extensions []pkix.Extension
}

// everyKey admits every type of key that a certificate can have.
var everyKey = KeyPolicy{Types: []string{keyRSA, keyP256, keyP384, keyP521, keyEd25519}}

// strongSignatures lists what may sign a CSR (EK-12) or a certificate: SHA-256
// or better.
var strongSignatures = map[x509.SignatureAlgorithm]bool{
	x509.SHA256WithRSA: true, x509.SHA384WithRSA: true, x509.SHA512WithRSA: true,
	x509.SHA256WithRSAPSS: true, x509.SHA384WithRSAPSS: true, x509.SHA512WithRSAPSS: true,
	x509.ECDSAWithSHA256: true, x509.ECDSAWithSHA384: true, x509.ECDSAWithSHA512: true,
	x509.PureEd25519: true,
}

// ParseCSR reads a DER PKCS #10 request: limits first, then its form, then its
// key, and only then the one costly step, its signature (R8555-7.4F-2, -9, PX-1,
// PX-3). Whatever is wrong is badCSR, after which the order can be finalized
// with a better one (R8555-7.4F-6).
func ParseCSR(der []byte) (CSR, *Problem) {
	found, err := scanCSR(der)
	if err != nil {
		return CSR{}, Problemf(BadCSR, "%v", err)
	}
	parsed, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return CSR{}, Problemf(BadCSR, "the CSR cannot be read: %v", err)
	}
	if !strongSignatures[parsed.SignatureAlgorithm] {
		return CSR{}, Problemf(BadCSR, "the CSR is signed with %v; use SHA-256 or better", parsed.SignatureAlgorithm)
	}
	if p := CheckCertificateKey(parsed.PublicKey, everyKey); p != nil {
		return CSR{}, p
	}
	if err := parsed.CheckSignature(); err != nil {
		return CSR{}, Problemf(BadCSR, "the signature of the CSR does not verify, so it does not prove possession of its key")
	}
	csr := CSR{
		Raw:        parsed.Raw,
		PublicKey:  parsed.PublicKey,
		SPKI:       parsed.RawSubjectPublicKeyInfo,
		KeyHash:    HashKey(parsed.RawSubjectPublicKeyInfo),
		HasSAN:     found.hasSAN,
		OtherNames: found.san.others,
		Subject:    parsed.Subject,
		RawSubject: parsed.RawSubject,
		Extensions: parsed.Extensions,
	}
	if csr.CommonName, err = commonName(parsed.Subject); err != nil {
		return CSR{}, Problemf(BadCSR, "%v", err)
	}
	csr.Identifiers = csr.names(found.san.ids)
	return csr, nil
}

// commonName returns the one common name of a subject. pkix.Name would give
// the last of several, and so hide the others.
func commonName(subject pkix.Name) (string, error) {
	var name string
	var found bool
	for _, part := range subject.Names {
		if !part.Type.Equal(oidCommonName) {
			continue
		}
		text, ok := part.Value.(string)
		switch {
		case found:
			return "", fmt.Errorf("the subject of the CSR has more than one common name")
		case !ok:
			return "", fmt.Errorf("the common name of the CSR is not text")
		}
		name, found = text, true
	}
	return name, nil
}

// names merges what the CSR asks for. A client that puts its one name into the
// common name only is understood (R8555-7.4F-3), but with the extension there,
// the extension is the list.
func (c CSR) names(san []Identifier) []Identifier {
	if !c.HasSAN && c.CommonName != "" {
		return []Identifier{{Type: DNSIdentifier, Value: lowerASCII(c.CommonName)}}
	}
	names := make([]Identifier, 0, len(san))
	seen := make(map[Identifier]bool, len(san))
	for _, id := range san {
		id.Value = lowerASCII(id.Value)
		if !seen[id] {
			seen[id] = true
			names = append(names, id)
		}
	}
	return names
}

// extensionName is the name that people know an extension by, or its number.
func extensionName(oid asn1.ObjectIdentifier) string {
	switch {
	case oid.Equal(oidSubjectAltName):
		return "subjectAltName"
	case oid.Equal(oidBasicConstraints):
		return "basicConstraints"
	case oid.Equal(oidKeyUsage):
		return "keyUsage"
	case oid.Equal(oidExtKeyUsage):
		return "extKeyUsage"
	case oid.Equal(oidTLSFeature):
		return "TLS feature (must-staple)"
	}
	return oid.String()
}
