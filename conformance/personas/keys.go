package personas

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"math/big"
)

// b64 is the only encoding ACME knows (R8555-6.1-6).
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// key signs requests. Its jwk is the text of which RFC 7638 takes the hash.
type key struct {
	alg    string
	jwk    string
	signer crypto.Signer
	sign   func(input []byte) []byte
}

func (k *key) thumbprint() string {
	sum := sha256.Sum256([]byte(k.jwk))
	return b64(sum[:])
}

func (t *T) ecKey() *key { return t.keyOf(t.ecSigner(elliptic.P256())) }

func (t *T) ecSigner(curve elliptic.Curve) crypto.Signer {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.broken("make an EC key: %v", err)
	}
	return k
}

func (t *T) rsaKey(bits int) *key { return t.keyOf(t.rsaSigner(bits)) }

func (t *T) rsaSigner(bits int) crypto.Signer {
	k, err := t.suite.cfg.RSAKey(bits)
	if err != nil {
		t.broken("make an RSA key: %v", err)
	}
	return k
}

// keyOf gives a private key the form that requests need.
func (t *T) keyOf(signer crypto.Signer) *key {
	switch k := signer.(type) {
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes()
		if err != nil {
			t.broken("encode an EC key: %v", err)
		}
		size := (len(point) - 1) / 2
		return &key{
			alg: "ES256", signer: k,
			jwk: fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, k.Params().Name, b64(point[1:1+size]), b64(point[1+size:])),
			sign: func(input []byte) []byte {
				sum := sha256.Sum256(input)
				r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
				if err != nil {
					t.broken("sign with an EC key: %v", err)
				}
				out := make([]byte, 2*size)
				r.FillBytes(out[:size])
				s.FillBytes(out[size:])
				return out
			},
		}
	case *rsa.PrivateKey:
		return &key{
			alg: "RS256", signer: k,
			jwk: fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, b64(big.NewInt(int64(k.E)).Bytes()), b64(k.N.Bytes())),
			sign: func(input []byte) []byte {
				sum := sha256.Sum256(input)
				sig, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
				if err != nil {
					t.broken("sign with an RSA key: %v", err)
				}
				return sig
			},
		}
	}
	t.broken("no account key is made of a %T", signer)
	return nil
}

// binding is the externalAccountBinding of RFC 8555 section 7.3.4 as JSON text.
// The personas differ in the MAC.
func binding(alg, kid string, secret []byte, url, jwk string) string {
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS512": sha512.New}[alg]
	protected := b64(fmt.Appendf(nil, `{"alg":"%s","kid":"%s","url":"%s"}`, alg, kid, url))
	payload := b64([]byte(jwk))
	mac := hmac.New(newHash, secret)
	mac.Write([]byte(protected + "." + payload))
	return fmt.Sprintf(`{"protected":"%s","payload":"%s","signature":"%s"}`, protected, payload, b64(mac.Sum(nil)))
}

// nested is the inner JWS of a key change: no nonce, the new key in jwk.
func nested(k *key, url, payload string) string {
	protected := b64(fmt.Appendf(nil, `{"alg":"%s","jwk":%s,"url":"%s"}`, k.alg, k.jwk, url))
	text := b64([]byte(payload))
	return fmt.Sprintf(`{"protected":"%s","payload":"%s","signature":"%s"}`, protected, text, b64(k.sign([]byte(protected+"."+text))))
}
