package ib1

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"acmebridge/backends/ib1/extension"
)

// ErrProfile reports a certificate that differs from its profile. The text
// names every difference.
var ErrProfile = errors.New("ib1: the certificate does not fit its profile")

// examination collects what is wrong with a certificate. It sees what linters do
// not: exact bytes, dates that nest, and extensions that nobody else knows.
type examination struct {
	cert  *x509.Certificate
	seen  map[string]bool
	wrong []error
}

func examine(c *x509.Certificate) *examination { return &examination{cert: c, seen: map[string]bool{}} }

func (e *examination) want(ok bool, format string, args ...any) {
	if !ok {
		e.wrong = append(e.wrong, fmt.Errorf(format, args...))
	}
}

// result is the verdict. Extensions that nobody asked about do not belong there.
func (e *examination) result(closed bool) error {
	for _, x := range e.cert.Extensions {
		e.want(!closed && !x.Critical || e.seen[x.Id.String()], "the extension %s does not belong there", x.Id)
	}
	if len(e.wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrProfile, errors.Join(e.wrong...))
}

// has wants an extension whose value is one of these, in hexadecimal, or any if
// none is given, and returns it.
func (e *examination) has(oid, name string, critical bool, values ...string) []byte {
	e.seen[oid] = true
	for _, x := range e.cert.Extensions {
		if x.Id.String() != oid {
			continue
		}
		e.want(x.Critical == critical, "%s: critical is %v, not %v", name, x.Critical, critical)
		e.want(len(values) == 0 || slices.Contains(values, hex.EncodeToString(x.Value)), "%s has the value %x, not %s", name, x.Value, strings.Join(values, " or "))
		return x.Value
	}
	e.want(false, "%s is missing", name)
	return nil
}

func (e *examination) hasNot(oid, name string) {
	e.seen[oid] = true
	for _, x := range e.cert.Extensions {
		e.want(x.Id.String() != oid, "%s must not be there", name)
	}
}

func (e *examination) mayHave(oid string) { e.seen[oid] = true }

const (
	oidSubjectKeyID     = "2.5.29.14"
	oidKeyUsage         = "2.5.29.15"
	oidSubjectAltName   = "2.5.29.17"
	oidBasicConstraints = "2.5.29.19"
	oidCRLPoints        = "2.5.29.31"
	oidPolicies         = "2.5.29.32"
	oidAuthorityKeyID   = "2.5.29.35"
	oidExtKeyUsage      = "2.5.29.37"
	oidAuthorityInfo    = "1.3.6.1.5.5.7.1.1"
	oidRoles            = "1.3.6.1.4.1.62329.1.1"
	oidMember           = "1.3.6.1.4.1.62329.1.3"
)

// common is what every profile wants: version, form of the serial number, the
// exact algorithms, and the key.
func (e *examination) common(curve elliptic.Curve, signature []byte) {
	c := e.cert
	e.want(c.Version == 3, "the version is %d, not 3", c.Version)
	e.want(c.SerialNumber.Sign() > 0 && c.SerialNumber.BitLen() <= 159, "the serial number is not positive and below 2^159")
	e.want(c.SerialNumber.BitLen() > 32, "the serial number cannot be random, it is so short")
	e.want(bytes.Equal(signatureOf(c), signature), "the signature algorithm is %x, not %x", signatureOf(c), signature)
	key := p256Key
	if curve == elliptic.P384() {
		key = p384Key
	}
	var info, id cryptobyte.String
	spki := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	ok := spki.ReadASN1(&info, cbasn1.SEQUENCE) && info.ReadASN1Element(&id, cbasn1.SEQUENCE)
	e.want(ok && bytes.Equal(id, key) && onCurve(c.PublicKey, curve), "the key is not on %s, named so", curve.Params().Name)
	e.keyID()
}

// signatureOf is the AlgorithmIdentifier of the signature.
func signatureOf(c *x509.Certificate) []byte {
	var tbs, id cryptobyte.String
	raw := cryptobyte.String(c.RawTBSCertificate)
	if !raw.ReadASN1(&tbs, cbasn1.SEQUENCE) || !tbs.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()) ||
		!tbs.SkipASN1(cbasn1.INTEGER) || !tbs.ReadASN1Element(&id, cbasn1.SEQUENCE) {
		return nil
	}
	return id
}

