package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder reads and writes the files of a CA.
type folder struct {
	dir        string
	passphrase func() ([]byte, error)
	random     io.Reader
	iterations int // of the passphrase's derivation, in new files
	// create makes a file that did not exist; createFile, but for the tests
	// that pull the plug.
	create func(dir, name string, data []byte) error
}

const (
	plainKeyType  = "PRIVATE KEY"
	sealedKeyType = "ENCRYPTED PRIVATE KEY"
	certType      = "CERTIFICATE"
	// tempPrefix marks files that were never finished.
	tempPrefix = ".new-"
	maxFile    = 256 << 10
)

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) exists(name string) (bool, error) {
	_, err := os.Lstat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// createFile writes a new file so that it is either complete under its name or
// not there (SS-17). A link and not a rename gives it the name, because a
// rename would silently replace a key that somebody else just made. A failed
// sync is final: what a second one reports is not to be believed.
func createFile(dir, name string, data []byte) (err error) {
	tmp, err := os.CreateTemp(dir, tempPrefix+name+"-") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if strings.HasSuffix(name, ".pem") {
		if err := tmp.Chmod(0o644); err != nil {
			return errors.Join(err, tmp.Close())
		}
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// prepare makes the folder and removes what a crash left unfinished: a
// nameless key was never used.
func (f folder) prepare() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(f.dir, tempPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The folder itself must outlive a power cut as well as what is in it.
	return syncDir(filepath.Dir(f.dir))
}

func (f folder) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: plainKeyType, Bytes: der}
	if f.passphrase != nil {
		secret, err := f.passphrase()
		if err != nil {
			return fmt.Errorf("get the passphrase: %w", err)
		}
		if der, err = sealKey(der, secret, f.random, f.iterations); err != nil {
			return err
		}
		block = &pem.Block{Type: sealedKeyType, Bytes: der}
	}
	return f.create(f.dir, name, pem.EncodeToMemory(block))
}

func (f folder) writeCertificate(name string, der []byte) error {
	return f.create(f.dir, name, pem.EncodeToMemory(&pem.Block{Type: certType, Bytes: der}))
}

// readKey returns the key and whether its file is encrypted.
func (f folder) readKey(name string) (key *ecdsa.PrivateKey, sealed bool, err error) {
	path := f.path(name)
	if err := f.checkKeyFile(name); err != nil {
		return nil, false, err
	}
	block, err := readPEM(path)
	if err != nil {
		return nil, false, err
	}
	der := block.Bytes
	switch {
	case block.Type == sealedKeyType && f.passphrase == nil:
		return nil, true, fmt.Errorf("%s is encrypted: configure its passphrase", path)
	case block.Type == sealedKeyType:
		secret, err := f.passphrase()
		if err != nil {
			return nil, true, fmt.Errorf("get the passphrase of %s: %w", path, err)
		}
		if der, err = openKey(der, secret); err != nil {
			return nil, true, fmt.Errorf("decrypt %s: %w", path, err)
		}
	case block.Type == plainKeyType && f.passphrase != nil:
		return nil, false, fmt.Errorf("%s is not encrypted although a passphrase is configured: encrypt it with openssl pkcs8 -topk8 -v2 aes-256-cbc, or configure none", path)
	case block.Type != plainKeyType:
		return nil, false, fmt.Errorf("%s holds a PEM block of type %q; a CA key is a %q", path, block.Type, plainKeyType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if block.Type == sealedKeyType {
			// One wrong passphrase in 256 leaves padding that looks right.
			err = errPassphrase
		}
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, false, fmt.Errorf("%s is not a P-256 or P-384 key", path)
	}
	return key, block.Type == sealedKeyType, nil
}

// checkKeyFile refuses keys that others may read or replace.
func (f folder) checkKeyFile(name string) error {
	info, err := os.Stat(f.path(name))
	if err != nil {
		return err
	}
	return private(f.path(name), info)
}

func (f folder) readCertificate(name string) (*x509.Certificate, error) {
	block, err := readPEM(f.path(name))
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

// readPEM returns the one block of a file that holds one and nothing else: what
// else it held would be somebody's mistake, or somebody's doing (PX-5).
func readPEM(path string) (*pem.Block, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes, which no key or certificate is: restore it from a backup", path, maxFile)
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%s does not hold exactly one PEM block: restore it from a backup", path)
	}
	return block, nil
}
