package memberapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"acmebridge/acme"
)

func (q *request) json(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("memberapi: encode an answer: %w", err)
	}
	q.send(status, "application/json", body)
	return nil
}

func (q *request) send(status int, contentType string, body []byte) {
	h := q.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	q.w.WriteHeader(status)
	if q.r.Method != http.MethodHead {
		_, _ = q.w.Write(body) // the client may have gone; there is nobody else to tell
	}
}

// attach has a browser save the answer under a name.
func (q *request) attach(name string) {
	q.w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(name)+`"`)
}

// retryAfter says when to come back, in whole seconds and never at once.
func (q *request) retryAfter(d time.Duration) {
	if d > 0 {
		q.w.Header().Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
	}
}

// problemObject is the wire form of a problem (RFC 9457), with the types that
// ACME has.
type problemObject struct {
	Type        string             `json:"type"`
	Detail      string             `json:"detail"`
	Status      int                `json:"status"`
	Instance    string             `json:"instance,omitempty"`
	Subproblems []subproblemObject `json:"subproblems,omitempty"`
}

type subproblemObject struct {
	Type       string `json:"type"`
	Detail     string `json:"detail"`
	Identifier string `json:"identifier,omitempty"`
}

func problemWire(p *acme.Problem) *problemObject {
	if p == nil {
		return nil
	}
	o := &problemObject{Type: acme.ProblemPrefix + string(p.Type), Detail: p.Detail, Status: p.Status, Instance: p.Instance}
	for _, part := range p.Subproblems {
		o.Subproblems = append(o.Subproblems, subproblemObject{acme.ProblemPrefix + string(part.Type), part.Detail, part.Identifier.Value})
	}
	return o
}

// fail tells what went wrong: a problem as it is, anything else as an internal
// error of which the client learns no more than a reference.
func (a *API) fail(q *request, err error) {
	var p *acme.Problem
	switch {
	case errors.As(err, &p):
		a.log.Info("request refused", "event", "member_api.refused", "member", q.delegate.Member(), "by", q.delegate.Who(),
			"path", q.r.URL.Path, "status", p.Status, "type", p.Type, "cause", p.Detail)
	case q.ctx().Err() != nil && errors.Is(err, context.Canceled):
		p = acme.Problemf(acme.ServerInternal, "the request was cut off")
	default:
		reference := rand.Text()
		a.log.Error("request failed", "event", "member_api.failed", "reference", reference, "method", q.r.Method, "path", q.r.URL.Path, "cause", err)
		p = acme.Problemf(acme.ServerInternal, "something went wrong inside of the server; try again, and tell the operator reference %s if it stays", reference)
		p.Instance = "urn:acmebridge:reference:" + reference
		p = p.WithRetryAfter(time.Minute)
	}
	a.problem(q, p)
}

func (a *API) problem(q *request, p *acme.Problem) {
	if p.Status == 0 {
		p = p.WithStatus(http.StatusInternalServerError)
	}
	if p.Status == http.StatusUnauthorized {
		q.w.Header().Set("WWW-Authenticate", `Bearer realm="acmebridge"`)
	}
	if p.Type == acme.RateLimited && a.cfg.Limits.Help != "" {
		q.w.Header().Add("Link", "<"+a.cfg.Limits.Help+`>;rel="help"`)
	}
	q.retryAfter(p.RetryAfter)
	body, err := json.Marshal(problemWire(p))
	if err != nil { // strings and numbers only, so this does not happen
		body = []byte("{}")
	}
	q.w.Header().Set("Content-Language", "en")
	q.send(p.Status, "application/problem+json", body)
}
