package ib1

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ErrRotate reports an authority that ends too soon for what it should sign: a
// new one is needed first. Nothing is made shorter than was promised.
var ErrRotate = errors.New("ib1: the authority ends too soon")

// Authority is a root or an issuer that fits its profile. Without a signer it
// can be looked at, and signs nothing.
type Authority struct {
	framework *Framework
	tree      Tree
	cert      *x509.Certificate
	root      *x509.Certificate // cert itself for a root
	signer    crypto.Signer
}

// Certificate is the certificate of the authority, Root that of its root.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Root is described at Certificate.
func (a *Authority) Root() *x509.Certificate { return a.root }

// Signs reports whether the key of the authority is here.
func (a *Authority) Signs() bool { return a.signer != nil }

// Tree is the tree of the authority.
func (a *Authority) Tree() Tree { return a.tree }

// IsRoot reports whether the authority is a root.
func (a *Authority) IsRoot() bool { return a.cert == a.root }

// Issuance is what the caller decides of any certificate.
type Issuance struct {
	// Serial comes from NewSerial.
	Serial *big.Int
	// Now is the time of signing and the beginning of the certificate.
	Now time.Time
}

func (i Issuance) begin() time.Time { return i.Now.UTC().Truncate(time.Second) }

const rootValidity = 9132 * day

// CreateRoot makes the root of a tree (section 1.3). The key is P-384.
func (f *Framework) CreateRoot(t Tree, signer crypto.Signer, i Issuance) (*x509.Certificate, error) {
	if _, err := t.word(); err != nil {
		return nil, err
	}
	if !onCurve(signer.Public(), elliptic.P384()) {
		return nil, fmt.Errorf("%w: a root has a P-384 key", ErrKey)
	}
	id, err := keyID(signer.Public())
	if err != nil {
		return nil, err
	}
	template := authorityTemplate(f.RootName(t), i, rootValidity)
	template.MaxPathLen = -1
	template.SubjectKeyId, template.AuthorityKeyId = id, id
	return sign(rootKind, template, template, signer.Public(), signer, func(c *x509.Certificate) error {
		return f.checkRoot(t, c, true)
	})
}

func authorityTemplate(n Name, i Issuance, validity time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: i.Serial, Subject: n.pkix(),
		NotBefore: i.begin(), NotAfter: last(i.begin(), validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
}

// last is the last second of a validity that begins then: both ends count
// (section 8, 5).
func last(begin time.Time, validity time.Duration) time.Time {
	return begin.Add(validity - time.Second)
}

// OpenRoot checks a root of ours or of another operator (section 1.3). The
// signer may be nil.
func (f *Framework) OpenRoot(t Tree, cert *x509.Certificate, signer crypto.Signer) (*Authority, error) {
	if err := f.checkRoot(t, cert, false); err != nil {
		return nil, err
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return nil, fmt.Errorf("ib1: the root did not sign itself: %w", err)
	}
	a := &Authority{f, t, cert, cert, signer}
	return a, a.checkSigner()
}

// CreateIssuer makes an issuer below the root (section 1.4) for a key, which is
// P-256 and must not serve in any other place.
func (a *Authority) CreateIssuer(key crypto.PublicKey, i Issuance) (*x509.Certificate, error) {
	if err := a.maySign(true); err != nil {
		return nil, err
	}
	if !onCurve(key, elliptic.P256()) {
		return nil, fmt.Errorf("%w: an issuer has a P-256 key", ErrKey)
	}
	id, err := keyID(key)
	if err != nil {
		return nil, err
	}
	f := a.framework
	template := authorityTemplate(f.IssuerName(a.tree), i, f.IssuerValidity(a.tree))
	if err := a.covers(template); err != nil {
		return nil, err
	}
	template.MaxPathLenZero = true
	template.SubjectKeyId = id
	// serverAuth is what the Baseline Requirements want of an issuer, clientAuth
	// what lets client chains verify.
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	anyPolicy, err := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})
	if err != nil {
		return nil, err
	}
	template.Policies = []x509.OID{anyPolicy}
	template.CRLDistributionPoints = []string{f.url(CRLName(a.tree, a.cert))}
	template.IssuingCertificateURL = []string{f.url(CAName(a.tree, a.cert))}
	return sign(issuerKind, template, a.cert, key, a.signer, func(c *x509.Certificate) error {
		return f.checkIssuer(a.tree, a.cert, c)
	})
}

// OpenIssuer checks an issuer, wherever its root signed it. The signer may be
// nil.
func (f *Framework) OpenIssuer(t Tree, root, cert *x509.Certificate, signer crypto.Signer) (*Authority, error) {
	if err := f.checkIssuer(t, root, cert); err != nil {
		return nil, err
	}
	if err := cert.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("ib1: the issuer was not signed by this root: %w", err)
	}
	a := &Authority{f, t, cert, root, signer}
	return a, a.checkSigner()
}

func (a *Authority) checkSigner() error {
	if a.signer != nil && !sameKey(a.signer.Public(), a.cert.PublicKey) {
		return fmt.Errorf("%w: it does not belong to the certificate %s", ErrKey, a.cert.Subject)
	}
	return nil
}

func (a *Authority) maySign(root bool) error {
	switch {
	case a.signer == nil:
		return fmt.Errorf("%w: that of %s is not here", ErrKey, a.cert.Subject)
	case root != a.IsRoot():
		return errors.New("ib1: roots sign issuers, and issuers sign everything else")
	}
	return nil
}

// covers wants the authority, and what is above it, to be valid for as long as
// the certificate: verifiers look at all of them at one time (section 1.8, 1).
func (a *Authority) covers(template *x509.Certificate) error {
	for _, above := range []*x509.Certificate{a.cert, a.root} {
		if template.NotBefore.Before(above.NotBefore) {
			return fmt.Errorf("ib1: %s is not valid before %s: look at the clock", above.Subject, stamp(above.NotBefore))
		}
		if template.NotAfter.After(above.NotAfter) {
			return fmt.Errorf("%w: %s ends on %s, and a certificate that begins now ends on %s: make a new one first", ErrRotate, above.Subject, stamp(above.NotAfter), stamp(template.NotAfter))
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
