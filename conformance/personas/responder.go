package personas

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// responder answers http-01 validations of all stories, told apart by token.
type responder struct {
	server *http.Server
	done   chan struct{} // closed when Serve has returned

	mu      sync.Mutex
	answers map[string]string // by token
}

func newResponder(ln net.Listener) *responder {
	r := &responder{done: make(chan struct{}), answers: map[string]string{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		// Serve ends when the listener is closed; what it returns then says no more.
		_ = r.server.Serve(ln)
	}()
	return r
}

func (r *responder) close() {
	_ = r.server.Close() // the port is free either way
	<-r.done
}

// ServeHTTP gives the key authorization without a line end, as the files that
// clients write have it.
func (r *responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token, found := strings.CutPrefix(req.URL.Path, "/.well-known/acme-challenge/")
	r.mu.Lock()
	answer, known := r.answers[token]
	r.mu.Unlock()
	if !found || !known {
		http.NotFound(w, req)
		return
	}
	_, _ = w.Write([]byte(answer)) // a validator that hung up is the server's business
}

// put publishes a key authorization and remove takes it away again, which every
// client does as soon as it thinks that nobody will look any more.
func (r *responder) put(token, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[token] = text
}

func (r *responder) remove(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.answers, token)
}
