package identity_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/internal/identity"
	"acmebridge/internal/keyfile"
)

// TestFileHasOneOrder: however the input lies, the file is key, certificate,
// chain, and nothing else.
func TestFileHasOneOrder(t *testing.T) {
	t.Parallel()
	c, key := newCA(t, "Example"), newKey(t)
	leaf := c.leaf(t, key.Public(), nil)
	want := append(keyPEM(t, key), certPEM(leaf, c.intermediate)...)
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keyfile.Encode(key, func() ([]byte, error) { return []byte("open sesame"), nil }, rand.Reader, 1000)
	if err != nil {
		t.Fatal(err)
	}
	params := []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")
	for name, files := range map[string][][]byte{
		"as it should be":      {want},
		"two files":            {keyPEM(t, key), certPEM(leaf, c.intermediate)},
		"chain first, root":    {certPEM(c.root, c.intermediate), certPEM(leaf), keyPEM(t, key)},
		"everything twice":     {want, want},
		"traditional key":      {append(params, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...), certPEM(leaf, c.intermediate)},
		"encrypted key":        {sealed, certPEM(leaf, c.intermediate)},
		"bag attributes, CRLF": {bytes.ReplaceAll(append([]byte("Bag Attributes\n    friendlyName: x\n"), want...), []byte("\n"), []byte("\r\n"))},
	} {
		b, err := identity.ReadBundle(func() ([]byte, error) { return []byte("open sesame"), nil }, files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		id, err := identity.Assemble(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := id.Encode(false); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	b, err := identity.ReadBundle(nil, want, certPEM(c.root))
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Assemble(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := id.Encode(true); err != nil || !bytes.Equal(got, append(bytes.Clone(want), certPEM(c.root)...)) {
		t.Errorf("with its root: %v\n%s", err, got)
	}
}

func TestWhatIsNoIdentityIsRefused(t *testing.T) {
	t.Parallel()
	c, key, other := newCA(t, "Example"), newKey(t), newKey(t)
	leaf := c.leaf(t, key.Public(), nil)
	sealed, err := keyfile.Encode(key, func() ([]byte, error) { return []byte("right"), nil }, rand.Reader, 1000)
	if err != nil {
		t.Fatal(err)
	}
	whole := append(keyPEM(t, key), certPEM(leaf, c.intermediate)...)
	for _, tt := range []struct {
		says  string
		files [][]byte
	}{
		{"two private keys", [][]byte{keyPEM(t, key), keyPEM(t, other), certPEM(leaf)}},
		{"no private key", [][]byte{certPEM(leaf)}},
		{"no certificate", [][]byte{keyPEM(t, key)}},
		{"for another one", [][]byte{keyPEM(t, other), certPEM(leaf, c.intermediate)}},
		{"belongs to no chain", [][]byte{whole, certPEM(newCA(t, "Stranger").root)}},
		{"nothing in PEM", [][]byte{leaf.Raw}},
		{"cut off", [][]byte{whole[:len(whole)-40]}},
		{"passphrase is wrong", [][]byte{sealed, certPEM(leaf)}},
		{"old form", [][]byte{[]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")}},
		{"cannot be read", [][]byte{[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}},
	} {
		b, err := identity.ReadBundle(func() ([]byte, error) { return []byte("wrong"), nil }, tt.files...)
		if err == nil {
			_, err = identity.Assemble(b)
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("got %v, want that %q", err, tt.says)
		}
	}
	b, err := identity.ReadBundle(nil, whole)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Assemble(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := id.Encode(true); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("a root that is nowhere: %v", err)
	}
}

// OpenSSL makes the traditional forms of a key and reads what is written here.
func TestOpenSSLAgrees(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("these tests want openssl:", err)
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	save := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := newCA(t, "Example")
	run("genrsa", "-traditional", "-out", "old.key", "2048")
	run("pkcs8", "-topk8", "-in", "old.key", "-passout", "pass:word", "-out", "sealed.key")
	sealed, err := os.ReadFile(filepath.Join(dir, "sealed.key"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "old.key"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := identity.ReadBundle(func() ([]byte, error) { return []byte("word"), nil }, sealed, old)
	if err != nil {
		t.Fatal(err)
	}
	der, err := identity.NewRequest([]string{"vasp.example", "192.0.2.7"}, b.Key)
	if err != nil {
		t.Fatal(err)
	}
	save("new.csr", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	text := run("req", "-in", "new.csr", "-noout", "-text", "-verify")
	for _, want := range []string{"CN = vasp.example", "DNS:vasp.example, IP Address:192.0.2.7", "TLS Web Server Authentication, TLS Web Client Authentication", "Digital Signature, Key Encipherment", "CA:FALSE"} {
		if !strings.Contains(strings.ReplaceAll(text, "CN=", "CN = "), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	id := identity.Identity{Key: b.Key, Leaf: c.leaf(t, b.Key.Public(), nil), Intermediates: []*x509.Certificate{c.intermediate}}
	file, err := id.Encode(false)
	if err != nil {
		t.Fatal(err)
	}
	save("identity.pem", file)
	save("root.pem", certPEM(c.root))
	for _, purpose := range []string{"sslserver", "sslclient"} {
		if out := run("verify", "-attime", "1795176000", "-x509_strict", "-purpose", purpose, "-CAfile", "root.pem", "-untrusted", "identity.pem", "identity.pem"); !strings.Contains(out, "OK") {
			t.Errorf("%s: %s", purpose, out)
		}
	}
	run("pkey", "-in", "identity.pem", "-check", "-noout")
}

func FuzzReadBundle(f *testing.F) {
	c, key := newCA(f, "Example"), newKey(f)
	leaf := c.leaf(f, key.Public(), nil)
	whole := append(keyPEM(f, key), certPEM(leaf, c.intermediate, c.root)...)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("-----BEGIN X-----\n-----END X-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := identity.ReadBundle(nil, data)
		if err != nil {
			return
		}
		id, err := identity.Assemble(b)
		if err != nil {
			return
		}
		// What was assembled is written so that it reads as the same, and is
		// then written the same.
		out, err := id.Encode(id.Root != nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := identity.ReadBundle(nil, out)
		if err != nil {
			t.Fatal(err)
		}
		second, err := identity.Assemble(again)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := second.Encode(second.Root != nil); err != nil || !bytes.Equal(out, twice) {
			t.Fatalf("%v\n%s\n%s", err, out, twice)
		}
	})
}
