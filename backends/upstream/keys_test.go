package upstream_test

import (
	"crypto/ecdsa"
	"path/filepath"
	"testing"

	"acmebridge/internal/keyfile"
)

// accountKey reads the key of an account whose backend uses no passphrase.
func accountKey(t *testing.T, dir string) *ecdsa.PrivateKey {
	t.Helper()
	key, sealed, err := keyfile.Read(filepath.Join(dir, "account.key"), nil)
	if err != nil || sealed {
		t.Fatalf("account key: sealed %t, %v", sealed, err)
	}
	return key
}
