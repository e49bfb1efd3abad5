package ib1_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

func anyPolicy() []x509.OID { return []x509.OID{must(x509.OIDFromInts([]uint64{2, 5, 29, 32, 0}))} }

// issuerTemplate is an issuer as another operator's software makes it.
func issuerTemplate(w world, key crypto.PublicKey) *x509.Certificate {
	good := w.issuer.Certificate()
	return &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(3), 120), Subject: good.Subject,
		NotBefore: good.NotBefore, NotAfter: good.NotAfter,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: good.ExtKeyUsage,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		SubjectKeyId: []byte("an identifier"), Policies: anyPolicy(),
		CRLDistributionPoints: []string{"http://elsewhere.example/root.crl"}, IssuingCertificateURL: []string{"http://elsewhere.example/root.cer"},
	}
}

// TestImportedIssuers holds issuers that others signed against section 1.4, one
// difference at a time.
func TestImportedIssuers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	own := newKey(t, elliptic.P256())
	utf8 := func(s string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)} }
	for _, tt := range []struct {
		name   string
		change func(c *x509.Certificate)
		want   string // empty: it fits
	}{
		{"fits", func(*x509.Certificate) {}, ""},
		{"usages the other way round", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		}, ""},
		{"subject in UTF8String", func(c *x509.Certificate) {
			c.RawSubject = must(asn1.Marshal(pkix.RDNSequence{
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "GB"}},
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: utf8("Core Trust Framework")}},
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: utf8("Core Trust Framework Client Issuer")}},
			}))
		}, ""},
		{"country in UTF8String", func(c *x509.Certificate) {
			c.RawSubject = must(asn1.Marshal(pkix.RDNSequence{
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: utf8("GB")}},
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: utf8("Core Trust Framework")}},
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: utf8("Core Trust Framework Client Issuer")}},
			}))
		}, "PrintableString"},
		{"attributes in one RDN", func(c *x509.Certificate) {
			c.RawSubject = must(asn1.Marshal(pkix.RDNSequence{
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "GB"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Core Trust Framework"}},
				{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Core Trust Framework Client Issuer"}},
			}))
		}, "share an RDN"},
		{"name of another tree", func(c *x509.Certificate) { c.Subject.CommonName = "Core Trust Framework Signing Issuer" }, "the subject is"},
		{"name of the root", func(c *x509.Certificate) { c.Subject.CommonName = "Core Trust Framework Client CA" }, "the name of its authority"},
		{"unit in the subject", func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"unit"} }, "is not made of"},
		{"ends a second early", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(-time.Second) }, "valid for"},
		{"ends a second late", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Second) }, "valid for"},
		{"no regeneration period, as in the sandbox", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(365*day - time.Second) }, "valid for"},
		{"begins before the root", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = c.NotBefore.Add(-day), c.NotAfter.Add(-day)
		}, "before its authority"},
		{"outlives the root", func(c *x509.Certificate) {
			c.NotAfter = w.root.Certificate().NotAfter.Add(time.Second)
			c.NotBefore = c.NotAfter.Add(time.Second - 455*day)
		}, "after its authority"},
		{"serial number of the root", func(c *x509.Certificate) { c.SerialNumber = w.root.Certificate().SerialNumber }, "serial number of its authority"},
		{"serial number that is counted", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(2) }, "cannot be random"},
		{"serial number too long", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 159) }, "below 2^159"},
		{"hash of the wrong length", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA256 }, "signature algorithm"},
		{"path length 1", func(c *x509.Certificate) { c.MaxPathLenZero, c.MaxPathLen = false, 1 }, "basicConstraints"},
		{"no path length", func(c *x509.Certificate) { c.MaxPathLenZero, c.MaxPathLen = false, -1 }, "basicConstraints"},
		{"no CA", func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false }, "basicConstraints"},
		{"more key usages", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }, "keyUsage"},
		{"no lists", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, "keyUsage"},
		{"no extended usage", func(c *x509.Certificate) { c.ExtKeyUsage = nil }, "extKeyUsage is missing"},
		{"servers alone, which breaks client chains", func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }, "extKeyUsage has"},
		{"no policy", func(c *x509.Certificate) { c.Policies = nil }, "certificatePolicies is missing"},
		{"no list to look at", func(c *x509.Certificate) { c.CRLDistributionPoints = nil }, "cRLDistributionPoints"},
		{"two lists", func(c *x509.Certificate) {
			c.CRLDistributionPoints = append(c.CRLDistributionPoints, "http://b.example/")
		}, "one http URL"},
		{"list over https", func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"https://b.example/"} }, "one http URL"},
		{"no way to the root", func(c *x509.Certificate) { c.IssuingCertificateURL = nil }, "authorityInfoAccess"},
		{"OCSP", func(c *x509.Certificate) { c.OCSPServer = []string{"http://b.example/"} }, "authorityInfoAccess"},
		{"one more extension", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}, "1.2.3 does not belong"},
		{"names that it may issue for", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.org"} }, "2.5.29.30 does not belong"},
		{"critical usages", func(c *x509.Certificate) {
			c.ExtKeyUsage = nil
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: []byte{0x30, 0x14, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2}}}
		}, "critical is true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template := issuerTemplate(w, own.Public())
			tt.change(template)
			cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, w.root.Certificate(), own.Public(), w.rootKey))))
			_, err := w.framework.OpenIssuer(ib1.Client, w.root.Certificate(), cert, own)
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ib1.ErrProfile) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("key of another kind", func(t *testing.T) {
		t.Parallel()
		key := newKey(t, elliptic.P384())
		cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, issuerTemplate(w, key.Public()), w.root.Certificate(), key.Public(), w.rootKey))))
		if _, err := w.framework.OpenIssuer(ib1.Client, w.root.Certificate(), cert, nil); err == nil || !strings.Contains(err.Error(), "not on P-256") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("signed by another key of that name", func(t *testing.T) {
		t.Parallel()
		impostor := newKey(t, elliptic.P384())
		parent := *w.root.Certificate()
		parent.PublicKey = impostor.Public()
		cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, issuerTemplate(w, own.Public()), &parent, own.Public(), impostor))))
		if _, err := w.framework.OpenIssuer(ib1.Client, w.root.Certificate(), cert, nil); err == nil || !strings.Contains(err.Error(), "not signed by this root") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("with a key that is not its own", func(t *testing.T) {
		t.Parallel()
		if _, err := w.framework.OpenIssuer(ib1.Client, w.root.Certificate(), w.issuer.Certificate(), own); !errors.Is(err, ib1.ErrKey) {
			t.Errorf("got %v", err)
		}
	})
}

