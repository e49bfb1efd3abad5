package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"acmebridge/internal/secret"
)

func newSealer(t testing.TB, first byte) *secret.Sealer {
	t.Helper()
	key := make([]byte, 32)
	key[0] = first
	s, err := secret.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var record = secret.Context{Table: "external_keys", Row: "k1", KeyVersion: 1}

func TestSeal(t *testing.T) {
	t.Parallel()
	s := newSealer(t, 1)
	sealed := s.Seal([]byte(canary), record)
	if bytes.Contains(sealed, []byte(canary)) {
		t.Fatal("the plaintext is in what was sealed")
	}
	if got, err := s.Open(sealed, record); err != nil || string(got) != canary {
		t.Fatalf("Open: %q, %v", got, err)
	}
	if bytes.Equal(sealed, s.Seal([]byte(canary), record)) {
		t.Error("the same value sealed twice gives the same bytes")
	}
	// Everything that is bound, changed one at a time; the last three have the
	// same letters at other places.
	for name, c := range map[string]secret.Context{
		"other row":     {Table: record.Table, Row: "k2", KeyVersion: 1},
		"other table":   {Table: "accounts", Row: record.Row, KeyVersion: 1},
		"other version": {Table: record.Table, Row: record.Row, KeyVersion: 2},
		"swapped":       {Table: record.Row, Row: record.Table, KeyVersion: 1},
		"shifted":       {Table: record.Table + "k", Row: "1", KeyVersion: 1},
		"empty":         {},
	} {
		if got, err := s.Open(sealed, c); !errors.Is(err, secret.ErrSealed) || got != nil {
			t.Errorf("%s: %q, %v; want ErrSealed", name, got, err)
		}
	}
	if _, err := newSealer(t, 2).Open(sealed, record); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("another key: %v", err)
	}
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if _, err := s.Open(changed, record); !errors.Is(err, secret.ErrSealed) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
		if _, err := s.Open(sealed[:i], record); !errors.Is(err, secret.ErrSealed) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestNewSealerWantsAKey(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 16, 31, 33} {
		if _, err := secret.NewSealer(make([]byte, size)); err == nil {
			t.Errorf("a key of %d bytes was taken", size)
		}
	}
}

func FuzzSeal(f *testing.F) {
	f.Add([]byte(canary), "t", "r", uint32(1))
	f.Add([]byte(nil), "", "", uint32(0))
	s := newSealer(f, 1)
	f.Fuzz(func(t *testing.T, plaintext []byte, table, row string, version uint32) {
		c := secret.Context{Table: table, Row: row, KeyVersion: version}
		sealed := s.Seal(plaintext, c)
		if got, err := s.Open(sealed, c); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("sealed %q, opened %q, %v", plaintext, got, err)
		}
		if _, err := s.Open(plaintext, c); err == nil {
			t.Errorf("%q opened without having been sealed", plaintext)
		}
		moved := secret.Context{Table: table + row, KeyVersion: version}
		if _, err := s.Open(sealed, moved); err == nil && moved != c {
			t.Errorf("sealed for %+v, opened for %+v", c, moved)
		}
	})
}

func TestOpenKeyFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "eab.key")
	first, err := secret.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err != nil || len(key) != 32 || bytes.Equal(key, make([]byte, 32)) {
		t.Errorf("the key file holds %d bytes, %v; want 32 random ones", len(key), err)
	}
	second, err := secret.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Open(first.Seal([]byte(canary), record), record); err != nil || string(got) != canary {
		t.Errorf("after opening the file again: %q, %v", got, err)
	}
	if left := names(t, folder); len(left) != 1 {
		t.Errorf("besides the key there is something left: %q", left)
	}
}

func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestOpenKeyFileTogether: whoever starts at the same time gets the same key,
// or what one of them sealed would be lost.
func TestOpenKeyFileTogether(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "eab.key")
	sealers := make([]*secret.Sealer, 16)
	var all sync.WaitGroup
	for i := range sealers {
		all.Go(func() {
			s, err := secret.OpenKeyFile(path)
			if err != nil {
				t.Error(err)
				return
			}
			sealers[i] = s
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	sealed := sealers[0].Seal([]byte(canary), record)
	for i, s := range sealers {
		if _, err := s.Open(sealed, record); err != nil {
			t.Errorf("sealer %d has another key: %v", i, err)
		}
	}
	if left := names(t, folder); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

func TestOpenKeyFileRefuses(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		fault      string
	}{
		{"group can read", good, 0o640, "chmod 600"},
		{"world can read", good, 0o604, "chmod 600"},
		{"empty", "", 0o600, "not 32 bytes in base64"},
		{"short", base64.StdEncoding.EncodeToString(make([]byte, 31)), 0o600, "not 32 bytes in base64"},
		{"long", base64.StdEncoding.EncodeToString(make([]byte, 33)), 0o600, "not 32 bytes in base64"},
		{"no base64", "!" + good[1:], 0o600, "not 32 bytes in base64"},
	} {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.OpenKeyFile(path); err == nil || !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: %v; want %q", test.name, err, test.fault)
		} else if strings.Contains(err.Error(), good[2:20]) {
			t.Errorf("%s: the fault shows the key: %v", test.name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != test.text {
			t.Errorf("%s: the file was changed", test.name)
		}
	}
	if _, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "none", "k")); err == nil {
		t.Error("a key was made in a folder that is not there")
	}
}

// TestPassphrase: each label has its own, the same each time, and another key
// has others.
func TestPassphrase(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, first := range []byte{1, 2} {
		key := make([]byte, 32)
		key[0] = first
		s, err := secret.NewSealer(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := secret.NewSealer(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, label := range []string{"a", "b"} {
			p := string(s.Passphrase(label))
			if seen[p] || len(p) < 40 || p != string(again.Passphrase(label)) {
				t.Errorf("key %d, label %s: %q", first, label, p)
			}
			seen[p] = true
		}
	}
}
