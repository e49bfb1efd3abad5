package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// acknowledged is how many answers are worth a kill: those of the first order
// and what comes before it (newAccount, newOrder, challenge, finalize).
const acknowledged = 4

// killAfterAnswer has a client go through one order and kills the server in
// the very moment in which the client has the nth answer to a request that
// changed something. It returns what the client finds missing then.
//
// calm is a pause before each request, for servers that answer too early: it
// lets them catch up with what they have answered before.
func killAfterAnswer(t *testing.T, program string, n int, calm time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	web := startResponder(t)
	s := startServer(t, program, "inline", web.port)
	c := &client{server: s, web: web, directory: "/directory", key: newKey()}
	answers := 0
	c.answered = func(ctx context.Context) error {
		if answers++; answers != n {
			return pause(ctx, calm)
		}
		p, err := s.running(ctx)
		if err != nil {
			return err
		}
		if err := p.cmd.Process.Kill(); err != nil {
			return err
		}
		<-p.done
		return nil
	}
	err := c.register(ctx, binding{})
	if err == nil {
		_, err = c.issue(ctx, prompt)
	}
	if err == nil {
		err = c.verify(ctx)
	}
	if answers < n {
		t.Errorf("only %d answers came: %v", answers, err)
	}
	return err
}

// TestKillAfterAnswer: what a client holds in its hands survives.
func TestKillAfterAnswer(t *testing.T) {
	t.Parallel()
	for n := range acknowledged {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			t.Parallel()
			if err := killAfterAnswer(t, program("server"), n+1, 0); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestControlAnswerFirst is the control of the tests here: a server that
// answers before it commits has to be found out by each kill.
func TestControlAnswerFirst(t *testing.T) {
	t.Parallel()
	if err := build("hasty", "-tags", "failpoints", "-overlay", hastyCommit(t)); err != nil {
		t.Fatal(err)
	}
	// Not the third: the answer to a challenge response is read back from the
	// store, so even this server tells the truth in it.
	for _, n := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			err := killAfterAnswer(t, program("hasty"), n, 200*time.Millisecond)
			if err == nil {
				t.Fatal("a server that answers before it commits was not found out")
			}
			t.Logf("found out: %v", err)
			if !errors.Is(err, errMissing) {
				t.Errorf("but for another reason")
			}
		})
	}
	t.Run("patient", func(t *testing.T) {
		t.Parallel()
		// Nobody notices as long as nothing crashes: it is the kill that does it.
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		web := startResponder(t)
		s := startServer(t, program("hasty"), "inline", web.port)
		c := &client{server: s, web: web, directory: "/directory", key: newKey()}
		c.answered = func(ctx context.Context) error { return pause(ctx, 200*time.Millisecond) }
		if err := c.register(ctx, binding{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.issue(ctx, prompt); err != nil {
			t.Fatal(err)
		}
	})
}

// hastyCommit returns an overlay for the compiler in which the engine answers
// when a change is made but not yet committed. So nothing of it is in the
// program's own source, where somebody might turn it on.
func hastyCommit(t *testing.T) (overlay string) {
	t.Helper()
	const (
		right = "do := func() error { return e.store.Update(ctx, fn) }"
		hasty = `do := func() error {
		made := make(chan error, 1)
		go func() {
			err := e.store.Update(context.WithoutCancel(ctx), func(tx storage.Tx) error {
				err := fn(tx)
				if err == nil {
					select {
					case made <- nil:
					default:
					}
					time.Sleep(100 * time.Millisecond)
				}
				return err
			})
			select {
			case made <- err:
			default:
			}
		}()
		return <-made
	}`
	)
	path, err := filepath.Abs(filepath.Join("..", "..", "acme", "engine", "commit.go"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(source), right, hasty, 1)
	changed = strings.Replace(changed, "import (", "import (\n\t\"time\"", 1)
	if !strings.Contains(string(source), right) {
		t.Fatalf("%s does not have the line %q any more: write the control anew", path, right)
	}
	folder := t.TempDir()
	copied := filepath.Join(folder, "commit.go")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{path: copied}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(folder, "overlay.json")
	if err := errors.Join(os.WriteFile(copied, []byte(changed), 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return overlay
}
