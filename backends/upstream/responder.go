package upstream

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"acmebridge/internal/keyfile"
)

const wellKnown = "/.well-known/acme-challenge/"

// Responder answers http-01 by itself, wherever it is mounted. The names that
// are proved have to lead there, or their servers have to pass requests below
// /.well-known/acme-challenge/ on.
type Responder struct {
	mu      sync.Mutex
	content map[string]string // by token
}

// Type implements Solver.
func (r *Responder) Type() string { return "http-01" }

// Present implements Solver.
func (r *Responder) Present(_ context.Context, p Proof) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.content == nil {
		r.content = map[string]string{}
	}
	r.content[p.Token] = p.Content
	return nil
}

// CleanUp implements Solver.
func (r *Responder) CleanUp(_ context.Context, p Proof) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.content, p.Token)
	return nil
}

// ServeHTTP implements http.Handler.
func (r *Responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token, ok := strings.CutPrefix(req.URL.Path, wellKnown)
	r.mu.Lock()
	content, known := r.content[token]
	r.mu.Unlock()
	if !ok || !known || req.Method != http.MethodGet && req.Method != http.MethodHead {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write([]byte(content)) // the asker is gone
}

// Webroot answers http-01 by files in a folder that a web server serves.
type Webroot struct {
	// Dir is the root of the site; files are written below
	// .well-known/acme-challenge in it.
	Dir string
}

// Type implements Solver.
func (Webroot) Type() string { return "http-01" }

func (w Webroot) folder() string { return filepath.Join(w.Dir, filepath.FromSlash(wellKnown)) }

// Present implements Solver. The file is there completely or not at all, and the
// web server's user can read it.
func (w Webroot) Present(_ context.Context, p Proof) error {
	if !tokenRule(p.Token) {
		return errors.New("the token is no file name")
	}
	if err := os.MkdirAll(w.folder(), 0o755); err != nil {
		return err
	}
	return keyfile.Replace(filepath.Join(w.folder(), p.Token), 0o644, []byte(p.Content))
}

// CleanUp implements Solver.
func (w Webroot) CleanUp(_ context.Context, p Proof) error {
	if !tokenRule(p.Token) {
		return nil
	}
	err := os.Remove(filepath.Join(w.folder(), p.Token))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Check implements backends.Checker.
func (w Webroot) Check(context.Context) error {
	info, err := os.Stat(w.Dir)
	if err == nil && !info.IsDir() {
		return errors.New(w.Dir + " is not a folder")
	}
	return err
}
