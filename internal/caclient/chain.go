package caclient

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
)

// maxCertificates bounds what one text may have.
const maxCertificates = 20

// ReadPEM reads certificates and accepts nothing beside them.
func ReadPEM(content []byte) (certs []*x509.Certificate, err error) {
	for len(bytes.TrimSpace(content)) > 0 {
		block, rest := pem.Decode(content)
		switch {
		case block == nil:
			return nil, errors.New("something that is no PEM, or its end is missing")
		case block.Type != "CERTIFICATE":
			return nil, errors.New("a block that is no certificate")
		case len(certs) == maxCertificates:
			return nil, errors.New("too many certificates")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs, content = append(certs, cert), rest
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate")
	}
	return certs, nil
}

// KeyOf is the hash of the public key of a certificate.
func KeyOf(cert *x509.Certificate) [32]byte { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// Chain is Path in DER.
func Chain(leaf *x509.Certificate, certs []*x509.Certificate) [][]byte {
	var der [][]byte
	for _, cert := range Path(leaf, certs) {
		der = append(der, cert.Raw)
	}
	return der
}

// Path is leaf and what certifies it out of certs, without the root.
func Path(leaf *x509.Certificate, certs []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	const longest = 10
	for len(chain) < longest {
		last := chain[len(chain)-1]
		i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
			return c.IsCA && bytes.Equal(c.RawSubject, last.RawIssuer) && !bytes.Equal(c.RawSubject, c.RawIssuer) &&
				!slices.Contains(chain, c) && last.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		chain = append(chain, certs[i])
	}
	return chain
}
