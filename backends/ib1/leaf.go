package ib1

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"

	"acmebridge/backends/ib1/extension"
)

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
	template, err := a.member(h, key, i)
	if err != nil {
		return nil, err
	}
	return sign(a.tree.leafKind(), template, a.cert, key, a.signer, func(c *x509.Certificate) error {
		return a.checkMember(c, h)
	})
}

// RehearseMember says whether a certificate could be made for a holder, as far as
// that is up to the holder: when it is entered into a registry and not months
// later. The key of the authority signs nothing, and need not be here.
func (a *Authority) RehearseMember(h Holder) error {
	trial, err := trialKeys[elliptic.P256()]()
	if err != nil {
		return fmt.Errorf("ib1: make a key for rehearsals: %w", err)
	}
	serial, err := NewSerial(rand.Reader, func(*big.Int) (bool, error) { return false, nil })
	if err != nil {
		return err
	}
	template, err := a.member(h, trial.Public(), Issuance{Serial: serial, Now: a.cert.NotBefore})
	if err != nil {
		return err
	}
	_, err = approve(a.tree.leafKind(), template, a.cert, trial.Public(), a.cert.PublicKey, func(c *x509.Certificate) error {
		return a.checkMember(c, h)
	})
	return err
}

func (a *Authority) member(h Holder, key crypto.PublicKey, i Issuance) (*x509.Certificate, error) {
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
	template.CRLDistributionPoints = []string{a.framework.url(a.ListOf(i.Serial))}
	return template, nil
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
	return sign(a.tree.leafKind(), template, a.cert, key, a.signer, a.checkServer)
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
