package acme

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// testKey is what tests sign with where the key does not matter.
var testKey = sync.OnceValue(func() *ecdsa.PrivateKey { return fixedKey("test") })

// fixedKey returns the same P-256 key in every run, so that what a fuzzer
// finds is found again.
func fixedKey(seed string) *ecdsa.PrivateKey {
	secret := sha256.Sum256([]byte(seed))
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret[:])
	if err != nil {
		panic(err)
	}
	return k
}

var testRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newECKey(c elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func newCSR(t testing.TB, key crypto.Signer, template x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func cn(name string) pkix.Name { return pkix.Name{CommonName: name} }

// rawCSR builds a request from parts that a well-behaved library would not
// write, and signs it all the same. An empty spki means that of testKey.
func rawCSR(t testing.TB, version int64, subject, spki, attributes []byte) []byte {
	t.Helper()
	if spki == nil {
		var err error
		if spki, err = x509.MarshalPKIXPublicKey(testKey().Public()); err != nil {
			t.Fatal(err)
		}
	}
	var info cryptobyte.Builder
	info.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(subject) })
		b.AddBytes(spki)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	})
	signed := info.BytesOrPanic()
	digest := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, testKey(), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var der cryptobyte.Builder
	der.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(signed)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}) // ecdsa-with-SHA256
		})
		b.AddASN1BitString(signature)
	})
	return der.BytesOrPanic()
}

func rdn(oid asn1.ObjectIdentifier, text string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
		})
	})
	return b.BytesOrPanic()
}

func attribute(oid asn1.ObjectIdentifier, value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(value) })
	})
	return b.BytesOrPanic()
}

func extensionRequest(extensions ...pkix.Extension) []byte {
	value, err := asn1.Marshal(extensions)
	if err != nil {
		panic(err)
	}
	return attribute(oidExtensionRequest, value)
}

// generalName is one entry of a SAN, for rawSAN.
func generalName(tag cbasn1.Tag, content string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(content)) })
	return b.BytesOrPanic()
}

func dnsName(name string) []byte { return generalName(cbasn1.Tag(2).ContextSpecific(), name) }

func rawSAN(entries ...[]byte) pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range entries {
			b.AddBytes(e)
		}
	})
	return pkix.Extension{Id: oidSubjectAltName, Value: b.BytesOrPanic()}
}

func extension(t testing.TB, oid asn1.ObjectIdentifier, value any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oid, Value: der}
}

func rsaSPKI(modulus, exponent *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidRSAEncryption)
			b.AddASN1NULL()
		})
		var key cryptobyte.Builder
		key.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1BigInt(modulus)
			b.AddASN1BigInt(exponent)
		})
		b.AddASN1BitString(key.BytesOrPanic())
	})
	return b.BytesOrPanic()
}

