package acme

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limits of what a CA may send (PX-4).
const (
	maxChainCertificates = 10
	maxCertificateBytes  = 64 << 10
)

// clockSkew is how far a CA's clock may be ahead of ours.
const clockSkew = 5 * time.Minute

// ContractError says in what a certificate differs from what was promised. The
// certificate is kept for the operator and never delivered (D10).
type ContractError struct {
	// Certificate counts from the leaf, which is 0.
	Certificate int
	// Field is what differs: "key", "names", "subject", "usages" ...
	Field string
	// Want and Got are for a person.
	Want, Got string
}

// Error names the certificate, the field, and both sides.
func (e *ContractError) Error() string {
	which := "the certificate"
	if e.Certificate > 0 {
		which = fmt.Sprintf("certificate %d of the chain", e.Certificate)
	}
	return fmt.Sprintf("%s is not what was ordered: %s: got %s, want %s", which, e.Field, e.Got, e.Want)
}

// differs makes a ContractError about one certificate of a chain.
func differs(certificate int, field, got, want string) error {
	return &ContractError{Certificate: certificate, Field: field, Got: got, Want: want}
}

// Trust is the roots that the chains of one backend must end in, read once.
// What it answers never changes, and any number of goroutines may ask. It
// remembers the upper parts of chains that it has confirmed, because a CA puts
// the same few above every leaf.
type Trust struct {
	roots *x509.CertPool
	upper upperParts
}

var errNoRoots = errors.New("acme: no root certificates are configured, so no chain could be trusted")

// NewTrust reads roots in DER. At least one is needed: no roots must never
// come to mean those of the system.
func NewTrust(roots [][]byte) (*Trust, error) {
	if len(roots) == 0 {
		return nil, errNoRoots
	}
	pool := x509.NewCertPool()
	for i, der := range roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("acme: read root certificate %d: %w", i+1, err)
		}
		pool.AddCert(root)
	}
	return &Trust{roots: pool}, nil
}

// CheckChain is [Trust.CheckChain] for roots that are used once.
func CheckChain(c Contract, chain, roots [][]byte, now time.Time) (leaf *x509.Certificate, err error) {
	trust, err := NewTrust(roots)
	if err != nil {
		return nil, err
	}
	return trust.CheckChain(c, chain, now)
}

// CheckChain is the gate between a CA and a client: it returns the leaf of a
// chain that is exactly what the contract promises, and an error, most often a
// *[ContractError], for any other (D10, SC-9, R8555-7.4.2-8).
//
// The chain is DER, leaf first, each certificate certifying the one before
// (R8555-9.1-2); the root may be left out. It is as hostile as what a client
// sends (SC-10): everything cheap is checked before the first signature, and a
// chain has only one way to be put together, so it cannot make us search.
func (t *Trust) CheckChain(c Contract, chain [][]byte, now time.Time) (leaf *x509.Certificate, err error) {
	// PX-4: a parser that panics on a CA's bytes costs one order, not the process.
	defer func() {
		if r := recover(); r != nil {
			leaf, err = nil, fmt.Errorf("acme: reading the chain failed: %v", r)
		}
	}()
	if leaf, known, err := t.checkKnown(c, chain, now); known {
		return leaf, err
	}
	certs, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	if err := checkLeaf(c, certs[0], now); err != nil {
		return nil, err
	}
	if err := checkLinks(certs, now); err != nil {
		return nil, err
	}
	if err := t.verify(c, certs, now); err != nil {
		return nil, err
	}
	return certs[0], nil
}

func parseChain(chain [][]byte) ([]*x509.Certificate, error) {
	switch {
	case len(chain) == 0:
		return nil, differs(0, "chain", "no certificates", "the certificate and its issuers")
	case len(chain) > maxChainCertificates:
		return nil, differs(0, "chain", fmt.Sprintf("%d certificates", len(chain)), fmt.Sprintf("at most %d", maxChainCertificates))
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		if len(der) > maxCertificateBytes {
			return nil, differs(i, "size", fmt.Sprintf("%d bytes", len(der)), fmt.Sprintf("at most %d", maxCertificateBytes))
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, differs(i, "encoding", err.Error(), "a DER certificate")
		}
		if cert.Version != 3 {
			return nil, differs(i, "version", fmt.Sprint(cert.Version), "3")
		}
		certs[i] = cert
	}
	return certs, nil
}

// checkLinks checks what joins the certificates, and the issuers themselves,
// as far as that needs no arithmetic.
func checkLinks(certs []*x509.Certificate, now time.Time) error {
	for i, cert := range certs {
		selfIssued := bytes.Equal(cert.RawIssuer, cert.RawSubject)
		// A root's signature on itself says nothing, whatever it is made with.
		if !strongSignatures[cert.SignatureAlgorithm] && !(i > 0 && selfIssued) {
			return differs(i, "signature algorithm", cert.SignatureAlgorithm.String(), "SHA-256 or better")
		}
		if i > 0 {
			if err := checkIssuer(i, cert, now); err != nil {
				return err
			}
			if slices.ContainsFunc(certs[:i], func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, cert.RawSubject) }) {
				return differs(i, "chain", "the subject "+quote(cert.Subject.String())+" a second time", "each subject once")
			}
		}
		if i+1 == len(certs) {
			break
		}
		next := certs[i+1]
		if !bytes.Equal(cert.RawIssuer, next.RawSubject) {
			return differs(i, "issuer", quote(cert.Issuer.String()), quote(next.Subject.String())+", the subject of the next certificate")
		}
		if len(cert.AuthorityKeyId) > 0 && len(next.SubjectKeyId) > 0 && !bytes.Equal(cert.AuthorityKeyId, next.SubjectKeyId) {
			return differs(i, "authority key identifier", fmt.Sprintf("%x", cert.AuthorityKeyId), fmt.Sprintf("%x, that of the next certificate", next.SubjectKeyId))
		}
	}
	return nil
}

