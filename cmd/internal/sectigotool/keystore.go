package sectigotool

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"

	"acmebridge/internal/secret"
)

// openKeyStore turns a PKCS #12 file into PEM: the key, its certificate and
// the chain. The service encrypts with RC2 of 40 bits and triple DES, which
// OpenSSL 3 opens with its legacy provider only.
func openKeyStore(content []byte, password secret.Secret) ([]byte, error) {
	key, cert, chain, err := pkcs12.DecodeChain(content, string(password.Reveal()))
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, errors.New("the password is wrong, or the file is damaged")
	}
	if err != nil {
		return nil, fmt.Errorf("it is no PKCS #12 file with one key and its certificate: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("its key is a %T, which cannot sign", key)
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("its key does not belong to its certificate")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write its key: %w", err)
	}
	var b bytes.Buffer
	blocks := []*pem.Block{{Type: "PRIVATE KEY", Bytes: der}, {Type: "CERTIFICATE", Bytes: cert.Raw}}
	for _, c := range chain {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	for _, block := range blocks {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