func TestParseCSR(t *testing.T) {
	t.Parallel()
	key := testKey()
	der := newCSR(t, key, x509.CertificateRequest{
		Subject:     cn("WWW.example.net"),
		DNSNames:    []string{"WWW.example.net", "b.example.net", "www.EXAMPLE.net"},
		IPAddresses: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")},
	})
	csr, p := ParseCSR(der)
	if p != nil {
		t.Fatal(p)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	want := append(names("www.example.net", "b.example.net"),
		Identifier{Type: IPIdentifier, Value: "192.0.2.1"}, Identifier{Type: IPIdentifier, Value: "2001:db8::1"})
	if !slices.Equal(csr.Identifiers, want) {
		t.Errorf("identifiers %v, want %v", csr.Identifiers, want)
	}
	if csr.CommonName != "WWW.example.net" || !csr.HasSAN || len(csr.OtherNames) != 0 {
		t.Errorf("common name %q, SAN %v, others %v", csr.CommonName, csr.HasSAN, csr.OtherNames)
	}
	if !bytes.Equal(csr.Raw, der) || !bytes.Equal(csr.SPKI, spki) || csr.KeyHash != HashKey(spki) || !key.PublicKey.Equal(csr.PublicKey) {
		t.Error("the key or the bytes differ")
	}
}

func TestParseCSRNames(t *testing.T) { // R8555-7.4F-3, PX-6: lists that are empty
	t.Parallel()
	tests := []struct {
		name     string
		template x509.CertificateRequest
		want     []Identifier
		others   []string
	}{
		{"common name only", x509.CertificateRequest{Subject: cn("A.net")}, names("a.net"), nil},
		{"SAN only", x509.CertificateRequest{DNSNames: []string{"a.net"}}, names("a.net"), nil},
		{"the SAN is the list", x509.CertificateRequest{Subject: cn("a.net"), DNSNames: []string{"b.net"}}, names("b.net"), nil},
		{"empty SAN", x509.CertificateRequest{Subject: cn("a.net"), ExtraExtensions: []pkix.Extension{rawSAN()}}, nil, nil},
		{"nothing", x509.CertificateRequest{}, nil, nil},
		{"PX-2 e-mail", x509.CertificateRequest{DNSNames: []string{"a.net"}, EmailAddresses: []string{"a@a.net"}}, names("a.net"), []string{"e-mail address"}},
		{"PX-2 URI", x509.CertificateRequest{URIs: []*url.URL{{Scheme: "https", Host: "a.net"}}}, nil, []string{"URI"}},
		{"PX-2 otherName", x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
			rawSAN(dnsName("a.net"), generalName(cbasn1.Tag(0).Constructed().ContextSpecific(), "\x06\x01\x2a"))}}, names("a.net"), []string{"otherName"}},
		{"PX-2 registered id", x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
			rawSAN(generalName(cbasn1.Tag(8).ContextSpecific(), "\x2a"))}}, nil, []string{"registered id"}},
		{"PX-2 constructed dNSName", x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
			rawSAN(generalName(cbasn1.Tag(2).Constructed().ContextSpecific(), "\x16\x01a"))}}, nil, []string{"DNS name"}},
		{"PX-2 no kind at all", x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
			rawSAN(generalName(cbasn1.OCTET_STRING, "a.net"))}}, nil, []string{"unknown kind of name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			csr, p := ParseCSR(newCSR(t, testKey(), tt.template))
			if p != nil {
				t.Fatal(p)
			}
			if !slices.Equal(csr.Identifiers, tt.want) || !slices.Equal(csr.OtherNames, tt.others) {
				t.Errorf("got %v and %v, want %v and %v", csr.Identifiers, csr.OtherNames, tt.want, tt.others)
			}
		})
	}
}