// keyID wants an identifier; by what method it was made is its maker's business.
func (e *examination) keyID() {
	e.has(oidSubjectKeyID, "subjectKeyIdentifier", false)
	e.want(len(e.cert.SubjectKeyId) > 0, "subjectKeyIdentifier is empty")
}

// below wants names and identifiers to be copies of those of the authority, and
// the validity to lie within its own.
func (e *examination) below(authority *x509.Certificate) {
	c := e.cert
	e.want(bytes.Equal(c.RawIssuer, authority.RawSubject), "the issuer's name %q is not a copy of the name %q of the authority", c.Issuer, authority.Subject)
	e.want(!bytes.Equal(c.RawSubject, authority.RawSubject), "it has the name of its authority")
	e.has(oidAuthorityKeyID, "authorityKeyIdentifier", false, authorityKeyID(authority.SubjectKeyId))
	e.want(!c.NotBefore.Before(authority.NotBefore), "it begins on %s, before its authority, which begins on %s", stamp(c.NotBefore), stamp(authority.NotBefore))
	e.want(!c.NotAfter.After(authority.NotAfter), "it ends on %s, after its authority, which ends on %s", stamp(c.NotAfter), stamp(authority.NotAfter))
	e.want(c.SerialNumber.Cmp(authority.SerialNumber) != 0, "it has the serial number of its authority")
}

// authorityKeyID is the extension's value with an identifier and nothing else.
func authorityKeyID(id []byte) string {
	if len(id) > 100 {
		return ""
	}
	return fmt.Sprintf("30%02x80%02x%x", len(id)+2, len(id), id)
}

func (e *examination) validity(want time.Duration) {
	got := e.cert.NotAfter.Sub(e.cert.NotBefore) + time.Second
	e.want(got == want, "it is valid for %s, both ends counted, and not for %s", got, want)
}

func (e *examination) name(want Name) {
	got, ok := nameOf(e.cert.Subject)
	e.want(ok, "the subject %q is not made of country, organization and common name", e.cert.Subject)
	e.want(!ok || got == want, "the subject is %+v, not %+v", got, want)
	e.want(ok && separate(e.cert.RawSubject), "attributes of the subject share an RDN, or the country is no PrintableString")
}

// separate wants three RDNs of one attribute each, the country a PrintableString.
func separate(raw []byte) bool {
	var name cryptobyte.String
	in := cryptobyte.String(raw)
	if !in.ReadASN1(&name, cbasn1.SEQUENCE) {
		return false
	}
	for i := range 3 {
		var set, attribute, value cryptobyte.String
		var tag cbasn1.Tag
		if !name.ReadASN1(&set, cbasn1.SET) || !set.ReadASN1(&attribute, cbasn1.SEQUENCE) || !set.Empty() ||
			!attribute.SkipASN1(cbasn1.OBJECT_IDENTIFIER) || !attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
			return false
		}
		if tag != cbasn1.PrintableString && (i == 0 || tag != cbasn1.UTF8String) {
			return false
		}
	}
	return name.Empty()
}

func (f *Framework) checkRoot(t Tree, c *x509.Certificate, own bool) error {
	e := examine(c)
	e.common(elliptic.P384(), sha384WithP384)
	e.want(bytes.Equal(c.RawIssuer, c.RawSubject), "issuer and subject differ")
	e.name(f.RootName(t))
	e.hasNot(oidExtKeyUsage, "extKeyUsage")
	if own {
		e.want(ownSerial(c.SerialNumber), "the serial number was not drawn for it")
		e.validity(rootValidity)
		e.has(oidBasicConstraints, "basicConstraints", true, "30030101ff")
		e.has(oidKeyUsage, "keyUsage", true, "03020106")
		e.has(oidAuthorityKeyID, "authorityKeyIdentifier", false, authorityKeyID(c.SubjectKeyId))
		return e.result(true)
	}
	// What others' roots may have besides, the Baseline Requirements only advise
	// against.
	validity := c.NotAfter.Sub(c.NotBefore) + time.Second
	e.want(validity >= 2922*day && validity <= rootValidity, "it is valid for %s; 2922 to 9132 days are right", validity)
	e.has(oidBasicConstraints, "basicConstraints", true)
	e.want(c.BasicConstraintsValid && c.IsCA && !c.MaxPathLenZero, "it is not a CA that may have issuers below it")
	e.has(oidKeyUsage, "keyUsage", true, "03020106", "03020186")
	e.mayHave(oidAuthorityKeyID)
	if len(c.AuthorityKeyId) > 0 {
		e.has(oidAuthorityKeyID, "authorityKeyIdentifier", false, authorityKeyID(c.SubjectKeyId))
	}
	return e.result(false)
}

