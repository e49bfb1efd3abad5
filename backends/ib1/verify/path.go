package verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"sync"
	"time"
)

// The bounds of what a stranger's chain may cost.
const (
	pathCAs     = 4  // certificates above the leaf; a load balancer takes no more either
	pathChecks  = 16 // signatures that are looked at to find a path
	linksCached = 256
)

// tree finds and judges paths from a leaf to the roots of one tree.
type tree struct {
	roots, others, issuers []*x509.Certificate
	// demandsClientAuth: every extended key usage on the path must allow it.
	demandsClientAuth bool

	mu sync.RWMutex
	// links are CA certificates of which the signature by another was found good.
	// Only signatures are remembered; times and rules are looked at each time.
	links map[link]bool
}

type link struct{ child, parent [sha256.Size]byte }

func newTree(roots, others, issuers []*x509.Certificate) (*tree, error) {
	if len(roots) == 0 {
		return nil, errors.New("give the root of the tree: without one nothing can be trusted")
	}
	for _, all := range [][]*x509.Certificate{roots, others, issuers} {
		for _, c := range all {
			if c == nil || !c.IsCA {
				return nil, errors.New("a root or issuer that was given is not the certificate of a CA")
			}
		}
	}
	for _, root := range roots {
		if contains(others, root) {
			return nil, errors.New("a root stands among the roots of other trees too")
		}
	}
	return &tree{roots: slices.Clone(roots), others: slices.Clone(others), issuers: slices.Clone(issuers), links: make(map[link]bool)}, nil
}

// path returns leaf, issuers, root. What else was presented may be in any order
// and need not belong together. Of several paths a good one is taken; without
// one, the failure of the path that got furthest is what is told.
func (t *tree) path(leaf *x509.Certificate, presented []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
	s := search{tree: t, at: at, presented: presented, checks: pathChecks}
	if s.from([]*x509.Certificate{leaf}) {
		return s.found, nil
	}
	if s.err == nil {
		s.err = UntrustedIssuer.becausef("no path leads from %q to a root that is trusted here; is it of another framework or environment, or is the issuer's certificate not sent along?", leaf.Issuer)
	}
	return nil, s.err
}

type search struct {
	*tree
	at        time.Time
	presented []*x509.Certificate
	checks    int
	found     []*x509.Certificate
	err       error // of the first path that reached a root
}

func (s *search) from(path []*x509.Certificate) bool {
	child := path[len(path)-1]
	for _, group := range [][]*x509.Certificate{s.roots, s.others, s.issuers, s.presented} {
		for _, parent := range group {
			if !named(child, parent) || contains(path, parent) || s.checks == 0 {
				continue
			}
			if err := s.signed(child, parent); err != nil {
				s.fail(err)
				continue
			}
			longer := append(slices.Clip(path), parent)
			switch {
			case contains(s.roots, parent):
				err := s.judge(longer)
				if err == nil {
					s.found = longer
					return true
				}
				s.fail(err)
			case contains(s.others, parent):
				s.fail(WrongTree.becausef("the path ends at %q, the root of another tree", parent.Subject))
			case len(longer) <= pathCAs && s.from(longer):
				return true
			}
		}
	}
	return false
}

// fail keeps the first failure that says more than that no path was found. That
// a path leads to another tree gives way to what is wrong with one to this tree.
func (s *search) fail(err error) {
	if FailureOf(err) != UntrustedIssuer && (s.err == nil || FailureOf(s.err) == WrongTree) {
		s.err = err
	}
}

// named says whether parent has the name and the key that child says signed it.
// Issuers of one tree share a name over the generations, so the key decides.
func named(child, parent *x509.Certificate) bool {
	return bytes.Equal(child.RawIssuer, parent.RawSubject) &&
		(len(child.AuthorityKeyId) == 0 || len(parent.SubjectKeyId) == 0 || bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId))
}

