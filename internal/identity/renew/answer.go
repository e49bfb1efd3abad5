package renew

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Listen answers challenges itself, at an address such as :80, which it holds
// only while a challenge is open.
type Listen struct{ Address string }

// Answer serves until withdraw.
func (l Listen) Answer(ctx context.Context, path, answer string) (withdraw func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return nil, err
	}
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != path {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, answer) // the server asks again if it did not get it
	})}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	return func() error {
		err := web.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// Webroot lets a web server that is there answer: Folder is what it serves at /.
type Webroot struct{ Folder string }

// Answer writes the file and removes it at withdraw. The folders stay.
func (w Webroot) Answer(_ context.Context, path, answer string) (withdraw func() error, err error) {
	root, err := os.OpenRoot(w.Folder)
	if err != nil {
		return nil, err
	}
	// The last part is a token that a server chose; the root keeps it inside.
	name := filepath.FromSlash(path[1:])
	const forAll, folders = 0o644, 0o755
	err = root.MkdirAll(filepath.Dir(name), folders)
	if err == nil {
		err = root.WriteFile(name, []byte(answer), forAll)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return func() error { return errors.Join(root.Remove(name), root.Close()) }, nil
}
