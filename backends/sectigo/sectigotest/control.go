package sectigotest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Control is an HTTP interface to what the methods of CA do, for tests in
// other processes. It belongs on a port of its own that only tests reach.
//
//	GET    /journal?kind=purchase   the events, one line of JSON each
//	GET    /counts                  requests by endpoint, events by kind
//	GET    /roots.pem               the issuing CA and the root
//	POST   /faults                  {"endpoint": "upload", "kind": "reset-after", "count": 1}
//	DELETE /faults
//	POST   /next                    {"kind": "rejected", "reason": "no"} for the next batch
//	POST   /plans                   {"pattern": "*.bad.example", "kind": "broken"}
//	POST   /hold, /release
//	POST   /advance                 {"by": "10m"}
//	POST   /reject                  {"batchId": 241001, "reason": "no"}
//	POST   /balance                 {"authority": 23, "balance": 0}
//	POST   /login                   {"mode": "401"}
//	POST   /profile                 {"id": 423, "disabled": true} or {"id": 423, "param": {"name": "x", "required": true, "scopes": ["CSR"]}}
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
	mux.HandleFunc("DELETE /faults", order(func(struct{}) error { ca.Mend(); return nil }))
	mux.HandleFunc("POST /faults", order(ca.Break))
	mux.HandleFunc("POST /next", order(func(o Outcome) error {
		if err := checkKind(o.Kind); err != nil {
			return err
		}
		ca.Next(o)
		return nil
	}))
	mux.HandleFunc("POST /plans", order(func(given struct {
		Pattern string `json:"pattern"`
		Outcome
	}) error {
		return ca.Plan(given.Pattern, given.Outcome)
	}))
	mux.HandleFunc("POST /hold", order(func(struct{}) error { ca.Hold(); return nil }))
	mux.HandleFunc("POST /release", order(func(struct{}) error { ca.Release(); return nil }))
	mux.HandleFunc("POST /advance", order(func(given struct{ By Duration }) error { ca.Advance(time.Duration(given.By)); return nil }))
	mux.HandleFunc("POST /reject", order(func(given struct {
		BatchID int64 `json:"batchId"`
		Reason  string
	}) error {
		return ca.Reject(given.BatchID, given.Reason)
	}))
	mux.HandleFunc("POST /balance", order(func(given struct{ Authority, Balance int64 }) error {
		ca.SetBalance(given.Authority, given.Balance)
		return nil
	}))
	mux.HandleFunc("POST /login", order(func(given struct{ Mode string }) error { ca.SetLogin(given.Mode); return nil }))
	mux.HandleFunc("POST /profile", order(func(given struct {
		ID       int64
		Disabled bool
		Param    *Param
	}) error {
		return ca.EditProfile(given.ID, func(p *Profile) {
			p.Disabled = given.Disabled
			if given.Param == nil {
				return
			}
			p.Params = slices.DeleteFunc(p.Params, func(old Param) bool { return old.Name == given.Param.Name })
			p.Params = append(p.Params, *given.Param)
		})
	}))
	return mux
}

// order is an instruction in JSON; an empty body is all zero.
func order[T any](do func(T) error) http.HandlerFunc {
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

// RootsPEM are the issuing CA and the root.
func (ca *CA) RootsPEM() []byte {
	issuing, root := ca.Roots()
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuing}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root})...)
}
