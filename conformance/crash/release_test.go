package crash_test

import (
	"bytes"
	"debug/elf"
	"os"
	"strings"
	"testing"
)

// What a build with failpoints has and a release must not have (SU-8).
var (
	testStrings = []string{"ACMEBRIDGE_FAILPOINTS", "ACMEBRIDGE_CLOCK_OFFSET", "failpoint: injected error", "error-after"}
	testSymbols = []string{"acmebridge/internal/failpoint.act", "acmebridge/internal/failpoint.parse", "acmebridge/internal/failpoint.plans"}
)

const jose = "github.com/go-jose/go-jose/v4"

// TestRelease looks for the seams of tests in an ordinary build, and in one
// with failpoints to see that it would find them.
func TestRelease(t *testing.T) {
	t.Parallel()
	if err := build("release"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"release": false, "server": true} {
		binary, err := os.ReadFile(program(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range testStrings {
			if got := bytes.Contains(binary, []byte(s)); got != want {
				t.Errorf("%s has the string %q: %t, want %t", name, s, got, want)
			}
		}
		for _, s := range testSymbols {
			if got := hasSymbol(t, program(name), s); got != want {
				t.Errorf("%s has the symbol %s: %t, want %t", name, s, got, want)
			}
		}
		// SP-6: what decrypts is linked in only where something reaches it.
		for s, want := range map[string]bool{
			jose + ".ecEncrypterVerifier.verifyPayload": true, jose + ".ParseEncrypted": false, jose + ".parseEncrypted": false,
			jose + ".JSONWebEncryption": false, jose + ".(*JSONWebEncryption)": false, jose + ".(*genericEncrypter)": false,
		} {
			if got := hasSymbol(t, program(name), s); got != want {
				t.Errorf("%s has the symbol %s: %t, want %t", name, s, got, want)
			}
		}
	}
}

func hasSymbol(t *testing.T, path, name string) bool {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, name) {
			return true
		}
	}
	return false
}
