package digicerttest

import (
	"encoding/json"
	"net/http"
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
//	POST   /next                    {"kind": "rejected", "reason": "no"} or {"kind": "no-client", "reissue": "no-client"}
//	                                for the next order, and for what it is issued again as
//	POST   /plans                   {"pattern": "*.bad.example", "kind": "stuck"}
//	POST   /hold, /release
//	POST   /advance                 {"by": "10m"}
//	POST   /approve, /reject        {"orderId": 900001}
//	POST   /products                {"names": []}
//	POST   /organization            {"id": 117, "until": "2026-12-01T00:00:00Z"}
//	POST   /domain                  {"name": "example.net", "until": "2026-12-01T00:00:00Z"}
func (ca *CA) Control() http.Handler {
	mux := ca.Server.Control()
	mux.HandleFunc("GET /roots.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(ca.RootsPEM())
	})
	ca.Instructed(mux)
	mux.HandleFunc("POST /hold", standin.Instruct(func(struct{}) error { ca.Hold(); return nil }))
	mux.HandleFunc("POST /release", standin.Instruct(func(struct{}) error { ca.Release(); return nil }))
	mux.HandleFunc("POST /approve", standin.Instruct(func(given struct{ OrderID json.Number }) error { return ca.Approve(given.OrderID.String()) }))
	mux.HandleFunc("POST /reject", standin.Instruct(func(given struct{ OrderID json.Number }) error { return ca.Reject(given.OrderID.String()) }))
	mux.HandleFunc("POST /products", standin.Instruct(func(given struct{ Names []string }) error { ca.SetProducts(given.Names...); return nil }))
	mux.HandleFunc("POST /organization", standin.Instruct(func(given struct {
		ID    int64
		Until time.Time
	}) error {
		ca.SetOrganization(given.ID, given.Until)
		return nil
	}))
	mux.HandleFunc("POST /domain", standin.Instruct(func(given struct {
		Name  string
		Until time.Time
	}) error {
		ca.SetDomain(given.Name, given.Until)
		return nil
	}))
	return mux
}
