package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/cmd/acmebridge/config"
)

// testClock is a clock that a test moves.
type testClock struct{ at time.Time }

func (c *testClock) now() time.Time { return c.at }

func newTestClock() *testClock { return &testClock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func ownConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	return cfg
}

func leafOf(s *serverCertificate) *x509.Certificate { return s.current.Load().Leaf }

// The root is made once, is private, and certifies all names of the server; the
// leaf is renewed by itself.
func TestOwnRoot(t *testing.T) {
	t.Parallel()
	clock, cfg := newTestClock(), ownConfig(t)
	cfg.BaseURL = "https://acme.example.net:8443"
	cfg.Directories["other"] = config.Directory{Host: "other.example.net:8443", Path: "/directory"}
	cfg.Listen = "192.0.2.7:8443"
	s, err := newServerCertificate(cfg, slog.New(slog.DiscardHandler), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(filepath.Join(cfg.DataDir, tlsRootFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	for _, name := range []string{"acme.example.net", "other.example.net", "localhost", "127.0.0.1", "::1", "192.0.2.7"} {
		if _, err := leafOf(s).Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: clock.at}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(cfg.DataDir, tlsRootKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key of the root: %v, %v", info.Mode(), err)
	}
	block, _ := pem.Decode(root)
	if chain := s.chain(); len(chain) != 1 || !bytes.Equal(chain[0], block.Bytes) {
		t.Error("the root is not what is published")
	}

	first := leafOf(s)
	clock.at = clock.at.Add(10 * 24 * time.Hour)
	if s.look(); leafOf(s) != first {
		t.Error("renewed long before the end")
	}
	clock.at = clock.at.Add(11 * 24 * time.Hour)
	if s.look(); leafOf(s) == first || !leafOf(s).NotAfter.After(clock.at.Add(29*24*time.Hour)) {
		t.Error("not renewed with a third of its life left")
	}

	again, err := newServerCertificate(cfg, slog.New(slog.DiscardHandler), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.private, s.private) {
		t.Error("a second start made another root")
	}
}

// Half a root is not replaced silently: clients trust the old one.
func TestOwnRootIsNotReplaced(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	start := func(cfg *config.Config) error {
		_, err := newServerCertificate(cfg, slog.New(slog.DiscardHandler), clock.now)
		return err
	}
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, dir string)
		refuse string
	}{
		{"key lost", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, tlsRootKeyFile)) }, "restore both"},
		{"foreign key", func(t *testing.T, dir string) {
			other := ownConfig(t)
			if err := start(other); err != nil {
				t.Fatal(err)
			}
			copyFile(t, filepath.Join(other.DataDir, tlsRootKeyFile), filepath.Join(dir, tlsRootKeyFile))
		}, "restore both"},
		{"damaged", func(t *testing.T, dir string) { put(t, filepath.Join(dir, tlsRootFile), "nonsense") }, "restore both"},
		{"ended", func(*testing.T, string) { clock.at = clock.at.AddDate(10, 0, 0) }, "give clients the new root"},
		{"certificate lost before anybody had it", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, tlsRootFile)) }, ""},
	} {
		clock.at = newTestClock().at
		cfg := ownConfig(t)
		if err := start(cfg); err != nil {
			t.Fatal(err)
		}
		tt.spoil(t, cfg.DataDir)
		err := start(cfg)
		if tt.refuse == "" && err != nil || tt.refuse != "" && (err == nil || !strings.Contains(err.Error(), tt.refuse)) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: the message quotes a key", tt.name)
		}
	}
}

// TL-2: new files are taken without a restart; a pair that does not match or
// has expired leaves the old one in use.
func TestReload(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	// The root of an own certificate serves as a pair of files.
	stage := func(begin time.Time) (cert, key string) {
		t.Helper()
		from := t.TempDir()
		if _, err := makeOwnRoot(from, begin); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(from, tlsRootFile), filepath.Join(from, tlsRootKeyFile)
	}
	install := func(cert, key string, at time.Time) {
		t.Helper()
		copyFile(t, cert, certFile)
		copyFile(t, key, keyFile)
		// Two writes within one tick of the file system's clock look the same.
		if err := os.Chtimes(certFile, at, at); err != nil {
			t.Fatal(err)
		}
	}
	cert1, key1 := stage(clock.at)
	cert2, key2 := stage(clock.at)
	certOld, keyOld := stage(clock.at.AddDate(-20, 0, 0))
	cfg := ownConfig(t)
	cfg.TLS = config.TLS{Cert: certFile, Key: keyFile}

	install(cert1, key1, clock.at)
	var logged bytes.Buffer
	s, err := newServerCertificate(cfg, slog.New(slog.NewTextHandler(&logged, nil)), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	first := leafOf(s)
	if s.look(); leafOf(s) != first {
		t.Error("reloaded without a change")
	}
	install(cert2, key1, clock.at.Add(time.Second))
	if s.look(); leafOf(s) != first || !strings.Contains(logged.String(), "tls.reload_failed") {
		t.Errorf("a pair that does not match: %s", &logged)
	}
	install(certOld, keyOld, clock.at.Add(2*time.Second))
	if s.look(); leafOf(s) != first {
		t.Error("an expired certificate was taken")
	}
	install(cert2, key2, clock.at.Add(3*time.Second))
	if s.look(); leafOf(s).Equal(first) {
		t.Errorf("the new pair was not taken: %s", &logged)
	}
	if got, err := s.get(nil); err != nil || got.Leaf != leafOf(s) {
		t.Error("handshakes do not get the new certificate")
	}
	logged.Reset()
	clock.at = leafOf(s).NotAfter.Add(-20 * 24 * time.Hour)
	s.look()
	s.look()
	if n := strings.Count(logged.String(), "tls.expiring"); n != 1 {
		t.Errorf("%d complaints about the end, want 1", n)
	}

	install(cert2, key1, clock.at)
	if _, err := newServerCertificate(cfg, slog.New(slog.DiscardHandler), clock.now); err == nil {
		t.Error("started with a pair that does not match")
	}
	install(certOld, keyOld, clock.at)
	if _, err := newServerCertificate(cfg, slog.New(slog.DiscardHandler), clock.now); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("started with an expired certificate: %v", err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	put(t, to, string(b))
}
