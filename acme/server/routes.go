package server

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"
)

// authClass says who may use a route.
type authClass string

const (
	// authNone: anybody, and a signed request is welcome too.
	authNone authClass = "none"
	// authKey: a request that brings its key (R8555-6.2-12).
	authKey authClass = "key"
	// authAccount: a request signed by an account (R8555-6.2-13).
	authAccount authClass = "account"
	// authEither: an account or the key of a certificate (R8555-7.6-3).
	authEither authClass = "either"
)

// route is one row of the table. Adding a resource means adding a row; a test
// walks the router and fails on a path that has none (SP-8).
type route struct {
	path string
	// entry is the member of the directory object, empty for what is found by
	// following links. Its URL is the path up to the first variable.
	entry   string
	auth    authClass
	methods string
	handle  func(*site, *request) error
}

const (
	post = "POST"
	open = "GET, HEAD, POST"
	read = "GET, HEAD"
)

var routes = []route{
	{"/new-nonce", "newNonce", authNone, open, (*site).newNonce},
	{"/new-account", "newAccount", authKey, post, (*site).newAccount},
	{"/new-order", "newOrder", authAccount, post, (*site).newOrder},
	{"/revoke-cert", "revokeCert", authEither, post, (*site).revokeCert},
	{"/key-change", "keyChange", authAccount, post, (*site).keyChange},
	{"/account/{account}", "", authAccount, post, (*site).account},
	{"/account/{account}/orders", "", authAccount, post, (*site).orders},
	{"/order/{order}", "", authAccount, post, (*site).order},
	{"/order/{order}/finalize", "", authAccount, post, (*site).finalize},
	{"/authz/{authz}", "", authAccount, post, (*site).authorization},
	{"/challenge/{authz}/{type}", "", authAccount, post, (*site).challenge},
	{"/certificate/{certificate}", "", authAccount, post, (*site).certificate},
	{"/renewal-info/{certID}", "renewalInfo", authNone, read, (*site).renewalInfo},
}

// mount adds the directory and its resources to a router.
func (st *site) mount(r *mux.Router) {
	directory := route{"", "", authNone, open, (*site).showDirectory}
	r.Handle(st.directory.Path, st.serve(directory))
	resources := r.PathPrefix(st.prefix + "/").Subrouter()
	for _, row := range routes {
		resources.Handle(row.path, st.serve(row))
	}
	resources.NotFoundHandler = st.common(st, func(a *answer) error { return errNotFound() })
}

// serve passes a request through the gates of its route to its handler.
func (st *site) serve(row route) http.Handler {
	return st.common(st, func(a *answer) error {
		if a.r.Method == http.MethodOptions && st.preflight(a, row) {
			return nil
		}
		if !allowed(row.methods, a.r.Method) {
			a.w.Header().Set("Allow", row.methods)
			return errMethod(row.methods)
		}
		if p := st.limits.request(a.r); p != nil {
			return p
		}
		if p := st.crowded(row); p != nil {
			return p
		}
		rq := &request{answer: a}
		if a.r.Method == http.MethodPost {
			if err := st.authenticate(rq, row.auth); err != nil {
				return err
			}
		}
		return row.handle(st, rq)
	})
}

func allowed(methods, method string) bool {
	for m := range strings.SplitSeq(methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}
