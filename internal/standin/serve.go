package standin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Endpoint is one way into a service. Its name is that of faults and counters.
type Endpoint struct {
	Name, Method, Pattern string
	Serve                 func(*Call)
	// Private keeps bodies out of the journal.
	Private bool

	allow string // the methods that there are, when it was called by another one
}

// Names are those of endpoints.
func Names(endpoints []Endpoint) []string {
	var names []string
	for _, e := range endpoints {
		names = append(names, e.Name)
	}
	return names
}

// Call is a request and what is answered to it.
type Call struct {
	*http.Request
	Content []byte // its body
	// Fault is the kind of the fault that it met, for those that an endpoint has
	// to bring about by itself.
	Fault string

	label  string // of JSON
	status int
	header http.Header
	answer bytes.Buffer
}

const jsonType = "application/json"

// JSON answers with a value.
func (c *Call) JSON(status int, v any) {
	c.Status(status)
	c.header.Set("Content-Type", c.label)
	_ = json.NewEncoder(&c.answer).Encode(v) // values of ours, into memory
}

// Status answers with nothing but that.
func (c *Call) Status(status int) {
	c.status = status
	c.answer.Reset()
}

// Replace answers with that content.
func (c *Call) Replace(status int, contentType string, content []byte) {
	c.Status(status)
	c.header.Set("Content-Type", contentType)
	c.Revise(content)
}

// Revise answers with that content in place of what was there.
func (c *Call) Revise(content []byte) {
	c.answer.Reset()
	c.answer.Write(content)
}

// Answer is what will be answered, as far as it is made.
func (c *Call) Answer() []byte { return c.answer.Bytes() }

// Head is the header of the answer.
func (c *Call) Head() http.Header { return c.header }

// Read decodes the body. Unknown fields are an error unless loose.
func (c *Call) Read(v any, loose bool) error {
	d := json.NewDecoder(bytes.NewReader(c.Content))
	if !loose {
		d.DisallowUnknownFields()
	}
	return d.Decode(v)
}

// maxBody bounds a request.
const maxBody = 8 << 20

// Handler is the service.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, endpoints := range byPattern(s.cfg.Endpoints) {
		mux.HandleFunc(s.cfg.Base+pattern, func(w http.ResponseWriter, r *http.Request) {
			i := slices.IndexFunc(endpoints, func(e Endpoint) bool { return e.Method == r.Method })
			if i < 0 {
				s.handle(Endpoint{Name: endpoints[0].Name, allow: allowed(endpoints)}, w, r)
				return
			}
			s.handle(endpoints[i], w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.handle(Endpoint{Name: "unknown", Serve: func(c *Call) { s.cfg.Fail(c, http.StatusNotFound, "NOT_FOUND", "no such route") }}, w, r)
	})
	return mux
}

func byPattern(endpoints []Endpoint) map[string][]Endpoint {
	m := map[string][]Endpoint{}
	for _, e := range endpoints {
		m[e.Pattern] = append(m[e.Pattern], e)
	}
	return m
}

func allowed(endpoints []Endpoint) string {
	var methods []string
	for _, e := range endpoints {
		methods = append(methods, e.Method)
	}
	return strings.Join(methods, ", ")
}

func (s *Server) handle(e Endpoint, w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	c := &Call{Request: r, Content: body.Bytes(), label: s.cfg.ContentType, status: http.StatusOK, header: http.Header{}}
	f := s.serve(e, c)
	send(w, c, f)
}

// serve carries a request out, as far as a fault lets it, and returns that
// fault for the answer.
func (s *Server) serve(e Endpoint, c *Call) (f Fault) {
	s.Lock()
	defer s.Unlock()
	f = s.draw(e.Name)
	if f.Kind == "slow-headers" {
		s.Unlock()
		pause(c.Context(), time.Duration(f.Delay))
		s.Lock()
	}
	s.cfg.Settle()
	switch {
	case f.Kind == "reset-before":
		c.status = 0
	case f.Kind == "status":
		s.fail(c, f)
	case inFront[f.Kind] != 0:
		c.Replace(inFront[f.Kind], pageType, []byte(page))
	case f.Kind == "redirect":
		c.status = http.StatusFound
		c.header.Set("Location", "http://elsewhere.invalid/"+e.Name)
	case e.allow != "":
		c.header.Set("Allow", e.allow)
		s.cfg.Fail(c, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", fmt.Sprintf("Request method '%s' not supported", c.Method))
	case !s.cfg.Admit(c, e.Name):
	default:
		c.Fault = f.Kind
		e.Serve(c)
		s.bend(c, f)
	}
	const most = 8 << 10
	body := string(c.Content[:min(len(c.Content), most)])
	if e.Private {
		body = ""
	}
	s.Log(Event{
		Kind: "request", Endpoint: e.Name, Method: c.Method, Path: c.URL.Path, Query: c.URL.RawQuery, Headers: slices.Sorted(maps.Keys(c.Header)),
		Body: body, Status: c.status, Fault: f.Kind,
	})
	return f
}

// send writes the answer as the fault has it.
func send(w http.ResponseWriter, c *Call, f Fault) {
	if c.status == 0 {
		cut(w)
		return
	}
	content := c.answer.Bytes()
	for name, values := range c.header {
		w.Header()[name] = values
	}
	if c.status != http.StatusNoContent {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	}
	w.WriteHeader(c.status)
	half := len(content) / 2
	switch f.Kind {
	case "half-body":
		_, _ = w.Write(content[:half])
		_ = http.NewResponseController(w).Flush()
		cut(w)
		return
	case "slow-body":
		_, _ = w.Write(content[:half])
		_ = http.NewResponseController(w).Flush()
		pause(c.Context(), time.Duration(f.Delay))
		content = content[half:]
	}
	_, _ = w.Write(content) // a client that went away is its own matter
}

// cut ends the connection without another word.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // which ends the connection as well
	}
	if c, ok := conn.(*tls.Conn); ok {
		_ = c.NetConn().Close()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, as from a process that died
	}
	_ = conn.Close()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Serve answers on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return serveHTTP(ctx, l, s.Handler())
}

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Start serves on a port of its own on this machine: over TLS when there is a
// configuration for it. stop ends it.
func (s *Server) Start(config *tls.Config) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	scheme := "http://"
	address := l.Addr().String()
	if config != nil {
		l, scheme = tls.NewListener(l, config), "https://"
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx, l)
	}()
	return scheme + address + s.cfg.Base[:max(len(s.cfg.Base)-1, 0)], func() { cancel(); <-done }, nil
}
