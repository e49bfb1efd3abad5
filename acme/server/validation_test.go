package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
)

// absent is a host that is not there until somebody gives up on it.
type absent struct{ givenUp atomic.Bool }

func (*absent) Type() acme.ChallengeType { return acme.HTTP01 }
func (a *absent) Validate(context.Context, challenges.Target) acme.Outcome {
	return acme.Outcome{Retry: !a.givenUp.Load(), Problem: acme.Problemf(acme.Connection, "nobody is there")}
}

// TestRetryIsTold: while a validation is tried again, the client is told when to
// come back, at the challenge and at the authorization (R8555-8.2-2), and sees an
// error only when there will be no further try (R8555-8-2).
func TestRetryIsTold(t *testing.T) {
	t.Parallel()
	host := &absent{}
	f := start(t, servertest.Options{
		Profile: func(p *acme.Profile) { p.Hold = 100 * time.Millisecond },
		Engine: func(c *engine.Config) {
			c.Validators = []challenges.Validator{host}
			c.Attempts, c.Interval = 1000, 1500*time.Millisecond
		},
	})
	c := f.registered(t, "default")
	o := c.newOrder(t, "a.localhost")
	authz := o.Authorizations[0]
	url := challengeOf(t, c.post(t, authz, ""))
	type challenge struct {
		Status string
		Error  *problemDocument
	}
	for name, r := range map[string]reply{
		"the answer": c.post(t, url, "{}"), "the challenge": c.post(t, url, ""), "another answer": c.post(t, url, "{}"),
		"the authorization": c.post(t, authz, ""),
	} {
		seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
		if r.status != http.StatusOK || err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("%s: %d, Retry-After %q, want a few", name, r.status, r.header.Get("Retry-After"))
		}
		if strings.Contains(string(r.body), "nobody is there") {
			t.Errorf("%s shows an error of a challenge that goes on: %s", name, r.body)
		}
	}
	if ch := decode[challenge](t, c.post(t, url, "")); ch.Status != "processing" || ch.Error != nil {
		t.Errorf("the challenge is %+v", ch)
	}
	host.givenUp.Store(true)
	// Each of these waits for the outcome, for as long as the hold window is.
	var last reply
	for range 600 {
		if last = c.post(t, url, "{}"); !strings.Contains(string(last.body), "processing") {
			break
		}
	}
	last = c.post(t, url, "")
	ch := decode[challenge](t, last)
	if ch.Status != "invalid" || ch.Error == nil || ch.Error.Detail != "nobody is there" || last.header.Get("Retry-After") != "" {
		t.Errorf("in the end: %s, Retry-After %q", last.body, last.header.Get("Retry-After"))
	}
}

// TestNothingFetchedIsShown: the host of a client answers with what it likes, by
// itself and behind a redirect. Not a byte of it is in an answer or in the log, at
// the level of debugging too: our server is nobody's telescope (SV-8, R8555-10.4-3).
func TestNothingFetchedIsShown(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-4b1d"
	var log lines
	f := &front{}
	f.Server = servertest.Start(t, servertest.Options{
		Log:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Server: func(c *server.Config) { f.nonces = c.Nonces },
		Engine: func(c *engine.Config) { c.Interval = 10 * time.Millisecond },
	})
	f.handler = f.Front.Handler()
	web := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Secret", canary)
		switch {
		case r.Host == "moved.localhost":
			http.Redirect(w, r, "http://"+f.HTTP01.Addr().String()+"/"+canary+"?"+canary, http.StatusFound)
		case r.Host == "away.localhost":
			http.Redirect(w, r, "http://"+canary+".localhost:"+canary+"/", http.StatusFound)
		case r.Host == "broken.localhost":
			w.WriteHeader(http.StatusNotFound)
			fallthrough
		default:
			_, _ = w.Write([]byte(canary + " <html>" + canary)) // whoever asked may have gone
		}
	})}
	served := make(chan error, 1)
	go func() { served <- web.Serve(f.HTTP01) }()
	t.Cleanup(func() {
		_ = web.Close() // it ends with the error below
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the host ended with %v", err)
		}
	})

	c := f.registered(t, "default")
	for _, name := range []string{"plain.localhost", "moved.localhost", "away.localhost", "broken.localhost"} {
		o := c.newOrder(t, name)
		url := challengeOf(t, c.post(t, o.Authorizations[0], ""))
		shown := string(c.post(t, url, "{}").body)
		for range 600 {
			if !strings.Contains(shown, `"processing"`) {
				break
			}
			shown = string(c.post(t, url, "{}").body)
		}
		if !strings.Contains(shown, `"invalid"`) && !strings.Contains(shown, "is invalid") {
			t.Errorf("%s: %s", name, shown)
		}
		for _, at := range []string{url, o.Authorizations[0], o.url} {
			shown += string(c.post(t, at, "").body)
		}
		if strings.Contains(strings.ToLower(shown), strings.ToLower(canary)) {
			t.Errorf("%s: the client reads what was fetched: %s", name, shown)
		}
	}
	if !strings.Contains(log.String(), "challenge.failed") {
		t.Error("the log does not say that challenges failed: it proves nothing")
	}
	if got := log.String(); strings.Contains(strings.ToLower(got), strings.ToLower(canary)) {
		t.Errorf("the log shows what was fetched:\n%s", got)
	}
}
