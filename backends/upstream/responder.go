package upstream

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
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

// folder is where the files are in Dir.
const folder = ".well-known/acme-challenge"

// Present implements Solver. The file is there completely or not at all, and the
// web server's user can read it. Whoever runs that may write into the folder, too,
// so no link in it is followed that leads out.
func (w Webroot) Present(_ context.Context, p Proof) (err error) {
	if !tokenRule(p.Token) {
		return errors.New("the token is no file name")
	}
	root, err := os.OpenRoot(w.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	const folders, forAll = 0o755, 0o644
	if err := root.MkdirAll(folder, folders); err != nil {
		return err
	}
	name, unfinished := path.Join(folder, p.Token), path.Join(folder, keyfile.TempPrefix+p.Token)
	if err := root.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, forAll)
	if err != nil {
		return err
	}
	_, err = f.WriteString(p.Content)
	if err := errors.Join(err, f.Chmod(forAll), f.Close()); err != nil {
		return errors.Join(err, root.Remove(unfinished))
	}
	return root.Rename(unfinished, name)
}

// CleanUp implements Solver.
func (w Webroot) CleanUp(_ context.Context, p Proof) (err error) {
	if !tokenRule(p.Token) {
		return nil
	}
	root, err := os.OpenRoot(w.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.Remove(path.Join(folder, p.Token)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Check implements backends.Checker.
func (w Webroot) Check(context.Context) error {
	info, err := os.Stat(w.Dir)
	if err == nil && !info.IsDir() {
		return errors.New(w.Dir + " is not a folder")
	}
	return err
}
