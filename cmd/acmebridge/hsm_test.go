//go:build pkcs11

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestHSMScripts runs the program with keys in a token of SoftHSM, of the Debian
// package softhsm2. Each script has a token of its own, called "vault".
func TestHSMScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/hsm",
		Cmds:     scriptCommands,
		Deadline: time.Now().Add(2 * time.Minute),
		Setup: func(e *testscript.Env) error {
			tokens, conf := filepath.Join(e.WorkDir, "tokens"), filepath.Join(e.WorkDir, "softhsm2.conf")
			if err := os.Mkdir(tokens, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nobjectstore.backend = file\n"), 0o600); err != nil {
				return err
			}
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Setenv("SOFTHSM2_CONF", conf)
			e.Setenv("MODULE", "/usr/lib/softhsm/libsofthsm2.so")
			init := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "vault", "--pin", "1234", "--so-pin", "5678")
			init.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
			return init.Run()
		},
	})
}