func TestParseCSRKeys(t *testing.T) { // EK-12
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key       crypto.Signer
		algorithm x509.SignatureAlgorithm
	}{
		"P-384":      {newECKey(elliptic.P384()), 0},
		"P-521":      {newECKey(elliptic.P521()), 0},
		"RSA":        {testRSAKey(), 0},
		"RSA 384":    {testRSAKey(), x509.SHA384WithRSA},
		"RSA PSS":    {testRSAKey(), x509.SHA256WithRSAPSS},
		"Ed25519":    {ed, 0},
		"P-256, 512": {testKey(), x509.ECDSAWithSHA512},
	} {
		if _, p := ParseCSR(newCSR(t, tt.key, x509.CertificateRequest{DNSNames: []string{"a.net"}, SignatureAlgorithm: tt.algorithm})); p != nil {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestParseCSRRefused(t *testing.T) {
	t.Parallel()
	good := newCSR(t, testKey(), x509.CertificateRequest{DNSNames: []string{"a.net"}})
	tampered := bytes.Replace(good, []byte("a.net"), []byte("b.net"), 1)
	badSignature := slices.Clone(good)
	badSignature[len(badSignature)-1] ^= 1
	a := extensionRequest(rawSAN(dnsName("a.net")))
	manySANs := make([][]byte, 251)
	for i := range manySANs {
		manySANs[i] = dnsName("a.net")
	}
	var manyExtensions []pkix.Extension
	for i := range 33 {
		manyExtensions = append(manyExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, i}, Value: []byte{5, 0}})
	}
	oneSet := bytes.Repeat(rdn(oidCommonName, "a")[2:], 33)
	oneSet = generalName(cbasn1.SET, string(oneSet))
	sha1 := func() []byte { // the algorithm identifier is inside of no signature
		der := newCSR(t, testRSAKey(), x509.CertificateRequest{DNSNames: []string{"a.net"}})
		return bytes.Replace(der, []byte{0x86, 0xf7, 0x0d, 1, 1, 11}, []byte{0x86, 0xf7, 0x0d, 1, 1, 5}, 1)
	}
	huge := new(big.Int).Lsh(modulus(2048, "huge"), 16384-2048)
	tests := []struct {
		name string
		der  []byte
		why  string
	}{
		{"empty", nil, "not DER"},
		{"text", []byte("certificate, please"), "not DER"},
		{"PEM", []byte("-----BEGIN CERTIFICATE REQUEST-----\n"), "PEM"},
		{"cut", good[:len(good)-1], "not DER"},
		{"trailing data", append(slices.Clone(good), 0), "follows"},
		{"R8555-7.4F-9 tampered", tampered, "signature"},
		{"R8555-7.4F-9 bad signature", badSignature, "signature"},
		{"EK-12 SHA-1", sha1(), "SHA1-RSA; use SHA-256"},
		{"PX-1 version 2", rawCSR(t, 1, nil, nil, a), "version"},
		{"PX-1 24 KiB", append(slices.Clone(good), make([]byte, 24<<10)...), "at most 24576"},
		{"PX-1 RDNs", rawCSR(t, 0, bytes.Repeat(rdn(oidCommonName, "a"), 33), nil, a), "more than 32 parts"},
		{"PX-1 RDNs in one set", rawCSR(t, 0, oneSet, nil, a), "more than 32 parts"},
		{"PX-1 extensions", rawCSR(t, 0, nil, nil, extensionRequest(manyExtensions...)), "more than 32 extensions"},
		{"PX-1 SANs", rawCSR(t, 0, nil, nil, extensionRequest(rawSAN(manySANs...))), "more than 250"},
		{"PX-1 attributes", rawCSR(t, 0, nil, nil, bytes.Repeat(attribute(asn1.ObjectIdentifier{1, 2, 3}, []byte{5, 0}), 33)), "more than 32 attributes"},
		{"two extension lists", rawCSR(t, 0, nil, nil, append(slices.Clone(a), a...)), "more than one list"},
		{"an extension twice", rawCSR(t, 0, nil, nil, extensionRequest(rawSAN(dnsName("a.net")), rawSAN(dnsName("b.net")))), "subjectAltName twice"},
		{"Microsoft attribute", rawCSR(t, 0, nil, nil, attribute(oidMicrosoftRequest, []byte{0x30, 0})), "Microsoft"},
		{"SAN not a list", rawCSR(t, 0, nil, nil, extensionRequest(pkix.Extension{Id: oidSubjectAltName, Value: []byte{5, 0}})), "not a list"},
		{"SAN with a tail", rawCSR(t, 0, nil, nil, extensionRequest(pkix.Extension{Id: oidSubjectAltName, Value: []byte{0x30, 0, 5, 0}})), "not a list"},
		{"SAN address of 5 bytes", rawCSR(t, 0, nil, nil, extensionRequest(rawSAN(generalName(cbasn1.Tag(7).ContextSpecific(), "12345")))), "5 bytes"},
		{"two common names", rawCSR(t, 0, append(rdn(oidCommonName, "a.net"), rdn(oidCommonName, "b.net")...), nil, a), "more than one common name"},
		{"PX-3 RSA 16384", rawCSR(t, 0, nil, rsaSPKI(huge, big.NewInt(65537)), a), "more than 8192 bits"},
		{"PX-3 long exponent", rawCSR(t, 0, nil, rsaSPKI(modulus(2048, "e"), huge), a), "exponent"},
		{"EK-2 exponent 3", rawCSR(t, 0, nil, rsaSPKI(modulus(2048, "e"), big.NewInt(3)), a), "exponent is 3"},
		{"EK-1 RSA 1024", rawCSR(t, 0, nil, rsaSPKI(modulus(1024, "e"), big.NewInt(65537)), a), "1024 bits"},
		{"negative modulus", rawCSR(t, 0, nil, rsaSPKI(big.NewInt(-5), big.NewInt(65537)), a), "cannot be read"},
		{"key not readable", rawCSR(t, 0, nil, []byte{0x30, 0}, a), "public key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, p := ParseCSR(tt.der)
			checkProblem(t, p, BadCSR, tt.why)
		})
	}
}

