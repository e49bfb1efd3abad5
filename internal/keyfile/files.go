package keyfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// TempPrefix marks files that were never finished.
	TempPrefix = ".new-"
	maxFile    = 256 << 10
)

// Create writes a new file so that it is either complete under its name or
// not there (SS-17). A link and not a rename gives it the name, because a
// rename would silently replace a key that somebody else just made. A failed
// sync is final: what a second one reports is not to be believed.
//
// Certificates, which are called so, may be read by everybody, and anything else
// by its owner alone.
func Create(dir, name string, data []byte) error {
	mode := fs.FileMode(0o600)
	if strings.HasSuffix(name, ".pem") && !bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		mode = 0o644
	}
	return CreateMode(filepath.Join(dir, name), mode, data)
}

// CreateMode is Create for a file of a mode that the caller chooses.
func CreateMode(path string, mode fs.FileMode, data []byte) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	tmp, err := os.CreateTemp(dir, TempPrefix+name+"-") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	return Sync(dir)
}

// Replace writes a file, complete or not at all, in place of one that may be
// there. Keys are never replaced.
func Replace(path string, mode fs.FileMode, data []byte) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	tmp, err := os.CreateTemp(dir, TempPrefix+name+"-") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return Sync(dir)
}

// Sync makes what was created or renamed in a folder outlive a power cut.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Sweep removes what a crash left unfinished in a folder: a nameless key was
// never used.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), TempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ReadPEM returns the one block of a file that holds one and nothing else: what
// else it held would be somebody's mistake, or somebody's doing (PX-5).
func ReadPEM(path string) (*pem.Block, error) {
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
