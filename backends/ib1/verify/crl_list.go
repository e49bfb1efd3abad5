package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// list is a revocation list that was read.
type list struct {
	*x509.RevocationList
	names   []string // where it is published, when it is one part of several
	user    bool     // it has certificates of end entities only
	ca      bool     // it has certificates of CAs only
	foreign string   // why it serves no certificate here, or empty
	// entries by serial number, so that 10,000 of them cost as much as one.
	entries map[string]x509.RevocationListEntry
	// signer is the CA certificate whose key was found to have signed it.
	signer [sha256.Size]byte
}

// revocation is the entry of one certificate.
type revocation struct {
	at      time.Time
	reason  int
	invalid time.Time // the invalidityDate, or zero
}

func parseList(der []byte) (*list, error) {
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("read a revocation list: %w", err)
	}
	l := &list{RevocationList: parsed, entries: make(map[string]x509.RevocationListEntry, len(parsed.RevokedCertificateEntries))}
	l.readExtensions()
	for _, e := range parsed.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical {
				// Such as certificateIssuer: the entry is about somebody else's certificate.
				l.foreign = fmt.Sprintf("an entry has the critical extension %s", x.Id)
			}
		}
		l.entries[string(e.SerialNumber.Bytes())] = e
	}
	return l, nil
}

// issuingDistributionPoint is RFC 5280, section 5.2.5.
type issuingDistributionPoint struct {
	Point           distributionPointName `asn1:"optional,tag:0"`
	OnlyUser        bool                  `asn1:"optional,tag:1"`
	OnlyCA          bool                  `asn1:"optional,tag:2"`
	OnlySomeReasons asn1.BitString        `asn1:"optional,tag:3"`
	Indirect        bool                  `asn1:"optional,tag:4"`
	OnlyAttribute   bool                  `asn1:"optional,tag:5"`
}

type distributionPointName struct {
	FullName []asn1.RawValue `asn1:"optional,tag:0"`
	Relative asn1.RawValue   `asn1:"optional,tag:1"`
}

func (l *list) readExtensions() {
	for _, e := range l.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}) {
			if e.Critical { // such as deltaCRLIndicator
				l.foreign = fmt.Sprintf("it has the critical extension %s", e.Id)
			}
			continue
		}
		var p issuingDistributionPoint
		rest, err := asn1.Unmarshal(e.Value, &p)
		switch {
		case err != nil || len(rest) > 0:
			l.foreign = "its issuing distribution point is malformed"
		case p.Indirect || p.OnlyAttribute || p.OnlySomeReasons.BitLength > 0 || len(p.Point.Relative.FullBytes) > 0:
			l.foreign = "it is indirect, for attribute certificates, for some reasons only or named by a relative name"
		}
		l.user, l.ca = p.OnlyUser, p.OnlyCA
		for _, n := range p.Point.FullName {
			l.names = append(l.names, string(n.Bytes))
		}
	}
}

// covers says whether a certificate of the list's issuer would stand on it.
func (l *list) covers(c *x509.Certificate) error {
	switch {
	case l.foreign != "":
		return CRLScope.becausef("list %s of %q serves no certificate: %s", l.Number, c.Issuer, l.foreign)
	case l.user && c.IsCA, l.ca && !c.IsCA:
		return CRLScope.becausef("list %s of %q is for another kind of certificate", l.Number, c.Issuer)
	case len(l.names) > 0 && !slices.ContainsFunc(l.names, func(n string) bool { return slices.Contains(c.CRLDistributionPoints, n) }):
		return CRLScope.becausef("list %s of %q is the part %q, and the certificate belongs to another", l.Number, c.Issuer, l.names)
	}
	return nil
}

// check looks at the signature, once for each CA certificate.
func (l *list) check(issuer *x509.Certificate) error {
	sum := sha256.Sum256(issuer.Raw)
	if l.signer == sum {
		return nil
	}
	if !bytes.Equal(l.RawIssuer, issuer.RawSubject) || !bytes.Equal(l.AuthorityKeyId, issuer.SubjectKeyId) {
		return CRLIssuer.becausef("the list is of %q, key %x, and not of %q, key %x", l.Issuer, l.AuthorityKeyId, issuer.Subject, issuer.SubjectKeyId)
	}
	if algorithm(issuer.PublicKey) != l.SignatureAlgorithm {
		return CRLSignature.becausef("the list of %q is signed with %s", issuer.Subject, l.SignatureAlgorithm)
	}
	// This wants the key usage cRLSign too.
	if err := l.CheckSignatureFrom(issuer); err != nil {
		return CRLSignature.becausef("the list of %q: %w", issuer.Subject, err)
	}
	l.signer = sum
	return nil
}

// current wants now to be within the time of the list. The last list of an
// issuer that ended stays good for what that issuer signed: there is nobody
// left to make another.
func (l *list) current(issuer *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(l.ThisUpdate):
		return CRLNotYetValid.becausef("list %s of %q begins at %s", l.Number, issuer.Subject, stamp(l.ThisUpdate))
	case now.After(issuer.NotAfter) && !l.NextUpdate.Before(issuer.NotAfter):
		return nil
	case now.After(l.NextUpdate):
		return CRLStale.becausef("list %s of %q was to be replaced by %s", l.Number, issuer.Subject, stamp(l.NextUpdate))
	}
	return nil
}

// entry returns the revocation of a certificate, or nil.
func (l *list) entry(serial *big.Int) *revocation {
	e, ok := l.entries[string(serial.Bytes())]
	if !ok {
		return nil
	}
	r := &revocation{at: e.RevocationTime, reason: e.ReasonCode}
	for _, x := range e.Extensions {
		if x.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 24}) {
			rest, err := asn1.UnmarshalWithParams(x.Value, &r.invalid, "generalized")
			if err != nil || len(rest) > 0 {
				r.invalid = time.Unix(0, 0) // who cannot read since when, has to take it for always
			}
		}
	}
	return r
}
