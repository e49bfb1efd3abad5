package acme

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var chainNow = time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)

// issuance is everything that goes into a chain of leaf, intermediate and
// root, before anything is signed. Tests change one thing and let it be issued.
type issuance struct {
	leaf, intermediate, root          *x509.Certificate
	leafKey, intermediatePublic       crypto.PublicKey // the latter nil: that of its key
	intermediateKey, rootKey          *ecdsa.PrivateKey
	signsLeaf, signsIntermediate      *ecdsa.PrivateKey // nil: who should
	leafParent                        *x509.Certificate // nil: the intermediate
	contract                          Contract
	after                             func(chain [][]byte) [][]byte
	roots                             func(root []byte) [][]byte
	now                               time.Time
	includeRoot, trustTheIntermediate bool
}

func newIssuance(t testing.TB) *issuance {
	t.Helper()
	key := testKey()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	ca := func(name string, pathLength int) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: modulus(120, name), Subject: cn(name),
			NotBefore: chainNow.AddDate(-1, 0, 0), NotAfter: chainNow.AddDate(5, 0, 0),
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
			MaxPathLen: pathLength, MaxPathLenZero: pathLength == 0, SubjectKeyId: []byte(name),
		}
	}
	root := ca("Root", 1)
	intermediate := ca("Intermediate", 0)
	return &issuance{
		root: root, intermediate: intermediate,
		leaf: &x509.Certificate{
			SerialNumber: modulus(120, "leaf"), Subject: cn("a.net"),
			NotBefore: chainNow.Add(-time.Minute), NotAfter: chainNow.AddDate(0, 0, 90),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			DNSNames:    []string{"a.net", "*.b.net"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1")},
		},
		leafKey: key.Public(), intermediateKey: fixedKey("intermediate"), rootKey: fixedKey("root"),
		contract: Contract{
			Profile:     "tls",
			Identifiers: append(names("*.b.net", "a.net"), ipIdentifier("192.0.2.1")),
			KeyHash:     HashKey(spki), Usages: []Usage{ClientAuth, ServerAuth}, Subject: SubjectCommonName, CommonName: "a.net",
			NotBefore: chainNow, NotAfter: chainNow.AddDate(0, 0, 90),
		},
		now: chainNow,
	}
}

