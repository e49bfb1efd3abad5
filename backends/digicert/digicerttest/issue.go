package digicerttest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"time"

	"acmebridge/internal/standin"
)

// hierarchy is that of the CA, and the root of somebody else.
type hierarchy struct {
	*standin.Hierarchy
	stranger *x509.Certificate
}

func newHierarchy(isRSA bool, now time.Time) (*hierarchy, error) {
	key := standin.NewKey
	if isRSA {
		key = func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	own, err := standin.NewHierarchyOf(key, "Stand-in X9", now, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, err
	}
	other, err := standin.NewHierarchy("Somebody Else's", now)
	if err != nil {
		return nil, err
	}
	return &hierarchy{own, other.Root}, nil
}

// issued is a certificate of an order.
type issued struct {
	id      int64
	cert    *x509.Certificate
	wish    wish
	at      time.Time
	revoked bool
	// duplicate is one beside the certificate of the order, not in its place.
	duplicate bool
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
	begin := ca.Time().Truncate(24 * time.Hour)
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
		other, err := standin.NewKey()
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
		NotBefore: begin, NotAfter: end,
		Subject:  pkix.Name{Country: []string{"US"}, Locality: []string{"Lehi"}, Organization: []string{ca.organization(o.organization).Name}, CommonName: w.commonName},
		DNSNames: names, IPAddresses: addresses,
		OCSPServer: []string{"http://ocsp.stand-in.invalid"},
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
	cert, err := ca.keys.Issue(template, key)
	if err != nil {
		return err
	}
	c := &issued{id: ca.number(), cert: cert, wish: w, at: ca.Time()}
	o.certificates = append(o.certificates, c)
	ca.Log(standin.Event{
		Kind: "certificate", Order: o.text(), Certificate: c.id, CommonName: w.commonName, Names: cert.DNSNames, Serial: c.serial(),
		Usages: eku, KeySHA256: standin.HashOf(cert.RawSubjectPublicKeyInfo),
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

// RootsPEM are the issuing CA and the root.
func (ca *CA) RootsPEM() []byte { return ca.keys.PEM() }

// ServerCertificate is one for the service itself, below its own root, so that
// it can be spoken with over TLS.
func (ca *CA) ServerCertificate(hosts ...string) (tls.Certificate, error) {
	return ca.keys.Credential(ca.Now(), hosts...)
}