// TestLimitsComeFirst: it is the scan that refuses an enormous key, before any
// number is built of it, so its refusal costs about nothing (PX-3, EK-15).
func TestLimitsComeFirst(t *testing.T) {
	der := rawCSR(t, 0, nil, rsaSPKI(new(big.Int).Lsh(big.NewInt(1), 16383), big.NewInt(65537)), nil)
	if _, err := scanCSR(der); err == nil || !strings.Contains(err.Error(), "more than 8192 bits") {
		t.Errorf("the scan says %v", err)
	}
	if allocs := testing.AllocsPerRun(20, func() { _, _ = ParseCSR(der) }); allocs > 25 {
		t.Errorf("%v allocations to refuse a 16,384 bit key", allocs)
	}
}

// FuzzParseCSR (PX-1, PX-6): no input panics, what the standard library reads as names is
// what we read, and what is accepted verifies there, too.
func FuzzParseCSR(f *testing.F) {
	f.Add(newCSR(f, testKey(), x509.CertificateRequest{Subject: cn("a.net"), DNSNames: []string{"a.net", "b.net"}}))
	f.Add(newCSR(f, testKey(), x509.CertificateRequest{IPAddresses: []net.IP{net.ParseIP("192.0.2.1")}, EmailAddresses: []string{"a@b"}}))
	f.Add(newCSR(f, testRSAKey(), x509.CertificateRequest{Subject: cn("a.net")}))
	f.Add(rawCSR(f, 0, rdn(oidCommonName, "a.net"), nil, extensionRequest(rawSAN(dnsName("a.net"), generalName(cbasn1.Tag(0).Constructed().ContextSpecific(), "x")))))
	f.Add(rawCSR(f, 0, nil, rsaSPKI(big.NewInt(77), big.NewInt(3)), nil))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		found, err := scanCSR(der)
		ref, refErr := x509.ParseCertificateRequest(der)
		// Random changes break signatures, which would hide what is behind
		// them; so the names are compared whatever the signature says.
		if err == nil && refErr == nil {
			compareNames(t, found.san, ref)
		}
		csr, p := ParseCSR(der)
		if p != nil {
			if p.Type != BadCSR || p.Detail == "" {
				t.Errorf("refused with %+v", p)
			}
			return
		}
		if err != nil || refErr != nil || ref.CheckSignature() != nil {
			t.Fatalf("accepted in spite of %v, %v", err, refErr)
		}
		if !bytes.Equal(csr.Raw, der) || ref.Subject.CommonName != csr.CommonName || csr.HasSAN != found.hasSAN {
			t.Errorf("got %+v of %+v", csr, ref.Subject)
		}
	})
}

func compareNames(t *testing.T, san sanNames, ref *x509.CertificateRequest) {
	t.Helper()
	var dns, ips, refIPs []string
	for _, id := range san.ids {
		switch id.Type {
		case DNSIdentifier:
			dns = append(dns, id.Value)
		case IPIdentifier:
			ips = append(ips, strings.TrimPrefix(id.Value, "::ffff:")) // as net.IP prints it
		}
	}
	for _, ip := range ref.IPAddresses {
		refIPs = append(refIPs, ip.String())
	}
	if !slices.Equal(dns, ref.DNSNames) || !slices.Equal(ips, refIPs) {
		t.Errorf("read %q and %q, the standard library %q and %q", dns, ips, ref.DNSNames, refIPs)
	}
	if others := len(ref.EmailAddresses) + len(ref.URIs); len(san.others) < others {
		t.Errorf("saw %q, but the standard library %d further names", san.others, others)
	}
}
