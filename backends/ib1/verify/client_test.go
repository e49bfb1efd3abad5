package verify_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1/extension"
	"acmebridge/backends/ib1/verify"
)

func TestClientAccepts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world){
		"as issued":                func(*world) {},
		"first second":             func(w *world) { w.at(w.leafT.NotBefore) },
		"last second":              func(w *world) { w.at(w.leafT.NotAfter.Add(999 * time.Millisecond)) },
		"no extended key usage":    func(w *world) { w.leafT.ExtKeyUsage = nil },
		"issuer as in the sandbox": func(w *world) { w.issuerKey = key(t, elliptic.P384()); w.issuerT.ExtKeyUsage = nil },
		"a role twice": func(w *world) {
			w.leafT.ExtraExtensions = replaced(w.leafT.ExtraExtensions, extension.RolesOID(), false, roles(t, provider, auditor, provider)) // tolerated, not issued
		},
		"issuer known and not sent": func(w *world) {
			w.alter = func(b *built) { b.trust.Issuers, b.presented = b.presented[1:], b.presented[:1] }
		},
		"more sent than needed": func(w *world) {
			other, _ := otherCA(t)
			w.alter = func(b *built) { b.presented = []*x509.Certificate{b.leaf, other, b.root, b.leaf, b.issuer} }
		},
		"somebody else's serial is revoked": func(w *world) {
			w.leafListT.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x54), RevocationTime: begin()}}
		},
		"part of a list": func(w *world) { w.leafListT.ExtraExtensions = []pkix.Extension{idp(t, leafList, 1)} },
		"root without list": func(w *world) {
			w.rootListT = nil
			w.alter = func(b *built) { b.trust.NoRootCRL = true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			change(w)
			b := w.build(t)
			id, err := b.client(t).Verify(t.Context(), b.presented)
			if err != nil {
				t.Fatal(err)
			}
			if id.Application != application || id.Member != member || !slices.Contains(id.Roles, auditor) || len(id.Path) != 3 {
				t.Errorf("%+v", id)
			}
		})
	}
}

// at moves now, and the lists with it.
func (w *world) at(now time.Time) {
	w.now = now
	w.leafListT, w.rootListT = listTemplate(now, 10), listTemplate(now, 1)
}

