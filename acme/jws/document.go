package jws

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrDocument reports a document that nobody who is trusted has signed.
var ErrDocument = errors.New("jws: the document is not signed by a key that is trusted")

// Document is something that was signed.
type Document struct {
	Payload []byte
	// Key is the one that made the signature.
	Key crypto.PublicKey
	// IssuedAt is when it says that it was signed: the number of seconds under iat
	// in the protected header. It is zero when it does not say.
	IssuedAt time.Time
}

// VerifyDocument returns what was signed: the payload of a compact JWS, or
// detached when that is not nil and the JWS has none of its own. One of the keys
// has to have made the signature; that a document brings a key of its own means
// nothing.
func VerifyDocument(compact, detached []byte, keys []crypto.PublicKey) (Document, error) {
	text := string(bytes.TrimSpace(compact))
	if detached != nil {
		// RFC 7515, appendix F: the payload is put back where it was taken out.
		header, signature, ok := strings.Cut(text, "..")
		if !ok {
			return Document{}, fmt.Errorf("%w: it is no detached signature in the compact form, which has two dots between header and signature", ErrDocument)
		}
		text = header + "." + base64.RawURLEncoding.EncodeToString(detached) + "." + signature
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range Algorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil {
		return Document{}, fmt.Errorf("%w: it cannot be read: %w", ErrDocument, err)
	}
	for _, key := range keys {
		if payload, err := signed.Verify(key); err == nil {
			d := Document{Payload: payload, Key: key}
			d.IssuedAt, err = issuedAt(signed.Signatures[0].Protected.ExtraHeaders["iat"])
			return d, err
		}
	}
	return Document{}, fmt.Errorf("%w: none of %d keys fits", ErrDocument, len(keys))
}

// issuedAt reads when something was signed from iat of the protected header, nil
// when there is none.
func issuedAt(value any) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	seconds, ok := value.(float64)
	if !ok || seconds != math.Trunc(seconds) || seconds < 1 || seconds > 1<<40 {
		return time.Time{}, fmt.Errorf("%w: iat in its header is not a number of seconds since 1970", ErrDocument)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