func checkIssuer(i int, cert *x509.Certificate, now time.Time) error {
	key, isRSA := cert.PublicKey.(*rsa.PublicKey)
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return differs(i, "basic constraints", "not a CA", "a CA")
	case cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return differs(i, "key usage", "no keyCertSign", "keyCertSign, because it signs the certificate before it")
	case cert.NotBefore.After(now.Add(clockSkew)):
		return differs(i, "validity", "valid from "+moment(cert.NotBefore), "valid at "+moment(now))
	case !cert.NotAfter.After(now):
		return differs(i, "validity", "valid until "+moment(cert.NotAfter), "valid at "+moment(now))
	case isRSA && key.N.BitLen() > hardRSABits: // before anything is computed with it
		return differs(i, "key", fmt.Sprintf("an RSA modulus of %d bits", key.N.BitLen()), fmt.Sprintf("at most %d", hardRSABits))
	case cert.MaxPathLen >= 0 && (cert.MaxPathLen > 0 || cert.MaxPathLenZero) && i-1 > cert.MaxPathLen:
		return differs(i, "basic constraints", fmt.Sprintf("a path length of %d", cert.MaxPathLen), fmt.Sprintf("at least %d", i-1))
	}
	return nil
}

// verify checks each signature once, and what the issuers restrict: names,
// usages, path lengths. The standard library accepts a chain that is good for
// any of several usages; ours must be good for each.
func (t *Trust) verify(c Contract, certs []*x509.Certificate, now time.Time) error {
	if t.roots == nil {
		return errNoRoots // to the library, none are those of the system
	}
	options := x509.VerifyOptions{
		Roots:         t.roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for i, cert := range certs {
		if i > 0 {
			options.Intermediates.AddCert(cert)
		}
		if cert.NotBefore.After(options.CurrentTime) { // within the skew, as checked
			options.CurrentTime = cert.NotBefore
		}
	}
	paths, err := certs[0].Verify(options)
	if err != nil {
		return explain(certs, err)
	}
	var unusable error
	for _, path := range paths {
		if len(path) < 2 || len(path) < len(certs) || !slices.EqualFunc(path[:len(certs)], certs, (*x509.Certificate).Equal) {
			continue
		}
		if unusable = checkIssuerUsages(c, path); unusable == nil {
			t.upper.remember(certs[1:], path[1:])
			return nil
		}
	}
	if unusable != nil {
		return unusable
	}
	return differs(len(certs)-1, "trust", "a chain that the roots confirm only by another path", "a chain that leads to a configured root as it stands")
}

// checkIssuerUsages wants every issuer that is bound to certain usages to be
// bound to no fewer than the contract's.
func checkIssuerUsages(c Contract, path []*x509.Certificate) error {
	for i, cert := range path[1:] {
		if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) {
			continue
		}
		for _, usage := range c.Usages {
			if !slices.Contains(cert.ExtKeyUsage, usageKinds[usage]) {
				return differs(i+1, "usages", "an issuer that is not for "+string(usage), "an issuer for "+list(c.Usages))
			}
		}
	}
	return nil
}

// usageKinds are our usages in the words of crypto/x509.
var usageKinds = map[Usage]x509.ExtKeyUsage{
	ServerAuth:      x509.ExtKeyUsageServerAuth,
	ClientAuth:      x509.ExtKeyUsageClientAuth,
	CodeSigning:     x509.ExtKeyUsageCodeSigning,
	EmailProtection: x509.ExtKeyUsageEmailProtection,
}

// explain finds out what the standard library's verdict means for this chain.
// It runs for a refused chain only, so it may check signatures again.
func explain(certs []*x509.Certificate, verdict error) error {
	for i := range len(certs) - 1 {
		if err := certs[i].CheckSignatureFrom(certs[i+1]); err != nil {
			return differs(i, "signature", err.Error(), "a signature of the next certificate")
		}
	}
	last := len(certs) - 1
	var unknown x509.UnknownAuthorityError
	var unhandled x509.UnhandledCriticalExtension
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(verdict, &unknown):
		return differs(last, "trust", "no configured root that signed it", "a chain to a configured root")
	case errors.As(verdict, &unhandled):
		return differs(0, "extensions", "a critical extension that verifiers do not know", "none")
	case errors.As(verdict, &invalid):
		at := max(0, slices.IndexFunc(certs, func(c *x509.Certificate) bool { return c.Equal(invalid.Cert) }))
		return differs(at, "constraints", invalid.Error(), "a certificate within the constraints of its issuers")
	}
	return differs(last, "trust", verdict.Error(), "a chain to a configured root")
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
