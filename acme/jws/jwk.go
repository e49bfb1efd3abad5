package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math/big"

	"acmebridge/acme"
)

// jwk is a JSON Web Key, reduced to what a public key has.
type jwk struct {
	kty, crv, alg, use string
	x, y, n, e         []byte
}

// parseJWK reads a public key (R8555-6.2-18). alg is the algorithm of the
// header that it came in, empty when it came in no header.
func parseJWK(raw []byte, alg string) (*Key, *acme.Problem) {
	var j jwk
	s := scanner{data: raw, longest: maxString}
	err := s.scanObject(nil, j.member)
	var p errProblem
	switch {
	case errors.As(err, &p):
		return nil, p.Problem
	case err != nil:
		return nil, acme.Problemf(acme.Malformed, "the JWK is not acceptable JSON: %v", err)
	case alg != "" && j.alg != "" && j.alg != alg:
		// R8555-6.2-17
		return nil, acme.Problemf(acme.Malformed, "the JWK is for algorithm %q, the header says %q", shown([]byte(j.alg)), alg)
	case j.use != "" && j.use != "sig":
		return nil, acme.Problemf(acme.Malformed, "the JWK is for use %q, not for signatures", shown([]byte(j.use)))
	}
	pub, prob := j.public()
	if prob != nil {
		return nil, prob
	}
	return NewKey(pub)
}

// member takes one member of the key.
func (j *jwk) member(name, value []byte) error {
	var plain *string
	var encoded *[]byte
	switch string(name) {
	case "kty":
		plain = &j.kty
	case "crv":
		plain = &j.crv
	case "alg":
		plain = &j.alg
	case "use":
		plain = &j.use
	case "x":
		encoded = &j.x
	case "y":
		encoded = &j.y
	case "n":
		encoded = &j.n
	case "e":
		encoded = &j.e
	case "d", "p", "q", "dp", "dq", "qi", "oth", "priv":
		return errProblem{acme.Problemf(acme.Malformed, "the JWK has %q, a part of the private key; consider that key disclosed and make a new one", name)}
	case "k":
		return errProblem{acme.Problemf(acme.Malformed, "the JWK is a symmetric key; send the public key of a key pair")}
	case "x5c", "x5u", "x5t", "x5t#S256":
		return errProblem{acme.Problemf(acme.Malformed, "the JWK has %q; send the bare public key", name)}
	default:
		return nil
	}
	v, ok := textBytes(value)
	if !ok {
		return errProblem{acme.Problemf(acme.Malformed, "%q in the JWK must be a string", name)}
	}
	if plain != nil {
		*plain = string(v)
		return nil
	}
	b, err := decodeBase64(v)
	if err != nil {
		return errProblem{acme.Problemf(acme.Malformed, "%q in the JWK is %v", name, err)}
	}
	*encoded = b
	return nil
}

// public returns the key, of a supported type and valid as far as its
// encoding goes (R8555-6.2-15).
func (j *jwk) public() (crypto.PublicKey, *acme.Problem) {
	switch j.kty {
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ec()
	case "OKP":
		if j.crv != "Ed25519" {
			return nil, acme.Problemf(acme.BadPublicKey, "curve %q is not supported; use Ed25519", shown([]byte(j.crv)))
		}
		if len(j.x) != ed25519.PublicKeySize {
			return nil, acme.Problemf(acme.BadPublicKey, "an Ed25519 key has %d bytes, this one has %d", ed25519.PublicKeySize, len(j.x))
		}
		return ed25519.PublicKey(j.x), nil
	case "":
		return nil, acme.Problemf(acme.Malformed, "the JWK has no \"kty\"")
	case "oct":
		return nil, acme.Problemf(acme.Malformed, "the JWK is a symmetric key; send the public key of a key pair")
	}
	return nil, acme.Problemf(acme.BadPublicKey, "key type %q is not supported; use RSA, EC or OKP with Ed25519", shown([]byte(j.kty)))
}

func (j *jwk) rsa() (crypto.PublicKey, *acme.Problem) {
	switch {
	case len(j.n) == 0 || len(j.e) == 0:
		return nil, acme.Problemf(acme.Malformed, "an RSA key has \"n\" and \"e\"")
	case j.n[0] == 0 || j.e[0] == 0:
		// RFC 7518, section 2. The client would compute another thumbprint
		// than we do, and fail its challenges without knowing why.
		return nil, acme.Problemf(acme.Malformed, "\"n\" and \"e\" of an RSA key must not start with a zero byte")
	case len(j.n) > maxRSABits/8:
		return nil, tooLong(8 * len(j.n))
	case len(j.e) > 4 || len(j.e) == 4 && j.e[0] > 0x7f:
		return nil, acme.Problemf(acme.BadPublicKey, "the exponent of the RSA key is too large; use 65537")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(j.n), E: int(new(big.Int).SetBytes(j.e).Int64())}, nil
}

func (j *jwk) ec() (crypto.PublicKey, *acme.Problem) {
	var curve elliptic.Curve
	switch j.crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, acme.Problemf(acme.BadPublicKey, "curve %q is not supported; use P-256, P-384 or P-521", shown([]byte(j.crv)))
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(j.x) != size || len(j.y) != size {
		// RFC 7518, section 6.2.1.2: leading zeros stay.
		return nil, acme.Problemf(acme.BadPublicKey, "the coordinates of a key on %s have %d bytes each, these have %d and %d", j.crv, size, len(j.x), len(j.y))
	}
	point := append(append([]byte{4}, j.x...), j.y...)
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, acme.Problemf(acme.BadPublicKey, "the point is not on curve %s", j.crv)
	}
	return pub, nil
}
