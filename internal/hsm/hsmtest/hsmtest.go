//go:build pkcs11

// Package hsmtest has a token for tests, made by SoftHSM of Debian (softhsm2).
package hsmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Module is the PKCS#11 module of SoftHSM, Token the label of the one token, which
// the module looks for when it is loaded, and PIN its PIN. Tests tell their keys
// apart by prefixes.
const (
	Module = "/usr/lib/softhsm/libsofthsm2.so"
	Token  = "acmebridge tests"
	PIN    = "1234"
)

const variable = "SOFTHSM2_CONF"

// Main runs tests with a token of their own. The module reads where
// that is when it is loaded, once for a process.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "softhsm")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(variable, conf); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", Token, "--pin", PIN, "--so-pin", "5678").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "softhsm2-util, of the Debian package softhsm2: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
