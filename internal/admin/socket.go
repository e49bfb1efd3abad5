package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// SocketName is the name of the socket in the data folder.
const SocketName = "admin.sock"

// ErrLive is returned by Listen when somebody answers on the socket already.
var ErrLive = errors.New("another acmebridge answers there")

// Listen makes the socket in a data folder and listens on it. A socket that a
// dead process left is replaced; one that somebody answers on is not. Only the
// user who runs the server may connect.
func Listen(dataDir string) (net.Listener, error) {
	path := filepath.Join(dataDir, SocketName)
	if err := checkStale(path); err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	l, err := listenAt(dataDir)
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	return l, nil
}

// checkStale returns nil when there is nothing at path that anybody needs.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something else of that name; move it away")
	}
	conn, err := dialSocket(path, time.Second)
	if err == nil {
		_ = conn.Close()
		return ErrLive
	}
	if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// listenAt makes the socket in a folder that nobody else can enter and then
// moves it to its place: so nobody can connect before its mode is set, and it
// replaces a stale one without a moment in which there is none.
func listenAt(dataDir string) (net.Listener, error) {
	private, err := os.MkdirTemp(dataDir, ".admin-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(private) }()
	short, done, err := shorten(filepath.Join(private, "s"))
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would remove a name that is no longer ours
	path := filepath.Join(dataDir, SocketName)
	if err := errors.Join(os.Chmod(short, 0o600), os.Rename(filepath.Join(private, "s"), path)); err != nil {
		_ = l.Close()
		return nil, err
	}
	return &socket{UnixListener: l, path: path}, nil
}

// socket removes its file when it is closed.
type socket struct {
	*net.UnixListener
	path string
	once sync.Once
}

func (s *socket) Close() error {
	s.once.Do(func() { _ = os.Remove(s.path) })
	return s.UnixListener.Close()
}

// longest is what the kernels allow for the path of a socket, with a margin.
const longest = 100

// shorten returns another path to the same file when path is too long for a
// socket, by way of its opened folder. done is to be called after its use.
func shorten(path string) (short string, done func(), err error) {
	if len(path) <= longest {
		return path, func() {}, nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path)), func() { _ = folder.Close() }, nil
}

func dialSocket(path string, timeout time.Duration) (net.Conn, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}
