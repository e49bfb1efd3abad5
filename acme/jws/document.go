package jws

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ErrDocument reports a document that nobody who is trusted has signed.
var ErrDocument = errors.New("jws: the document is not signed by a key that is trusted")

// VerifyDocument returns what was signed: the payload of a compact JWS, or
// detached when that is not nil and the JWS has none of its own. One of the keys
// has to have made the signature; that a document brings a key of its own means
// nothing.
func VerifyDocument(compact, detached []byte, keys []crypto.PublicKey) ([]byte, error) {
	text := string(bytes.TrimSpace(compact))
	if detached != nil {
		// RFC 7515, appendix F: the payload is put back where it was taken out.
		header, signature, ok := strings.Cut(text, "..")
		if !ok {
			return nil, fmt.Errorf("%w: it is no detached signature in the compact form, which has two dots between header and signature", ErrDocument)
		}
		text = header + "." + base64.RawURLEncoding.EncodeToString(detached) + "." + signature
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range Algorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read: %w", ErrDocument, err)
	}
	for _, key := range keys {
		if payload, err := signed.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("%w: none of %d keys fits", ErrDocument, len(keys))
}
