package crash_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// manner is how a web server answers for a token.
type manner int

const (
	prompt manner = iota
	slow          // longer than the server waits before it stores the response
	late          // not at the first attempt
)

// responder is the web server of all clients of one test.
type responder struct {
	port int

	mu     sync.Mutex
	tokens map[string]*token
}

type token struct {
	text   string
	manner manner
	asked  int
}

func startResponder(t testing.TB) *responder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &responder{port: l.Addr().(*net.TCPAddr).Port, tokens: map[string]*token{}}
	web := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	t.Cleanup(func() {
		_ = web.Close()
		t.Log("the responder ended with", <-ended)
	})
	return r
}

func (r *responder) present(name, text string, m manner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens[name] == nil {
		r.tokens[name] = &token{text: text, manner: m}
	}
}

// ServeHTTP implements http.Handler.
func (r *responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	t := r.tokens[strings.TrimPrefix(req.URL.Path, "/.well-known/acme-challenge/")]
	first := false
	if t != nil {
		t.asked++
		first = t.asked == 1
	}
	r.mu.Unlock()
	switch {
	case t == nil:
		http.NotFound(w, req)
		return
	case first && t.manner == late:
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	case first && t.manner == slow:
		// A slow web server; the point is that it outlasts the 150 ms within
		// which response and outcome are one commit.
		select {
		case <-time.After(400 * time.Millisecond):
		case <-req.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, t.text)
}
