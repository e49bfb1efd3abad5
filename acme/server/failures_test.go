package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

// lines is a log that a test can read while others write to it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// wantInternal holds an answer against what a client learns of an internal
// error: a reference and when to come back (R8555-6.7-6).
func wantInternal(t *testing.T, r reply) (reference string) {
	t.Helper()
	p := wantProblem(t, r, http.StatusInternalServerError, acme.ServerInternal)
	reference, ok := strings.CutPrefix(p.Instance, "urn:acmebridge:reference:")
	if !ok || reference == "" || !strings.Contains(p.Detail, reference) {
		t.Errorf("no reference in %+v", p)
	}
	if r.header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	if r.header.Get("Replay-Nonce") == "" {
		t.Error("no nonce to try again with")
	}
	if r.header.Get("Location") != "" {
		t.Errorf("a failure points to %s", r.header.Get("Location"))
	}
	for _, secret := range []string{"boom", "goroutine", ".go:", "engine:", "storage"} {
		if strings.Contains(string(r.body), secret) {
			t.Errorf("the client reads %q in %s", secret, r.body)
		}
	}
	return reference
}

// TestPanic: the request fails with a reference that the log explains, and the
// next one is served (SP-15). What the client had sent is not in the log.
func TestPanic(t *testing.T) {
	t.Parallel()
	var log lines
	f := start(t, servertest.Options{Store: watchedStore{memory.New()}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	c := f.registered(t, "default")
	boom := func() error { panic("boom") }
	for name, w := range map[string]*watch{
		"in a read":      {onView: boom},
		"in a write":     {onUpdate: func(func() error) error { return boom() }},
		"after a write":  {onUpdate: func(do func() error) error { return errors.Join(do(), boom()) }},
		"nil dereferred": {onView: func() error { var p *acme.Problem; return p.WithStatus(1) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(c.url["newOrder"], c.withAccount(t, c.url["newOrder"], orderFor("secret-name.localhost")))
			r.ctx = w.in(t.Context())
			reference := wantInternal(t, f.do(t, r))
			if got := log.String(); !strings.Contains(got, reference) || !strings.Contains(got, "panic: ") || !strings.Contains(got, "store_test.go") {
				t.Errorf("the log does not explain %s:\n%s", reference, got)
			}
			if strings.Contains(log.String(), "secret-name") {
				t.Error("the request is in the log")
			}
			c.newOrder(t, "a.localhost")
		})
	}
}

// TestStoreFails: an error of the store is 500 and nothing more, whether what
// was to be written was written or not (SS-1, SS-4).
func TestStoreFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("boom at sector 7")
	for name, w := range map[string]*watch{
		"read":                            {onView: func() error { return broken }},
		"write, nothing happened":         {onUpdate: func(func() error) error { return broken }},
		"damaged record":                  {onView: func() error { return fmt.Errorf("%w: boom", storage.ErrDamaged) }},
		"unknown, and it did not":         {onUpdate: func(func() error) error { return fmt.Errorf("%w: boom", storage.ErrUnknown) }},
		"unknown, and it did":             {onUpdate: func(do func() error) error { return errors.Join(do(), storage.ErrUnknown) }},
		"closed, as after an unknown":     {onView: func() error { return storage.ErrClosed }, onUpdate: func(func() error) error { return storage.ErrClosed }},
		"write, it happened all the same": {onUpdate: func(do func() error) error { return errors.Join(do(), broken) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, servertest.Options{Store: watchedStore{memory.New()}})
			c := f.registered(t, "default")
			o := c.newOrder(t, "a.localhost")
			stranger := f.client(t, "default")
			for _, r := range []call{
				post(c.url["newOrder"], c.withAccount(t, c.url["newOrder"], orderFor("b.localhost"))),
				post(c.kid, c.withAccount(t, c.kid, `{"contact":[]}`)),
				post(o.Authorizations[0], c.withAccount(t, o.Authorizations[0], `{"status":"deactivated"}`)),
				post(stranger.url["newAccount"], stranger.withKey(t, stranger.url["newAccount"], "{}")),
			} {
				r.ctx = w.in(t.Context())
				wantInternal(t, f.do(t, r))
			}
		})
	}
}

// TestClientLeaves: a request that is cut off is no internal error that wakes
// an operator.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	var log lines
	f := start(t, servertest.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	c := f.registered(t, "default")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := post(c.url["newOrder"], c.withAccount(t, c.url["newOrder"], orderFor("a.localhost")))
	r.ctx = ctx
	wantProblem(t, f.do(t, r), http.StatusInternalServerError, acme.ServerInternal)
	if strings.Contains(log.String(), "request.failed") {
		t.Errorf("the log says\n%s", log.String())
	}
}