// TestClientFailures breaks one thing of a good certificate in each row, and
// wants the failure that is named after it.
func TestClientFailures(t *testing.T) {
	t.Parallel()
	san := asn1.ObjectIdentifier{2, 5, 29, 17}
	revoke := func(l *x509.RevocationList, serial int64) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(serial), RevocationTime: begin().AddDate(0, 0, 2), ReasonCode: 1}}
	}
	for _, tt := range []struct {
		want   verify.Failure
		name   string
		change func(*testing.T, *world)
	}{
		{verify.CertificateMissing, "none", func(_ *testing.T, w *world) { w.alter = func(b *built) { b.presented = nil } }},
		{verify.CertificateVersion, "version 1", func(t *testing.T, w *world) {
			w.alter = func(b *built) { b.presented[0] = versionOne(t, b, w) }
		}},
		{verify.NotYetValid, "a second early", func(_ *testing.T, w *world) { w.at(w.leafT.NotBefore.Add(-time.Second)) }},
		{verify.NotYetValid, "the issuer begins later", func(_ *testing.T, w *world) { w.issuerT.NotBefore = w.now.Add(time.Second) }},
		{verify.Expired, "a second late", func(_ *testing.T, w *world) { w.at(w.leafT.NotAfter.Add(time.Second)) }},
		{verify.UntrustedIssuer, "another root", func(t *testing.T, w *world) {
			other, _ := otherCA(t)
			w.alter = func(b *built) { b.trust.Roots = []*x509.Certificate{other} }
		}},
		{verify.UntrustedIssuer, "issuer not sent", func(_ *testing.T, w *world) { w.alter = func(b *built) { b.presented = b.presented[:1] } }},
		{verify.UntrustedIssuer, "name of the root, another key", func(t *testing.T, w *world) {
			k := key(t, elliptic.P384())
			w.alter = func(b *built) { b.trust.Roots = []*x509.Certificate{certify(t, w.rootT, w.rootT, k, k)} }
		}},
		{verify.UntrustedIssuer, "signature of the leaf damaged", func(_ *testing.T, w *world) {
			w.alter = func(b *built) {
				der := slices.Clone(b.leaf.Raw)
				der[len(der)-1] ^= 1
				c, err := x509.ParseCertificate(der)
				if err != nil {
					panic(err)
				}
				b.presented[0] = c
			}
		}},
		{verify.UntrustedIssuer, "issuer of another generation", func(_ *testing.T, w *world) {
			w.alter = func(b *built) { b.presented[1] = generation(t, w, b) }
		}},
		{verify.UntrustedIssuer, "the issuer is no CA", func(_ *testing.T, w *world) {
			w.issuerT.IsCA, w.issuerT.MaxPathLenZero, w.issuerT.MaxPathLen = false, false, 0
		}},
		{verify.WrongTree, "root of the signing tree", func(t *testing.T, w *world) {
			other, _ := otherCA(t)
			w.alter = func(b *built) {
				b.trust.OtherRoots, b.trust.Roots = b.trust.Roots, []*x509.Certificate{other}
			}
		}},
		{verify.IssuerExpired, "the leaf has not", func(_ *testing.T, w *world) { w.issuerT.NotAfter = w.now.Add(-time.Second) }},
		{verify.IssuerExpired, "the root", func(_ *testing.T, w *world) { w.rootT.NotAfter = w.now.Add(-time.Second) }},
		{verify.PathLength, "a CA below the issuer", func(t *testing.T, w *world) {
			w.alter = func(b *built) { below(t, w, b) }
		}},
		{verify.PathLength, "root with 0", func(_ *testing.T, w *world) { w.rootT.MaxPathLenZero = true }},
		{verify.CAKeyUsage, "issuer", func(_ *testing.T, w *world) { w.issuerT.KeyUsage = x509.KeyUsageCRLSign }},
		{verify.CAKeyUsage, "none at all", func(_ *testing.T, w *world) { w.rootT.KeyUsage = 0 }},
		{verify.EKUNesting, "issuer for servers", func(_ *testing.T, w *world) {
			w.issuerT.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}},
		{verify.WeakSignature, "SHA-256 with P-384", func(_ *testing.T, w *world) { w.issuerT.SignatureAlgorithm = x509.ECDSAWithSHA256 }},
		{verify.WeakSignature, "SHA-512 with P-256", func(_ *testing.T, w *world) { w.leafT.SignatureAlgorithm = x509.ECDSAWithSHA512 }},
		{verify.WeakSignature, "key of the leaf is P-521", func(t *testing.T, w *world) { w.leafKey = key(t, elliptic.P521()) }},
		{verify.WeakSignature, "key of the leaf is RSA", func(t *testing.T, w *world) { w.alter = func(b *built) { b.presented[0] = rsaLeaf(t, w, b) } }},
		{verify.UnhandledCriticalExtension, "ib1Roles marked critical", func(t *testing.T, w *world) {
			w.leafT.ExtraExtensions = replaced(w.leafT.ExtraExtensions, extension.RolesOID(), true, roles(t, provider))
		}},
		{verify.UnhandledCriticalExtension, "unknown, of the issuer", func(_ *testing.T, w *world) {
			w.issuerT.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}},
		{verify.UnhandledCriticalExtension, "name constraints", func(_ *testing.T, w *world) {
			w.issuerT.PermittedURIDomains, w.issuerT.PermittedDNSDomainsCritical = []string{"example.org"}, true
		}},
		{verify.LeafIsCA, "as a leaf", func(_ *testing.T, w *world) {
			w.leafT.IsCA, w.leafT.KeyUsage = true, x509.KeyUsageDigitalSignature
		}},
		{verify.KeyUsage, "no digitalSignature", func(_ *testing.T, w *world) { w.leafT.KeyUsage = x509.KeyUsageKeyAgreement }},
		{verify.KeyUsage, "none", func(_ *testing.T, w *world) { w.leafT.KeyUsage = 0 }},
		{verify.ExtendedKeyUsage, "servers", func(_ *testing.T, w *world) { w.leafT.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
		{verify.ExtendedKeyUsage, "documents", func(_ *testing.T, w *world) {
			w.leafT.ExtKeyUsage, w.leafT.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 36}}
		}},
		{verify.CRLUnavailable, "none of the issuer", func(_ *testing.T, w *world) { w.leafListT = nil }},
		{verify.CRLUnavailable, "none of the root", func(_ *testing.T, w *world) { w.rootListT = nil }},
		{verify.CRLSignature, "of another key", func(t *testing.T, w *world) { w.listKey = key(t, elliptic.P256()) }},
		{verify.CRLSignature, "SHA-512", func(_ *testing.T, w *world) { w.leafListT.SignatureAlgorithm = x509.ECDSAWithSHA512 }},
		{verify.CRLSignature, "issuer may not sign lists", func(_ *testing.T, w *world) { w.issuerT.KeyUsage = x509.KeyUsageCertSign }},
		{verify.CRLIssuer, "fetched and of the root", func(_ *testing.T, w *world) {
			w.alter = func(b *built) {
				b.fetch(map[string][]byte{leafList: b.lists[issuerList], issuerList: b.lists[issuerList]})
			}
		}},
		{verify.CRLScope, "for CAs", func(t *testing.T, w *world) { w.leafListT.ExtraExtensions = []pkix.Extension{idp(t, leafList, 2)} }},
		{verify.CRLScope, "another part", func(t *testing.T, w *world) {
			w.leafListT.ExtraExtensions = []pkix.Extension{idp(t, "http://crl.example.org/2.crl", 1)}
		}},
		{verify.CRLScope, "indirect", func(t *testing.T, w *world) { w.leafListT.ExtraExtensions = []pkix.Extension{idp(t, leafList, 4)} }},
		{verify.CRLScope, "what changed only", func(_ *testing.T, w *world) {
			w.leafListT.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
		}},
		{verify.CRLNotYetValid, "begins later", func(_ *testing.T, w *world) { w.leafListT.ThisUpdate = w.now.Add(time.Second) }},
		{verify.CRLStale, "ended", func(_ *testing.T, w *world) { w.leafListT.NextUpdate = w.now.Add(-time.Second) }},
		{verify.CRLStale, "of the root ended", func(_ *testing.T, w *world) { w.rootListT.NextUpdate = w.now.Add(-time.Second) }},
		{verify.Revoked, "keyCompromise", func(_ *testing.T, w *world) { revoke(w.leafListT, 0x53) }},
		{verify.IssuerRevoked, "by the root", func(_ *testing.T, w *world) { revoke(w.rootListT, 0x52) }},
		{verify.ApplicationMissing, "no name", func(_ *testing.T, w *world) { w.leafT.URIs = nil }},
		{verify.ApplicationMissing, "a DNS name", func(_ *testing.T, w *world) { w.leafT.URIs, w.leafT.DNSNames = nil, []string{"a.example"} }},
		{verify.ApplicationAmbiguous, "two URIs", func(t *testing.T, w *world) {
			w.leafT.URIs = append(w.leafT.URIs, mustURL(t, "https://directory.core.trust.ib1.org/a/1"))
		}},
		{verify.ApplicationAmbiguous, "a DNS name besides", func(_ *testing.T, w *world) { w.leafT.DNSNames = []string{"a.example"} }},
		{verify.ApplicationAmbiguous, "a registered id besides", func(_ *testing.T, w *world) {
			value := append([]byte{0x86, byte(len(application))}, application...)
			value = append(value, 0x88, 2, 0x2a, 3)
			w.leafT.ExtraExtensions = append(w.leafT.ExtraExtensions, pkix.Extension{Id: san, Value: append([]byte{0x30, byte(len(value))}, value...)})
		}},
		{verify.ApplicationCNMismatch, "slash at the end", func(_ *testing.T, w *world) { w.leafT.Subject.CommonName += "/" }},
		{verify.ApplicationCNMismatch, "no common name", func(_ *testing.T, w *world) { w.leafT.Subject.CommonName = "" }},
		{verify.ApplicationCNMismatch, "two common names", func(_ *testing.T, w *world) {
			w.leafT.Subject.ExtraNames = []pkix.AttributeTypeAndValue{
				{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "https://other.example/a"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: application}}
		}},
		{verify.MemberMissing, "earlier generation", func(t *testing.T, w *world) {
			old := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 2}
			value, _ := extension.MarshalMember(application)
			w.leafT.ExtraExtensions = replaced(without(w.leafT.ExtraExtensions, extension.MemberOID()), old, false, value)
		}},
		{verify.MemberMalformed, "PrintableString", func(_ *testing.T, w *world) {
			value, _ := asn1.Marshal(member)
			w.leafT.ExtraExtensions = replaced(w.leafT.ExtraExtensions, extension.MemberOID(), false, value)
		}},
		{verify.MemberMalformed, "trailing octet", func(_ *testing.T, w *world) {
			value, _ := extension.MarshalMember(member)
			w.leafT.ExtraExtensions = replaced(w.leafT.ExtraExtensions, extension.MemberOID(), false, append(value, 0))
		}},
		{verify.RolesMissing, "none", func(_ *testing.T, w *world) {
			w.leafT.ExtraExtensions = without(w.leafT.ExtraExtensions, extension.RolesOID())
		}},
		{verify.RolesMalformed, "no sequence", func(_ *testing.T, w *world) {
			value, _ := extension.MarshalMember(provider)
			w.leafT.ExtraExtensions = replaced(w.leafT.ExtraExtensions, extension.RolesOID(), false, value)
		}},
		{verify.RolesEmpty, "empty sequence", func(_ *testing.T, w *world) {
			w.leafT.ExtraExtensions = replaced(w.leafT.ExtraExtensions, extension.RolesOID(), false, []byte{0x30, 0})
		}},
	} {
		t.Run(string(tt.want)+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.change(t, w)
			b := w.build(t)
			id, err := b.client(t).Verify(t.Context(), b.presented)
			wantOnly(t, err, tt.want)
			if id.Application != "" || id.Path != nil {
				t.Errorf("an identity comes with the failure: %+v", id)
			}
		})
	}
}

