package renew

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const wellKnown = "/.well-known/acme-challenge/"

// isToken says whether a server has chosen a token as RFC 8555 wants it (8.1):
// nothing else gets into the name of a file.
func isToken(text string) bool {
	for _, c := range text {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	const longest = 200
	return text != "" && len(text) <= longest
}

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
	token, ok := strings.CutPrefix(path, wellKnown)
	if !ok || !isToken(token) {
		return nil, fmt.Errorf("the server asks for a file named %.80q, which no challenge has", path)
	}
	// Whoever runs the web server may be somebody else: the root keeps what is
	// written, and removed, from getting out by a link.
	root, err := os.OpenRoot(w.Folder)
	if err != nil {
		return nil, err
	}
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
