package ceremony

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"acmebridge/internal/keyfile"
)

// Keys makes and opens private keys. A label such as client/root or
// client/issuer-2 names one of them for ever.
type Keys interface {
	// Create returns a key on the curve, durable before it returns. When the
	// label has a key already, that one is returned: it is left from an attempt
	// that was cut short, and nothing was signed with it.
	Create(label string, curve elliptic.Curve) (crypto.Signer, error)
	// Open returns the key, or an error that is fs.ErrNotExist.
	Open(label string) (crypto.Signer, error)
	// Has reports whether there is a key, without opening it.
	Has(label string) (bool, error)
}

// FileKeys keeps keys in files, encrypted.
type FileKeys struct {
	// Dir is the folder that labels are relative to.
	Dir string
	// Passphrase returns the passphrase of a key.
	Passphrase func(label string) ([]byte, error)
	// Iterations is the cost of trying a passphrase; zero is what is advised.
	Iterations int
}

var _ Keys = FileKeys{}

func (k FileKeys) path(label string) string {
	return filepath.Join(k.Dir, filepath.FromSlash(label)) + ".key"
}

// Create implements Keys.
func (k FileKeys) Create(label string, curve elliptic.Curve) (crypto.Signer, error) {
	if key, err := k.Open(label); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key %s: %w", label, err)
	}
	iterations := k.Iterations
	if iterations == 0 {
		iterations = keyfile.Iterations
	}
	data, err := keyfile.Encode(key, k.passphrase(label), rand.Reader, iterations)
	if err != nil {
		return nil, fmt.Errorf("encrypt the key %s: %w", label, err)
	}
	path := k.path(label)
	if err := keyfile.Create(filepath.Dir(path), filepath.Base(path), data); err != nil {
		return nil, fmt.Errorf("write the key %s: %w", label, err)
	}
	return key, nil
}

// Open implements Keys.
func (k FileKeys) Open(label string) (crypto.Signer, error) {
	key, _, err := keyfile.Read(k.path(label), k.passphrase(label))
	if err != nil {
		return nil, fmt.Errorf("open the key %s: %w", label, err)
	}
	return key, nil
}

// Has implements Keys.
func (k FileKeys) Has(label string) (bool, error) {
	_, err := os.Stat(k.path(label))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// EitherKeys are keys in two places: new ones are made in First, and those that
// are in Second are used from there.
type EitherKeys struct{ First, Second Keys }

var _ Keys = EitherKeys{}

func (k EitherKeys) of(label string) (Keys, error) {
	has, err := k.Second.Has(label)
	if has {
		return k.Second, err
	}
	return k.First, err
}

// Create implements Keys.
func (k EitherKeys) Create(label string, curve elliptic.Curve) (crypto.Signer, error) {
	place, err := k.of(label)
	if err != nil {
		return nil, err
	}
	return place.Create(label, curve)
}

// Open implements Keys.
func (k EitherKeys) Open(label string) (crypto.Signer, error) {
	place, err := k.of(label)
	if err != nil {
		return nil, err
	}
	return place.Open(label)
}

// Has implements Keys.
func (k EitherKeys) Has(label string) (bool, error) {
	place, err := k.of(label)
	if err != nil {
		return false, err
	}
	return place.Has(label)
}

// passphrase is never nil: keys of a framework do not lie about unencrypted.
func (k FileKeys) passphrase(label string) func() ([]byte, error) {
	return func() ([]byte, error) {
		if k.Passphrase == nil {
			return nil, errors.New("the keys of a framework are encrypted: give a passphrase")
		}
		return k.Passphrase(label)
	}
}
