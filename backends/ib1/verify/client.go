package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Trust is what certificates are held against.
type Trust struct {
	// Roots are the roots of the tree, of one framework and environment. Nothing
	// but the tree tells a client certificate from a signing certificate.
	Roots []*x509.Certificate
	// OtherRoots are roots of the other trees. They are trusted for nothing; they
	// only turn untrusted_issuer into wrong_tree.
	OtherRoots []*x509.Certificate
	// Issuers are for those who present their own certificate only. They need
	// not be complete and are checked like presented ones.
	Issuers []*x509.Certificate
	// CRLs has the revocation lists.
	CRLs *CRLs
	// NoRootCRL is for a tree whose root publishes no list: then issuers are not
	// looked up, and one that was compromised stays trusted until it ends.
	NoRootCRL bool
	// Now is the clock; time.Now without it.
	Now func() time.Time
}

// Client verifies the certificates of clients. It is safe for concurrent use.
type Client struct {
	tree      *tree
	crls      *CRLs
	noRootCRL bool
	now       func() time.Time
}

// NewClient returns a Client for the client tree.
func NewClient(trust Trust) (*Client, error) {
	t, err := trust.tree()
	if err != nil {
		return nil, fmt.Errorf("verify client certificates: %w", err)
	}
	t.demandsClientAuth = true
	return &Client{tree: t, crls: trust.CRLs, noRootCRL: trust.NoRootCRL, now: trust.clock()}, nil
}

func (t Trust) tree() (*tree, error) {
	if t.CRLs == nil {
		return nil, errors.New("give the revocation lists: without them revoked certificates would be accepted")
	}
	return newTree(t.Roots, t.OtherRoots, t.Issuers)
}

func (t Trust) clock() func() time.Time {
	if t.Now == nil {
		return time.Now
	}
	return t.Now
}

// Verify holds a certificate, and what was presented with it, against all rules
// that do not depend on what is asked for: see Identity for the role and the
// token.
func (c *Client) Verify(ctx context.Context, presented []*x509.Certificate) (Identity, error) {
	if len(presented) == 0 {
		return Identity{}, CertificateMissing.becausef("no client certificate was presented")
	}
	leaf, now := presented[0], second(c.now())
	if leaf.Version != 3 {
		return Identity{}, CertificateVersion.becausef("the certificate is of version %d", leaf.Version)
	}
	if now.Before(leaf.NotBefore) {
		return Identity{}, NotYetValid.becausef("the certificate begins at %s", stamp(leaf.NotBefore))
	}
	if now.After(leaf.NotAfter) {
		return Identity{}, Expired.becausef("the certificate ended at %s", stamp(leaf.NotAfter))
	}
	path, err := c.tree.path(leaf, presented[1:], now)
	if err != nil {
		return Identity{}, err
	}
	if err := endEntity(leaf, true); err != nil {
		return Identity{}, err
	}
	if err := unrevoked(ctx, c.crls, path, now, c.noRootCRL, nil); err != nil {
		return Identity{}, err
	}
	return identify(path)
}

// unrevoked looks up each certificate below the root. excused may accept the
// revocation of the leaf.
func unrevoked(ctx context.Context, lists *CRLs, path []*x509.Certificate, now time.Time, noRootCRL bool, excused func(revocation) bool) error {
	for i, cert := range path[:len(path)-1] {
		if i > 0 && noRootCRL && i == len(path)-2 {
			continue
		}
		r, err := lists.lookup(ctx, cert, path[i+1], now)
		switch {
		case err != nil:
			return err
		case r == nil:
		case i > 0:
			return IssuerRevoked.becausef("the CA certificate %q was revoked at %s, reason %d", cert.Subject, stamp(r.at), r.reason)
		case excused == nil || !excused(*r):
			return Revoked.becausef("the certificate was revoked at %s, reason %d", stamp(r.at), r.reason)
		}
	}
	return nil
}

// VerifyConnection is for tls.Config.VerifyConnection. Other than
// VerifyPeerCertificate it runs for resumed sessions too, so that a certificate
// that was revoked meanwhile is not carried on.
func (c *Client) VerifyConnection(s tls.ConnectionState) error {
	_, err := c.Verify(context.Background(), s.PeerCertificates)
	return err
}

// TLSConfig returns a copy of a server's configuration that asks for a client
// certificate and refuses the connection without a good one. The check of the
// standard library is left out: it knows no revocation and does not say which
// rule was broken. What base chooses by GetConfigForClient is treated likewise.
func (c *Client) TLSConfig(base *tls.Config) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		config = base.Clone()
	}
	if choose := config.GetConfigForClient; choose != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if err != nil || chosen == nil {
				return nil, err
			}
			return c.TLSConfig(chosen), nil
		}
	}
	before := config.VerifyConnection
	config.ClientAuth = tls.RequestClientCert
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if before != nil {
			if err := before(s); err != nil {
				return err
			}
		}
		return c.VerifyConnection(s)
	}
	return config
}
