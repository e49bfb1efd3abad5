package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"

	"acmebridge/acme"
)

// Key is a public key of a type that may sign requests, and its names.
type Key struct {
	Public crypto.PublicKey
	// SPKI is the SubjectPublicKeyInfo and Hash its SHA-256, the one name
	// that account keys and certificate keys share (EK-13).
	SPKI []byte
	Hash acme.KeyHash
	// Thumbprint is the one of RFC 7638, of which key authorizations are made.
	Thumbprint string
}

// maxRSABits bounds the big-number work that a stranger can cause (EK-15).
// What keys an account may have is for the key policy to say.
const maxRSABits = 8192

// NewKey returns the Key of pub. A type that cannot sign requests is
// badPublicKey (R8555-6.2-15).
func NewKey(pub crypto.PublicKey) (*Key, *acme.Problem) {
	if algorithmFor(pub) == "" {
		return nil, acme.Problemf(acme.BadPublicKey, "keys of this type are not supported; use RSA, P-256, P-384, P-521 or Ed25519")
	}
	if k, ok := pub.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSABits {
		return nil, tooLong(k.N.BitLen())
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, acme.Problemf(acme.BadPublicKey, "the public key is not valid")
	}
	return &Key{Public: pub, SPKI: spki, Hash: sha256.Sum256(spki), Thumbprint: thumbprint(pub)}, nil
}

// ParseSPKI returns the Key that was stored as der with thumbprint. An empty
// thumbprint is computed.
func ParseSPKI(der []byte, stored string) (*Key, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("jws: parse a stored account key: %w", err)
	}
	if algorithmFor(pub) == "" {
		return nil, fmt.Errorf("jws: parse a stored account key: a %T cannot sign requests", pub)
	}
	if stored == "" {
		stored = thumbprint(pub)
	}
	return &Key{Public: pub, SPKI: der, Hash: sha256.Sum256(der), Thumbprint: stored}, nil
}

// suits returns nil when alg is the one algorithm for the key. Each type has
// one, so a key is never used with two (R8555-6.2-17).
func (k *Key) suits(alg string) *acme.Problem {
	if want := algorithmFor(k.Public); want != alg {
		return acme.Problemf(acme.Malformed, "signature algorithm %q does not suit the key; sign with %s", shown([]byte(alg)), want)
	}
	return nil
}

// algorithmFor returns the algorithm that requests signed with pub must use,
// empty when there is none.
func algorithmFor(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return "RS256"
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return "ES256"
		case elliptic.P384():
			return "ES384"
		case elliptic.P521():
			return "ES512"
		}
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}

// thumbprint is RFC 7638 with SHA-256: the required members, sorted, without
// white space. Nothing in them needs escaping.
func thumbprint(pub crypto.PublicKey) string {
	encode := base64.RawURLEncoding.EncodeToString
	var canonical string
	switch k := pub.(type) {
	case *rsa.PublicKey:
		canonical = `{"e":"` + encode(big.NewInt(int64(k.E)).Bytes()) + `","kty":"RSA","n":"` + encode(k.N.Bytes()) + `"}`
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, then both coordinates at full length
		if err != nil {
			return ""
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		canonical = `{"crv":"` + k.Params().Name + `","kty":"EC","x":"` + encode(x) + `","y":"` + encode(y) + `"}`
	case ed25519.PublicKey:
		canonical = `{"crv":"Ed25519","kty":"OKP","x":"` + encode(k) + `"}`
	}
	sum := sha256.Sum256([]byte(canonical))
	return encode(sum[:])
}

func tooLong(bits int) *acme.Problem {
	return acme.Problemf(acme.BadPublicKey, "the RSA key has %d bits; more than %d are not accepted", bits, maxRSABits)
}
