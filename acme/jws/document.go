package jws

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// ErrDocument reports a document that nobody who is trusted has signed.
var ErrDocument = errors.New("jws: the document is not signed by a key that is trusted")

// VerifyDocument returns what was signed: the payload of a compact JWS, or
// detached when that is not nil and the JWS has none of its own. One of the keys
// has to have made the one signature; that a document brings a key of its own
// means nothing.
func VerifyDocument(compact, detached []byte, keys []crypto.PublicKey) ([]byte, error) {
	algorithms := []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512}
	text := string(bytes.TrimSpace(compact))
	var signed *jose.JSONWebSignature
	var err error
	if detached == nil {
		signed, err = jose.ParseSignedCompact(text, algorithms)
	} else {
		signed, err = jose.ParseDetached(text, detached, algorithms)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read: %w", ErrDocument, err)
	}
	if len(signed.Signatures) != 1 {
		return nil, fmt.Errorf("%w: it has %d signatures, and one is wanted", ErrDocument, len(signed.Signatures))
	}
	for _, key := range keys {
		var payload []byte
		if detached == nil {
			payload, err = signed.Verify(key)
		} else if err = signed.DetachedVerify(detached, key); err == nil {
			payload = detached
		}
		if err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("%w: none of %d keys fits", ErrDocument, len(keys))
}
