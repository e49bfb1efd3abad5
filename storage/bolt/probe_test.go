package bolt

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A child that is still busy when its parent is gone ends, and answers nobody. The
// file is open here, and a child waits a second for that to end.
func TestChildEndsWithParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := open(t, dir, unsynced)
	defer shut(t, s)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), program)
	child.Env = append(os.Environ(), childMode+"=quick", childPath+"="+path)
	parent, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	child.Stdout = &answer
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	parent.Close() // the kernel does this for a parent that is killed
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || answer.Len() > 0 {
		t.Fatalf("the child ended with %v and answered %q, want exit code 1 and no answer", err, answer.String())
	}
}
