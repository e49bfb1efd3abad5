package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"

	"acmebridge/acme/jws"
)

// headers are the members of a protected header. A value of nil leaves a
// member out that sign would add.
type headers map[string]any

// newOrder stands for the payload structs of a server.
type newOrder struct {
	Identifiers []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"identifiers"`
	NotAfter string `json:"notAfter"`
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign plays a client that does as it is told, in the flattened form. It
// shares no code with what it tests. The alg is the one for the key unless h
// says otherwise.
func sign(t testing.TB, signer crypto.Signer, h headers, payload string) []byte {
	t.Helper()
	full := headers{"alg": algorithm(t, signer.Public())}
	for name, value := range h {
		if full[name] = value; value == nil {
			delete(full, name)
		}
	}
	return flatten(t, signer, marshal(t, full), payload)
}

// flatten signs a header that is given as text.
func flatten(t testing.TB, signer crypto.Signer, header []byte, payload string) []byte {
	t.Helper()
	protected, encoded := encode(header), encode([]byte(payload))
	signature := signature(t, signer, []byte(protected+"."+encoded))
	return marshal(t, map[string]string{"protected": protected, "payload": encoded, "signature": encode(signature)})
}

func signature(t testing.TB, signer crypto.Signer, input []byte) []byte {
	t.Helper()
	switch key := signer.(type) {
	case *rsa.PrivateKey:
		s, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest(crypto.SHA256, input))
		if err != nil {
			t.Fatal(err)
		}
		return s
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input)
	case *ecdsa.PrivateKey:
		size := (key.Params().BitSize + 7) / 8
		h := map[int]crypto.Hash{32: crypto.SHA256, 48: crypto.SHA384, 66: crypto.SHA512}[size]
		r, s, err := ecdsa.Sign(rand.Reader, key, digest(h, input))
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	t.Fatalf("cannot sign with a %T", signer)
	return nil
}

// signMAC makes an external account binding.
func signMAC(t testing.TB, h crypto.Hash, macKey []byte, header headers, payload string) []byte {
	t.Helper()
	protected, encoded := encode(marshal(t, header)), encode([]byte(payload))
	mac := hmac.New(h.New, macKey)
	mac.Write([]byte(protected + "." + encoded))
	return marshal(t, map[string]string{"protected": protected, "payload": encoded, "signature": encode(mac.Sum(nil))})
}

func digest(h crypto.Hash, input []byte) []byte {
	d := h.New()
	d.Write(input)
	return d.Sum(nil)
}

func algorithm(t testing.TB, pub crypto.PublicKey) string {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return "RS256"
	case ed25519.PublicKey:
		return "EdDSA"
	case *ecdsa.PublicKey:
		return map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.Params().Name]
	}
	t.Fatalf("no algorithm for a %T", pub)
	return ""
}

// publicJWK writes a public key as clients do.
func publicJWK(t testing.TB, pub crypto.PublicKey) map[string]any {
	t.Helper()
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(key)}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		size := len(point) / 2
		return map[string]any{"kty": "EC", "crv": key.Params().Name, "x": encode(point[1 : 1+size]), "y": encode(point[1+size:])}
	}
	t.Fatalf("no JWK for a %T", pub)
	return nil
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustVerify returns what Parse and Verify make of a good request.
func mustVerify(t testing.TB, body []byte, k *jws.Key) jws.Verified {
	t.Helper()
	m, p := jws.Parse(body)
	if p != nil {
		t.Fatalf("Parse: %v", p)
	}
	if k == nil {
		k = m.Key()
	}
	v, p := m.Verify(k)
	if p != nil {
		t.Fatalf("Verify: %v", p)
	}
	return v
}

// goodBinding is a binding of the key jwk with macKey.
func goodBinding(t testing.TB, header headers, jwk map[string]any) []byte {
	return signMAC(t, crypto.SHA256, macKey, header, string(marshal(t, jwk)))
}
