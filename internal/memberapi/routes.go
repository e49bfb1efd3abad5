package memberapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/internal/ratelimit"
)

// route is one row of the table. A test holds it against openapi.json.
type route struct {
	method, path string
	// open routes are for anybody; a credential that is shown is checked all the
	// same.
	open   bool
	handle func(*API, *request) error
}

var routes = []route{
	{"GET", "/openapi.json", true, (*API).describe},
	{"GET", "/ca/{file}", true, (*API).authority},
	{"GET", "/serials/{serial}", true, (*API).bySerial},
	{"GET", "/me", false, (*API).me},
	{"POST", "/certificates", false, (*API).sign},
	{"POST", "/applications/{application}/certificates/{type}/sign", false, (*API).signForApplication},
	{"GET", "/certificates", false, (*API).list},
	{"GET", "/certificates/{id}", false, (*API).certificate},
	{"POST", "/certificates/{id}/revoke", false, (*API).revoke},
	{"GET", "/orders/{id}", false, (*API).order},
}

// methodsByPath is what each path of the table takes, as an Allow header has it.
func methodsByPath() map[string]string {
	all := map[string]string{}
	for _, row := range routes {
		methods := row.method
		if row.method == http.MethodGet {
			methods += ", " + http.MethodHead
		}
		if before := all[row.path]; before != "" {
			methods = before + ", " + methods
		}
		all[row.path] = methods
	}
	return all
}

// wrongMethod refuses a method that a path does not take (RFC 9110, section 15.5.6).
func (q *request) wrongMethod(methods string) error {
	q.w.Header().Set("Allow", methods)
	return acme.Problemf(acme.Malformed, "this resource takes %s only", methods).WithStatus(http.StatusMethodNotAllowed)
}

// request is a request and the place for its answer.
type request struct {
	w http.ResponseWriter
	r *http.Request
	// delegate is who asks; known is false where nobody has to say so.
	delegate engine.Delegate
	known    bool
}

func (q *request) ctx() context.Context { return q.r.Context() }

// serve passes a request through the gates of its route to its handler.
func (a *API) serve(row route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{w: w, r: r}
		defer func() {
			if p := recover(); p != nil { // SP-15
				a.fail(q, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Link", "<"+a.url("/openapi.json")+`>;rel="service-desc"`)
		if err := a.gates(q, row); err != nil {
			a.fail(q, err)
		}
	})
}

func (a *API) gates(q *request, row route) error {
	if p := a.mayAsk(q.r); p != nil {
		return p
	}
	if err := a.authenticate(q, row.open); err != nil {
		return err
	}
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, a.cfg.MaxBody)
	return row.handle(a, q)
}

// mayAsk counts a request of an address.
func (a *API) mayAsk(r *http.Request) *acme.Problem {
	peer, ok := ratelimit.Peer(r.RemoteAddr)
	if !ok || a.requests == nil {
		return nil
	}
	if wait := ratelimit.For(a.requests, peer).Take(); wait > 0 {
		return acme.OverLimit(wait, a.cfg.Now(), "too many requests came from your address: the limit is %s", a.requests.Rate())
	}
	return nil
}

// decode reads the JSON of a request. Members that do not exist are typing
// errors, which nobody should have to find out from what did not happen.
func (q *request) decode(v any) error {
	kind, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return acme.Problemf(acme.Malformed, "send JSON, as application/json").WithStatus(http.StatusUnsupportedMediaType)
	}
	d := json.NewDecoder(q.r.Body)
	d.DisallowUnknownFields()
	err = d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return acme.Problemf(acme.Malformed, "the request is larger than %d bytes", large.Limit).WithStatus(http.StatusRequestEntityTooLarge)
	case err != nil: // LG-2: without quoting what was sent
		return acme.Problemf(acme.Malformed, "the request is not the JSON object that belongs here; openapi.json describes it")
	}
	return nil
}
