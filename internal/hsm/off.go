//go:build !pkcs11

package hsm

import (
	"crypto"
	"crypto/elliptic"
	"fmt"
)

// Token is an open token.
type Token struct{}

// Open logs in to a token.
func Open(c Config) (*Token, error) {
	if _, err := c.check(); err != nil {
		return nil, fmt.Errorf("hsm: %w", err)
	}
	return nil, fmt.Errorf("hsm: %w", ErrNotBuilt)
}

// Create makes a key, or returns the one that has the name already.
func (*Token) Create(string, elliptic.Curve) (crypto.Signer, error) { return nil, ErrNotBuilt }

// Open returns a key, or an error that is fs.ErrNotExist.
func (*Token) Open(string) (crypto.Signer, error) { return nil, ErrNotBuilt }

// Has reports whether there is a key.
func (*Token) Has(string) (bool, error) { return false, ErrNotBuilt }

// Close ends the sessions.
func (*Token) Close() error { return nil }
