package localca

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/internal/keyfile"
)

func TestEncryptedKeys(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.iterations = 100
	secret := []byte("correct horse battery staple")
	cfg.Passphrase = func() ([]byte, error) { return secret, nil }
	before := open(t, cfg)
	r := newRequest(birth)
	first, err := before.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := open(t, cfg).Issue(r)
	if err != nil || !bytes.Equal(first[0], again[0]) {
		t.Errorf("reopened, the CA issues something else: %v", err)
	}

	path := filepath.Join(cfg.Dir, "issuer-1.key")
	if data, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(data, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
		t.Errorf("the key file begins %.40q: %v", data, err)
	}
	secret = []byte("wrong")
	if _, err := Open(cfg); !errors.Is(err, keyfile.ErrPassphrase) {
		t.Errorf("got %v, want a wrong passphrase", err)
	}
	cfg.Passphrase = func() ([]byte, error) { return nil, errPlug }
	if _, err := Open(cfg); !errors.Is(err, errPlug) {
		t.Errorf("got %v, want what the source of the passphrase said", err)
	}
	cfg.Passphrase = nil
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "configure its passphrase") {
		t.Errorf("got %v, want to be told to configure a passphrase", err)
	}
	if all, err := Inspect(cfg); err != nil || all[1].Key != "encrypted file" {
		t.Errorf("inspected without the passphrase: %+v, %v", all, err)
	}
}

// TestOpenSSLReadsOurKeysAndWeItsKeys: the operator is not locked in.
func TestOpenSSLReadsOurKeysAndWeItsKeys(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Passphrase = func() ([]byte, error) { return []byte("pass"), nil }
	before := open(t, cfg)
	path := filepath.Join(cfg.Dir, "issuer-1.key")
	plain, other := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "other")
	openssl(t, "pkcs8", "-in", path, "-passin", "pass:pass", "-out", plain)
	openssl(t, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", plain, "-passout", "pass:pass", "-out", other)
	if err := os.Chmod(other, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	after := open(t, cfg)
	r := newRequest(birth)
	a, err := before.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := after.Issue(r); err != nil || !bytes.Equal(a[0], b[0]) {
		t.Errorf("with the key as openssl wrote it the CA issues something else: %v", err)
	}
	// What we do not read is said, not misread.
	openssl(t, "pkcs8", "-topk8", "-v2", "aes-128-cbc", "-in", plain, "-passout", "pass:pass", "-out", other)
	if err := os.Chmod(other, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "convert it") {
		t.Errorf("got %v, want to be told to convert the key", err)
	}
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func opensslFails(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		t.Fatalf("openssl %s: got %v, want it to fail\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
