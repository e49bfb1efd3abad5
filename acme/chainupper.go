package acme

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"sync"
	"time"
)

// upperParts are the parts of chains above the leaf that were confirmed up to
// a root. They are few, and bounded all the same, because a CA decides what it
// sends.
type upperParts struct {
	mu    sync.Mutex
	parts map[KeyHash]*upperPart // guarded by mu; the parts themselves never change
}

const maxUpperParts = 16

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// upperPart is what a chain had above its leaf, and the path on to the root.
type upperPart struct {
	certs, path []*x509.Certificate
	// from and until is when all of the path is in date.
	from, until time.Time
}

// remember keeps the upper part of a chain that was just confirmed. What
// restricts names is left to the standard library every time.
func (u *upperParts) remember(certs, path []*x509.Certificate) {
	if len(certs) == 0 {
		return
	}
	part := &upperPart{certs: certs, path: path, until: path[0].NotAfter}
	for _, cert := range path {
		if restrictsNames(cert) {
			return
		}
		if cert.NotBefore.After(part.from) {
			part.from = cert.NotBefore
		}
		if cert.NotAfter.Before(part.until) {
			part.until = cert.NotAfter
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.parts == nil || len(u.parts) >= maxUpperParts {
		u.parts = map[KeyHash]*upperPart{}
	}
	u.parts[hashUpper(rawOf(certs))] = part
}

func (u *upperParts) get(upper [][]byte, now time.Time) *upperPart {
	key := hashUpper(upper)
	u.mu.Lock()
	defer u.mu.Unlock()
	part := u.parts[key]
	if part == nil || now.Before(part.from) || !now.Before(part.until) {
		return nil
	}
	return part
}

// hashUpper names the upper part of a chain. Each certificate is hashed by
// itself first, so that two cannot be cut in another place.
func hashUpper(upper [][]byte) KeyHash {
	h := sha256.New()
	for _, der := range upper {
		sum := sha256.Sum256(der)
		h.Write(sum[:])
	}
	return KeyHash(h.Sum(nil))
}

func rawOf(certs []*x509.Certificate) [][]byte {
	raw := make([][]byte, len(certs))
	for i, cert := range certs {
		raw[i] = cert.Raw
	}
	return raw
}

// restrictsNames finds the extension nameConstraints (RFC 5280, 4.2.1.10).
func restrictsNames(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidNameConstraints) })
}

// checkKnown is CheckChain for a chain whose upper part is known: the leaf is
// checked as ever, and its signature is the only one that is new. known is
// false when the chain has to go the long way.
func (t *Trust) checkKnown(c Contract, chain [][]byte, now time.Time) (leaf *x509.Certificate, known bool, err error) {
	if len(chain) < 2 || len(chain) > maxChainCertificates {
		return nil, false, nil
	}
	part := t.upper.get(chain[1:], now)
	if part == nil {
		return nil, false, nil
	}
	parsed, err := parseChain(chain[:1])
	if err != nil {
		return nil, true, err
	}
	leaf = parsed[0]
	if len(leaf.UnhandledCriticalExtensions) > 0 || leaf.NotBefore.After(now) {
		return nil, false, nil // rare, and the long way knows what to say
	}
	if err := checkLeaf(c, leaf, now); err != nil {
		return nil, true, err
	}
	if err := checkLinks(append(parsed, part.certs...), now); err != nil {
		return nil, true, err
	}
	if err := leaf.CheckSignatureFrom(part.certs[0]); err != nil {
		return nil, true, differs(0, "signature", err.Error(), "a signature of the next certificate")
	}
	if err := checkIssuerUsages(c, append(parsed, part.path...)); err != nil {
		return nil, true, err
	}
	return leaf, true, nil
}
