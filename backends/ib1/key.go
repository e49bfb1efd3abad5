package ib1

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// The AlgorithmIdentifiers, to the byte (sections 1.3 to 1.5).
var (
	sha384WithP384 = []byte{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03}
	sha256WithP256 = []byte{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02}
	p384Key        = []byte{0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}
	p256Key        = []byte{0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}
)

// ErrKey reports a public key of another kind than the profile's.
var ErrKey = errors.New("ib1: the key is not of the kind that it must be")

// algorithm is what a key signs with: the hash follows from the curve.
func algorithm(key crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	switch {
	case onCurve(key, elliptic.P384()):
		return x509.ECDSAWithSHA384, nil
	case onCurve(key, elliptic.P256()):
		return x509.ECDSAWithSHA256, nil
	}
	return 0, fmt.Errorf("%w: CAs have P-384 keys (roots) and P-256 keys (issuers)", ErrKey)
}

func onCurve(key crypto.PublicKey, curve elliptic.Curve) bool {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != curve {
		return false
	}
	_, err := k.ECDH() // refuses points that are not on the curve
	return err == nil
}

// keyID is the key identifier of RFC 7093, section 2, method 1: the first 160
// bits of the SHA-256 of the key's bits. The identifier of an authority is never
// computed, but copied from its certificate (section 8, 2).
func keyID(key crypto.PublicKey) ([]byte, error) {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrKey
	}
	point, err := k.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}

// ReadCSR returns the key of a PKCS #10 request, in DER, and its subject. The
// signature proves that whoever asks has the key. Only the key of a member's
// request is used; what else stands in it is ignored (section 4).
func ReadCSR(der []byte) (*x509.CertificateRequest, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("ib1: read the certificate request: %w", err)
	}
	if !onCurve(csr.PublicKey, elliptic.P256()) {
		return nil, fmt.Errorf("%w: make the request with a P-256 key", ErrKey)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("ib1: the certificate request was not signed with its own key: %w", err)
	}
	return csr, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	x, err := x509.MarshalPKIXPublicKey(a)
	if err != nil {
		return false
	}
	y, err := x509.MarshalPKIXPublicKey(b)
	return err == nil && bytes.Equal(x, y)
}
