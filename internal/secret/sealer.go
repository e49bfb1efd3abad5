package secret

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrSealed reports that something could not be opened: it was changed, it
// belongs to another record, or it was sealed with another key. Which of these
// cannot be told apart.
var ErrSealed = errors.New("sealed with another key or for another record, or damaged")

// Sealer encrypts records at rest with XChaCha20-Poly1305. Its nonces are long
// enough to be drawn at random for any number of records. It may be used from
// many goroutines.
type Sealer struct {
	aead   cipher.AEAD
	derive func(label string) []byte
}

// version is the first byte of everything sealed, so that another format can
// come beside this one.
const version = 1

// Context is what a sealed value belongs to. It is authenticated and not
// stored: a value that was copied to another row does not open there.
type Context struct {
	// Table and Row name the record. KeyVersion tells values apart that were
	// sealed for the same record at different times of its life; 1 is the first.
	Table      string
	Row        string
	KeyVersion uint32
}

// bytes is one to one: lengths stand in front, so that "ab","c" is not "a","bc".
func (c Context) bytes() []byte {
	b := []byte("acmebridge sealed record\x00")
	b = binary.BigEndian.AppendUint32(b, c.KeyVersion)
	for _, s := range []string{c.Table, c.Row} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// NewSealer returns a Sealer with a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("make a sealer: %w", err)
	}
	// A function and not a field, so that no print of a Sealer shows the key.
	derive := func(label string) []byte {
		out, _ := hkdf.Key(sha256.New, key, nil, "acmebridge derived\x00"+label, sha256.Size) // fails only for lengths that it cannot have
		return out
	}
	return &Sealer{aead: aead, derive: derive}, nil
}

// Passphrase returns a secret of its own for each label, to encrypt files with
// that are kept apart from the key.
func (s *Sealer) Passphrase(label string) []byte {
	return []byte(base64.RawURLEncoding.EncodeToString(s.derive(label)))
}

// Seal encrypts plaintext for one record.
func (s *Sealer) Seal(plaintext []byte, c Context) []byte {
	out := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(plaintext)+chacha20poly1305.Overhead)
	out[0] = version
	nonce := out[1:]
	_, _ = rand.Read(nonce) // ends the process when the system has no randomness
	return s.aead.Seal(out, nonce, plaintext, c.bytes())
}

// Open decrypts what Seal made for the same record. Its only error is
// ErrSealed.
func (s *Sealer) Open(sealed []byte, c Context) ([]byte, error) {
	if len(sealed) < 1+chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	nonce, box := sealed[1:1+chacha20poly1305.NonceSizeX], sealed[1+chacha20poly1305.NonceSizeX:]
	plaintext, err := s.aead.Open(nil, nonce, box, c.bytes())
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// OpenKeyFile returns a Sealer with the key in the file at path: 32 bytes in
// base64. When there is no such file it makes one with a new key, which is on
// disk as a whole before anybody can see it. Several processes may do so at the
// same time; all get the same key. Without this file nothing that was sealed
// can be opened again.
func OpenKeyFile(path string) (*Sealer, error) {
	text, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKeyFile(path); err != nil {
			return nil, fmt.Errorf("make the sealing key %s: %w", path, err)
		}
		text, err = readPrivate(path)
	}
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != chacha20poly1305.KeySize {
		// The cause would quote a part of the key.
		return nil, fmt.Errorf("read the sealing key %s: it is not %d bytes in base64; restore it from a backup", path, chacha20poly1305.KeySize)
	}
	return NewSealer(key)
}

// createKeyFile writes a whole file under another name and then gives it its
// name, unless somebody was faster: a link does not replace a file, a rename
// would, and with it the key of whoever came first (SS-17).
func createKeyFile(path string) (err error) {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		if e := os.Remove(f.Name()); err == nil && e != nil {
			err = e
		}
	}()
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key)
	if _, err := f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n"); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes the name durable, not only the contents.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
