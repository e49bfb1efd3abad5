package sectigotest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// endpoint is one way into the service.
type endpoint struct {
	name, method, pattern string
	open                  bool // without a token
	serve                 func(*CA, *call)
}

// endpoints are all of them. The names are those of faults and counters.
var endpoints = []endpoint{
	{"login", http.MethodPost, "/auth/pwd", true, (*CA).login},
	{"refresh", http.MethodPost, "/auth/refresh", true, (*CA).refresh},
	{"create", http.MethodPut, "/api/v1/batches/createSingleCertBatch", false, (*CA).createSingle},
	{"upload", http.MethodPost, "/api/v1/batches/upload", false, (*CA).uploadBatch},
	{"batches", http.MethodGet, "/api/v1/batches", false, (*CA).listBatches},
	{"batch", http.MethodGet, "/api/v1/batches/{id}", false, (*CA).showBatch},
	{"status", http.MethodGet, "/api/v1/batches/{id}/status", false, (*CA).showStatus},
	{"processing", http.MethodGet, "/api/v1/batches/{id}/processing_info", false, (*CA).showProcessing},
	{"download", http.MethodGet, "/api/v1/batches/{id}/download", false, (*CA).download},
	{"licenses", http.MethodGet, "/api/v1/devices", false, (*CA).licenses},
	{"authorities", http.MethodGet, "/api/v1/authorities/allowed", false, (*CA).authorities},
	{"balance", http.MethodGet, "/api/v1/authorities/{id}/balanceavailable", false, (*CA).balance},
	{"profiles", http.MethodGet, "/api/v1/profiles", false, (*CA).profiles},
	{"params", http.MethodGet, "/api/v1/profiles/{id}/parameters", false, (*CA).params},
	{"profile", http.MethodGet, "/api/v1/profiles/{id}", false, (*CA).showProfile},
	{"organization", http.MethodGet, "/api/v1/organizations/user", false, (*CA).organization},
	{"find", http.MethodPost, "/api/v1/certificates/find", false, (*CA).find},
	{"revoke", http.MethodPost, "/api/v1/certificates/{id}/revoke", false, (*CA).revoke},
}

// Endpoints are the names of all endpoints.
func Endpoints() []string {
	var names []string
	for _, e := range endpoints {
		names = append(names, e.name)
	}
	return names
}

func knownEndpoint(name string) bool {
	return slices.ContainsFunc(endpoints, func(e endpoint) bool { return e.name == name })
}

// call is a request and what is answered to it. The handlers run with CA.mu
// held; body was read before.
type call struct {
	*http.Request
	body   []byte
	user   int64
	status int
	header http.Header
	answer bytes.Buffer
	fault  string // of an archive, for the handler
}

const jsonType = "application/json;charset=UTF-8"

func (c *call) json(status int, v any) {
	c.status = status
	c.header.Set("Content-Type", jsonType)
	c.answer.Reset()
	_ = json.NewEncoder(&c.answer).Encode(v) // values of ours, into memory
}

func (c *call) text(text string) {
	c.status = http.StatusOK
	c.header.Set("Content-Type", "text/plain;charset=UTF-8")
	c.answer.Reset()
	c.answer.WriteString(text)
}

// fail answers in the shape that the real service has for errors.
func (ca *CA) fail(c *call, status int, format string, args ...any) {
	c.json(status, map[string]any{
		"status": status, "message": fmt.Sprintf(format, args...), "errorCode": -status, "timestamp": ca.now().UnixMilli(),
	})
}

// maxBody bounds a request.
const maxBody = 8 << 20

// Handler is the service.
func (ca *CA) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { ca.handle(e, w, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		ca.handle(endpoint{name: "unknown", method: r.Method, open: true, serve: func(ca *CA, c *call) { ca.fail(c, http.StatusNotFound, "No such resource") }}, w, r)
	})
	return mux
}

func (ca *CA) handle(e endpoint, w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	c := &call{Request: r, body: body.Bytes(), status: http.StatusOK, header: http.Header{}}
	f := ca.serve(e, c)
	ca.send(w, c, f)
}

// serve carries a request out, as far as a fault lets it, and returns that
// fault for the answer.
func (ca *CA) serve(e endpoint, c *call) (f Fault) {
	ca.mu.Lock()
	f = ca.draw(e.name)
	if f.Kind == "slow-headers" {
		ca.mu.Unlock()
		pause(c.Context(), time.Duration(f.Delay))
		ca.mu.Lock()
	}
	defer ca.mu.Unlock()
	ca.settle()
	switch {
	case f.Kind == "reset-before":
		c.status = 0
	case f.Kind == "status":
		ca.fail(c, f.Status, "%s", or(f.Message, http.StatusText(f.Status)))
		if f.RetryAfter != "" {
			c.header.Set("Retry-After", f.RetryAfter)
		}
	case f.Kind == "redirect":
		c.status = http.StatusFound
		c.header.Set("Location", "http://elsewhere.invalid/"+e.name)
	case c.Method != e.method:
		c.header.Set("Allow", e.method)
		ca.fail(c, http.StatusMethodNotAllowed, "Request method '%s' not supported", c.Method)
	case !e.open && !ca.authenticate(c):
		ca.fail(c, http.StatusUnauthorized, "Full authentication is required to access this resource")
	default:
		c.fault = f.Kind
		e.serve(ca, c)
		ca.bend(c, f)
	}
	ca.log(Event{Kind: "request", Endpoint: e.name, Method: c.Method, Path: c.URL.Path, Status: c.status, Fault: f.Kind})
	return f
}

// send writes the answer as the fault has it.
func (ca *CA) send(w http.ResponseWriter, c *call, f Fault) {
	if c.status == 0 {
		cut(w)
		return
	}
	content := c.answer.Bytes()
	for name, values := range c.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
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
func (ca *CA) Serve(ctx context.Context, l net.Listener) error {
	return serveHTTP(ctx, l, ca.Handler())
}

// ServeControl answers the control port on l until ctx ends.
func (ca *CA) ServeControl(ctx context.Context, l net.Listener) error {
	return serveHTTP(ctx, l, ca.Control())
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

// Start serves on a port of its own on this machine, in the clear, and returns
// where. stop ends it.
func (ca *CA) Start() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = ca.Serve(ctx, l)
	}()
	return "http://" + l.Addr().String(), func() { cancel(); <-done }, nil
}
