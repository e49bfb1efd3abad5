package acmetest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const wellKnown = "/.well-known/acme-challenge/"

// responder answers http-01 validations for the whole run: a server under test
// has one validation port, so all cases share it and are told apart by token.
type responder struct {
	server *http.Server
	done   chan struct{} // closed when Serve has returned

	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	visits  map[string][]visit
}

// visit is what a validation request looked like.
type visit struct {
	method, host, path string
}

func newResponder(ln net.Listener) *responder {
	r := &responder{
		done:    make(chan struct{}),
		answers: map[string]http.HandlerFunc{},
		visits:  map[string][]visit{},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		// Serve ends when the listener is closed; what it returns then says no more.
		_ = r.server.Serve(ln)
	}()
	return r
}

func (r *responder) close() error {
	err := r.server.Close()
	<-r.done
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the http-01 responder: %w", err)
	}
	return nil
}

// ServeHTTP answers by token, whatever the Host header says: which name was asked
// for is judged by the cases, from the recorded visits.
func (r *responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token, found := strings.CutPrefix(req.URL.Path, wellKnown)
	r.mu.Lock()
	answer := r.answers[token]
	if answer != nil {
		r.visits[token] = append(r.visits[token], visit{req.Method, req.Host, req.URL.Path})
	}
	r.mu.Unlock()
	if !found || answer == nil {
		http.NotFound(w, req)
		return
	}
	answer(w, req)
}

// answer sets how validations of token are answered.
func (r *responder) answer(token string, h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[token] = h
}

// visitsOf returns the validations of token seen so far.
func (r *responder) visitsOf(token string) []visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]visit(nil), r.visits[token]...)
}

// text answers with a fixed body and status.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // a validator that hung up is the server's business
	}
}
