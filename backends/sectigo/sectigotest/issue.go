package sectigotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// hierarchy is a root and the CA below it that issues.
type hierarchy struct {
	root, issuing       *x509.Certificate
	rootKey, issuingKey crypto.Signer
}

func newKey(kind string) (crypto.Signer, error) {
	if kind == "rsa" {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// newHierarchy is shaped like the CAs that were seen behind TRISA profiles: a
// root of 40 years, and an issuing CA of 20.
func newHierarchy(kind string, now time.Time) (h *hierarchy, err error) {
	h = &hierarchy{}
	if h.rootKey, err = newKey(kind); err != nil {
		return nil, err
	}
	if h.issuingKey, err = newKey(kind); err != nil {
		return nil, err
	}
	begin := now.Add(-24 * time.Hour).Truncate(time.Second)
	name := func(cn string) pkix.Name {
		return pkix.Name{Country: []string{"US"}, Province: []string{"California"}, Locality: []string{"Menlo Park"}, Organization: []string{"Stand-in IoT CA"}, CommonName: cn}
	}
	root := &x509.Certificate{
		SerialNumber: newSerial(), Subject: name("Stand-in Root CA"), NotBefore: begin, NotAfter: begin.AddDate(40, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if h.root, err = sign(root, root, h.rootKey.Public(), h.rootKey); err != nil {
		return nil, err
	}
	issuing := &x509.Certificate{
		SerialNumber: newSerial(), Subject: name("Stand-in Issuing CA"), NotBefore: begin, NotAfter: begin.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	h.issuing, err = sign(issuing, h.root, h.issuingKey.Public(), h.rootKey)
	return h, err
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newSerial has 128 bits, and the first of them is set: so many programs drop
// a leading zero that numbers with one are made by tests on purpose.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] |= 0x80
	return new(big.Int).SetBytes(b[:])
}

// issue makes certificate i of a batch, with whatever is wrong with it by the
// outcome of the batch.
func (ca *CA) issue(b *batch, i int) {
	var cert *x509.Certificate
	var err error
	if b.Single != nil {
		cert, err = ca.issueSingle(b)
	} else {
		var csr *x509.CertificateRequest
		if csr, err = readCSR(b.CSRs[i]); err == nil {
			cert, err = ca.issueFor(b, csr)
		}
	}
	if other := ca.before(b); err == nil && b.Outcome.Kind == Another && other != nil {
		b.Issued[i] = other.Issued[0]
		return
	}
	if err != nil {
		b.Outcome = Outcome{Kind: Failed, Reason: err.Error()}
		return
	}
	serial := fmt.Sprintf("%X", cert.SerialNumber.Bytes())
	b.Issued[i] = &issued{DER: cert.Raw, Serial: serial, CommonName: cert.Subject.CommonName, Created: ca.Time()}
	ca.tenant.Issued++
	ca.Log(Event{
		Kind: "certificate", Batch: b.ID, BatchName: b.Name, Profile: b.ProfileID, CommonName: cert.Subject.CommonName, Names: cert.DNSNames, Serial: serial,
		NotAfter: cert.NotAfter.Format(time.RFC3339), KeySHA256: fmt.Sprintf("%x", sha256.Sum256(cert.RawSubjectPublicKeyInfo)), CertSHA256: fmt.Sprintf("%x", sha256.Sum256(cert.Raw)),
	})
}

// before is the latest other batch that has a certificate, nil when there is
// none.
func (ca *CA) before(b *batch) (found *batch) {
	for _, other := range ca.batches {
		if other.ID != b.ID && len(other.Issued) > 0 && other.Issued[0] != nil && (found == nil || other.ID > found.ID) {
			found = other
		}
	}
	return found
}

func (ca *CA) issueFor(b *batch, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	subject, names, public := csr.Subject, csr.DNSNames, csr.PublicKey
	if subject.CommonName == "" && len(names) > 0 {
		subject.CommonName = names[0] // the template wants one
	}
	switch b.Outcome.Kind {
	case DropName:
		names = names[:max(len(names)-1, 0)]
	case AddName:
		names = append(append([]string{}, names...), "intruder.example")
	case WrongSubject:
		subject.CommonName, subject.Organization = "Somebody Else", []string{"Somebody Else Inc"}
	case WrongKey:
		other, err := newKey("ec")
		if err != nil {
			return nil, err
		}
		public = other.Public()
	case Ready, Partial, Rejected, Broken, Failed, Stuck, Strange, Wordless, Expired, Revoked, Another:
	}
	return ca.leaf(ca.profile(b.ProfileID), subject, names, public)
}

func (ca *CA) leaf(p Profile, subject pkix.Name, names []string, public crypto.PublicKey) (*x509.Certificate, error) {
	if len(p.Subject) > 0 {
		// What a template fixes it fixes whatever is asked for.
		fixed := pkix.Name{CommonName: subject.CommonName}
		for field, value := range p.Subject {
			switch field {
			case "O":
				fixed.Organization = []string{value}
			case "L":
				fixed.Locality = []string{value}
			case "ST":
				fixed.Province = []string{value}
			case "C":
				fixed.Country = []string{value}
			}
		}
		subject = fixed
	}
	// Certificates begin with the day, in UTC.
	begin := ca.Time().Truncate(24 * time.Hour)
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if _, isRSA := public.(*rsa.PublicKey); isRSA {
		usage |= x509.KeyUsageKeyEncipherment
	}
	eku, err := extendedUsages()
	if err != nil {
		return nil, err
	}
	return sign(&x509.Certificate{
		SerialNumber: newSerial(), Subject: subject, DNSNames: names, NotBefore: begin, NotAfter: begin.Add(ca.cfg.Validity),
		KeyUsage: usage, ExtraExtensions: []pkix.Extension{eku}, BasicConstraintsValid: true,
		CRLDistributionPoints: []string{"http://crl.stand-in.invalid/issuing.crl"},
		OCSPServer:            []string{"http://ocsp.stand-in.invalid"}, IssuingCertificateURL: []string{"http://crt.stand-in.invalid/issuing.crt"},
	}, ca.keys.issuing, public, ca.keys.issuingKey)
}

// extendedUsages is critical, as in the certificates that were seen; the
// standard library would not make it so.
func extendedUsages() (pkix.Extension, error) {
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 2}, {1, 3, 6, 1, 5, 5, 7, 3, 1}})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}, err
}

// issueSingle makes the key as well, and the archive with both.
func (ca *CA) issueSingle(b *batch) (*x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	given := func(name string) []string {
		if v := b.Single[name]; v != "" {
			return []string{v}
		}
		return nil
	}
	subject := pkix.Name{
		CommonName: b.Single["commonName"], Organization: given("organizationName"), Locality: given("localityName"),
		Province: given("stateOrProvinceName"), Country: given("countryName"),
	}
	cert, err := ca.leaf(ca.profile(b.ProfileID), subject, strings.Split(b.Single["dNSName"], "\n"), key.Public())
	if err != nil {
		return nil, err
	}
	store, err := keyStore(b.Single["pkcs12Password"], key, cert, ca.keys.issuing, ca.keys.root)
	if err != nil {
		return nil, err
	}
	b.Archive, err = zipped([]member{{b.Single["commonName"] + ".p12", store}})
	return cert, err
}
