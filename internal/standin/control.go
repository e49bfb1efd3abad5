package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Control is an HTTP interface to what the methods of Server do, for tests in
// other processes. It belongs on a port of its own that only tests reach; an
// imitation adds what it has besides.
//
//	GET    /journal?kind=purchase   the events, one line of JSON each
//	GET    /counts                  requests by endpoint, events by kind
//	POST   /faults                  {"endpoint": "order", "kind": "reset-after", "count": 1}
//	DELETE /faults
//	POST   /advance                 {"by": "10m"}
func (s *Server) Control() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /journal", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		e := json.NewEncoder(w)
		for _, event := range s.Journal(r.URL.Query()["kind"]...) {
			_ = e.Encode(event) // a client that went away is its own matter
		}
	})
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_ = json.NewEncoder(w).Encode(s.Counts())
	})
	mux.HandleFunc("DELETE /faults", Instruct(func(struct{}) error { s.Mend(); return nil }))
	mux.HandleFunc("POST /faults", Instruct(s.Break))
	mux.HandleFunc("POST /advance", Instruct(func(given struct{ By Duration }) error { s.Advance(time.Duration(given.By)); return nil }))
	return mux
}

// Instruct is an instruction in JSON; an empty body is all zero.
func Instruct[T any](do func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var given T
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil && len(bytes.TrimSpace(body)) > 0 {
			d := json.NewDecoder(bytes.NewReader(body))
			d.DisallowUnknownFields()
			err = d.Decode(&given)
		}
		if err == nil {
			err = do(given)
		}
		if err != nil {
			http.Error(w, strconv.Quote(err.Error()), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// ServeControl answers a control port on l until ctx ends.
func ServeControl(ctx context.Context, l net.Listener, h http.Handler) error {
	return serveHTTP(ctx, l, h)
}
