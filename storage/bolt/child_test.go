//go:build linux

package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The tests of what a crash leaves behind have a child process write to a
// store while strace records what it does to the file, or makes the system
// fail it. The child is this test program again.
const (
	workerEnv  = "ACMEBRIDGE_BOLT_WORKER"
	workerAcks = "acks"
)

// work says what the child does.
type work struct {
	Dir     string
	Clients int
	Updates int // of each client
	NoSync  bool
}

// outcome is what the child found out, in its last line.
type outcome struct {
	Failed       string // the first error of an update
	Unknown      bool   // whether it was ErrUnknown
	Calls        int    // of OnUnknown
	UpdateAfter  bool   // whether an update after that was refused with ErrClosed
	ViewAfter    bool   // and a view
	FnRanAfter   bool   // whether the function of a refused one ran
	Acknowledged int
}

// update is what the child does, so many times: an order that names its
// number, with an authorization and a job.
func (w work) update(n int) func(storage.Tx) error {
	return func(tx storage.Tx) error {
		id := strconv.Itoa(n)
		return firstError(
			tx.Orders().Put(acme.Order{ID: acme.OrderID(id), Account: "account", Member: "member", Replaces: strings.Repeat(id, 200/len(id))}),
			tx.Authorizations().Put(acme.Authorization{ID: acme.AuthorizationID(id), Account: "account", Status: acme.AuthorizationValid, Identifier: acme.Identifier{Type: acme.DNSIdentifier, Value: id}}),
			tx.Jobs().Put(storage.Job{ID: storage.JobID(id), Subject: id}),
		)
	}
}

// has reports whether an update is there: whole, or not at all.
func (w work) has(tx storage.Tx, n int) (bool, error) {
	id := strconv.Itoa(n)
	o, err := tx.Orders().Get(acme.OrderID(id))
	proofs, _, err2 := tx.Authorizations().Valid("account", acme.Identifier{Type: acme.DNSIdentifier, Value: id}, false, storage.Page{})
	if err2 == nil && len(proofs) == 0 {
		err2 = storage.ErrNotFound
	}
	_, err3 := tx.Jobs().Get(storage.JobID(id))
	switch absent := errors.Is(err, storage.ErrNotFound); {
	case absent && errors.Is(err2, storage.ErrNotFound) && errors.Is(err3, storage.ErrNotFound):
		return false, nil
	case err == nil && err2 == nil && err3 == nil && o.Replaces == strings.Repeat(id, 200/len(id)):
		return true, nil
	}
	return false, fmt.Errorf("update %d is there in part: order %w, authorization %w, job %w", n, err, err2, err3)
}

// workerMain is the child's main.
func workerMain() {
	var w work
	if err := json.Unmarshal([]byte(os.Getenv(workerEnv)), &w); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := w.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (w work) run() error {
	var (
		out   outcome
		calls atomic.Int32
		mu    sync.Mutex
	)
	acks, err := os.OpenFile(filepath.Join(w.Dir, workerAcks), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s, err := Open(context.Background(), Config{
		Path: filepath.Join(w.Dir, "test.db"), noSync: w.NoSync, foldAt: 60, OnUnknown: func(error) { calls.Add(1) },
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for c := range w.Clients {
		wg.Go(func() {
			for i := range w.Updates {
				n := 1 + c + i*w.Clients
				err := s.Update(context.Background(), w.update(n))
				mu.Lock()
				if err != nil && (out.Failed == "" || errors.Is(err, storage.ErrUnknown)) {
					out.Failed, out.Unknown = err.Error(), errors.Is(err, storage.ErrUnknown)
				}
				mu.Unlock()
				if err != nil {
					return
				}
				_, _ = fmt.Fprintf(acks, "ack %d\n", n)
			}
		})
	}
	wg.Wait()
	if out.Failed != "" {
		ran := func(storage.Tx) error { out.FnRanAfter = true; return nil }
		out.UpdateAfter = errors.Is(s.Update(context.Background(), ran), storage.ErrClosed)
		out.ViewAfter = errors.Is(s.View(context.Background(), ran), storage.ErrClosed)
	}
	out.Calls = int(calls.Load())
	_ = s.Close() // a store that stopped may not close well, and says so
	return json.NewEncoder(os.Stdout).Encode(out)
}

// traced runs the child under strace, whose own output goes to a file.
func traced(t *testing.T, w work, options ...string) (trace string, out outcome) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("this test watches system calls; install strace (apt-get install strace, or the like): %v", err)
	}
	trace = filepath.Join(t.TempDir(), "trace")
	spec, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), strace, append(append([]string{"-f", "-qq", "-o", trace}, options...), os.Args[0])...)
	cmd.Env = append(os.Environ(), workerEnv+"="+string(spec))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("the child: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("the child said %q: %v", b, err)
	}
	return trace, out
}
