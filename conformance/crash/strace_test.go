package crash_test

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// faults are ways in which a disk fails. In a commit the pages are written and
// synced and then the page that makes them count, so a second failing call is
// one in which nobody can tell what a later start will find. The numbers count
// per thread.
var faults = map[string]string{
	"sync":        "inject=fdatasync:error=EIO:when=1+",
	"second sync": "inject=fdatasync:error=EIO:when=2",
	"write":       "inject=pwrite64:error=EIO:when=1+",
	"full":        "inject=pwrite64:error=ENOSPC:when=1+",
	"nearly full": "inject=pwrite64:error=ENOSPC:when=2+",
}

// strace returns the command that makes system calls on the database fail.
func strace(t *testing.T, fault string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is not installed, and the tests of failing disks need it: apt-get install strace")
	}
	return []string{path, "-f", "-qq", "-o", "/dev/null", "-P", "DATABASE", "-e", "trace=fdatasync,pwrite64", "-e", fault}
}

// TestFailingDisk has the system calls on the database of a running server
// fail. The process must end with 75, soon, and the next one must have
// everything that was acknowledged (SS-4).
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			web := startResponder(t)
			s := startServer(t, program("server"), "queued", web.port)
			c := &client{server: s, web: web, directory: "/directory", key: newKey()}
			if err := c.register(ctx, binding{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.issue(ctx, prompt); err != nil {
				t.Fatal(err)
			}
			p, err := s.running(ctx)
			if err != nil {
				t.Fatal(err)
			}
			attach(ctx, t, strace(t, fault), s.database(), p)
			begun := time.Now()
			for exitCode(p) < 0 {
				if _, err := c.issue(ctx, prompt); err != nil {
					t.Fatal(err)
				}
			}
			if code := exitCode(p); code != 75 {
				t.Errorf("the process ended with %d, want 75", code)
			}
			// Until the fault is met there may be orders that succeed.
			if stop, ok := p.event("engine.stop"); ok && p.ending.Sub(stop) > 5*time.Second || !ok && p.ending.Sub(begun) > 10*time.Second {
				t.Errorf("it took too long to end: %v after the first fault was possible", p.ending.Sub(begun))
			}
			recovered(ctx, t, s, c)
		})
	}
}

// attach has strace take hold of a process.
func attach(ctx context.Context, t *testing.T, command []string, database string, p *process) {
	t.Helper()
	args := []string{"-p", strconv.Itoa(p.cmd.Process.Pid)}
	for _, a := range command[1:] {
		if a != "-qq" { // it says when it has attached
			args = append(args, strings.ReplaceAll(a, "DATABASE", database))
		}
	}
	cmd := exec.CommandContext(ctx, command[0], args...)
	messages, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	attached := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(messages)
		said := ""
		for lines.Scan() {
			said += lines.Text() + "\n"
			if strings.Contains(lines.Text(), "attached") {
				attached <- ""
				_, _ = io.Copy(io.Discard, messages)
			}
		}
		select {
		case attached <- said:
		default:
		}
		_ = cmd.Wait() // it ends with the process that it traces
	}()
	t.Cleanup(func() {
		<-p.done
		<-ended
	})
	if said := <-attached; said != "" {
		t.Fatalf("strace cannot trace the server; allow it (sysctl kernel.yama.ptrace_scope=0, or run as root): %s", said)
	}
}

// TestFailingDiskAtStart has the calls fail from the start on: the process
// says why it does not run, and harms nothing.
func TestFailingDiskAtStart(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			web := startResponder(t)
			s := startServer(t, program("server"), "queued", web.port, launch{}, launch{under: strace(t, fault)})
			c := &client{server: s, web: web, directory: "/directory", key: newKey()}
			if err := c.register(ctx, binding{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.issue(ctx, prompt); err != nil {
				t.Fatal(err)
			}
			if err := s.restart(ctx); err != nil {
				t.Fatal(err)
			}
			// Whatever the second process managed to do, the third has it all.
			for len(s.ends()) < 2 {
				if _, err := c.issue(ctx, prompt); err != nil {
					t.Fatal(err)
				}
			}
			p := s.ends()[1]
			if code := exitCode(p); code != 75 && code != 1 {
				t.Errorf("the process ended with %d, want 75, or 1 for a start that was refused", code)
			}
			if text := p.text(); strings.Contains(text, "goroutine ") || !strings.Contains(text, "acmebridge serve: ") {
				t.Errorf("the process does not say plainly why it ended")
			}
			recovered(ctx, t, s, c)
		})
	}
}

// recovered looks whether everything is there and in order.
func recovered(ctx context.Context, t *testing.T, s *server, c *client) {
	t.Helper()
	if err := c.verify(ctx); err != nil {
		t.Fatal(err)
	}
	l := &load{server: s, clients: []*client{c}}
	for i, o := range c.journal.orders {
		if o.chain == nil {
			t.Errorf("order %d (%s) has no certificate", i, o.url)
		}
	}
	if err := l.check(ctx); err != nil {
		t.Fatal(err)
	}
}
