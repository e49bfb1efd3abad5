package ib1

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"

	"acmebridge/backends/ib1/extension"
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
	return sign(template, template, signer.Public(), signer, func(c *x509.Certificate) error {
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
	return sign(template, a.cert, key, a.signer, func(c *x509.Certificate) error {
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

// Holder is whom a member certificate is for. All of it comes from the registry
// of the framework and nothing from a request (section 8, 13).
type Holder struct {
	// Country and Organization are those of the member.
	Country, Organization string
	// Application and Member are URLs, Roles those that the application acts in.
	Application, Member string
	Roles               []string
}

// Check says early what no certificate could hold.
func (h Holder) Check() error {
	if err := (Name{h.Country, h.Organization, h.Application}).check(); err != nil {
		return fmt.Errorf("ib1: the holder: %w", err)
	}
	u, err := url.Parse(h.Application)
	// A URL that Go would write in another way would not be equal in CN and SAN.
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.String() != h.Application || !ascii(h.Application) {
		return fmt.Errorf("ib1: the application %q is not an https URL in its plain form", h.Application)
	}
	if _, err := (extension.Values{Roles: h.Roles, Member: h.Member}).Extensions(); err != nil {
		return fmt.Errorf("ib1: the holder: %w", err)
	}
	return nil
}

// IssueMember makes a client or signing certificate (sections 1.5 and 1.6),
// depending on the tree of the issuer: nothing else tells the two apart, so no
// key should ever get both.
func (a *Authority) IssueMember(h Holder, key crypto.PublicKey, i Issuance) (*x509.Certificate, error) {
	if err := a.maySign(false); err != nil {
		return nil, err
	}
	if a.tree == Server {
		return nil, errors.New("ib1: members get no certificate from the server tree")
	}
	if err := h.Check(); err != nil {
		return nil, err
	}
	template, err := a.leaf(key, i)
	if err != nil {
		return nil, err
	}
	template.Subject = Name{h.Country, h.Organization, h.Application}.pkix()
	u, err := url.Parse(h.Application)
	if err != nil {
		return nil, err
	}
	template.URIs = []*url.URL{u}
	if a.tree == Client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if template.ExtraExtensions, err = (extension.Values{Roles: h.Roles, Member: h.Member}).Extensions(); err != nil {
		return nil, err
	}
	template.CRLDistributionPoints = []string{a.framework.url(CRLName(a.tree, a.cert))}
	return sign(template, a.cert, key, a.signer, func(c *x509.Certificate) error {
		return a.checkMember(c, h)
	})
}

// IssueServer makes a server certificate for host names (section 1.7). Whether
// they may have it is for the caller to know.
func (a *Authority) IssueServer(names []string, key crypto.PublicKey, i Issuance) (*x509.Certificate, error) {
	if err := a.maySign(false); err != nil {
		return nil, err
	}
	if a.tree != Server {
		return nil, fmt.Errorf("ib1: servers get no certificate from the %s tree", a.tree)
	}
	if len(names) == 0 {
		return nil, errors.New("ib1: a server certificate names at least one host")
	}
	for _, n := range names {
		if !hostName(n) {
			return nil, fmt.Errorf("ib1: %q is not a plain host name in lower case; wildcards are not issued", n)
		}
	}
	if len(names[0]) > maxName {
		return nil, fmt.Errorf("ib1: the first name has %d characters, and %d is the most that a common name can hold: put a shorter one first", len(names[0]), maxName)
	}
	template, err := a.leaf(key, i)
	if err != nil {
		return nil, err
	}
	template.Subject.CommonName = names[0]
	template.DNSNames = names
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	validated, err := x509.OIDFromInts([]uint64{2, 23, 140, 1, 2, 1})
	if err != nil {
		return nil, err
	}
	template.Policies = []x509.OID{validated} // domain validated, which is how they are got
	return sign(template, a.cert, key, a.signer, a.checkServer)
}

// leaf is what all certificates that are no CA's have in common.
func (a *Authority) leaf(key crypto.PublicKey, i Issuance) (*x509.Certificate, error) {
	if !onCurve(key, elliptic.P256()) {
		return nil, fmt.Errorf("%w: certificates are for P-256 keys", ErrKey)
	}
	if sameKey(key, a.cert.PublicKey) {
		return nil, fmt.Errorf("%w: this one is the issuer's", ErrKey)
	}
	id, err := keyID(key)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: i.Serial,
		NotBefore:    i.begin(), NotAfter: last(i.begin(), a.framework.Validity(a.tree)),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		SubjectKeyId:          id,
		IssuingCertificateURL: []string{a.framework.url(CAName(a.tree, a.cert))},
	}
	if i.Serial != nil && (i.Serial.Cmp(a.cert.SerialNumber) == 0 || i.Serial.Cmp(a.root.SerialNumber) == 0) {
		return nil, fmt.Errorf("%w: this one is the issuer's or the root's", ErrSerial)
	}
	return template, a.covers(template)
}

func hostName(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
			return false
		}
	}
	return true
}
