package digicerttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// hierarchy is a root and the CA below it that issues.
type hierarchy struct {
	root, issuing       *x509.Certificate
	rootKey, issuingKey crypto.Signer
	stranger            *x509.Certificate // the root of somebody else
}

func newKey(isRSA bool) (crypto.Signer, error) {
	if isRSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func newHierarchy(isRSA bool, now time.Time) (h *hierarchy, err error) {
	h = &hierarchy{}
	if h.rootKey, err = newKey(isRSA); err != nil {
		return nil, err
	}
	if h.issuingKey, err = newKey(isRSA); err != nil {
		return nil, err
	}
	begin := now.Add(-24 * time.Hour).Truncate(time.Second)
	template := func(cn string, years int) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: newSerial(), NotBefore: begin, NotAfter: begin.AddDate(years, 0, 0), IsCA: true, BasicConstraintsValid: true,
			Subject:  pkix.Name{Country: []string{"US"}, Organization: []string{"Stand-in Financial PKI"}, CommonName: cn},
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	root := template("Stand-in X9 Root", 25)
	if h.root, err = sign(root, root, h.rootKey.Public(), h.rootKey); err != nil {
		return nil, err
	}
	issuing := template("Stand-in X9 TLS CA", 10)
	issuing.MaxPathLenZero = true
	issuing.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if h.issuing, err = sign(issuing, h.root, h.issuingKey.Public(), h.rootKey); err != nil {
		return nil, err
	}
	key, err := newKey(false)
	if err != nil {
		return nil, err
	}
	stranger := template("Somebody Else's Root", 25)
	h.stranger, err = sign(stranger, stranger, key.Public(), key)
	return h, err
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	b[0] |= 0x01
	return new(big.Int).SetBytes(b[:])
}

// issued is a certificate of an order.
type issued struct {
	id      int64
	cert    *x509.Certificate
	wish    wish
	at      time.Time
	revoked bool
	// revokeAt is when a certificate ends that a reissue with other names has
	// replaced; zero never.
	revokeAt time.Time
}

func (c *issued) serial() string { return fmt.Sprintf("%X", c.cert.SerialNumber.Bytes()) }

// issue makes a certificate of an order, with whatever is wrong with it by the
// outcome of the order.
func (ca *CA) issue(o *order, w wish, kind Kind) error {
	names, addresses, _ := splitNames(append([]string{w.commonName}, w.names...))
	key, eku := w.public, slices.Clone(w.extended)
	begin := ca.now().Truncate(24 * time.Hour)
	end := begin.Add(w.validity)
	switch kind {
	case DropName:
		names = names[:max(len(names)-1, 1)]
		if len(names) == 1 {
			names[0] = "other." + names[0]
		}
	case AddName:
		names = append(names, "intruder.example.com")
	case WrongKey:
		other, err := newKey(false)
		if err != nil {
			return err
		}
		key = other.Public()
	case NoClient:
		eku = []string{"server_authentication"}
	case NoServer:
		eku = []string{"client_authentication"}
	case Outlived:
		begin, end = begin.Add(-48*time.Hour), begin.Add(-24*time.Hour)
	case Ready, Stuck, Rejected, Canceled, Revoked, Approved, Pickup, Strange, Upper:
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), NotBefore: begin, NotAfter: end, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		Subject:  pkix.Name{Country: []string{"US"}, Locality: []string{"Lehi"}, Organization: []string{ca.organization(o.organization).Name}, CommonName: w.commonName},
		DNSNames: names, IPAddresses: addresses,
		CRLDistributionPoints: []string{"http://crl.stand-in.invalid/x9.crl"}, OCSPServer: []string{"http://ocsp.stand-in.invalid"},
	}
	if slices.Contains(w.usages, "key_agreement_encipherment") {
		if _, isRSA := key.(*rsa.PublicKey); isRSA {
			template.KeyUsage |= x509.KeyUsageKeyEncipherment
		} else {
			template.KeyUsage |= x509.KeyUsageKeyAgreement
		}
	}
	for _, word := range eku {
		if word == "server_authentication" {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		} else {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
	}
	cert, err := sign(template, ca.keys.issuing, key, ca.keys.issuingKey)
	if err != nil {
		return err
	}
	c := &issued{id: ca.number(), cert: cert, wish: w, at: ca.now()}
	o.certificates = append(o.certificates, c)
	ca.log(Event{
		Kind: "certificate", Order: o.id, Certificate: c.id, CommonName: w.commonName, Names: cert.DNSNames, Serial: c.serial(),
		Usages: eku, KeySHA256: hashOf(cert.RawSubjectPublicKeyInfo),
	})
	return nil
}

// splitNames sorts names by their kind, each once.
func splitNames(all []string) (names []string, addresses []net.IP, wild bool) {
	seen := map[string]bool{}
	for _, name := range all {
		if seen[name] {
			continue
		}
		seen[name] = true
		if ip := net.ParseIP(name); ip != nil {
			addresses = append(addresses, ip)
			continue
		}
		wild = wild || name != "" && name[0] == '*'
		names = append(names, name)
	}
	return names, addresses, wild
}

func hashOf(spki []byte) string { return fmt.Sprintf("%x", sha256.Sum256(spki)) }

func encodePEM(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// RootsPEM are the issuing CA and the root.
func (ca *CA) RootsPEM() []byte { return encodePEM(ca.keys.issuing, ca.keys.root) }

// ServerCertificate is one for the service itself, below its own root, so that
// it can be spoken with over TLS.
func (ca *CA) ServerCertificate(hosts ...string) (tls.Certificate, error) {
	key, err := newKey(false)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := ca.Now().Truncate(time.Second)
	names, addresses, _ := splitNames(hosts)
	cert, err := sign(&x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "stand-in"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		DNSNames: names, IPAddresses: addresses,
	}, ca.keys.issuing, key.Public(), ca.keys.issuingKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw, ca.keys.issuing.Raw}, PrivateKey: key}, nil
}
