package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"acmebridge/cmd/acmebridge/config"
)

// TestAccountKeyIsEncrypted: the account at a CA behind us is money, so its key
// is never in the clear, whatever the configuration leaves out, and opens again
// in the next process.
func TestAccountKeyIsEncrypted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := makeOwnRoot(dir, time.Now()); err != nil { // any root will do
		t.Fatal(err)
	}
	roots := filepath.Join(dir, tlsRootFile)
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte(`
pki_listen: ""
profiles: {tls: {backend: ca, subject: by_ca}}
backends:
  ca: {type: upstream, url: "https://127.0.0.1:1/dir", roots_file: `+roots+`, agree_to_terms: true, http_01: {webroot: `+dir+`}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, []string{"ACMEBRIDGE_DATA_DIR=" + filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	var before []byte
	for range 2 {
		p, err := assemble(t.Context(), cfg, slog.New(slog.DiscardHandler), time.Now, use{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(filepath.Join(dir, "data", "upstream", "ca", "account.key"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(key, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) || before != nil && !bytes.Equal(key, before) {
			t.Errorf("the key is kept as\n%s", key)
		}
		before = key
	}
}
