// Package http01test is a web server as an account would run it to prove
// control of a name by http-01, and as somebody would run it who wants to see
// what a validator puts up with.
package http01test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Behaviour answers a request for one token.
type Behaviour http.HandlerFunc

// Server answers for the tokens that it was told about, and with 404 for all
// others.
type Server struct {
	addr        netip.AddrPort
	connections atomic.Int64

	mu       sync.Mutex
	tokens   map[string]Behaviour
	requests []*http.Request
}

// New starts a server on address, such as 127.0.0.1:0, until the test ends.
func New(t testing.TB, address string) *Server {
	t.Helper()
	return start(t, address, (*httptest.Server).Start)
}

// NewTLS is New, with TLS and a certificate that nobody trusts.
func NewTLS(t testing.TB, address string) *Server {
	t.Helper()
	return start(t, address, (*httptest.Server).StartTLS)
}

func start(t testing.TB, address string, run func(*httptest.Server)) *Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("http01test: %v", err)
	}
	s := &Server{
		addr:   l.Addr().(*net.TCPAddr).AddrPort(),
		tokens: make(map[string]Behaviour),
	}
	web := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	web.Listener.Close()
	web.Listener = l
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	// Broken handshakes are what some tests are about; nobody needs them told.
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	run(web)
	t.Cleanup(web.Close)
	return s
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	s.mu.Lock()
	s.requests = append(s.requests, r)
	behaviour := s.tokens[token]
	s.mu.Unlock()
	if behaviour == nil {
		http.NotFound(w, r)
		return
	}
	behaviour(w, r)
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Connections counts the connections that were made, also those that never
// asked for anything.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Requests returns what was asked for so far.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// On says how to answer for token. A token is whatever follows
// /.well-known/acme-challenge/, or else the whole path.
func (s *Server) On(token string, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = b
}

// Answer is what an honest account does: it serves body under token.
func (s *Server) Answer(token, body string) { s.On(token, Status(http.StatusOK, body)) }

// Status answers with any status and body.
func Status(code int, body string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// Redirect answers with a Location, exactly as written.
func Redirect(code int, location string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(code)
	}
}

// Silent accepts the request and never answers.
func Silent() Behaviour {
	return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
}

// Trickle sends the beginning of a body and then nothing more.
func Trickle(beginning string) Behaviour {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, beginning)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// Endless sends chunks for as long as somebody reads them.
func Endless(chunk string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := fmt.Fprint(w, chunk); err != nil {
				return
			}
		}
	}
}

// Raw sends bytes instead of an HTTP answer and closes the connection.
func Raw(answer string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, answer)
	}
}

// Reset breaks the connection instead of answering.
func Reset() Behaviour {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	}
}
