package sectigotool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"acmebridge/backends/sectigo"
	"acmebridge/internal/secret"
)

// pseudoTerminal returns both ends of one: what a person sees and types on,
// and what a program has as its standard input.
func pseudoTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("this machine has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// typist types the next line when it is asked for: then the terminal has been
// told what to show, or is about to be.
type typist struct {
	mu     sync.Mutex
	person io.Writer
	fd     int
	lines  []string
	asked  bytes.Buffer
	// interrupt is what is done in place of typing a password, when set.
	interrupt func()
}

func (ty *typist) Write(b []byte) (int, error) {
	ty.mu.Lock()
	defer ty.mu.Unlock()
	ty.asked.Write(b)
	if !strings.HasSuffix(string(b), ": ") {
		return len(b), nil
	}
	if ty.interrupt != nil {
		go func() {
			ty.untilSilent()
			ty.interrupt()
		}()
	} else if len(ty.lines) > 0 {
		line, silent := ty.lines[0], strings.HasPrefix(string(b), "Password")
		ty.lines = ty.lines[1:]
		go func() {
			if silent {
				ty.untilSilent()
			}
			_, _ = io.WriteString(ty.person, line+"\n")
		}()
	}
	return len(b), nil
}

// untilSilent waits for the terminal to show no more what is typed.
func (ty *typist) untilSilent() {
	for {
		state, err := unix.IoctlGetTermios(ty.fd, unix.TCGETS)
		if err != nil || state.Lflag&unix.ECHO == 0 {
			return
		}
		runtime.Gosched()
	}
}

// TestPrompt: what is missing is asked for, and the password does not show.
func TestPrompt(t *testing.T) {
	t.Parallel()
	person, program := pseudoTerminal(t)
	seen := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = io.Copy(&all, person) // ends with an error when the other end closes
		seen <- all.String()
	}()
	before, err := term.GetState(int(program.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	stderr := &typist{person: person, fd: int(program.Fd()), lines: []string{"alice", "correct horse"}}
	tl := &tool{Env: Env{Stdin: program, Stderr: stderr}}
	if !tl.terminal() {
		t.Fatal("a terminal was not recognised")
	}
	cfg := sectigo.Config{URL: "https://ca.example"}
	if err := tl.ask(context.Background(), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Username != "alice" || !cfg.Password.Equal(secret.New([]byte("correct horse"))) {
		t.Errorf("user %q, or another password than was typed", cfg.Username)
	}
	if asked := stderr.asked.String(); !strings.Contains(asked, "Password of alice at https://ca.example: ") {
		t.Errorf("asked %q", asked)
	}
	after, err := term.GetState(int(program.Fd()))
	if err != nil || *after != *before {
		t.Errorf("the terminal was left in another state: %v", err)
	}

	// After Ctrl-C the terminal shows again what is typed.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stderr.interrupt = cancel
	if _, err := tl.askSecret(ctx, "Password: "); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted question: %v", err)
	}
	if after, err = term.GetState(int(program.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal was left in another state after an interrupt: %v", err)
	}
	if _, err := io.WriteString(person, "\n"); err != nil { // ends the reading that was given up
		t.Error(err)
	}
	_ = program.Close()
	if shown := <-seen; !strings.Contains(shown, "alice") || strings.Contains(shown, "horse") {
		t.Errorf("the terminal showed %q", shown)
	}
}

// TestNoPrompt: without a terminal nothing is asked.
func TestNoPrompt(t *testing.T) {
	t.Parallel()
	tl := &tool{Env: Env{Stdin: strings.NewReader("alice\npassword\n"), Stderr: io.Discard}}
	if err := tl.ask(context.Background(), new(sectigo.Config)); err == nil {
		t.Error("a pipe was asked for a password")
	}
}
