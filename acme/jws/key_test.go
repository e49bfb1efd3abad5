package jws_test

import (
	"crypto"
	"crypto/dsa"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"acmebridge/acme"
	"acmebridge/acme/jws"
)

// The example of RFC 7638, section 3.1.
const (
	rfc7638Modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst" +
		"n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-" +
		"bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	rfc7638Thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
)

func TestThumbprintVector(t *testing.T) {
	t.Parallel()
	n, err := base64.RawURLEncoding.DecodeString(rfc7638Modulus)
	if err != nil {
		t.Fatal(err)
	}
	k, p := jws.NewKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	expect(t, p, "")
	if k.Thumbprint != rfc7638Thumbprint {
		t.Errorf("got %s", k.Thumbprint)
	}
}

// The thumbprint is what go-jose, and so most clients, compute; it survives
// storing and so does the key.
func TestKeyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, signer := range []crypto.Signer{newRSA(t), newEC(t, elliptic.P256()), newEC(t, elliptic.P384()), newEC(t, elliptic.P521()), newEd25519(t)} {
		k := keyOf(t, signer)
		theirs, err := (&jose.JSONWebKey{Key: signer.Public()}).Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if k.Thumbprint != encode(theirs) {
			t.Errorf("%T: thumbprint %s, go-jose says %s", signer, k.Thumbprint, encode(theirs))
		}
		for _, stored := range []string{k.Thumbprint, ""} {
			again, err := jws.ParseSPKI(k.SPKI, stored)
			if err != nil {
				t.Fatal(err)
			}
			if again.Thumbprint != k.Thumbprint || again.Hash != k.Hash {
				t.Errorf("%T: stored %+v, read %+v", signer, k, again)
			}
		}
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	t.Parallel()
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]crypto.PublicKey{
		"nil":       nil,
		"DSA":       &dsa.PublicKey{},
		"X25519":    x25519.PublicKey(),
		"P-224":     newEC(t, elliptic.P224()).Public(),
		"EK-15 RSA": &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8192), E: 65537},
	} {
		_, p := jws.NewKey(pub)
		if p == nil || p.Type != acme.BadPublicKey {
			t.Errorf("%s: %v", name, p)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(newEC(t, elliptic.P224()).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range [][]byte{nil, []byte("rubbish"), der} {
		if _, err := jws.ParseSPKI(stored, ""); err == nil {
			t.Errorf("%x was read", stored)
		}
	}
}

// The JWK (R8555-6.2-15, -17, -18, EK-15).
func TestParseJWK(t *testing.T) {
	t.Parallel()
	ec, rs, ed := newEC(t, elliptic.P256()), newRSA(t), newEd25519(t)
	change := func(signer crypto.Signer, changes map[string]any) map[string]any {
		jwk := publicJWK(t, signer.Public())
		maps.Copy(jwk, changes)
		for name, value := range changes {
			if value == nil {
				delete(jwk, name)
			}
		}
		return jwk
	}
	zeroed := func(s any) string {
		b, err := base64.RawURLEncoding.DecodeString(s.(string))
		if err != nil {
			t.Fatal(err)
		}
		return encode(append([]byte{0}, b...))
	}
	ones := func(n int) string { return encode([]byte(strings.Repeat("\xff", n))) }
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ecJWK, rsJWK := publicJWK(t, ec.Public()), publicJWK(t, rs.Public())
	tests := []struct {
		id, name string
		signer   crypto.Signer
		jwk      any
		want     acme.ProblemType
	}{
		{"R8555-6.2-17", "alg agrees", ec, change(ec, map[string]any{"alg": "ES256", "use": "sig", "kid": "mine", "key_ops": []string{"verify"}}), ""},
		{"R8555-6.2-17", "alg differs", ec, change(ec, map[string]any{"alg": "ES384"}), acme.Malformed},
		{"R8555-6.2-17", "for encryption", ec, change(ec, map[string]any{"use": "enc"}), acme.Malformed},
		{"R8555-6.2-18", "private EC", ec, change(ec, map[string]any{"d": "AAAA"}), acme.Malformed},
		{"R8555-6.2-18", "private Ed25519", ed, change(ed, map[string]any{"d": ones(32)}), acme.Malformed},
		{"R8555-6.2-18", "private RSA, primes only", rs, change(rs, map[string]any{"p": "AAAA", "q": "AAAA"}), acme.Malformed},
		{"R8555-6.2-18", "private member of any type", ec, change(ec, map[string]any{"d": 1}), acme.Malformed},
		{"R8555-6.2-18", "symmetric", ec, map[string]any{"kty": "oct", "k": "AAAA"}, acme.Malformed},
		{"R8555-6.2-18", "symmetric without a key", ec, map[string]any{"kty": "oct"}, acme.Malformed},
		{"R8555-6.2-18", "x5c", ec, change(ec, map[string]any{"x5c": []string{}}), acme.Malformed},
		{"R8555-6.2-18", "x5u", ec, change(ec, map[string]any{"x5u": "https://evil.example"}), acme.Malformed},
		{"R8555-6.2-18", "no kty", ec, change(ec, map[string]any{"kty": nil}), acme.Malformed},
		{"R8555-6.2-18", "no x", ec, change(ec, map[string]any{"x": nil}), acme.BadPublicKey},
		{"R8555-6.2-18", "x is a number", ec, change(ec, map[string]any{"x": 1}), acme.Malformed},
		{"R8555-6.2-18", "x is padded", ec, change(ec, map[string]any{"x": ecJWK["x"].(string) + "="}), acme.Malformed},
		{"R8555-6.2-15", "unknown kty", ec, map[string]any{"kty": "AKP", "pub": "AAAA"}, acme.BadPublicKey},
		{"R8555-6.2-15", "unknown curve", ec, change(ec, map[string]any{"crv": "secp256k1"}), acme.BadPublicKey},
		{"R8555-6.2-15", "Ed448", ed, change(ed, map[string]any{"crv": "Ed448", "x": ones(57)}), acme.BadPublicKey},
		{"R8555-6.2-15", "X25519", ed, change(ed, map[string]any{"crv": "X25519"}), acme.BadPublicKey},
		{"R8555-6.2-15", "short Ed25519", ed, change(ed, map[string]any{"x": ones(31)}), acme.BadPublicKey},
		{"R8555-6.2-15", "not on the curve", ec, change(ec, map[string]any{"y": ecJWK["x"]}), acme.BadPublicKey},
		{"R8555-6.2-15", "infinity", ec, change(ec, map[string]any{"x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))}), acme.BadPublicKey},
		{"R8555-6.2-15", "long coordinate", ec, change(ec, map[string]any{"x": zeroed(ecJWK["x"])}), acme.BadPublicKey},
		{"R8555-6.2-15", "one byte moved from x to y", ec, change(ec, map[string]any{"x": encode(point[1:32]), "y": encode(point[32:])}), acme.BadPublicKey},
		{"F-5", "stray bits in x", ec, change(ec, map[string]any{"x": strayBits(ecJWK["x"].(string))}), acme.Malformed},
		{"EK-15", "RSA of 8200 bits", rs, change(rs, map[string]any{"n": ones(1025)}), acme.BadPublicKey},
		{"EK-2", "huge exponent", rs, change(rs, map[string]any{"e": ones(5)}), acme.BadPublicKey},
		{"R8555-6.2-18", "modulus with a leading zero", rs, change(rs, map[string]any{"n": zeroed(rsJWK["n"])}), acme.Malformed},
		{"R8555-6.2-18", "exponent with a leading zero", rs, change(rs, map[string]any{"e": "AAEAAQ"}), acme.Malformed},
		{"R8555-6.2-18", "no exponent", rs, change(rs, map[string]any{"e": nil}), acme.Malformed},
		{"SP-5", "duplicate member", ec, json.RawMessage(strings.Replace(string(marshal(t, ecJWK)), "{", `{"kty":"EC",`, 1)), acme.Malformed},
		{"SP-5", "member in two cases", ec, change(ec, map[string]any{"X": "AAAA"}), acme.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			// Not through a map, which would drop the duplicate.
			header := `{"alg":"` + algorithm(t, tt.signer.Public()) + `","nonce":"AAAA","url":"https://ca.example/","jwk":` + string(marshalRaw(t, tt.jwk)) + `}`
			_, p := jws.Parse(flatten(t, tt.signer, []byte(header), "{}"))
			expect(t, p, tt.want)
		})
	}
}

func marshalRaw(t *testing.T, v any) []byte {
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	return marshal(t, v)
}

// RFC 7518, section 6.2.1.2: a coordinate that starts with zeros keeps them.
// One key in 256 has such an x, and a client that strips the zero meets it then.
func TestShortCoordinate(t *testing.T) {
	t.Parallel()
	signer := keyWithShortX(t)
	point, err := signer.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := point[1:33], point[33:]
	jwk := func(x []byte) map[string]any {
		return map[string]any{"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)}
	}
	m, p := jws.Parse(sign(t, signer, byJWK(t, signer, headers{"jwk": jwk(x)}), "{}"))
	expect(t, p, "")
	_, p = m.Verify(m.Key())
	expect(t, p, "")
	_, p = jws.Parse(sign(t, signer, byJWK(t, signer, headers{"jwk": jwk(x[1:])}), "{}"))
	expect(t, p, acme.BadPublicKey)
}

// keyWithShortX counts private keys up to the first whose x starts with zero.
func keyWithShortX(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	for d := byte(1); d != 0; d++ {
		raw := make([]byte, 32)
		raw[30], raw[31] = 1, d
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if point[1] == 0 {
			return key
		}
	}
	t.Fatal("no small private key has a short x")
	return nil
}
