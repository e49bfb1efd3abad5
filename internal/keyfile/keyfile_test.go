package keyfile_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"acmebridge/internal/keyfile"
)

// TestCreateNeverReplaces: two processes that both make a CA must not end
// up with the key of one and the certificate of the other.
func TestCreateNeverReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := keyfile.Create(dir, "root.key", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := keyfile.Create(dir, "root.key", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want that it exists", err)
	}
	if got, _ := os.ReadFile(dir + "/root.key"); string(got) != "first" {
		t.Errorf("the file holds %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left lying about: %v", entries)
	}
}

// TestModes: certificates are for everybody and keys are not, also one that lies
// in a file which is called like a certificate (SK-2).
func TestModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const certificate, key = "-----BEGIN CERTIFICATE-----\n", "-----BEGIN EC PRIVATE KEY-----\n"
	for name, test := range map[string]struct {
		content string
		want    fs.FileMode
	}{
		"root.key": {key, 0o600}, "root.pem": {certificate, 0o644}, "both.pem": {certificate + key, 0o600}, "word": {"word", 0o600},
	} {
		if err := keyfile.Create(dir, name, []byte(test.content)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != test.want {
			t.Errorf("%s: %v, %v, want mode %04o", name, info.Mode(), err, test.want)
		}
	}
}

// TestReplace: what is there is replaced whole, and nothing is left beside it.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, content := range []string{"first, and longer", "second"} {
		if err := keyfile.Replace(filepath.Join(dir, "list.crl"), 0o644, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(dir + "/list.crl"); err != nil || string(got) != content {
			t.Errorf("the file holds %q, %v", got, err)
		}
	}
	if err := os.Mkdir(dir+"/folder", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := keyfile.Replace(filepath.Join(dir, "folder"), 0o644, nil); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left lying about: %v, %v", entries, err)
	}
}

// FuzzOpen: whatever is in a key file, reading it ends, and only what was
// sealed with the passphrase opens with it.
func FuzzOpen(f *testing.F) {
	pass := []byte("pass")
	// Few iterations keep the fuzzer fast: it must not spend its time there.
	seal := func(key []byte) []byte {
		der, err := keyfile.Seal(key, pass, rand.Reader, 1)
		if err != nil {
			f.Fatal(err)
		}
		return der
	}
	f.Add(seal([]byte("a key")), []byte("a key"))
	f.Add(seal(bytes.Repeat([]byte{16}, 16)), []byte{})
	f.Add([]byte{0x30, 0}, bytes.Repeat([]byte{1}, 100))
	f.Fuzz(func(t *testing.T, sealed, key []byte) {
		if len(sealed) < 2000 && !bytes.Contains(sealed, []byte{2, 3}) && !bytes.Contains(sealed, []byte{2, 4}) { // no large counts
			_, _ = keyfile.Open(sealed, pass)
		}
		der, err := keyfile.Seal(key, pass, rand.Reader, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keyfile.Open(der, pass); err != nil || !bytes.Equal(got, key) {
			t.Errorf("sealed and opened, %x is %x: %v", key, got, err)
		}
		if got, err := keyfile.Open(der, []byte("other")); err == nil && len(key) > 0 && bytes.Equal(got, key) {
			t.Error("any passphrase opens it")
		}
	})
}
