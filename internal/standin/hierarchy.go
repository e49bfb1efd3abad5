package standin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Hierarchy is a root and the CA below it that issues.
type Hierarchy struct {
	Root, Issuing *x509.Certificate

	issuingKey crypto.Signer
}

// NewHierarchy makes one, with names that begin like that. What the issuing CA
// may certify is bounded by usages; none is no bound.
func NewHierarchy(name string, now time.Time, usages ...x509.ExtKeyUsage) (*Hierarchy, error) {
	return NewHierarchyOf(NewKey, name, now, usages...)
}

// NewHierarchyOf makes one of keys of another kind.
func NewHierarchyOf(newKey func() (crypto.Signer, error), name string, now time.Time, usages ...x509.ExtKeyUsage) (*Hierarchy, error) {
	rootKey, err := newKey()
	if err != nil {
		return nil, err
	}
	h := &Hierarchy{}
	if h.issuingKey, err = newKey(); err != nil {
		return nil, err
	}
	begin := now.Add(-24 * time.Hour).Truncate(time.Second)
	template := func(cn string, years int) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: newSerial(), NotBefore: begin, NotAfter: begin.AddDate(years, 0, 0), IsCA: true, BasicConstraintsValid: true,
			Subject: pkix.Name{Organization: []string{"Stand-in"}, CommonName: cn}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	root := template(name+" Root", 25)
	if h.Root, err = sign(root, root, rootKey.Public(), rootKey); err != nil {
		return nil, err
	}
	issuing := template(name+" TLS CA", 10)
	issuing.MaxPathLenZero, issuing.ExtKeyUsage = true, usages
	h.Issuing, err = sign(issuing, h.Root, h.issuingKey.Public(), rootKey)
	return h, err
}

// NewKey makes a key that is quick.
func NewKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	b[0] |= 0x01
	return new(big.Int).SetBytes(b[:])
}

// Issue certifies a key as the template says, which needs no serial number.
func (h *Hierarchy) Issue(template *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	template.SerialNumber, template.BasicConstraintsValid = newSerial(), true
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	template.CRLDistributionPoints = []string{"http://crl.stand-in.invalid/1.crl"}
	return sign(template, h.Issuing, public, h.issuingKey)
}

// Credential is a certificate for a machine, with its key: a server that has
// hosts, and otherwise a client.
func (h *Hierarchy) Credential(now time.Time, hosts ...string) (tls.Certificate, error) {
	key, err := NewKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	now = now.Truncate(time.Second)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "stand-in"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, err := h.Issue(template, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw, h.Issuing.Raw}, PrivateKey: key}, nil
}

// PEM are the issuing CA and the root.
func (h *Hierarchy) PEM() []byte { return EncodePEM(h.Issuing, h.Root) }

// Pool is the root.
func (h *Hierarchy) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(h.Root)
	return pool
}

// EncodePEM writes certificates one after the other.
func EncodePEM(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// HashOf is how the journal writes a public key.
func HashOf(spki []byte) string { return fmt.Sprintf("%x", sha256.Sum256(spki)) }
