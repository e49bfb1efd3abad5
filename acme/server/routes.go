package server

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"acmebridge/acme"
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
	// offered says whether a directory has the resource; nil is all of them.
	offered func(acme.Directory) bool
}

// has reports whether a row of the table is in force at a directory.
func (st *site) has(row route) bool { return row.offered == nil || row.offered(st.directory) }

const (
	post = "POST"
	open = "GET, HEAD, POST"
	read = "GET, HEAD"
)

var routes = []route{
	{"/new-nonce", "newNonce", authNone, open, (*site).newNonce, nil},
	{"/new-account", "newAccount", authKey, post, (*site).newAccount, nil},
	{"/new-order", "newOrder", authAccount, post, (*site).newOrder, nil},
	{"/new-authz", "newAuthz", authAccount, post, (*site).newAuthorization, func(d acme.Directory) bool { return d.PreAuthorization }},
	{"/revoke-cert", "revokeCert", authEither, post, (*site).revokeCert, nil},
	{"/key-change", "keyChange", authAccount, post, (*site).keyChange, nil},
	{"/account/{account}", "", authAccount, post, (*site).account, nil},
	{"/account/{account}/orders", "", authAccount, post, (*site).orders, nil},
	{"/order/{order}", "", authAccount, post, (*site).order, nil},
	{"/order/{order}/finalize", "", authAccount, post, (*site).finalize, nil},
	{"/authz/{authz}", "", authAccount, post, (*site).authorization, nil},
	{"/challenge/{authz}/{type}", "", authAccount, post, (*site).challenge, nil},
	{"/certificate/{certificate}", "", authAccount, post, (*site).certificate, nil},
	{"/certificate/{certificate}/{chain}", "", authAccount, post, (*site).alternate, nil},
	{"/renewal-info/{certID}", "renewalInfo", authNone, read, (*site).renewalInfo, nil},
}

// mount adds the directory and its resources to a router.
func (st *site) mount(r *mux.Router) {
	directory := route{"", "", authNone, open, (*site).showDirectory, nil}
	r.Handle(st.directory.Path, st.serve(directory))
	resources := r.PathPrefix(st.prefix + "/").Subrouter()
	for _, row := range routes {
		if !st.has(row) {
			continue
		}
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