func (f *Framework) checkIssuer(t Tree, root, c *x509.Certificate) error {
	e := examine(c)
	e.common(elliptic.P256(), sha384WithP384)
	e.below(root)
	e.name(f.IssuerName(t))
	e.validity(f.IssuerValidity(t))
	e.has(oidBasicConstraints, "basicConstraints", true, "30060101ff020100")
	e.has(oidKeyUsage, "keyUsage", true, "03020106")
	e.has(oidExtKeyUsage, "extKeyUsage", false, "301406082b0601050507030106082b06010505070302", "301406082b0601050507030206082b06010505070301")
	e.has(oidPolicies, "certificatePolicies", false, "300830060604551d2000")
	e.points()
	e.caIssuers()
	return e.result(true)
}

// points wants one distribution point with one http URL.
func (e *examination) points() {
	e.has(oidCRLPoints, "cRLDistributionPoints", false)
	urls := e.cert.CRLDistributionPoints
	e.want(len(urls) == 1 && strings.HasPrefix(urls[0], "http://"), "cRLDistributionPoints are %q, not one http URL", urls)
}

func (e *examination) caIssuers() {
	e.has(oidAuthorityInfo, "authorityInfoAccess", false)
	urls := e.cert.IssuingCertificateURL
	e.want(len(urls) == 1 && strings.HasPrefix(urls[0], "http://") && len(e.cert.OCSPServer) == 0, "authorityInfoAccess is not one http URL of the issuer's certificate")
}

func (a *Authority) endEntity(c *x509.Certificate) *examination {
	e := examine(c)
	e.common(elliptic.P256(), sha256WithP256)
	e.want(ownSerial(c.SerialNumber), "the serial number was not drawn for it")
	e.below(a.cert)
	e.validity(a.framework.Validity(a.tree))
	e.has(oidBasicConstraints, "basicConstraints", true, "3000")
	e.has(oidKeyUsage, "keyUsage", true, "03020780")
	e.caIssuers()
	return e
}

func (a *Authority) checkMember(c *x509.Certificate, h Holder) error {
	e := a.endEntity(c)
	e.name(Name{h.Country, h.Organization, h.Application})
	// One name alone: readers exist that take the first, of whatever type
	// (section 8, 4).
	e.has(oidSubjectAltName, "subjectAltName", false, uriName(h.Application))
	if a.tree == Client {
		e.has(oidExtKeyUsage, "extKeyUsage", false, "300a06082b06010505070302")
	} else {
		e.hasNot(oidExtKeyUsage, "extKeyUsage")
	}
	e.hasNot(oidPolicies, "certificatePolicies")
	e.points()
	e.has(oidRoles, "ib1Roles", false)
	e.has(oidMember, "ib1Member", false)
	v, err := extension.FromExtensions(c.Extensions)
	e.want(err == nil, "the extensions of IB1: %w", err)
	e.want(err != nil || (v.Member == h.Member && slices.Equal(v.Roles, h.Roles)), "member and roles are not the holder's")
	return e.result(true)
}

// uriName is a subjectAltName of one URL.
func uriName(url string) string {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(url)) })
	})
	return hex.EncodeToString(b.BytesOrPanic())
}

func (a *Authority) checkServer(c *x509.Certificate) error {
	e := a.endEntity(c)
	e.has(oidSubjectAltName, "subjectAltName", false)
	e.want(len(c.DNSNames) > 0 && c.Subject.CommonName == c.DNSNames[0] && len(c.URIs)+len(c.IPAddresses)+len(c.EmailAddresses) == 0 && len(c.Subject.Names) == 1,
		"the subject is not the first of the host names alone")
	e.has(oidExtKeyUsage, "extKeyUsage", false, "300a06082b06010505070301")
	e.has(oidPolicies, "certificatePolicies", false)
	return e.result(true)
}
