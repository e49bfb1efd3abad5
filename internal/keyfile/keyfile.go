package keyfile

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
)

// The types of the PEM block of a key.
const (
	PlainType  = "PRIVATE KEY"
	SealedType = "ENCRYPTED PRIVATE KEY"
)

// Encode returns the content of a key file, encrypted unless passphrase is nil.
func Encode(key *ecdsa.PrivateKey, passphrase func() ([]byte, error), random io.Reader, iterations int) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if passphrase == nil {
		return pem.EncodeToMemory(&pem.Block{Type: PlainType, Bytes: der}), nil
	}
	secret, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("get the passphrase: %w", err)
	}
	if der, err = Seal(der, secret, random, iterations); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: SealedType, Bytes: der}), nil
}

// Read returns the key in a file and whether it is encrypted. Files that others
// than their owner can reach are refused (SK-2). With a passphrase the key must
// be encrypted, and without one it must not be.
func Read(path string, passphrase func() ([]byte, error)) (key *ecdsa.PrivateKey, sealed bool, err error) {
	info, err := os.Stat(path)
	if err == nil {
		err = Private(path, info)
	}
	if err != nil {
		return nil, false, err
	}
	block, err := ReadPEM(path)
	if err != nil {
		return nil, false, err
	}
	der := block.Bytes
	switch {
	case block.Type == SealedType && passphrase == nil:
		return nil, true, fmt.Errorf("%s is encrypted: configure its passphrase", path)
	case block.Type == SealedType:
		secret, err := passphrase()
		if err != nil {
			return nil, true, fmt.Errorf("get the passphrase of %s: %w", path, err)
		}
		if der, err = Open(der, secret); err != nil {
			return nil, true, fmt.Errorf("decrypt %s: %w", path, err)
		}
	case block.Type == PlainType && passphrase != nil:
		return nil, false, fmt.Errorf("%s is not encrypted although a passphrase is configured: encrypt it with openssl pkcs8 -topk8 -v2 aes-256-cbc, or configure none", path)
	case block.Type != PlainType:
		return nil, false, fmt.Errorf("%s holds a PEM block of type %q; a CA key is a %q", path, block.Type, PlainType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if block.Type == SealedType {
			// One wrong passphrase in 256 leaves padding that looks right.
			err = ErrPassphrase
		}
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, false, fmt.Errorf("%s is not a P-256 or P-384 key", path)
	}
	return key, block.Type == SealedType, nil
}