func (s *search) signed(child, parent *x509.Certificate) error {
	if algorithm(parent.PublicKey) != child.SignatureAlgorithm {
		return WeakSignature.becausef("%q signed %q with %s; the trees use P-256 with SHA-256 and P-384 with SHA-384", parent.Subject, child.Subject, child.SignatureAlgorithm)
	}
	l := link{sha256.Sum256(child.Raw), sha256.Sum256(parent.Raw)}
	s.mu.RLock()
	known := s.links[l]
	s.mu.RUnlock()
	if known {
		return nil
	}
	s.checks--
	if err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature); err != nil {
		return UntrustedIssuer.becausef("%q did not sign %q: %w", parent.Subject, child.Subject, err)
	}
	// Only what a root signed is remembered, so that strangers cannot fill the table.
	if child.IsCA && contains(s.roots, parent) {
		s.mu.Lock()
		if len(s.links) >= linksCached {
			clear(s.links)
		}
		s.links[l] = true
		s.mu.Unlock()
	}
	return nil
}

// algorithm is the one signature that a key may make here, or 0.
func algorithm(key any) x509.SignatureAlgorithm {
	k, ok := key.(*ecdsa.PublicKey)
	switch {
	case ok && k.Curve == elliptic.P256():
		return x509.ECDSAWithSHA256
	case ok && k.Curve == elliptic.P384():
		return x509.ECDSAWithSHA384
	}
	return x509.UnknownSignatureAlgorithm
}

// judge holds a path of good signatures against the rules (RFC 5280, section 6;
// the nesting of extended key usages is what TLS libraries add).
func (s *search) judge(path []*x509.Certificate) error {
	leaf := path[0]
	if err := critical(leaf); err != nil {
		return err
	}
	if algorithm(leaf.PublicKey) == x509.UnknownSignatureAlgorithm {
		return WeakSignature.becausef("the key is neither P-256 nor P-384")
	}
	for i, ca := range path[1:] {
		if ca.Version != 3 || !ca.BasicConstraintsValid || !ca.IsCA {
			return UntrustedIssuer.becausef("%q is not the certificate of a CA", ca.Subject)
		}
		if err := critical(ca); err != nil {
			return err
		}
		// All members must be valid at the same moment (shell model).
		if s.at.Before(ca.NotBefore) {
			return NotYetValid.becausef("the CA certificate %q begins at %s", ca.Subject, stamp(ca.NotBefore))
		}
		if s.at.After(ca.NotAfter) {
			return IssuerExpired.becausef("the CA certificate %q ended at %s", ca.Subject, stamp(ca.NotAfter))
		}
		if ca.KeyUsage&x509.KeyUsageCertSign == 0 {
			return CAKeyUsage.becausef("the key of %q may not sign certificates", ca.Subject)
		}
		if limited := ca.MaxPathLen > 0 || ca.MaxPathLenZero; limited && i > ca.MaxPathLen {
			return PathLength.becausef("%q allows %d CAs below itself, and %d are there", ca.Subject, ca.MaxPathLen, i)
		}
		if s.demandsClientAuth && restricted(ca) && !usable(ca, x509.ExtKeyUsageClientAuth) && !usable(ca, x509.ExtKeyUsageAny) {
			return EKUNesting.becausef("the extended key usage of %q leaves client certificates out", ca.Subject)
		}
	}
	return nil
}

// critical refuses extensions that bind whoever reads them and that nothing
// here reads. The extensions of IB1 are among them when they are marked so: other
// software could not use such a certificate at all.
func critical(c *x509.Certificate) error {
	for _, e := range c.Extensions {
		known := slices.ContainsFunc([]asn1.ObjectIdentifier{
			{2, 5, 29, 15}, {2, 5, 29, 17}, {2, 5, 29, 19}, {2, 5, 29, 37}, // keyUsage, SAN, basicConstraints, extKeyUsage
		}, e.Id.Equal)
		nameConstraints := asn1.ObjectIdentifier{2, 5, 29, 30}
		if e.Critical && !known || e.Id.Equal(nameConstraints) {
			return UnhandledCriticalExtension.becausef("%q has extension %s, which must be obeyed and is not known here", c.Subject, e.Id)
		}
	}
	return nil
}

func restricted(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage) > 0 || len(c.UnknownExtKeyUsage) > 0
}

func usable(c *x509.Certificate, u x509.ExtKeyUsage) bool { return slices.Contains(c.ExtKeyUsage, u) }

func contains(all []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(all, c.Equal)
}

// second cuts a time to what certificates can say: their last second counts
// whole.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