// issue signs the three certificates and returns chain and roots.
func (i *issuance) issue(t testing.TB) (chain, roots [][]byte) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, key crypto.PublicKey, signer *ecdsa.PrivateKey) []byte {
		// The library refuses to sign what does not fit the parent, which is
		// what the tests are about: it gets a parent that says only its name.
		named := &x509.Certificate{Subject: parent.Subject, SubjectKeyId: parent.SubjectKeyId}
		der, err := x509.CreateCertificate(rand.Reader, template, named, key, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	or := func(key, usual *ecdsa.PrivateKey) *ecdsa.PrivateKey {
		if key != nil {
			return key
		}
		return usual
	}
	parent := i.intermediate
	if i.leafParent != nil {
		parent = i.leafParent
	}
	public := i.intermediatePublic
	if public == nil {
		public = i.intermediateKey.Public()
	}
	rootDER := sign(i.root, i.root, i.rootKey.Public(), i.rootKey)
	chain = [][]byte{
		sign(i.leaf, parent, i.leafKey, or(i.signsLeaf, i.intermediateKey)),
		sign(i.intermediate, i.root, public, or(i.signsIntermediate, i.rootKey)),
	}
	roots = [][]byte{rootDER}
	if i.includeRoot {
		chain = append(chain, rootDER)
	}
	if i.trustTheIntermediate {
		roots = [][]byte{chain[1]}
	}
	if i.after != nil {
		chain = i.after(chain)
	}
	if i.roots != nil {
		roots = i.roots(rootDER)
	}
	return chain, roots
}

func (i *issuance) check(t testing.TB) (*x509.Certificate, [][]byte, error) {
	t.Helper()
	chain, roots := i.issue(t)
	leaf, err := CheckChain(i.contract, chain, roots, i.now)
	i.checkWarm(t, chain, roots, err)
	return leaf, chain, err
}

// checkWarm asks a Trust that has confirmed the same issuers above another
// leaf: what it remembers must not change its answer.
func (i *issuance) checkWarm(t testing.TB, chain, roots [][]byte, want error) {
	t.Helper()
	good := newIssuance(t)
	named := &x509.Certificate{Subject: i.intermediate.Subject, SubjectKeyId: i.intermediate.SubjectKeyId}
	der, err := x509.CreateCertificate(rand.Reader, good.leaf, named, good.leafKey, i.intermediateKey)
	trust, errTrust := NewTrust(roots)
	if err != nil || errTrust != nil || len(chain) < 2 {
		return // the issuers are what is wrong, so nothing can be remembered
	}
	if _, err := trust.CheckChain(good.contract, append([][]byte{der}, chain[1:]...), good.now); err != nil {
		return
	}
	_, err = trust.CheckChain(i.contract, chain, i.now)
	var a, b *ContractError
	if (err == nil) != (want == nil) || errors.As(err, &a) && errors.As(want, &b) && (a.Field != b.Field || a.Certificate != b.Certificate) {
		t.Errorf("a Trust that knows the issuers says %v, a new one %v", err, want)
	}
}

func TestCheckChainAccepts(t *testing.T) { // D10, SC-9
	t.Parallel()
	tests := []struct {
		name   string
		change func(i *issuance)
	}{
		{"as it is", func(i *issuance) {}},
		{"with its root", func(i *issuance) { i.includeRoot = true }},
		{"trusting the intermediate", func(i *issuance) { i.trustTheIntermediate = true }},
		{"several roots", func(i *issuance) {
			other := newIssuance(t)
			other.root.Subject = cn("Other")
			_, more := other.issue(t)
			i.roots = func(root []byte) [][]byte { return append(more, root) }
		}},
		{"names in capitals", func(i *issuance) { i.leaf.DNSNames[0] = "A.NET"; i.leaf.Subject = cn("A.net") }},
		{"no end in the contract", func(i *issuance) { i.contract.NotAfter = time.Time{}; i.leaf.NotAfter = chainNow.AddDate(1, 0, 0) }},
		{"end rounded up to the second", func(i *issuance) { i.contract.NotAfter = i.leaf.NotAfter.Add(-time.Millisecond) }},
		{"the CA's clock is four minutes ahead", func(i *issuance) { i.leaf.NotBefore = chainNow.Add(4 * time.Minute) }},
		{"starts with its day", func(i *issuance) { i.leaf.NotBefore = chainNow.Truncate(24 * time.Hour) }},
		{"ordered to start tomorrow", func(i *issuance) {
			i.contract.NotBefore = chainNow.AddDate(0, 0, 1)
			i.leaf.NotBefore = i.contract.NotBefore
		}},
		{"empty subject", func(i *issuance) { i.contract.Subject = SubjectEmpty; i.leaf.Subject = pkix.Name{} }},
		{"a subject of the CA's", func(i *issuance) {
			i.contract.Subject = SubjectByCA
			i.leaf.Subject = pkix.Name{
				CommonName: "A.net", Organization: []string{"Bank"}, OrganizationalUnit: []string{"IT"}, Locality: []string{"Oslo"}, Province: []string{"Oslo"}, Country: []string{"NO"},
			}
		}},
		{"a subject of the CA's without a common name", func(i *issuance) {
			i.contract.Subject, i.leaf.Subject = SubjectByCA, pkix.Name{Organization: []string{"Bank"}}
		}},
		{"the subject of the CSR in another order", func(i *issuance) {
			i.contract.Subject, i.contract.RequestedSubject = SubjectRequested, subjectDER(pkix.Name{SerialNumber: "5550001", CommonName: "Member"})
			i.leaf.RawSubject = subjectDER(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
				{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "5550001"}, {Type: oidCommonName, Value: "Member"},
			}})
		}},
		{"a signing key", func(i *issuance) {
			i.contract.KeyUsage, i.leaf.KeyUsage = KeyUsageSigning, x509.KeyUsageContentCommitment
		}},
		{"no name fits", func(i *issuance) { i.contract.CommonName = ""; i.leaf.Subject = pkix.Name{} }},
		{"no keyUsage", func(i *issuance) { i.leaf.KeyUsage = 0 }},
		{"RSA for key encipherment", func(i *issuance) {
			spki, err := x509.MarshalPKIXPublicKey(testRSAKey().Public())
			if err != nil {
				t.Fatal(err)
			}
			i.leafKey, i.contract.KeyHash = testRSAKey().Public(), HashKey(spki)
			i.leaf.KeyUsage = x509.KeyUsageKeyEncipherment
		}},
		{"no usages", func(i *issuance) { i.leaf.ExtKeyUsage = nil; i.contract.Usages = nil }},
		{"issuers bound to more usages", func(i *issuance) {
			i.intermediate.ExtKeyUsage = append(slices.Clone(i.leaf.ExtKeyUsage), x509.ExtKeyUsageOCSPSigning)
			i.root.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		}},
		{"within name constraints", func(i *issuance) {
			i.leaf.IPAddresses, i.contract.Identifiers = nil, i.contract.Identifiers[:2]
			i.root.PermittedDNSDomains = []string{"net"}
		}},
		{"a root signed with SHA-1", func(i *issuance) {
			i.includeRoot = true
			i.after = func(c [][]byte) [][]byte {
				c[2] = sha1Signed(t, c[2])
				i.roots = func([]byte) [][]byte { return c[2:] }
				return c
			}
		}},
		{"SHA-384", func(i *issuance) { i.leaf.SignatureAlgorithm = x509.ECDSAWithSHA384 }},
		{"serial of 20 octets", func(i *issuance) { i.leaf.SerialNumber = modulus(159, "20") }},
		{"unknown extension that is not critical", func(i *issuance) {
			i.leaf.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99}, Value: []byte{5, 0}}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t)
			tt.change(i)
			leaf, chain, err := i.check(t)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(leaf.Raw, chain[0]) {
				t.Error("the leaf is another certificate")
			}
		})
	}
}

