package acmetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"math/big"
)

// b64 is the only encoding ACME knows (R8555-6.1-6).
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// key signs requests. It is built on the standard library alone, because a JOSE
// library would refuse to produce most of what the hostile cases send.
type key struct {
	alg    string
	jwk    map[string]any
	signer crypto.Signer
	sign   func(input []byte) []byte
}

// newKey makes the suite's ordinary key, P-256 with ES256 (R8555-6.2-9).
func (t *T) newKey() *key { return t.newECKey(elliptic.P256()) }

func (t *T) newECKey(curve elliptic.Curve) *key {
	priv, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatalf("make an EC key: %v", err)
	}
	return t.ecKey(priv)
}

func (t *T) ecKey(priv *ecdsa.PrivateKey) *key {
	params := priv.Curve.Params()
	size := (params.BitSize + 7) / 8
	alg, digest := "ES256", crypto.SHA256
	switch params.BitSize {
	case 384:
		alg, digest = "ES384", crypto.SHA384
	case 521:
		alg, digest = "ES512", crypto.SHA512
	}
	point, err := priv.PublicKey.Bytes()
	if err != nil {
		t.Fatalf("encode an EC key: %v", err)
	}
	return &key{
		alg: alg,
		jwk: map[string]any{
			"kty": "EC", "crv": params.Name,
			"x": b64(point[1 : 1+size]), "y": b64(point[1+size:]),
		},
		signer: priv,
		sign: func(input []byte) []byte {
			h := digest.New()
			h.Write(input)
			r, s, err := ecdsa.Sign(rand.Reader, priv, h.Sum(nil))
			if err != nil {
				t.Fatalf("sign with an EC key: %v", err)
			}
			// RFC 7518: both halves in full length, leading zeros kept.
			out := make([]byte, 2*size)
			r.FillBytes(out[:size])
			s.FillBytes(out[size:])
			return out
		},
	}
}

func (t *T) newRSAKey(bits int) *key {
	priv, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatalf("make an RSA key of %d bits: %v", bits, err)
	}
	return &key{
		alg: "RS256",
		jwk: map[string]any{
			"kty": "RSA", "n": b64(priv.N.Bytes()),
			"e": b64(big.NewInt(int64(priv.E)).Bytes()),
		},
		signer: priv,
		sign: func(input []byte) []byte {
			sum := sha256.Sum256(input)
			sig, err := rsa.SignPKCS1v15(rand.Reader, priv, crypto.SHA256, sum[:])
			if err != nil {
				t.Fatalf("sign with an RSA key: %v", err)
			}
			return sig
		},
	}
}

func (t *T) newEd25519Key() *key {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("make an Ed25519 key: %v", err)
	}
	return &key{
		alg:    "EdDSA",
		jwk:    map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(pub)},
		signer: priv,
		sign:   func(input []byte) []byte { return ed25519.Sign(priv, input) },
	}
}

// hmacKey signs with a shared secret: right for external account binding, an
// attack anywhere else (R8555-6.2-8).
func hmacKey(alg string, secret []byte) *key {
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	return &key{
		alg: alg,
		jwk: map[string]any{"kty": "oct", "k": b64(secret)},
		sign: func(input []byte) []byte {
			mac := hmac.New(newHash, secret)
			mac.Write(input)
			return mac.Sum(nil)
		},
	}
}

// with returns the key under a changed public description.
func (k *key) with(member string, value any) *key {
	changed := *k
	changed.jwk = map[string]any{}
	for name, v := range k.jwk {
		changed.jwk[name] = v
	}
	changed.jwk[member] = value
	return &changed
}

// thumbprint is RFC 7638; encoding/json sorts the members as it demands.
func (k *key) thumbprint() string {
	text, err := json.Marshal(k.jwk)
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(text)
	return b64(sum[:])
}

// keyAuthorization is R8555-8.1-1.
func (k *key) keyAuthorization(token string) string { return token + "." + k.thumbprint() }

// privateScalar is the part of an EC key that must never travel.
func (k *key) privateScalar(t *T) string {
	priv, ok := k.signer.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a %s key has no private scalar", k.alg)
	}
	d, err := priv.Bytes()
	if err != nil {
		t.Fatalf("encode an EC key: %v", err)
	}
	return b64(d)
}
