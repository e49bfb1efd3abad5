package sectigo

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
)

// ErrNoMatch: no certificate of the archive is for that key.
var ErrNoMatch = errors.New("the archive has no certificate for this key")

// Match returns the chain of the certificate for a public key, leaf first. It
// goes by the key alone and never by the name of a member or of a subject: the
// CA changes the first for duplicates, and the second is the same for renewals.
// Of several certificates for the key it takes one with exactly those names, if
// there is one, and of those the one that began last. Whether the certificate is
// what was ordered is for the caller to judge.
//
// The chain ends before the root unless withRoot is set.
func (a Archive) Match(publicKey []byte, names []string, withRoot bool) ([]*x509.Certificate, error) {
	leaf := a.leafFor(sha256.Sum256(publicKey), hashNames(names))
	if leaf == nil {
		return nil, ErrNoMatch
	}
	return a.chainOf(leaf, withRoot), nil
}

// leafFor finds the certificate for a key, by the hashes of what it should
// have; nil when there is none.
func (a Archive) leafFor(key, names [32]byte) (leaf *x509.Certificate) {
	for _, cert := range a.Certificates {
		if cert.IsCA || sha256.Sum256(cert.RawSubjectPublicKeyInfo) != key {
			continue
		}
		if leaf == nil || better(cert, leaf, names) {
			leaf = cert
		}
	}
	return leaf
}

func (a Archive) chainOf(leaf *x509.Certificate, withRoot bool) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	const longest = 10
	for len(chain) < longest {
		issuer := a.issuer(chain[len(chain)-1])
		if issuer == nil || slices.Contains(chain, issuer) {
			break
		}
		if selfIssued(issuer) && !withRoot {
			break
		}
		chain = append(chain, issuer)
	}
	return chain
}

func better(cert, than *x509.Certificate, names [32]byte) bool {
	if a, b := hashNames(cert.DNSNames) == names, hashNames(than.DNSNames) == names; a != b {
		return a
	}
	return cert.NotBefore.After(than.NotBefore)
}

// hashNames is the same for the same names in any order.
func hashNames(names []string) [32]byte {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return sha256.Sum256([]byte(strings.Join(sorted, "\n")))
}

// issuer finds who signed cert; a self-signed certificate has no other.
func (a Archive) issuer(cert *x509.Certificate) *x509.Certificate {
	if selfIssued(cert) {
		return nil
	}
	for _, candidate := range a.Certificates {
		switch {
		case !candidate.IsCA, !bytes.Equal(candidate.RawSubject, cert.RawIssuer):
		case len(cert.AuthorityKeyId) > 0 && len(candidate.SubjectKeyId) > 0 && !bytes.Equal(cert.AuthorityKeyId, candidate.SubjectKeyId):
		case cert.CheckSignatureFrom(candidate) == nil:
			return candidate
		}
	}
	return nil
}

func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }
