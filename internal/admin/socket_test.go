package admin_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/internal/admin"
)

// serve answers on a socket until the test ends.
func serve(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	s := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		t.Log("the server ended with", <-ended)
	})
}

var greeting = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"items":["hello"]}`)) })

func greet(t *testing.T, dir string) error {
	t.Helper()
	c, err := admin.Dial(dir)
	if err != nil {
		return err
	}
	page, err := admin.Get[admin.Page[string]](t.Context(), c, "/")
	if err == nil && (len(page.Items) != 1 || page.Items[0] != "hello") {
		t.Errorf("got %v", page)
	}
	return err
}

func TestListen(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"short": t.TempDir(),
		// Longer than the kernel allows for the path of a socket.
		"long": filepath.Join(t.TempDir(), strings.Repeat("long/", 40)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, admin.SocketName)
			if err := greet(t, dir); !errors.Is(err, admin.ErrNotRunning) {
				t.Errorf("nothing there: %v", err)
			}
			l, err := admin.Listen(dir)
			if err != nil {
				t.Fatal(err)
			}
			serve(t, l, greeting)
			if err := greet(t, dir); err != nil {
				t.Error(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			// A live socket is left alone.
			if second, err := admin.Listen(dir); !errors.Is(err, admin.ErrLive) {
				t.Errorf("second: %v", err)
				if err == nil {
					_ = second.Close() // or the next greeting waits for ever
				}
			}
			if err := greet(t, dir); err != nil {
				t.Errorf("after the second: %v", err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What a dead process left is replaced.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, admin.SocketName)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as a process that was killed
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if err := greet(t, dir); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("stale: %v", err)
	}
	l, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, greeting)
	if err := greet(t, dir); err != nil {
		t.Error(err)
	}
}

// Something else of that name is somebody's.
func TestNoSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, admin.SocketName)
	if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Listen(dir); err == nil {
		t.Error("a file was replaced")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "notes" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestDialStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := admin.Get[admin.Done](ctx, admin.InProcess(greeting), "/"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
