package sectigotest

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"time"
)

// ServerCertificate is one for the service itself, below its own root, so that
// it can be spoken with over TLS.
func (ca *CA) ServerCertificate(hosts ...string) (tls.Certificate, error) {
	key, err := newKey("ec")
	if err != nil {
		return tls.Certificate{}, err
	}
	now := ca.Now().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "stand-in"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ca.cfg.Validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	cert, err := sign(template, ca.keys.issuing, key.Public(), ca.keys.issuingKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw, ca.keys.issuing.Raw}, PrivateKey: key}, nil
}
