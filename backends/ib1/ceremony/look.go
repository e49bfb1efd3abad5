package ceremony

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"strconv"

	"acmebridge/backends/ib1"
)

// Look opens a folder for reading. Others may work in it at the same time, since
// whatever is in it was put there complete. Nothing is made; keys can be opened.
func Look(cfg Config) (*Folder, error) {
	f := newFolder(cfg)
	err := f.look()
	if err != nil {
		return nil, fmt.Errorf("ceremony: look into %s: %w", cfg.Dir, err)
	}
	return f, nil
}

func (f *Folder) look() error {
	f.cfg.Settings = nil // nothing is made
	s, err := f.settings()
	if err != nil {
		return err
	}
	if f.framework, err = ib1.New(s); err != nil {
		return err
	}
	f.log, err = lookAtJournal(f.cfg.Dir)
	return err
}

// CA opens the root of a tree, which is number 0, or an issuer, with its key if
// wanted.
func (f *Folder) CA(t ib1.Tree, number int, withKey bool) (*ib1.Authority, error) {
	a, err := f.authority(t, number, withKey)
	if err != nil {
		return nil, fmt.Errorf("ceremony: open %s: %w", label(t, number), err)
	}
	return a, nil
}

// Noted returns what was revoked here under a CA of a tree, and the last number
// that one of its lists has, 0 if there is none.
func (f *Folder) Noted(t ib1.Tree, authority *x509.Certificate) ([]ib1.Revocation, *big.Int, error) {
	revoked, last, _, err := f.noted(t, authority)
	if err != nil {
		return nil, nil, fmt.Errorf("ceremony: read what is noted of %s: %w", authority.Subject, err)
	}
	return revoked, last, nil
}

// CRL returns the list of a CA that was made or imported here last, in DER, or
// nil when there is none.
func (f *Folder) CRL(t ib1.Tree, authority *x509.Certificate) ([]byte, error) {
	der, err := os.ReadFile(f.path("public/" + ib1.CRLName(t, authority)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ceremony: read the list of %s: %w", authority.Subject, err)
	}
	return der, nil
}

// Keep stores a list of the Signing tree for ever: records are verified for
// years, by what was known at a time. Keeping it again does nothing.
func (f *Folder) Keep(t ib1.Tree, name string, number int64, der []byte) error {
	err := f.keep(t, name, strconv.FormatInt(number, 10), der)
	if err != nil {
		return fmt.Errorf("ceremony: keep list %d of %s: %w", number, name, err)
	}
	return nil
}
