package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"acmebridge/storage"
)

// A damaged page can send bbolt to an address that is not mapped, and Go ends
// the whole process then; catching it works for some faults only (SS-6). So a
// file is looked at in a child: the same program, told by its environment to
// do that and nothing else. The child answers in JSON, or dies, and either way
// the parent has a sentence to say.
const (
	childMode = "ACMEBRIDGE_BOLT_CHILD" // quick or full
	childPath = "ACMEBRIDGE_BOLT_FILE"
)

// answer is what the child says.
type answer struct {
	Report Report
	Error  string
	Is     string // which sentinel the error is
}

var sentinels = map[string]error{"damaged": storage.ErrDamaged, "newer": storage.ErrNewer, "locked": storage.ErrLocked}

// Probe opens the file at path in a child process and reads what every start
// needs. It takes the time of starting a process. A file that is not there is
// an error. The program must call ProbeMain first thing in its main.
func Probe(ctx context.Context, path string) error {
	_, err := ask(ctx, "quick", path)
	return err
}

// Check reads all of the file at path in a child process, as [Probe] does:
// its structure, every checksum, every index. Nobody may have it open. What is
// wrong with the contents is in the report; the error is for a file that could
// not be read.
func Check(ctx context.Context, path string) (Report, error) {
	return ask(ctx, "full", path)
}

// ProbeMain does the work of the child, and ends the process, when this
// process is one; otherwise it returns at once. A program that uses Probe,
// Check or Restore calls it before anything else, and so does the TestMain of
// its tests.
func ProbeMain() {
	mode := os.Getenv(childMode)
	if mode == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go endWithParent()
	var a answer
	path := os.Getenv(childPath)
	err := boundMemory(memoryFor(path))
	switch {
	case err != nil:
		err = fmt.Errorf("storage/bolt: check %s: bound the memory of the process that does it: %w", path, err)
	case mode == "quick":
		err = quickCheck(path)
	case mode == "full":
		a.Report, err = fullCheck(ctx, path)
	default:
		err = errors.New("storage/bolt: no such check: " + mode)
	}
	if err != nil {
		a.Error = err.Error()
		for name, sentinel := range sentinels {
			if errors.Is(err, sentinel) {
				a.Is = name
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// endWithParent ends the child when its standard input does: the parent holds the
// other end, and is gone. Nobody would hear the answer, and a damaged file can keep
// bbolt busy for ever.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// memoryFor is more than a check of the file needs: bbolt remembers each page
// that it has seen.
func memoryFor(path string) uint64 {
	const atLeast = 256 << 20
	info, err := os.Stat(path)
	if err != nil {
		return atLeast // what is wrong comes out when it is opened
	}
	return atLeast + uint64(info.Size())/8
}

func ask(ctx context.Context, mode, path string) (Report, error) {
	if os.Getenv(childMode) != "" {
		// Without this a program that forgot ProbeMain would start itself for ever.
		return Report{}, errors.New("storage/bolt: this program does not call bolt.ProbeMain first, so it cannot check files")
	}
	if _, err := os.Stat(path); err != nil {
		return Report{}, fmt.Errorf("storage/bolt: check: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return Report{}, fmt.Errorf("storage/bolt: check %s: %w", path, err)
	}
	var stdout, stderr bytes.Buffer
	child := exec.CommandContext(ctx, program)
	child.Env = append(os.Environ(), childMode+"="+mode, childPath+"="+path)
	child.Stdout, child.Stderr = &stdout, &stderr
	held, err := child.StdinPipe() // which the child takes for us being there
	if err != nil {
		return Report{}, fmt.Errorf("storage/bolt: check %s: %w", path, err)
	}
	defer held.Close()
	runErr := child.Run()
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	var a answer
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil || runErr != nil {
		return Report{}, fmt.Errorf("%w: the process that looked at %s died of it (%v: %s); restore a backup", storage.ErrDamaged, path, runErr, firstLine(stderr.String())) //nolint:errorlint // runErr may be nil
	}
	switch {
	case a.Error == "":
		return a.Report, nil
	case sentinels[a.Is] != nil:
		return a.Report, told{a.Error, sentinels[a.Is]}
	}
	return a.Report, errors.New(a.Error)
}

// told is an error that crossed from the child with its sentence and its kind.
type told struct {
	sentence string
	kind     error
}

func (t told) Error() string { return t.sentence }
func (t told) Unwrap() error { return t.kind }

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
