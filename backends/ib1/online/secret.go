package online

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"acmebridge/internal/keyfile"
)

const secretFile, secretSize = "serial.secret", 32

// serialSecret is made on first use, and is not worth a passphrase: who knows it
// can tell serial numbers in advance, no more.
func (c *CA) serialSecret() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret != nil {
		return c.secret, nil
	}
	path := filepath.Join(c.cfg.Dir, secretFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := make([]byte, secretSize)
		_, _ = rand.Read(fresh) // it never fails
		if err := keyfile.Create(c.cfg.Dir, secretFile, fresh); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the secret of serial numbers: %w", err)
		}
		b, err = os.ReadFile(path)
	}
	if err != nil || len(b) != secretSize {
		return nil, errors.Join(err, fmt.Errorf("%s has %d bytes, not %d", path, len(b), secretSize))
	}
	c.secret = b
	return b, nil
}
