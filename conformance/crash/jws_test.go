package crash_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// jwk has its members in the order that RFC 7638 hashes.
type jwk struct {
	Curve string `json:"crv"`
	Type  string `json:"kty"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

type header struct {
	Algorithm string `json:"alg"`
	Nonce     string `json:"nonce,omitempty"`
	URL       string `json:"url"`
	Key       *jwk   `json:"jwk,omitempty"`
	KeyID     string `json:"kid,omitempty"`
}

type message struct {
	Protected string `json:"protected"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return key
}

func jwkOf(key *ecdsa.PrivateKey) (jwk, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return jwk{}, err
	}
	half := (len(point) - 1) / 2
	return jwk{Curve: "P-256", Type: "EC", X: b64(point[1 : 1+half]), Y: b64(point[1+half:])}, nil
}

func thumbprint(key *ecdsa.PrivateKey) (string, error) {
	k, err := jwkOf(key)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(k)
	sum := sha256.Sum256(text)
	return b64(sum[:]), err
}

// sign makes a flattened JWS. A nil payload is the empty one of a POST-as-GET.
func sign(key *ecdsa.PrivateKey, h header, payload any) (message, error) {
	h.Algorithm = "ES256"
	m, err := unsigned(h, payload)
	if err != nil {
		return m, err
	}
	sum := sha256.Sum256([]byte(m.Protected + "." + m.Payload))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return m, fmt.Errorf("sign a request to %s: %w", h.URL, err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	m.Signature = b64(raw)
	return m, nil
}

// bind makes an external account binding.
func bind(keyID, macKey, newAccountURL string, account *ecdsa.PrivateKey) (message, error) {
	secret, err := base64.RawURLEncoding.DecodeString(macKey)
	if err != nil {
		return message{}, err
	}
	k, err := jwkOf(account)
	if err != nil {
		return message{}, err
	}
	m, err := unsigned(header{Algorithm: "HS256", KeyID: keyID, URL: newAccountURL}, k)
	if err != nil {
		return m, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(m.Protected + "." + m.Payload))
	m.Signature = b64(mac.Sum(nil))
	return m, nil
}

func unsigned(h header, payload any) (message, error) {
	head, err := json.Marshal(h)
	if err != nil {
		return message{}, err
	}
	m := message{Protected: b64(head)}
	if payload != nil {
		body, err := json.Marshal(payload)
		if err != nil {
			return m, err
		}
		m.Payload = b64(body)
	}
	return m, nil
}
