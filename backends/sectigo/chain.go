package sectigo

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"acmebridge/internal/caclient"
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
	chain := caclient.Path(leaf, a.Certificates)
	last := chain[len(chain)-1]
	if !withRoot || bytes.Equal(last.RawSubject, last.RawIssuer) {
		return chain
	}
	for _, root := range a.Certificates {
		if root.IsCA && bytes.Equal(root.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(root) == nil {
			return append(chain, root)
		}
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
