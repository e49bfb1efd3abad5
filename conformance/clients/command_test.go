//go:build clients

package clients

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// commandTimeout is far beyond what a client needs, and far below go test's own limit.
const commandTimeout = 90 * time.Second

// goBuild puts a program of this module, or of one it depends on, into a folder.
func goBuild(dir, source string) error {
	if out, err := exec.Command("go", "build", "-o", dir+"/", source).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", source, err, out)
	}
	return nil
}

// find insists on a client instead of passing without it: a run that tests nothing
// must not be green.
func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed: run conformance/clients/install.sh", program)
	}
	return path
}

// runner starts programs in a folder of their own, with nothing of the caller's
// environment that could change what a client does.
type runner struct {
	dir   string
	env   []string
	stdin string // what a person would type
}

// run returns what the program wrote and fails the test when it does not end well.
func (r runner) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := r.try(t, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return out
}

func (r runner) try(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "LC_ALL=C.UTF-8"}, r.env...)
	cmd.Stdin = strings.NewReader(r.stdin)
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	err := cmd.Run()
	t.Logf("%s %s (%.1f s)", filepath.Base(program), strings.Join(args, " "), time.Since(begin).Seconds())
	return out.String(), err
}

// glob finds the one file that a client keeps under a name of its own making.
func glob(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files match %s (%v), want 1: %v", len(found), pattern, err, found)
	}
	return found[0]
}

// below finds the one file of that name somewhere below a folder: certbot makes a
// folder for each part of the path of the directory URL.
func below(t *testing.T, folder, name string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == name {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files %s below %s (%v), want 1: %v", len(found), name, folder, err, found)
	}
	return found[0]
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
