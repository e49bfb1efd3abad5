package ib1_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

// birth is when the trees of the tests are made; that of the golden chain too.
var birth = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func settings() ib1.Settings {
	return ib1.Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org"}
}

func holder() ib1.Holder {
	return ib1.Holder{
		Country: "GB", Organization: "Example Company Ltd",
		Application: "https://directory.core.trust.ib1.org/a/883391",
		Member:      "https://directory.core.trust.ib1.org/m/827252",
		Roles: []string{
			"https://registry.core.trust.ib1.org/scheme/energy/role/data-provider",
			"https://registry.core.trust.ib1.org/scheme/energy/role/auditor",
		},
	}
}

// world is a framework with one tree that issues.
type world struct {
	framework       *ib1.Framework
	root, issuer    *ib1.Authority
	rootKey, ownKey crypto.Signer
}

func newWorld(t *testing.T, tree ib1.Tree) world {
	t.Helper()
	w := world{framework: must(ib1.New(settings())), rootKey: newKey(t, elliptic.P384()), ownKey: newKey(t, elliptic.P256())}
	root := must(w.framework.CreateRoot(tree, w.rootKey, at(birth)))
	w.root = must(w.framework.OpenRoot(tree, root, w.rootKey))
	issuer := must(w.root.CreateIssuer(w.ownKey.Public(), at(birth)))
	w.issuer = must(w.framework.OpenIssuer(tree, root, issuer, w.ownKey))
	return w
}

func at(now time.Time) ib1.Issuance {
	return ib1.Issuance{Serial: must(ib1.NewSerial(rand.Reader, func(*big.Int) (bool, error) { return false, nil })), Now: now}
}

// must is for what the test is not about.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("%s is not PEM", name)
	}
	return block.Bytes
}

func goldenCertificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(golden(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// file writes PEM into a file of its own and returns the path.
func file(t *testing.T, kind string, ders ...[]byte) string {
	t.Helper()
	var data []byte
	for _, der := range ders {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
