package sectigotest

import (
	"net/http"
	"slices"

	"acmebridge/internal/standin"
)

// Control is standin.Server's, and besides:
//
//	GET    /roots.pem               the issuing CA and the root
//	POST   /next                    {"kind": "rejected", "reason": "no"} for the next batch
//	POST   /plans                   {"pattern": "*.bad.example", "kind": "broken"}
//	POST   /hold, /release
//	POST   /reject                  {"batchId": 241001, "reason": "no"}
//	POST   /balance                 {"authority": 23, "balance": 0}
//	POST   /login                   {"mode": "401"}
//	POST   /profile                 {"id": 423, "disabled": true} or {"id": 423, "param": {"name": "x", "required": true, "scopes": ["CSR"]}}
func (ca *CA) Control() http.Handler {
	mux := ca.Server.Control()
	mux.HandleFunc("GET /roots.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(ca.RootsPEM())
	})
	ca.Instructed(mux)
	mux.HandleFunc("POST /hold", standin.Instruct(func(struct{}) error { ca.Hold(); return nil }))
	mux.HandleFunc("POST /release", standin.Instruct(func(struct{}) error { ca.Release(); return nil }))
	mux.HandleFunc("POST /reject", standin.Instruct(func(given struct {
		BatchID int64 `json:"batchId"`
		Reason  string
	}) error {
		return ca.Reject(given.BatchID, given.Reason)
	}))
	mux.HandleFunc("POST /balance", standin.Instruct(func(given struct{ Authority, Balance int64 }) error {
		ca.SetBalance(given.Authority, given.Balance)
		return nil
	}))
	mux.HandleFunc("POST /login", standin.Instruct(func(given struct{ Mode string }) error { ca.SetLogin(given.Mode); return nil }))
	mux.HandleFunc("POST /profile", standin.Instruct(func(given struct {
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

// RootsPEM are the issuing CA and the root.
func (ca *CA) RootsPEM() []byte {
	return standin.EncodePEM(ca.keys.issuing, ca.keys.root)
}
