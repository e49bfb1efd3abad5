package backendtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acmebridge/backends"
)

// checkSigners wants of every signer what clients of OCSP want: certified by the
// CA for that and nothing else, good when it begins, and replaced in time.
func checkSigners(_ context.Context, s Subject) error {
	delegate := s.Backend.(backends.StatusDelegate)
	now := s.Now().UTC().Truncate(time.Second)
	var names []string
	for _, signer := range delegate.StatusSigners() {
		if slices.Contains(names, signer.Name) || !strings.HasPrefix(signer.Name, "ca/") {
			return fmt.Errorf("the name %q is taken, or not of a CA certificate", signer.Name)
		}
		names = append(names, signer.Name)
		issuer, err := x509.ParseCertificate(signer.Issuer)
		if err != nil {
			return fmt.Errorf("%s: the issuer: %w", signer.Name, err)
		}
		var seen []*x509.Certificate
		for number := int64(1); number <= 3; number++ {
			cert, err := checkSigner(delegate, signer.Name, issuer, number, now)
			if err != nil {
				return fmt.Errorf("%s, number %d: %w", signer.Name, number, err)
			}
			for _, other := range seen {
				if other.SerialNumber.Cmp(cert.SerialNumber) == 0 || bytes.Equal(other.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo) {
					return fmt.Errorf("%s: number %d has the key or the serial number of another", signer.Name, number)
				}
			}
			seen = append(seen, cert)
		}
	}
	return nil
}

func checkSigner(delegate backends.StatusDelegate, name string, issuer *x509.Certificate, number int64, now time.Time) (*x509.Certificate, error) {
	der, next, err := delegate.CertifySigner(name, number, now)
	if err != nil {
		return nil, err
	}
	again, _, err := delegate.CertifySigner(name, number, now)
	if err != nil || !bytes.Equal(der, again) {
		return nil, fmt.Errorf("asked twice, it is not the same: %w", errors.Join(err, errors.New("other bytes")))
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := cert.CheckSignatureFrom(issuer); err != nil {
		return nil, err
	}
	if cert.IsCA || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}) || cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, fmt.Errorf("usages %v and %b are not those of a signer of OCSP answers alone", cert.ExtKeyUsage, cert.KeyUsage)
	}
	if now.Before(cert.NotBefore) || !next.After(now) || !next.Before(cert.NotAfter) {
		return nil, fmt.Errorf("it is good from %s to %s, and the next one comes at %s", cert.NotBefore, cert.NotAfter, next)
	}
	key, err := delegate.SignerKey(name, number)
	if err != nil {
		return nil, err
	}
	if public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the key is not the certificate's")
	}
	return cert, nil
}