// TestImportedRoots: roots of other operators may have what is only advised
// against, and nothing that is forbidden (section 1.3).
func TestImportedRoots(t *testing.T) {
	t.Parallel()
	f := must(ib1.New(settings()))
	key := newKey(t, elliptic.P384())
	for _, tt := range []struct {
		name   string
		change func(c *x509.Certificate)
		want   string
	}{
		{"as in the sandbox: path length 1, no authority key identifier", func(c *x509.Certificate) { c.MaxPathLen, c.NotAfter = 1, birth.Add(9131*day) }, ""},
		{"may sign data", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }, ""},
		{"path length 0", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }, "issuers below"},
		{"a day too long, which linters do not see", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Second) }, "2922 to 9132"},
		{"too short", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(2922*day - 2*time.Second) }, "2922 to 9132"},
		{"extended usages", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "extKeyUsage must not"},
		{"SHA-256 with P-384, as one library does", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA256 }, "signature algorithm"},
		{"no key usage", func(c *x509.Certificate) { c.KeyUsage = 0 }, "keyUsage is missing"},
		{"another name", func(c *x509.Certificate) { c.Subject.CommonName = "Core Trust Framework Server CA" }, "the subject is"},
		{"an unknown critical extension", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, "1.2.3 does not belong"},
	} {
		template := &x509.Certificate{
			SerialNumber: new(big.Int).Lsh(big.NewInt(5), 100), Subject: pkix.Name{Country: []string{"GB"}, Organization: []string{"Core Trust Framework"}, CommonName: "Core Trust Framework Client CA"},
			NotBefore: birth, NotAfter: birth.Add(9132*day - time.Second), MaxPathLen: -1,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte("an identifier"),
		}
		tt.change(template)
		cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
		_, err := f.OpenRoot(ib1.Client, cert, key)
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ib1.ErrProfile) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestMemberProfileBites holds certificates that differ in one thing against the
// profile: the rehearsal would not let them through.
func TestMemberProfileBites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	key := newKey(t, elliptic.P256())
	good := must(w.issuer.IssueMember(holder(), key.Public(), at(birth)))
	value := func(oid string) []byte {
		for _, e := range good.Extensions {
			if e.Id.String() == oid {
				return e.Value
			}
		}
		return nil
	}
	roles := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 1}, Value: value("1.3.6.1.4.1.62329.1.1")}
	member := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 3}, Value: value("1.3.6.1.4.1.62329.1.3")}
	for _, tt := range []struct {
		name   string
		change func(c *x509.Certificate)
		want   string
	}{
		{"fits", func(*x509.Certificate) {}, ""},
		{"validity of a whole year and a second", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Second) }, "valid for"},
		{"key encipherment, as one library has it", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }, "keyUsage"},
		{"for servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "extKeyUsage"},
		{"no usage, as for signing", func(c *x509.Certificate) { c.ExtKeyUsage = nil }, "extKeyUsage is missing"},
		{"a host name besides", func(c *x509.Certificate) { c.DNSNames = []string{"a.example.org"} }, "subjectAltName"},
		{"another URL in the common name", func(c *x509.Certificate) { c.Subject.CommonName += "2" }, "the subject is"},
		{"another URL in the names", func(c *x509.Certificate) { c.URIs = []*url.URL{must(url.Parse(holder().Application + "2"))} }, "subjectAltName"},
		{"a province", func(c *x509.Certificate) { c.Subject.Province = []string{"London"} }, "is not made of"},
		{"no constraints", func(c *x509.Certificate) { c.BasicConstraintsValid = false }, "basicConstraints is missing"},
		{"no key identifier", func(c *x509.Certificate) { c.SubjectKeyId = nil }, "subjectKeyIdentifier is missing"},
		{"a claim of validation", func(c *x509.Certificate) {
			c.Policies = []x509.OID{must(x509.OIDFromInts([]uint64{2, 23, 140, 1, 2, 2}))}
		}, "certificatePolicies must not"},
		{"no roles", func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{member} }, "no ib1Roles"},
		{"empty roles, which linters do not see", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: roles.Id, Value: []byte{0x30, 0}}, member}
		}, "names no role"},
		{"critical roles, which verifiers refuse", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: roles.Id, Critical: true, Value: roles.Value}, member}
		}, "critical"},
		{"one more extension", func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 2}, Value: member.Value})
		}, "62329.1.2 does not belong"},
		{"serial number of another form", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 127) }, "not drawn"},
		{"no list", func(c *x509.Certificate) { c.CRLDistributionPoints = nil }, "cRLDistributionPoints"},
		{"outlives its issuer", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = c.NotBefore.Add(91*day), c.NotAfter.Add(91*day)
		}, "after its authority"},
	} {
		template := &x509.Certificate{
			SerialNumber: good.SerialNumber, Subject: good.Subject, NotBefore: good.NotBefore, NotAfter: good.NotAfter,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: good.ExtKeyUsage, BasicConstraintsValid: true, SubjectKeyId: good.SubjectKeyId,
			URIs: good.URIs, CRLDistributionPoints: good.CRLDistributionPoints, IssuingCertificateURL: good.IssuingCertificateURL,
			ExtraExtensions: []pkix.Extension{roles, member},
		}
		tt.change(template)
		cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, w.issuer.Certificate(), key.Public(), w.ownKey))))
		err := w.issuer.CheckMember(cert, holder())
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ib1.ErrProfile) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
