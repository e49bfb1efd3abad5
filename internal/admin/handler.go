package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// Database is what a store can do beyond its records.
type Database interface {
	// Backup writes a consistent copy while the store goes on.
	Backup(ctx context.Context, w io.Writer) error
	// Check reads everything and says what is wrong with it, nil being good.
	Check(ctx context.Context) error
}

// CA is a certificate authority that signs here.
type CA interface {
	// Keys describes the root and every issuing key, oldest first.
	Keys() ([]CAKey, error)
	// Rotate makes a new issuing key and issues with it from now on.
	Rotate() error
}

// Config is what a handler works on.
type Config struct {
	Operator engine.Operator
	Database Database
	// CAs are the backends that sign here, by name.
	CAs map[string]CA
	// Offline says that nothing carries out what is left to do: the answers
	// then tell that it happens at the next start.
	Offline bool
	// Info is told by the status, as it is.
	Info Info
	// Warnings stand for as long as they are true (SV-4); nil is none.
	Warnings func() []string
	// Frameworks tells how the trees of IB1 frameworks stand; nil is none.
	Frameworks func(context.Context) ([]FrameworkTree, error)
	Log        *slog.Logger
	Now        func() time.Time
}

// Info describes the program to its operator.
type Info struct {
	Version     string   `json:"version"`
	PID         int      `json:"pid"`
	DataDir     string   `json:"data_dir"`
	Directories []string `json:"directories"`
}

// Status is what the program says of itself.
type Status struct {
	Info
	Offline  bool     `json:"offline"`
	Jobs     int      `json:"jobs"`
	Parked   int      `json:"parked"`
	Warnings []string `json:"warnings,omitempty"`
}

type handler struct {
	Config
}

// NewHandler returns the operator's API.
func NewHandler(cfg Config) (http.Handler, error) {
	if cfg.Operator == (engine.Operator{}) || cfg.Database == nil {
		return nil, errors.New("admin: a handler needs an operator and a database")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Warnings == nil {
		cfg.Warnings = func() []string { return nil }
	}
	h := &handler{cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", h.answer(h.status))
	h.mountAccounts(mux)
	h.mountOrders(mux)
	h.mountApprovals(mux)
	h.mountCSRs(mux)
	h.mountCertificates(mux)
	h.mountExternalKeys(mux)
	h.mountMembers(mux)
	h.mountNotices(mux)
	h.mountRenewals(mux)
	h.mountCA(mux)
	h.mountBackends(mux)
	h.mountDatabase(mux)
	mux.HandleFunc("GET /v1/export", h.export)
	return limitBody(mux), nil
}

// limitBody bounds what a request may carry (SL-29), and wants JSON where
// something is carried (SA-3).
func limitBody(next http.Handler) http.Handler {
	const body, upload = 256 << 10, 1 << 20
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json" {
			writeError(w, http.StatusUnsupportedMediaType, "send JSON, as application/json")
			return
		}
		limit := int64(body)
		switch r.URL.Path {
		case uploads:
			limit = MaxMemberImport
		case applicationUploads:
			limit = upload
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

func (h *handler) status(r *http.Request) (any, error) {
	all, parked, err := h.Operator.Jobs(r.Context())
	if err != nil {
		return nil, err
	}
	return Status{Info: h.Info, Offline: h.Offline, Jobs: all, Parked: parked, Warnings: h.Warnings()}, nil
}

// answer makes a handler of a function that returns what to say.
func (h *handler) answer(fn func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := fn(r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // the caller has gone if this fails
	}
}

// fail tells what went wrong. Nothing is kept back: whoever can reach this
// handler runs the server.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusConflict
	var p *acme.Problem
	switch {
	case errors.As(err, &p):
		writeError(w, http.StatusConflict, p.Detail)
		return
	case errors.Is(err, engine.ErrNoSuch), errors.Is(err, storage.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, engine.ErrStale):
		status = http.StatusPreconditionFailed
	case errors.Is(err, errBadRequest):
		status = http.StatusBadRequest
	case errors.Is(err, storage.ErrUnknown), errors.Is(err, storage.ErrClosed), errors.Is(err, storage.ErrDamaged):
		status = http.StatusInternalServerError
		h.Log.Error("an operator's request failed", "event", "admin.failed", "path", r.URL.Path, "cause", err)
	}
	writeError(w, status, err.Error())
}

// errBadRequest is wrapped by what is wrong with a request itself.
var errBadRequest = errors.New("bad request")

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadRequest, fmt.Sprintf(format, args...))
}

// failure is the body of every answer that is not a success.
type failure struct {
	Error string `json:"error"`
}

func writeError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure{text}) // the caller has gone if this fails
}

// read decodes the body of a request; unknown members are a typing error of
// whoever wrote the command.
func read[T any](r *http.Request) (v T, err error) {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, badRequest("read the request: %v", err)
	}
	return v, nil
}

// Page is one part of a list, and where the next one begins.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// pageOf reads after and limit of a request.
func pageOf(r *http.Request) (storage.Page, error) {
	p := storage.Page{After: r.FormValue("after"), Limit: 100}
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return p, badRequest("limit is a number from 1 to 1000")
		}
		p.Limit = n
	}
	return p, nil
}

// page answers a list, each record in its wire form.
func page[R, T any](r *http.Request, list func(context.Context, storage.Page) ([]R, string, error), view func(R) T) (any, error) {
	p, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	records, next, err := list(r.Context(), p)
	if err != nil {
		return nil, err
	}
	return Page[T]{Items: views(records, view), Next: next}, nil
}

// views never returns nil, so that an empty list is [] in JSON.
func views[R, T any](records []R, view func(R) T) []T {
	all := make([]T, 0, len(records))
	for _, r := range records {
		all = append(all, view(r))
	}
	return all
}

// timeOf leaves a zero time out of the wire form.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