// TestCheckChainRefuses spoils one thing at a time, and wants it named: the
// profile has decided everything but key and names (RPROF-6).
func TestCheckChainRefuses(t *testing.T) { // SC-9: a mutation each
	t.Parallel()
	oid := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99}
	leafSAN := func(entries ...[]byte) func(i *issuance) {
		return func(i *issuance) {
			i.leaf.DNSNames, i.leaf.IPAddresses = nil, nil
			i.leaf.ExtraExtensions = append(i.leaf.ExtraExtensions, rawSAN(entries...))
		}
	}
	address := generalName(cbasn1.Tag(7).ContextSpecific(), "\xc0\x00\x02\x01")
	tests := []struct {
		name   string
		at     int
		field  string
		words  string
		change func(i *issuance)
	}{
		{"no certificates", 0, "chain", "no certificates", func(i *issuance) { i.after = func([][]byte) [][]byte { return nil } }},
		{"PX-4 eleven certificates", 0, "chain", "at most 10", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return append(c, slices.Repeat(c[1:], 9)...) }
		}},
		{"PX-4 64 KiB", 1, "size", "at most 65536", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return [][]byte{c[0], make([]byte, 64<<10+1)} }
		}},
		{"not a certificate", 0, "encoding", "DER", func(i *issuance) { i.after = func(c [][]byte) [][]byte { return [][]byte{[]byte("<html>"), c[1]} } }},
		{"an empty certificate", 1, "encoding", "DER", func(i *issuance) { i.after = func(c [][]byte) [][]byte { return [][]byte{c[0], nil} } }},
		{"trailing data", 0, "encoding", "trailing", func(i *issuance) { i.after = func(c [][]byte) [][]byte { return [][]byte{append(c[0], 0), c[1]} } }},
		{"version 1", 0, "version", "got 1, want 3", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return [][]byte{versionOne(t, c[0], i.intermediateKey), c[1]} }
		}},

		{"another key", 0, "key", "the key of the CSR", func(i *issuance) { i.leafKey = newECKey(elliptic.P256()).Public() }},
		{"a name too many", 0, "names", `got "dns:c.net"`, func(i *issuance) { i.leaf.DNSNames = append(i.leaf.DNSNames, "c.net") }},
		{"a name too few", 0, "names", `want "dns:*.b.net"`, func(i *issuance) { i.leaf.DNSNames = []string{"a.net"} }},
		{"a name of somebody else", 0, "names", `got "dns:evil.net", want "dns:a.net"`, func(i *issuance) { i.leaf.DNSNames[0] = "evil.net" }},
		{"a name twice", 0, "names", `got "dns:a.net", want nothing else`, func(i *issuance) { i.leaf.DNSNames = append(i.leaf.DNSNames, "a.net") }},
		{"a name for its wildcard", 0, "names", `"dns:*.b.net"`, func(i *issuance) { i.leaf.DNSNames[1] = "b.net" }},
		{"an address too few", 0, "names", `want "ip:192.0.2.1"`, func(i *issuance) { i.leaf.IPAddresses = nil }},
		{"another address", 0, "names", `"ip:192.0.2.2"`, func(i *issuance) { i.leaf.IPAddresses = []net.IP{net.ParseIP("192.0.2.2")} }},
		{"no names at all", 0, "names", "got nothing else", func(i *issuance) { i.leaf.DNSNames, i.leaf.IPAddresses = nil, nil }},
		{"PX-2 an e-mail address", 0, "names", "e-mail address", func(i *issuance) { i.leaf.EmailAddresses = []string{"x@a.net"} }},
		{"PX-2 an otherName that parsers drop", 0, "names", "otherName", leafSAN(dnsName("a.net"), dnsName("*.b.net"), address,
			generalName(cbasn1.Tag(0).Constructed().ContextSpecific(), "\x06\x01\x2a\xa0\x02\x05\x00"))},
		{"PX-2 a NUL in a name", 0, "names", `a.net\x00.evil.net`, leafSAN(dnsName("a.net\x00.evil.net"), dnsName("*.b.net"), address)},
		{"PX-2 a trailing dot", 0, "names", `"dns:a.net."`, leafSAN(dnsName("a.net."), dnsName("*.b.net"), address)},
		{"PX-2 an empty name", 0, "names", `"dns:"`, leafSAN(dnsName("a.net"), dnsName("*.b.net"), address, dnsName(""))},

		{"another common name", 0, "subject", "CN=evil.net", func(i *issuance) { i.leaf.Subject = cn("evil.net") }},
		{"no common name", 0, "subject", "want CN=a.net", func(i *issuance) { i.leaf.Subject = pkix.Name{} }},
		{"an organization", 0, "subject", "O=Bank", func(i *issuance) { i.leaf.Subject.Organization = []string{"Bank"} }},
		{"an organization instead", 0, "subject", "O=a.net", func(i *issuance) { i.leaf.Subject = pkix.Name{Organization: []string{"a.net"}} }},
		{"a common name against the profile", 0, "subject", "an empty one", func(i *issuance) { i.contract.Subject = SubjectEmpty }},
		{"a subject of the CA's with another name", 0, "subject", "CN=evil.net", func(i *issuance) {
			i.contract.Subject, i.leaf.Subject = SubjectByCA, pkix.Name{CommonName: "evil.net", Organization: []string{"Bank"}}
		}},
		{"a subject of the CA's with two names", 0, "subject", "one common name", func(i *issuance) {
			i.contract.Subject = SubjectByCA
			i.leaf.Subject = pkix.Name{CommonName: "a.net", ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidCommonName, Value: "a.net"}, {Type: oidCommonName, Value: "a.net"}}}
		}},
		{"a subject of the CA's with an e-mail address", 0, "subject", "organization and place", func(i *issuance) {
			i.contract.Subject = SubjectByCA
			i.leaf.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "x@a.net"}}}
		}},
		{"another member in the subject", 0, "subject", "5550002", func(i *issuance) {
			i.contract.Subject, i.contract.RequestedSubject = SubjectRequested, subjectDER(pkix.Name{SerialNumber: "5550001", CommonName: "Member"})
			i.leaf.Subject = pkix.Name{SerialNumber: "5550002", CommonName: "Member"}
		}},
		{"an attribute less than was asked for", 0, "subject", "SERIALNUMBER=5550001", func(i *issuance) {
			i.contract.Subject, i.contract.RequestedSubject = SubjectRequested, subjectDER(pkix.Name{SerialNumber: "5550001", CommonName: "Member"})
			i.leaf.Subject = pkix.Name{CommonName: "Member"}
		}},
		{"attributes that share an RDN", 0, "subject", "RDN", func(i *issuance) {
			i.contract.Subject, i.contract.RequestedSubject = SubjectRequested, subjectDER(pkix.Name{SerialNumber: "5550001", CommonName: "Member"})
			both, err := asn1.Marshal(pkix.RDNSequence{{{Type: oidCommonName, Value: "Member"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "5550001"}}})
			if err != nil {
				panic(err)
			}
			i.leaf.RawSubject = both
		}},
		{"a contract that lost its subject", 0, "subject", "without one", func(i *issuance) { i.contract.Subject = SubjectRequested }},
		{"a signing key that also authenticates", 0, "key usage", "nonRepudiation alone", func(i *issuance) {
			i.contract.KeyUsage = KeyUsageSigning
			i.leaf.KeyUsage = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
		}},
		{"an authentication key that also signs", 0, "key usage", "without nonRepudiation", func(i *issuance) {
			i.contract.KeyUsage = KeyUsageAuthentication
			i.leaf.KeyUsage = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
		}},
		{"a key usage rule from the future", 0, "key usage", "unknown rule", func(i *issuance) { i.contract.KeyUsage = "sealing" }},
		{"a subject rule from the future", 0, "subject", "unknown rule", func(i *issuance) { i.contract.Subject = "structured" }},
		{"empty subject, names not critical", 0, "names", "critical", func(i *issuance) {
			i.contract.Subject, i.leaf.Subject = SubjectEmpty, pkix.Name{}
			leafSAN(dnsName("a.net"), dnsName("*.b.net"), address)(i)
		}},

		{"a usage too many", 0, "usages", "code_signing", func(i *issuance) { i.leaf.ExtKeyUsage = append(i.leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) }},
		{"a usage too few", 0, "usages", "got server_auth, want client_auth, server_auth", func(i *issuance) { i.leaf.ExtKeyUsage = i.leaf.ExtKeyUsage[:1] }},
		{"no usages", 0, "usages", "got none", func(i *issuance) { i.leaf.ExtKeyUsage = nil }},
		{"any usage", 0, "usages", "2.5.29.37.0", func(i *issuance) { i.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }},
		{"an unknown usage", 0, "usages", "1.3.6.1.4.1.99", func(i *issuance) { i.leaf.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oid} }},
		{"a leaf that signs certificates", 0, "key usage", "keyCertSign", func(i *issuance) { i.leaf.KeyUsage |= x509.KeyUsageCertSign }},
		{"a leaf that signs revocation lists", 0, "key usage", "cRLSign", func(i *issuance) { i.leaf.KeyUsage |= x509.KeyUsageCRLSign }},
		{"a leaf that cannot sign", 0, "key usage", "want digitalSignature", func(i *issuance) { i.leaf.KeyUsage = x509.KeyUsageKeyAgreement }},
		{"a leaf that is a CA", 0, "basic constraints", "a CA", func(i *issuance) { i.leaf.IsCA = true }},

		{"a counted serial", 0, "serial number", "64 random bits", func(i *issuance) { i.leaf.SerialNumber = big.NewInt(4711) }},
		{"a serial of 21 octets", 0, "serial number", "21 octets", func(i *issuance) { i.leaf.SerialNumber = modulus(160, "21") }},
		{"serial zero", 0, "serial number", "positive", func(i *issuance) {
			i.leaf.SerialNumber = big.NewInt(99)
			i.after = func(c [][]byte) [][]byte {
				return [][]byte{bytes.Replace(c[0], []byte{2, 1, 99}, []byte{2, 1, 0}, 1), c[1]}
			}
		}},
		{"a negative serial", 0, "encoding", "negative", func(i *issuance) {
			i.leaf.SerialNumber = big.NewInt(99)
			i.after = func(c [][]byte) [][]byte {
				return [][]byte{bytes.Replace(c[0], []byte{2, 1, 99}, []byte{2, 1, 0x99}, 1), c[1]}
			}
		}},
		{"R9773-4.1-3 no authority key identifier", 0, "authority key identifier", "none", func(i *issuance) {
			i.leafParent = &x509.Certificate{Subject: i.intermediate.Subject}
		}},
		{"the key identifier of another authority", 0, "authority key identifier", "next certificate", func(i *issuance) {
			i.leafParent = &x509.Certificate{Subject: i.intermediate.Subject, SubjectKeyId: []byte("other")}
		}},

		{"not yet valid", 0, "validity", "valid from", func(i *issuance) { i.leaf.NotBefore = chainNow.Add(6 * time.Minute) }},
		{"expired", 0, "validity", "valid until", func(i *issuance) { i.leaf.NotAfter = chainNow }},
		{"over before the ordered start", 0, "validity", "valid until", func(i *issuance) {
			i.contract.NotBefore = chainNow.AddDate(0, 0, 1)
			i.leaf.NotAfter = chainNow.Add(time.Hour)
		}},
		{"a second too long", 0, "validity", "valid until", func(i *issuance) { i.leaf.NotAfter = i.leaf.NotAfter.Add(time.Second) }},
		{"a second too short", 0, "validity", "valid until", func(i *issuance) { i.leaf.NotAfter = i.leaf.NotAfter.Add(-time.Second) }},
		{"a year too long", 0, "validity", "valid until", func(i *issuance) { i.leaf.NotAfter = chainNow.AddDate(1, 0, 0) }},
		{"backdated by a week", 0, "validity", "valid from", func(i *issuance) { i.leaf.NotBefore = chainNow.AddDate(0, 0, -7) }},

		{"a critical extension that nobody knows", 0, "extensions", "critical", func(i *issuance) {
			i.leaf.ExtraExtensions = []pkix.Extension{{Id: oid, Critical: true, Value: []byte{5, 0}}}
		}},
		{"signed by somebody else", 0, "signature", "next certificate", func(i *issuance) { i.signsLeaf = newECKey(elliptic.P256()) }},
		{"one bit of the signature", 0, "signature", "next certificate", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return [][]byte{flipLast(c[0]), c[1]} }
		}},
		{"an intermediate signed by somebody else", 1, "trust", "root", func(i *issuance) { i.signsIntermediate = newECKey(elliptic.P256()) }},
		{"SHA-1", 0, "signature algorithm", "SHA1", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return [][]byte{sha1Signed(t, c[0]), c[1]} }
		}},
		{"SHA-1 above", 1, "signature algorithm", "SHA1", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return [][]byte{c[0], sha1Signed(t, c[1])} }
		}},
		{"another issuer's name", 0, "issuer", "CN=Other", func(i *issuance) {
			i.leafParent = &x509.Certificate{Subject: cn("Other"), SubjectKeyId: []byte("Intermediate")}
		}},
		{"R8555-9.1-2 in the wrong order", 0, "issuer", "next certificate", func(i *issuance) {
			i.includeRoot = true
			i.after = func(c [][]byte) [][]byte { return [][]byte{c[0], c[2], c[1]} }
		}},
		{"without the intermediate", 0, "trust", "no configured root", func(i *issuance) { i.after = func(c [][]byte) [][]byte { return c[:1] } }},
		{"the intermediate twice", 1, "issuer", "CN=Intermediate", func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return append(c, c[1]) }
		}},
		{"a loop", 2, "chain", "a second time", func(i *issuance) {
			i.intermediate.Subject = i.root.Subject
			i.includeRoot = true
		}},
		{"an intermediate that is no CA", 1, "basic constraints", "not a CA", func(i *issuance) { i.intermediate.IsCA, i.intermediate.MaxPathLenZero = false, false }},
		{"an intermediate that may not sign", 1, "key usage", "keyCertSign", func(i *issuance) { i.intermediate.KeyUsage = x509.KeyUsageDigitalSignature }},
		{"an expired intermediate", 1, "validity", "valid until", func(i *issuance) { i.intermediate.NotAfter = chainNow.Add(-time.Second) }},
		{"an intermediate of tomorrow", 1, "validity", "valid from", func(i *issuance) { i.intermediate.NotBefore = chainNow.AddDate(0, 0, 1) }},
		{"a root above too short a path", 2, "basic constraints", "path length of 0", func(i *issuance) {
			i.includeRoot = true
			i.root.MaxPathLen, i.root.MaxPathLenZero = 0, true
		}},
		{"the same, with the root left out", 0, "constraints", "intermediates", func(i *issuance) { i.root.MaxPathLen, i.root.MaxPathLenZero = 0, true }},
		{"an issuer for other usages", 1, "usages", "not for client_auth", func(i *issuance) { i.intermediate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
		{"a root for other usages", 2, "usages", "not for", func(i *issuance) { i.root.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }},
		{"outside of the issuer's name constraints", 0, "constraints", "not permitted", func(i *issuance) { i.intermediate.PermittedDNSDomains = []string{"org"} }},
		{"outside of the root's name constraints", 0, "constraints", "excluded", func(i *issuance) { i.root.ExcludedDNSDomains = []string{"b.net"} }},
		{"another root", 1, "trust", "no configured root", func(i *issuance) {
			other := newIssuance(t)
			other.root.Subject = cn("Other")
			_, roots := other.issue(t)
			i.roots = func([]byte) [][]byte { return roots }
		}},
		{"an unasked root of its own", 2, "trust", "no configured root", func(i *issuance) {
			other := newIssuance(t)
			other.rootKey = newECKey(elliptic.P256())
			_, roots := other.issue(t)
			i.includeRoot = true
			i.roots = func([]byte) [][]byte { return roots }
		}},
		{"a root of the same name and key, but another", 2, "trust", "by another path", func(i *issuance) {
			other := newIssuance(t)
			other.root.SerialNumber = modulus(120, "renewed")
			_, roots := other.issue(t)
			i.includeRoot = true
			i.roots = func([]byte) [][]byte { return roots }
		}},
		{"PX-3 an issuer's key of 8,200 bits", 1, "key", "8200 bits", func(i *issuance) { i.intermediatePublic = rsaKey(modulus(8200, "issuer")) }},
		{"an expired root", 0, "constraints", "expired", func(i *issuance) { i.root.NotAfter = chainNow.Add(-time.Second) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t)
			tt.change(i)
			_, _, err := i.check(t)
			var got *ContractError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a ContractError about %s", err, tt.field)
			}
			if got.Certificate != tt.at || got.Field != tt.field || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got certificate %d, %s: %v\nwant certificate %d, %s, saying %s", got.Certificate, got.Field, err, tt.at, tt.field, tt.words)
			}
		})
	}
}

