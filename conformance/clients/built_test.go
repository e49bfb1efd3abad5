//go:build clients

package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
)

// build makes a client from its Go module, in a module of its own, so that what it
// needs stays out of ours: the providers of a hundred DNS services, or a web server.
// It keeps the program for the next run.
func build(t *testing.T, module, version, main string) (program string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "acmebridge-clients")
	program = filepath.Join(folder, path.Base(path.Dir(module))+"-"+version)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	built := filepath.Join(temporary, "built")
	for _, args := range [][]string{
		{"mod", "init", "client"},
		{"get", module + "@" + version},
		{"build", "-ldflags", "-s -w", "-o", built, main},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = temporary
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s %s: go %s: %v\n%s", main, version, args[0], err, out)
		}
	}
	// Another run may be doing the same: whole files change places, never parts of them.
	finished := fmt.Sprintf("%s.%d", program, os.Getpid())
	if err := os.WriteFile(finished, read(t, built), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(finished, program); err != nil {
		t.Fatal(err)
	}
	return program
}
