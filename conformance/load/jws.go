package main

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// jwk is an EC public key in the member order that RFC 7638 hashes, so that its JSON
// is also the thumbprint's input.
type jwk struct {
	Curve string `json:"crv"`
	Type  string `json:"kty"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// protected is the JWS protected header of every request; a request carries either
// the key (newAccount) or the account URL (all others), never both (R8555-6.2).
type protected struct {
	Algorithm string `json:"alg"`
	Nonce     string `json:"nonce,omitempty"`
	URL       string `json:"url"`
	Key       *jwk   `json:"jwk,omitempty"`
	KeyID     string `json:"kid,omitempty"`
}

// flattened is the only JWS serialization that ACME allows.
type flattened struct {
	Protected string `json:"protected"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

// publicJWK gives the key's public half; coordinates keep their leading zeros.
func publicJWK(key *ecdsa.PrivateKey) (jwk, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return jwk{}, fmt.Errorf("encode the account key: %w", err)
	}
	half := (len(point) - 1) / 2
	return jwk{Curve: "P-256", Type: "EC", X: b64(point[1 : 1+half]), Y: b64(point[1+half:])}, nil
}

// thumbprint is what a challenge token is joined with to form the key authorization.
func (k jwk) thumbprint() string {
	canonical, err := json.Marshal(k)
	if err != nil {
		panic("four strings always encode: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return b64(sum[:])
}

// signES256 makes a flattened JWS. A nil payload makes the empty payload of a
// POST-as-GET, which differs from an empty object.
func signES256(key *ecdsa.PrivateKey, header protected, payload any) ([]byte, error) {
	header.Algorithm = "ES256"
	message, err := unsigned(header, payload)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(message.Protected + "." + message.Payload))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign the request to %s: %w", header.URL, err)
	}
	// JWS wants r and s side by side at full width, not the ASN.1 form.
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	message.Signature = b64(raw)
	return json.Marshal(message)
}

// bindExternalAccount makes the inner JWS of an external account binding: the account's
// public key, under the key that the CA gave out of band.
func bindExternalAccount(keyID, hmacKey, newAccountURL string, account jwk) (json.RawMessage, error) {
	secret, err := base64.RawURLEncoding.DecodeString(hmacKey)
	if err != nil {
		return nil, fmt.Errorf("-eab-hmac must be base64url without padding: %w", err)
	}
	message, err := unsigned(protected{Algorithm: "HS256", KeyID: keyID, URL: newAccountURL}, account)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(message.Protected + "." + message.Payload))
	message.Signature = b64(mac.Sum(nil))
	return json.Marshal(message)
}

func unsigned(header protected, payload any) (flattened, error) {
	head, err := json.Marshal(header)
	if err != nil {
		return flattened{}, fmt.Errorf("encode the JWS header: %w", err)
	}
	message := flattened{Protected: b64(head)}
	if payload != nil {
		body, err := json.Marshal(payload)
		if err != nil {
			return flattened{}, fmt.Errorf("encode the JWS payload: %w", err)
		}
		message.Payload = b64(body)
	}
	return message, nil
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