func flipLast(der []byte) []byte {
	der = slices.Clone(der)
	der[len(der)-1] ^= 1
	return der
}

// sha1Signed claims, in both places, a signature with SHA-1.
func sha1Signed(t testing.TB, der []byte) []byte {
	t.Helper()
	var sha1 cryptobyte.Builder
	sha1.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1})
	})
	parts, algorithm, signature := splitCertificate(t, der)
	for i, part := range parts {
		if bytes.Equal(part, algorithm) {
			parts[i] = sha1.BytesOrPanic()
		}
	}
	return joinSequence(joinSequence(parts...), sha1.BytesOrPanic(), signature)
}

// versionOne takes version and extensions out of a certificate and signs it again.
func versionOne(t testing.TB, der []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	parts, algorithm, _ := splitCertificate(t, der)
	parts = slices.DeleteFunc(parts, func(part []byte) bool { return part[0]&0xc0 != 0 }) // [0] and [3]
	signed := joinSequence(parts...)
	digest := sha256.Sum256(signed)
	value, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var signature cryptobyte.Builder
	signature.AddASN1BitString(value)
	return joinSequence(signed, algorithm, signature.BytesOrPanic())
}

// splitCertificate returns the DER of what a certificate is made of.
func splitCertificate(t testing.TB, der []byte) (parts [][]byte, algorithm, signature []byte) {
	t.Helper()
	var outer, signed cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1(&signed, cbasn1.SEQUENCE) {
		t.Fatal("not a certificate")
	}
	elements := func(s cryptobyte.String) (list [][]byte) {
		for !s.Empty() {
			var element cryptobyte.String
			var tag cbasn1.Tag
			if !s.ReadAnyASN1Element(&element, &tag) {
				t.Fatal("not a certificate")
			}
			list = append(list, element)
		}
		return list
	}
	tail := elements(outer)
	if len(tail) != 2 {
		t.Fatal("not a certificate")
	}
	return elements(signed), tail[0], tail[1]
}

