package acme

import (
	"encoding/base64"
	"fmt"
	"io"
)

// tokenBytes is twice what R8555-8-3 asks for.
const tokenBytes = 32

// NewToken returns the token of a challenge, made of bytes read from random
// (R8555-8-3, R8555-11.3-1).
func NewToken(random io.Reader) (string, error) {
	var b [tokenBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("acme: make a challenge token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// KeyAuthorization joins a token to the RFC 7638 thumbprint of an account key:
// what the client must show to prove that the owner of that key asked for the
// validation (R8555-8.1-1, R8555-10.2-1).
func KeyAuthorization(token, thumbprint string) string { return token + "." + thumbprint }
