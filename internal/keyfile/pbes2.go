package keyfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
)

// PKCS #8 encryption (RFC 5958 with PBES2 of RFC 8018), in the one combination
// that openssl pkcs8 -topk8 writes by default too: PBKDF2 with HMAC-SHA-256
// and AES-256-CBC. The standard library has every part of it but the envelope,
// and the libraries that have it are either not maintained or bring the
// clients of several clouds along.
//
// CBC does not authenticate. That is enough here: a key that was tampered with
// no longer matches its certificate, and then nobody signs with it.

var (
	oidPBES2          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

type encryptedPrivateKeyInfo struct {
	Algorithm pbes2Algorithm
	Data      []byte
}

type pbes2Algorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters pbes2Params
}

type pbes2Params struct {
	KeyDerivation pbkdf2Algorithm
	Encryption    aesAlgorithm
}

type pbkdf2Algorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters pbkdf2Params
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier
}

type aesAlgorithm struct {
	Algorithm asn1.ObjectIdentifier
	IV        []byte
}

const (
	// Iterations, of the derivation in new files, costs a fraction of a second at a start and makes guessing
	// as slow as current advice for this function wants it.
	Iterations = 600_000
	// maxIterations bounds the time that a file can make a start take.
	maxIterations = 20_000_000
	aesKeyBytes   = 32
)

// ErrPassphrase is what a wrong passphrase shows as; damage looks the same.
var ErrPassphrase = errors.New("the passphrase is wrong, or the file is damaged")

// Seal encrypts the DER of a PKCS #8 private key.
func Seal(der, passphrase []byte, random io.Reader, iterations int) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	var fresh [16 + aes.BlockSize]byte
	if _, err := io.ReadFull(random, fresh[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	salt, iv := fresh[:16], fresh[16:]
	block, err := sealingCipher(passphrase, salt, iterations)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return asn1.Marshal(encryptedPrivateKeyInfo{
		Algorithm: pbes2Algorithm{oidPBES2, pbes2Params{
			KeyDerivation: pbkdf2Algorithm{oidPBKDF2, pbkdf2Params{
				Salt: salt, Iterations: iterations,
				PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACWithSHA256, Parameters: asn1.NullRawValue},
			}},
			Encryption: aesAlgorithm{oidAES256CBC, iv},
		}},
		Data: data,
	})
}

// Open is the reverse of Seal.
func Open(sealed, passphrase []byte) ([]byte, error) {
	var info encryptedPrivateKeyInfo
	if rest, err := asn1.Unmarshal(sealed, &info); err != nil || len(rest) != 0 {
		return nil, errors.New("the encryption is not of the kind used here; convert the key with openssl pkcs8 -topk8 -v2 aes-256-cbc")
	}
	p := info.Algorithm.Parameters
	kdf := p.KeyDerivation.Parameters
	if !info.Algorithm.Algorithm.Equal(oidPBES2) || !p.KeyDerivation.Algorithm.Equal(oidPBKDF2) ||
		!kdf.PRF.Algorithm.Equal(oidHMACWithSHA256) || !p.Encryption.Algorithm.Equal(oidAES256CBC) ||
		(kdf.KeyLength != 0 && kdf.KeyLength != aesKeyBytes) || len(p.Encryption.IV) != aes.BlockSize {
		return nil, errors.New("the key is encrypted with other algorithms than PBKDF2, HMAC-SHA-256 and AES-256-CBC; convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc")
	}
	if kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, fmt.Errorf("%d iterations are out of bounds", kdf.Iterations)
	}
	if len(info.Data) == 0 || len(info.Data)%aes.BlockSize != 0 {
		return nil, ErrPassphrase
	}
	block, err := sealingCipher(passphrase, kdf.Salt, kdf.Iterations)
	if err != nil {
		return nil, err
	}
	der := make([]byte, len(info.Data))
	cipher.NewCBCDecrypter(block, p.Encryption.IV).CryptBlocks(der, info.Data)
	// How the padding is wrong is nobody's business, but there is nobody to
	// ask twice either: this is a file, not a service.
	pad := int(der[len(der)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.HasSuffix(der, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassphrase
	}
	return der[:len(der)-pad], nil
}

func sealingCipher(passphrase, salt []byte, iterations int) (cipher.Block, error) {
	key, err := pbkdf2.Key(sha256.New, string(passphrase), salt, iterations, aesKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the key file: %w", err)
	}
	return aes.NewCipher(key)
}