func joinSequence(parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, part := range parts {
			b.AddBytes(part)
		}
	})
	return b.BytesOrPanic()
}

func TestTrust(t *testing.T) {
	t.Parallel()
	if _, err := NewTrust(nil); err == nil {
		t.Error("no roots: they must not become those of the system")
	}
	if _, err := NewTrust([][]byte{[]byte("root")}); err == nil || !strings.Contains(err.Error(), "root certificate 1") {
		t.Errorf("not a certificate: %v", err)
	}
	i := newIssuance(t)
	chain, _ := i.issue(t)
	if _, err := CheckChain(i.contract, chain, nil, chainNow); err == nil {
		t.Error("a chain without roots was accepted")
	}
}

// FuzzCheckChain: no input panics, and what is accepted holds what matters most.
func FuzzCheckChain(f *testing.F) {
	i := newIssuance(f)
	chain, roots := i.issue(f)
	trust, err := NewTrust(roots)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(chain[0], chain[1])
	f.Add(chain[0], []byte{})
	f.Add(chain[1], chain[0])
	f.Add(sha1Signed(f, chain[0]), chain[1])
	f.Add(versionOne(f, chain[0], i.intermediateKey), chain[1])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		leaf, err := trust.CheckChain(i.contract, [][]byte{first, second}, chainNow)
		if err != nil {
			if strings.Contains(err.Error(), "reading the chain failed") {
				t.Errorf("a panic: %v", err)
			}
			return
		}
		// The signature covers all but itself and the outer algorithm.
		if !bytes.Equal(leaf.RawTBSCertificate, mustParse(t, chain[0]).RawTBSCertificate) {
			t.Errorf("accepted %x", first)
		}
		if HashKey(leaf.RawSubjectPublicKeyInfo) != i.contract.KeyHash || leaf.IsCA {
			t.Error("accepted another key, or a CA")
		}
	})
}

func mustParse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func BenchmarkCheckChain(b *testing.B) {
	i := newIssuance(b)
	chain, roots := i.issue(b)
	trust, err := NewTrust(roots)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("roots read once", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := trust.CheckChain(i.contract, chain, chainNow); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("roots read each time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := CheckChain(i.contract, chain, roots, chainNow); err != nil {
				b.Fatal(err)
			}
		}
	})
}
