package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"acmebridge/internal/keyfile"
)

// KeyTypes are the keys that NewKey makes; the first is the one that the CAs of
// these ecosystems all take.
func KeyTypes() []string { return []string{"rsa2048", "rsa3072", "rsa4096", "p256", "p384"} }

// NewKey makes a private key of one of the KeyTypes.
func NewKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return nil, fmt.Errorf("there is no key type %q; it is one of %s", kind, strings.Join(KeyTypes(), ", "))
	}
}

// EncodeKey returns a private key in PKCS #8 and PEM, unencrypted, as servers
// read it.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyfile.PlainType, Bytes: der}), nil
}

// Passphrase is asked for the passphrase of an encrypted key.
type Passphrase func() ([]byte, error)

// errLegacyEncryption: the old form keeps a key under one round of MD5.
var errLegacyEncryption = errors.New("the key is encrypted in the old form of OpenSSL, which is read here no more: " +
	"convert it with 'openssl pkcs8 -topk8 -in OLD -out NEW'")

// parseKey reads a private key in any of the forms that tools write.
func parseKey(block *pem.Block, ask Passphrase) (crypto.Signer, error) {
	der := block.Bytes
	switch block.Type {
	case "RSA PRIVATE KEY", "EC PRIVATE KEY":
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, errLegacyEncryption
		}
		if block.Type == "RSA PRIVATE KEY" {
			return usable(x509.ParsePKCS1PrivateKey(der))
		}
		return usable(x509.ParseECPrivateKey(der))
	case keyfile.SealedType:
		if ask == nil {
			return nil, errors.New("the key is encrypted, and there is no passphrase for it")
		}
		passphrase, err := ask()
		if err != nil {
			return nil, fmt.Errorf("get the passphrase of the key: %w", err)
		}
		if der, err = keyfile.Open(der, passphrase); err != nil {
			return nil, fmt.Errorf("open the key: %w", err)
		}
	}
	return usable(x509.ParsePKCS8PrivateKey(der))
}

// usable wants a key that can sign.
func usable[K any](key K, err error) (crypto.Signer, error) {
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	switch k := any(key).(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	default:
		return nil, fmt.Errorf("the private key is a %T, which is no key of a certificate for TLS", key)
	}
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
