package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
	"acmebridge/challenges/http01test"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

// startHTTP01 runs a server with an http-01 validator that asks names and
// connects to port, and to 127.0.0.1 only.
func startHTTP01(t *testing.T, names *dnstest.Server, port uint16, log *slog.Logger) *front {
	t.Helper()
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := egress.NewResolver(egress.ResolverConfig{Servers: []string{names.Addr()}, TCPFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	v, err := challenges.NewHTTP01(challenges.HTTP01Config{Dialer: dialer, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, servertest.Options{Log: log, Engine: func(c *engine.Config) {
		c.Validators = []challenges.Validator{v}
		c.Attempts, c.Interval = 3, time.Millisecond
	}})
}

// R8555-8.2-2, SV-8: a challenge that failed says what each attempt did, and
// shows nothing that was fetched; the log shows the operator all of the way.
func TestEveryAttemptIsTold(t *testing.T) {
	t.Parallel()
	web := http01test.New(t, "127.0.0.1:0")
	port := web.Addr().Port()
	names := dnstest.New(t, `
		web.example.      60 IN CNAME host.example.
		host.example.     60 IN A 127.0.0.1
		www.web.example.  60 IN A 127.0.0.1
		inside.example.   60 IN A 127.0.0.2
	`)
	var log lines
	f := startHTTP01(t, names, port, slog.New(slog.NewJSONHandler(&log, nil)))
	c := f.registered(t, "default")
	at := fmt.Sprintf("127.0.0.1:%d", port)

	for _, tt := range []struct {
		name     string
		prepare  func(token string)
		attempts int
		kind     acme.ProblemType
		says     []string // of the last attempt, in this order
		logged   string
	}{
		{
			"web.example",
			func(token string) {
				web.On(token, http01test.Redirect(302, fmt.Sprintf("http://www.web.example:%d/canary-path", port)))
				web.On("/canary-path", http01test.Status(200, "canary-body"))
			},
			1, acme.Unauthorized,
			[]string{
				"AAAA web.example -> host.example: 0 records", "A web.example -> host.example: 1 record", "connect to " + at + " for web.example",
				fmt.Sprintf("redirect to http://www.web.example:%d", port), "A www.web.example: 1 record", "connect to " + at + " for www.web.example", "not the key authorization",
			},
			"redirect to http://www.web.example",
		},
		{
			"host.example",
			func(token string) {
				web.On(token, http01test.Redirect(302, fmt.Sprintf("http://inside.example:%d/canary-path", port)))
			},
			1, acme.Connection,
			[]string{"redirect to another host (http)", "A another host: 1 record", "no connection to another host", "does not connect to loopback addresses"},
			"127.0.0.2",
		},
		{
			"host.example",
			func(token string) { web.On(token, http01test.Reset()) },
			3, acme.Connection,
			[]string{"connect to " + at, "the connection was"},
			"connect to " + at,
		},
	} {
		log.Reset()
		o := c.newOrder(t, tt.name)
		offered := decode[authorization](t, c.post(t, o.Authorizations[0], "")).Challenges[0]
		tt.prepare(offered.Token)
		if r := c.post(t, offered.URL, "{}"); r.status != http.StatusOK {
			t.Fatalf("challenge: %d %s", r.status, r.body)
		}
		r := c.untilSettled(t, offered.URL)
		failed := decode[struct {
			Error struct {
				Type        string
				Subproblems []struct {
					Type, Detail string
					Identifier   struct{ Value string }
				}
			}
		}](t, r).Error
		if failed.Type != acme.ProblemPrefix+string(tt.kind) || len(failed.Subproblems) != tt.attempts {
			t.Errorf("%s: got %s after %d attempts, want %s after %d: %s", tt.name, failed.Type, len(failed.Subproblems), tt.kind, tt.attempts, r.body)
			continue
		}
		for i, sub := range failed.Subproblems {
			if sub.Identifier.Value != tt.name || sub.Type != failed.Type || !strings.HasPrefix(sub.Detail, fmt.Sprintf("attempt %d of %d at 2", i+1, tt.attempts)) {
				t.Errorf("%s: attempt %d is told as %+v", tt.name, i+1, sub)
			}
			rest := sub.Detail
			for _, want := range tt.says {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Errorf("%s: attempt %d does not say %q, or not in this order: %s", tt.name, i+1, want, sub.Detail)
					continue
				}
				rest = after
			}
		}
		for _, secret := range []string{"canary", "inside.example", "127.0.0.2"} {
			if bytes.Contains(r.body, []byte(secret)) {
				t.Errorf("%s: the client is shown %s: %s", tt.name, secret, r.body)
			}
		}
		if text := log.String(); strings.Count(text, `"challenge.failed"`) != tt.attempts || !strings.Contains(text, tt.logged) || strings.Contains(text, "canary") {
			t.Errorf("%s: the log does not have %q in %d lines, or has too much: %s", tt.name, tt.logged, tt.attempts, text)
		}
	}
}

// untilSettled reads a challenge until it is not under way any more.
func (c *client) untilSettled(t *testing.T, url string) reply {
	t.Helper()
	for ctx := t.Context(); ctx.Err() == nil; {
		r := c.post(t, url, "")
		if s := decode[challenge](t, r).Status; s != "processing" && s != "pending" {
			return r
		}
	}
	t.Fatal("the challenge never ended")
	return reply{}
}
