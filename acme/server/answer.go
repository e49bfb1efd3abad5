package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"acmebridge/acme"
)

// answer is a request and the place for its answer.
type answer struct {
	*Server
	st *site // nil outside of every directory
	w  http.ResponseWriter
	r  *http.Request
	// account is who has signed the request, zero when that is not known or the
	// request brought its own key. Only authenticate sets it.
	account acme.Account
}

// common adds what all answers have: a nonce, the link to the directory, and a
// problem document for whatever went wrong.
func (s *Server) common(st *site, handle func(*answer) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{Server: s, st: st, w: w, r: r}
		defer func() {
			// SP-15: one request fails, the others and the order do not.
			if p := recover(); p != nil {
				a.internal(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		if st != nil {
			a.link(st.base+st.directory.Path, "index") // R8555-7.1-2
			if r.Method == http.MethodPost {
				h.Set("Replay-Nonce", s.cfg.Nonces.Issue()) // R8555-6.5-1, -2
			}
		}
		s.allowOrigin(a)
		if err := handle(a); err != nil {
			a.fail(err)
		}
	})
}

// link adds one Link header line: clients read them line by line (C-SH-3), and
// look for quotes around the relation (C-LG-7).
func (a *answer) link(url, rel string) {
	a.w.Header().Add("Link", "<"+url+`>;rel="`+rel+`"`)
}

// retryAfter says when to come back, in whole seconds, rounded up and never 0
// (R8555-6.6-2). Without a wish, nothing is said.
func (a *answer) retryAfter(d time.Duration) {
	if d > 0 {
		a.w.Header().Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
	}
}

// comeBack is retryAfter for what is on its way. It is never less than two seconds:
// acme4j counts from Date, which has lost its fraction, so a single second may be
// over when the answer arrives, and X-Road gives the order up over a pause that
// begins in the past.
func (a *answer) comeBack(d time.Duration) {
	if d > 0 {
		a.retryAfter(max(d, 2*time.Second))
	}
}

// json sends an object.
func (a *answer) json(status int, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("server: encode an answer: %w", err)
	}
	a.send(status, "application/json", body)
	return nil
}

func (a *answer) send(status int, contentType string, body []byte) {
	h := a.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	a.w.WriteHeader(status)
	if a.r.Method != http.MethodHead {
		_, _ = a.w.Write(body) // the client may have gone; there is nobody else to tell
	}
}

// fail tells what went wrong: a Problem as it is, anything else as an internal
// error of which the client learns no more than a reference (R8555-6.7-6).
func (a *answer) fail(err error) {
	var p *acme.Problem
	switch {
	case errors.As(err, &p):
		a.refused(p)
		a.problem(p)
	case a.r.Context().Err() != nil && errors.Is(err, context.Canceled):
		// The client left. Nothing was lost, and nobody reads this.
		a.problem(acme.Problemf(acme.ServerInternal, "the request was cut off"))
	default:
		a.internal(err)
	}
}

// refused tells the operator what an account was refused, because its client
// may not: some show the problem to nobody. What strangers send is not worth a
// line each.
func (a *answer) refused(p *acme.Problem) {
	level := slog.LevelDebug
	if a.account.ID != "" && p.Type != acme.BadNonce {
		level = slog.LevelInfo
	}
	a.log.Log(a.r.Context(), level, "request refused", "event", "request.refused", "account", a.account.ID, "member", a.account.Member,
		"path", a.r.URL.Path, "status", p.Status, "type", p.Type, "cause", p.Detail)
}

func (a *answer) internal(err error) {
	reference := rand.Text()
	a.log.Error("request failed", "event", "request.failed", "reference", reference, "method", a.r.Method, "path", a.r.URL.Path, "cause", err)
	p := acme.Problemf(acme.ServerInternal, "something went wrong inside of the server; try again, and tell the operator reference %s if it stays", reference)
	p.Instance = "urn:acmebridge:reference:" + reference
	a.problem(p.WithRetryAfter(time.Minute))
}

// problemObject is the wire form of a problem (RFC 9457; RFC 8555, 6.7).
type problemObject struct {
	Type        string             `json:"type"`
	Detail      string             `json:"detail"`
	Status      int                `json:"status"`
	Instance    string             `json:"instance,omitempty"`
	Algorithms  []string           `json:"algorithms,omitempty"`
	Subproblems []subproblemObject `json:"subproblems,omitempty"`
}

type subproblemObject struct {
	Type       string            `json:"type"`
	Detail     string            `json:"detail"`
	Identifier *identifierObject `json:"identifier,omitempty"`
}

func problemWire(p *acme.Problem) *problemObject {
	if p == nil {
		return nil
	}
	o := &problemObject{
		Type: acme.ProblemPrefix + string(p.Type), Detail: p.Detail, Status: p.Status, Instance: p.Instance, Algorithms: p.Algorithms,
	}
	for _, part := range p.Subproblems {
		sub := subproblemObject{Type: acme.ProblemPrefix + string(part.Type), Detail: part.Detail}
		if part.Identifier.Type != "" {
			sub.Identifier = &identifierObject{Type: string(part.Identifier.Type), Value: part.Identifier.Wire()}
		}
		o.Subproblems = append(o.Subproblems, sub)
	}
	return o
}

// problem sends a problem document. Its status member equals the HTTP status,
// because lego decides by the body (D7).
func (a *answer) problem(p *acme.Problem) {
	if p.Status == 0 {
		p = &acme.Problem{Type: p.Type, Status: http.StatusInternalServerError, Detail: p.Detail}
	}
	if p.Type == acme.UserActionRequired && a.st != nil && a.st.directory.TermsOfService != "" {
		a.link(a.st.directory.TermsOfService, "terms-of-service") // R8555-7.3.3-1
	}
	if p.Type == acme.RateLimited && a.cfg.Limits.Help != "" {
		a.link(a.cfg.Limits.Help, "help") // R8555-6.6-3
	}
	a.retryAfter(p.RetryAfter)
	body, err := json.Marshal(problemWire(p))
	if err != nil { // strings and numbers only, so this does not happen
		body = []byte("{}")
	}
	a.w.Header().Set("Content-Language", "en")
	a.send(p.Status, "application/problem+json", body)
}

// The problems of the front itself.

func errNotFound() *acme.Problem { return acme.NotFound() }

func errMethod(methods string) *acme.Problem {
	return acme.Problemf(acme.Malformed, "this resource takes %s only", methods).WithStatus(http.StatusMethodNotAllowed)
}

// allowOrigin lets browsers of the configured origins in (R8555-6.1-5).
func (s *Server) allowOrigin(a *answer) {
	if len(s.cfg.Origins) == 0 {
		return
	}
	h := a.w.Header()
	origin := a.r.Header.Get("Origin")
	switch {
	case slices.Contains(s.cfg.Origins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
	case origin != "" && slices.Contains(s.cfg.Origins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	default:
		h.Add("Vary", "Origin")
		return
	}
	h.Set("Access-Control-Expose-Headers", "Link, Replay-Nonce, Location, Retry-After")
}

// preflight answers the question a browser asks first. handled is false when
// browsers are not let in at all: then OPTIONS is just another wrong method.
func (st *site) preflight(a *answer, row route) (handled bool) {
	if a.w.Header().Get("Access-Control-Allow-Origin") == "" || a.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := a.w.Header()
	h.Set("Access-Control-Allow-Methods", row.methods)
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	a.w.WriteHeader(http.StatusNoContent)
	return true
}
