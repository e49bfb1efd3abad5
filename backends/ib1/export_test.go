package ib1

import (
	"crypto"
	"crypto/x509"
)

// CheckMember lets tests hold certificates of others against the profile.
func (a *Authority) CheckMember(c *x509.Certificate, h Holder) error {
	// The number of the golden leaf was chosen, and fits all the same.
	return a.checkMember(c, h)
}

// SignUnchecked signs what the linter lets pass, whatever the profile says.
func (a *Authority) SignUnchecked(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	k := a.tree.leafKind()
	if template.IsCA {
		k = issuerKind
	}
	return sign(k, template, a.cert, key, a.signer, func(*x509.Certificate) error { return nil })
}

// Excused is what the linter may find in the certificates of members of a tree.
func (t Tree) Excused() map[string]string { return excused[t.leafKind()] }

// ExcusedKinds says how many kinds of certificates have an excuse.
func ExcusedKinds() int { return len(excused) }

// Linted are the names of the lints that certificates of the tree are held against.
func (t Tree) Linted() map[string]bool {
	all, err := linters()
	if err != nil {
		panic(err)
	}
	names := map[string]bool{}
	for _, l := range all[t.leafKind()] {
		names[l.Name] = true
	}
	return names
}
