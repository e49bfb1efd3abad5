// Package accountjws signs the requests of an ACME account (RFC 8555, 6.2) that
// the client library has no call for.
package accountjws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// Sign returns the flattened JWS of a payload, none for a POST-as-GET (6.3), by
// ES256: the key has to be on P-256. account is its URL.
func Sign(key *ecdsa.PrivateKey, account, url, nonce string, payload []byte) ([]byte, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("accountjws: the key of the account is not on P-256")
	}
	header, err := json.Marshal(struct {
		Alg   string `json:"alg"`
		KID   string `json:"kid"`
		Nonce string `json:"nonce"`
		URL   string `json:"url"`
	}{"ES256", account, nonce, url})
	if err != nil {
		return nil, err
	}
	protected, encoded := encode(header), encode(payload)
	digest := sha256.Sum256([]byte(protected + "." + encoded))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	// RFC 7518, 3.4: both halves in full length.
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return json.Marshal(struct {
		Protected string `json:"protected"`
		Payload   string `json:"payload"`
		Signature string `json:"signature"`
	}{protected, encoded, encode(signature)})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
