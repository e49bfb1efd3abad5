package localca

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"acmebridge/internal/keyfile"
)

// folder reads and writes the files of a CA.
type folder struct {
	dir        string
	passphrase func() ([]byte, error)
	random     io.Reader
	iterations int // of the passphrase's derivation, in new files
	// create makes a file that did not exist; keyfile.Create, but for the tests
	// that pull the plug.
	create func(dir, name string, data []byte) error
}

const certType = "CERTIFICATE"

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) exists(name string) (bool, error) {
	_, err := os.Lstat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// prepare makes the folder and removes what a crash left unfinished: a
// nameless key was never used.
func (f folder) prepare() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	if err := keyfile.Sweep(f.dir); err != nil {
		return err
	}
	// The folder itself must outlive a power cut as well as what is in it.
	return keyfile.Sync(filepath.Dir(f.dir))
}

func (f folder) writeKey(name string, key *ecdsa.PrivateKey) error {
	data, err := keyfile.Encode(key, f.passphrase, f.random, f.iterations)
	if err != nil {
		return err
	}
	return f.create(f.dir, name, data)
}

func (f folder) writeCertificate(name string, der []byte) error {
	return f.create(f.dir, name, pem.EncodeToMemory(&pem.Block{Type: certType, Bytes: der}))
}

// readKey returns the key and whether its file is encrypted.
func (f folder) readKey(name string) (key *ecdsa.PrivateKey, sealed bool, err error) {
	return keyfile.Read(f.path(name), f.passphrase)
}

// checkKeyFile refuses keys that others may read or replace.
func (f folder) checkKeyFile(name string) error {
	info, err := os.Stat(f.path(name))
	if err != nil {
		return err
	}
	return keyfile.Private(f.path(name), info)
}

func (f folder) readCertificate(name string) (*x509.Certificate, error) {
	block, err := keyfile.ReadPEM(f.path(name))
	if err != nil {
		return nil, err
	}
	if block.Type != certType {
		return nil, fmt.Errorf("%s holds a PEM block of type %q and not a certificate", f.path(name), block.Type)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path(name), err)
	}
	return cert, nil
}