// wantOnly wants one failure, said once.
func wantOnly(t *testing.T, err error, want verify.Failure) {
	t.Helper()
	if verify.FailureOf(err) != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	if !strings.Contains(err.Error(), string(want)+": ") {
		t.Errorf("%q does not say what was wrong", err)
	}
}

func TestIdentityRequires(t *testing.T) {
	t.Parallel()
	id := verify.Identity{Application: application, Roles: []string{provider}}
	if err := id.RequireRole(auditor, provider); err != nil {
		t.Error(err)
	}
	for _, role := range []string{auditor, provider + "/", strings.ToUpper(provider)} {
		wantOnly(t, id.RequireRole(role), verify.RoleNotHeld)
	}
	if err := id.RequireClientID(application); err != nil {
		t.Error(err)
	}
	wantOnly(t, id.RequireClientID(application+"/"), verify.ClientIDMismatch)
}

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	b := newWorld(t).build(t)
	for name, trust := range map[string]verify.Trust{
		"no root":        {CRLs: b.trust.CRLs},
		"no lists":       {Roots: b.trust.Roots},
		"root is a leaf": {Roots: []*x509.Certificate{b.leaf}, CRLs: b.trust.CRLs},
		"root of both":   {Roots: b.trust.Roots, OtherRoots: b.trust.Roots, CRLs: b.trust.CRLs},
	} {
		if c, err := verify.NewClient(trust); err == nil || c != nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// generation is an issuer of the same name with another key.
func generation(t testing.TB, w *world, b *built) *x509.Certificate {
	t.Helper()
	template := *w.issuerT
	template.SubjectKeyId = []byte{7, 7, 7}
	return certify(t, &template, b.root, key(t, elliptic.P256()), w.rootKey)
}

// below puts a CA between issuer and leaf.
func below(t testing.TB, w *world, b *built) {
	t.Helper()
	k := key(t, elliptic.P256())
	sub := certify(t, caTemplate("Below", 0x62, 8, w.issuerT.NotAfter), b.issuer, k, w.issuerKey)
	b.presented = []*x509.Certificate{certify(t, w.leafT, sub, w.leafKey, k), sub, b.issuer}
}

func rsaLeaf(t testing.TB, w *world, b *built) *x509.Certificate {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, w.leafT, b.issuer, &k.PublicKey, w.issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// versionOne is a certificate without version and extensions.
func versionOne(t testing.TB, b *built, w *world) *x509.Certificate {
	t.Helper()
	type validity struct{ NotBefore, NotAfter time.Time }
	type tbs struct {
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  validity
		Subject   asn1.RawValue
		Key       asn1.RawValue
	}
	raw := func(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	content, err := asn1.Marshal(tbs{big.NewInt(0x53), algorithm, raw(b.issuer.RawSubject), validity{w.leafT.NotBefore, w.leafT.NotAfter}, raw(b.leaf.RawSubject), raw(b.leaf.RawSubjectPublicKeyInfo)})
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{raw(content), algorithm, asn1.BitString{Bytes: []byte{0x30, 0}, BitLength: 16}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func roles(t testing.TB, all ...string) []byte {
	t.Helper()
	var strings []asn1.RawValue
	for _, role := range all {
		strings = append(strings, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(role)})
	}
	der, err := asn1.Marshal(strings)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// idp is an issuing distribution point with the flag of that tag set.
func idp(t testing.TB, at string, flag int) pkix.Extension {
	t.Helper()
	if _, err := url.Parse(at); err != nil {
		t.Fatal(err)
	}
	inner := append([]byte{0x86, byte(len(at))}, at...)
	for _, tag := range []byte{0xa0, 0xa0} {
		inner = append([]byte{tag, byte(len(inner))}, inner...)
	}
	inner = append(inner, 0x80|byte(flag), 1, 0xff)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: append([]byte{0x30, byte(len(inner))}, inner...)}
}
