package digicerttest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"acmebridge/internal/standin"
)

// Control is an HTTP interface to what the methods of CA do, for tests in
// other processes. It belongs on a port of its own that only tests reach.
//
//	GET    /journal?kind=purchase   the events, one line of JSON each
//	GET    /counts                  requests by endpoint, events by kind
//	GET    /roots.pem               the issuing CA and the root
//	POST   /faults                  {"endpoint": "order", "kind": "reset-after", "count": 1}
//	DELETE /faults
//	POST   /next                    {"kind": "rejected", "reason": "no"} for the next order
//	POST   /plans                   {"pattern": "*.bad.example", "kind": "stuck"}
//	POST   /hold, /release
//	POST   /advance                 {"by": "10m"}
//	POST   /approve, /reject        {"orderId": 900001}
//	POST   /products                {"names": []}
//	POST   /organization            {"id": 117, "until": "2026-12-01T00:00:00Z"}
//	POST   /domain                  {"name": "example.net", "until": "2026-12-01T00:00:00Z"}
func (ca *CA) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /journal", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		e := json.NewEncoder(w)
		for _, event := range ca.Journal(r.URL.Query()["kind"]...) {
			_ = e.Encode(event) // a client that went away is its own matter
		}
	})
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(ca.Counts())
	})
	mux.HandleFunc("GET /roots.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(ca.RootsPEM())
	})
	mux.HandleFunc("DELETE /faults", instruct(func(struct{}) error { ca.Mend(); return nil }))
	mux.HandleFunc("POST /faults", instruct(ca.Break))
	mux.HandleFunc("POST /next", instruct(func(o Outcome) error {
		if err := o.check(); err != nil {
			return err
		}
		ca.Next(o)
		return nil
	}))
	mux.HandleFunc("POST /plans", instruct(func(given struct {
		Pattern string `json:"pattern"`
		Outcome
	}) error {
		return ca.Plan(given.Pattern, given.Outcome)
	}))
	mux.HandleFunc("POST /hold", instruct(func(struct{}) error { ca.Hold(); return nil }))
	mux.HandleFunc("POST /release", instruct(func(struct{}) error { ca.Release(); return nil }))
	mux.HandleFunc("POST /advance", instruct(func(given struct{ By standin.Duration }) error { ca.Advance(time.Duration(given.By)); return nil }))
	mux.HandleFunc("POST /approve", instruct(func(given struct{ OrderID int64 }) error { return ca.Approve(given.OrderID) }))
	mux.HandleFunc("POST /reject", instruct(func(given struct{ OrderID int64 }) error { return ca.Reject(given.OrderID) }))
	mux.HandleFunc("POST /products", instruct(func(given struct{ Names []string }) error { ca.SetProducts(given.Names...); return nil }))
	mux.HandleFunc("POST /organization", instruct(func(given struct {
		ID    int64
		Until time.Time
	}) error {
		ca.SetOrganization(given.ID, given.Until)
		return nil
	}))
	mux.HandleFunc("POST /domain", instruct(func(given struct {
		Name  string
		Until time.Time
	}) error {
		ca.SetDomain(given.Name, given.Until)
		return nil
	}))
	return mux
}

// instruct is an instruction in JSON; an empty body is all zero.
func instruct[T any](do func(T) error) http.HandlerFunc {
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
