package xroad

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Attribute is one of a subject, in the order in which it is written.
type Attribute = pkix.AttributeTypeAndValue

// The attributes that certificate profiles use.
var (
	CommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	SerialNumber     = asn1.ObjectIdentifier{2, 5, 4, 5}
	Country          = asn1.ObjectIdentifier{2, 5, 4, 6}
	Organization     = asn1.ObjectIdentifier{2, 5, 4, 10}
	BusinessCategory = asn1.ObjectIdentifier{2, 5, 4, 15}
)

// Key is a key on a token of the Security Server, and what its CSR asks for.
type Key struct {
	signer  crypto.Signer
	subject []Attribute
	name    string // the identifier of the order
	san     []string
	sign    bool
}

// AuthKey is a key that authenticates the Security Server; the SAN is as the
// operator has typed it, or absent when empty.
func AuthKey(signer crypto.Signer, subject []Attribute, name string, san ...string) Key {
	return Key{signer, subject, name, san, false}
}

// SignKey is a key that signs for a member.
func SignKey(signer crypto.Signer, subject []Attribute, name string, san ...string) Key {
	return Key{signer, subject, name, san, true}
}

// Reversed is the subject of a renewal.
func Reversed(subject []Attribute) []Attribute {
	reversed := slices.Clone(subject)
	slices.Reverse(reversed)
	return reversed
}

func (k Key) csr() ([]byte, error) {
	usage := []byte{0x03, 0x02, 0x04, 0xb0} // digitalSignature, keyEncipherment, dataEncipherment
	if k.sign {
		usage = []byte{0x03, 0x02, 0x02, 0x44} // nonRepudiation, and keyCertSign
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{ExtraNames: k.subject}, DNSNames: k.san,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: usage}},
	}, k.signer)
}

// Import says why the Security Server would not take the certificate of a key.
func Import(leaf *x509.Certificate, k Key, now time.Time) error {
	public, ok := k.signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	auth := slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) ||
		leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment) != 0
	sign := leaf.KeyUsage&x509.KeyUsageContentCommitment != 0
	switch {
	case !ok || !public.Equal(leaf.PublicKey):
		return errors.New("its key is on no token")
	case leaf.KeyUsage == 0:
		return errors.New("it has no key usage")
	case auth == sign:
		return fmt.Errorf("nothing tells whether it authenticates or signs: key usage %b, extended %v", leaf.KeyUsage, leaf.ExtKeyUsage)
	case sign != k.sign:
		return errors.New("it is for keys of the other usage")
	case leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0:
		return errors.New("it is a CA's")
	case now.Before(leaf.NotBefore) || now.After(leaf.NotAfter):
		return fmt.Errorf("it is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	case len(leaf.AuthorityKeyId) == 0:
		return errors.New("it cannot be renewed without an authority key identifier")
	case len(leaf.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("it has critical extensions that nobody knows: %v", leaf.UnhandledCriticalExtensions)
	}
	if len(k.san) > 0 && len(leaf.DNSNames) == 0 {
		return errors.New("its SAN has no DNS name, so it cannot be renewed")
	}
	// The subject of a signing certificate is the member.
	if want, got := texts(k.subject), texts(leaf.Subject.Names); !slices.Equal(want, got) {
		return fmt.Errorf("client not found: the subject is %v, and the member's %v", got, want)
	}
	return nil
}

func texts(subject []Attribute) []string {
	var all []string
	for _, a := range subject {
		all = append(all, fmt.Sprintf("%s=%v", a.Type, a.Value))
	}
	slices.Sort(all)
	return all
}

// RenewalID is the name of a certificate in RFC 9773.
func RenewalID(c *x509.Certificate) (string, error) {
	if len(c.AuthorityKeyId) == 0 {
		return "", errors.New("the certificate has no authority key identifier")
	}
	serial, err := asn1.Marshal(c.SerialNumber) // with the zero in front of a high bit
	if err != nil {
		return "", err
	}
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(serial, &raw); err != nil {
		return "", err
	}
	return b64(c.AuthorityKeyId) + "." + b64(raw.Bytes), nil
}
