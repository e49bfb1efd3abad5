package sectigotest

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// The folder of Config.StateDir:
//
//	ca.json          the two certificates and their keys
//	tenant.json      balances, counters, profiles
//	batches/ID.json  one batch each
//
// Each file is replaced as a whole before its change is answered, so that a
// process that is killed comes back with what it has said. A power cut may
// lose the last of it; this is a stand-in.

type storedCA struct {
	Root, Issuing       []byte
	RootKey, IssuingKey []byte
}

// restore reads the state, or makes the CA when there is none.
func (ca *CA) restore() (err error) {
	dir := ca.cfg.StateDir
	if dir == "" {
		ca.keys, err = newHierarchy(ca.cfg.Key, ca.cfg.Clock())
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "batches"), 0o700); err != nil {
		return err
	}
	var kept storedCA
	switch err := load(filepath.Join(dir, "ca.json"), &kept); {
	case errors.Is(err, fs.ErrNotExist):
		if ca.keys, err = newHierarchy(ca.cfg.Key, ca.cfg.Clock()); err != nil {
			return err
		}
		if err := ca.saveKeys(); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if ca.keys, err = kept.read(); err != nil {
			return err
		}
	}
	if err := load(filepath.Join(dir, "tenant.json"), &ca.tenant); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files, err := os.ReadDir(filepath.Join(dir, "batches"))
	if err != nil {
		return err
	}
	for _, f := range files {
		b := &batch{}
		if filepath.Ext(f.Name()) != ".json" {
			continue // what a killed process left of a write
		}
		if err := load(filepath.Join(dir, "batches", f.Name()), b); err != nil {
			return err
		}
		ca.batches[b.ID] = b
		ca.tenant.LastBatch = max(ca.tenant.LastBatch, b.ID)
		if b.Done.IsZero() {
			ca.pending[b.ID] = b
		}
	}
	return ca.saveTenant()
}

func (k storedCA) read() (h *hierarchy, err error) {
	h = &hierarchy{}
	if h.root, err = x509.ParseCertificate(k.Root); err != nil {
		return nil, err
	}
	if h.issuing, err = x509.ParseCertificate(k.Issuing); err != nil {
		return nil, err
	}
	if h.rootKey, err = readKey(k.RootKey); err != nil {
		return nil, err
	}
	h.issuingKey, err = readKey(k.IssuingKey)
	return h, err
}

func readKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

func (ca *CA) saveKeys() (err error) {
	kept := storedCA{Root: ca.keys.root.Raw, Issuing: ca.keys.issuing.Raw}
	if kept.RootKey, err = x509.MarshalPKCS8PrivateKey(ca.keys.rootKey); err != nil {
		return err
	}
	if kept.IssuingKey, err = x509.MarshalPKCS8PrivateKey(ca.keys.issuingKey); err != nil {
		return err
	}
	return store(filepath.Join(ca.cfg.StateDir, "ca.json"), kept)
}

func (ca *CA) saveTenant() error {
	if ca.cfg.StateDir == "" {
		return nil
	}
	return store(filepath.Join(ca.cfg.StateDir, "tenant.json"), ca.tenant)
}

// saveBatch keeps a batch, and the tenant whose counters moved with it.
func (ca *CA) saveBatch(b *batch) error {
	if ca.cfg.StateDir == "" {
		return nil
	}
	if err := store(filepath.Join(ca.cfg.StateDir, "batches", strconv.FormatInt(b.ID, 10)+".json"), b); err != nil {
		return err
	}
	return ca.saveTenant()
}

func load(path string, v any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func store(path string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
