package digicerttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// endpoint is one way into the service.
type endpoint struct {
	name, method, pattern string
	serve                 func(*CA, *call)
}

// base is where the service is below its host.
const base = "/services/v2/"

// endpoints are all of them. The names are those of faults and counters.
var endpoints = []endpoint{
	{"user", http.MethodGet, "user/me", (*CA).user},
	{"products", http.MethodGet, "product", (*CA).listProducts},
	{"product", http.MethodGet, "product/{id}", (*CA).showProduct},
	{"organizations", http.MethodGet, "organization", (*CA).listOrganizations},
	{"domains", http.MethodGet, "domain", (*CA).listDomains},
	{"metadata", http.MethodGet, "account/metadata", (*CA).metadata},
	{"order", http.MethodPost, "order/certificate/{id}", (*CA).placeOrder},
	{"orders", http.MethodGet, "order/certificate", (*CA).listOrders},
	{"changes", http.MethodGet, "order/certificate/status-changes", (*CA).statusChanges},
	{"alternate", http.MethodGet, "order/alternate/{id}", (*CA).alternate},
	{"info", http.MethodGet, "order/certificate/{id}", (*CA).showOrder},
	{"validation", http.MethodGet, "order/certificate/{id}/validation", (*CA).validation},
	{"random", http.MethodPut, "order/certificate/{id}/dcv-random-value", (*CA).randomValue},
	{"check-dcv", http.MethodPut, "order/certificate/{id}/check-dcv", (*CA).checkDCV},
	{"cancel", http.MethodPut, "order/certificate/{id}/status", (*CA).cancel},
	{"swap", http.MethodPut, "order/certificate/{id}/csr", (*CA).swap},
	{"reissue", http.MethodPost, "order/certificate/{id}/reissue", (*CA).reissueOrder},
	{"reissues", http.MethodGet, "order/certificate/{id}/reissue", (*CA).listReissues},
	{"download", http.MethodGet, "certificate/{id}/download/format/{format}", (*CA).download},
	{"download-order", http.MethodGet, "certificate/download/order/{id}/format/{format}", (*CA).downloadOrder},
	{"chain", http.MethodGet, "certificate/{id}/chain", (*CA).chain},
	{"revoke", http.MethodPut, "certificate/{id}/revoke", (*CA).revoke},
	{"request", http.MethodPut, "request/{id}/status", (*CA).decideRequest},
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
	status int
	header http.Header
	answer bytes.Buffer
	fault  string // of a download, for the handler
}

const jsonType = "application/json"

func (c *call) json(status int, v any) {
	c.status = status
	c.header.Set("Content-Type", jsonType)
	c.answer.Reset()
	_ = json.NewEncoder(&c.answer).Encode(v) // values of ours, into memory
}

// fail answers in the shape that the real service has for errors.
func (c *call) fail(status int, code, message string) {
	c.json(status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

func (c *call) id() int64 {
	n, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// read decodes the body, and says so when it cannot.
func (c *call) read(v any, loose bool) bool {
	d := json.NewDecoder(bytes.NewReader(c.body))
	if !loose {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		c.fail(http.StatusBadRequest, "bad_request_format", err.Error())
		return false
	}
	return true
}

// maxBody bounds a request.
const maxBody = 4 << 20

// Handler is the service.
func (ca *CA) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		mux.HandleFunc(e.method+" "+base+e.pattern, func(w http.ResponseWriter, r *http.Request) { ca.handle(e, w, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		ca.handle(endpoint{name: "unknown", serve: func(_ *CA, c *call) { c.fail(http.StatusNotFound, "not_found|route", "no such route") }}, w, r)
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
	send(w, c, f)
}

// serve carries a request out, as far as a fault lets it, and returns that
// fault for the answer.
func (ca *CA) serve(e endpoint, c *call) (f Fault) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	f = ca.draw(e.name)
	ca.settle()
	switch {
	case f.Kind == "reset-before":
		c.status = 0
	case f.Kind == "status":
		c.fail(f.Status, or(f.Code, "fault"), http.StatusText(f.Status))
		c.retryAfter(f)
	case f.Kind == "html-400":
		c.replace(http.StatusBadRequest, "text/html;charset=UTF-8", page)
	case f.Kind == "html-404":
		c.replace(http.StatusNotFound, "text/html;charset=UTF-8", page)
	case f.Kind == "redirect":
		c.status = http.StatusFound
		c.header.Set("Location", "http://elsewhere.invalid/"+e.name)
	case !ca.admitted(c):
	default:
		c.fault = f.Kind
		e.serve(ca, c)
		ca.bend(c, f)
	}
	const most = 8 << 10
	ca.log(Event{
		Kind: "request", Endpoint: e.name, Method: c.Method, Path: c.URL.Path, Query: c.URL.RawQuery, Headers: slices.Sorted(maps.Keys(c.Header)),
		Body: string(c.body[:min(len(c.body), most)]), Status: c.status, Fault: f.Kind,
	})
	return f
}

// admitted looks at the key and at how much it was used.
func (ca *CA) admitted(c *call) bool {
	switch key := c.Header.Get("X-DC-DEVKEY"); {
	case key == "":
		c.fail(http.StatusUnauthorized, "access_denied|missing_api_key", "no API key")
		return false
	case key == ca.cfg.ReadOnlyKey:
		if c.Method != http.MethodGet {
			c.fail(http.StatusForbidden, "access_denied|missing_permission", "this key may only look")
			return false
		}
	case key != ca.cfg.Key:
		c.fail(http.StatusUnauthorized, "access_denied|invalid_api_key", "unknown API key")
		return false
	}
	now := ca.now()
	ca.taken = slices.DeleteFunc(ca.taken, func(t time.Time) bool { return !t.After(now.Add(-3 * time.Minute)) })
	short := 0
	for _, t := range ca.taken {
		if t.After(now.Add(-5 * time.Second)) {
			short++
		}
	}
	if ca.cfg.ShortRate > 0 && short >= ca.cfg.ShortRate || ca.cfg.LongRate > 0 && len(ca.taken) >= ca.cfg.LongRate {
		c.fail(http.StatusTooManyRequests, "request_limit_exceeded", "too many requests")
		return false
	}
	ca.taken = append(ca.taken, now)
	return true
}

// send writes the answer as the fault has it.
func send(w http.ResponseWriter, c *call, f Fault) {
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
// the root of the API. stop ends it.
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
	return "http://" + l.Addr().String() + "/services/v2", func() { cancel(); <-done }, nil
}
