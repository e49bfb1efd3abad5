package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"

	"acmebridge/backends"
)

// maxAlternates bounds the further chains that are asked for with one
// certificate, and maxChains those that are remembered.
const (
	maxAlternates = 4
	maxChains     = 16
)

// download gets the certificate of a valid order, as it came: the engine judges
// it, its key and names included.
func (b *Backend) download(ctx context.Context, s *session, o order) (backends.Result, error) {
	if !b.web.oursText(o.Certificate) {
		return backends.Result{}, fmt.Errorf("%w: a certificate", errOrigin)
	}
	chain, err := s.FetchCert(ctx, o.Certificate, true)
	if err != nil {
		return backends.Result{}, fmt.Errorf("upstream: download the certificate: %w", transient(b.settle(s, err)))
	}
	b.fetchAlternates(ctx, s, o.Certificate)
	return backends.Result{Chain: chain}, nil
}

// chains are the alternate chains that the CA has shown, without leaf and root.
// They belong to its issuers and not to a certificate, so what came with one
// fits the next. They are not stored: each download brings them again.
type chains struct {
	mu    sync.Mutex
	known [][][]byte
	have  map[[sha256.Size]byte]bool
}

// fetchAlternates learns the further chains of a certificate (R8555-7.4.2-2). A
// certificate without them is as good, so what fails is let go.
func (b *Backend) fetchAlternates(ctx context.Context, s *session, url string) {
	links, err := s.ListCertAlternates(ctx, url)
	if err != nil {
		return
	}
	for _, link := range links[:min(len(links), maxAlternates)] {
		if chain, err := s.FetchCert(ctx, link, true); err == nil {
			b.chains.add(upper(chain))
		}
	}
}

// upper is a chain without its leaf and its root.
func upper(chain [][]byte) (up [][]byte) {
	for _, der := range chain[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		if bytes.Equal(c.RawSubject, c.RawIssuer) {
			break
		}
		up = append(up, der)
	}
	return up
}

func (c *chains) add(up [][]byte) {
	if len(up) == 0 {
		return
	}
	hash := sha256.Sum256(bytes.Join(up, nil))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.have[hash] || len(c.known) == maxChains {
		return
	}
	if c.have == nil {
		c.have = map[[sha256.Size]byte]bool{}
	}
	c.have[hash] = true
	c.known = append(c.known, up)
}

// AlternateChains implements backends.CrossSigned.
func (b *Backend) AlternateChains() [][][]byte {
	b.chains.mu.Lock()
	defer b.chains.mu.Unlock()
	return append([][][]byte{}, b.chains.known...)
}
