package server_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/nonce"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/challenges"
	"acmebridge/storage/memory"
)

// TestBodyLimit: a body of the limit is read, one more byte is not (SL-1,
// R8555-6.2-19, R8555-10.3-1).
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const limit = 4096
	f := start(t, servertest.Options{Server: func(c *server.Config) { c.MaxBody = limit }})
	c := f.registered(t, "default")
	body := func(size int) []byte {
		b := c.withAccount(t, c.kid, "")
		return append(b, []byte(strings.Repeat(" ", size-len(b)))...)
	}
	if r := f.do(t, post(c.kid, body(limit))); r.status != http.StatusOK {
		t.Errorf("a body of the limit: %d %s", r.status, r.body)
	}
	for _, size := range []int{limit + 1, 1 << 20} {
		r := f.do(t, post(c.kid, body(size)))
		wantProblem(t, r, http.StatusRequestEntityTooLarge, acme.Malformed)
		if r.header.Get("Replay-Nonce") == "" {
			t.Error("no nonce")
		}
	}
}

// clock is a time that a test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// TestBadSignatures: an address that sends bad signatures is kept out for the
// rest of the minute, and nobody else is (SL-11): by rateLimited (R8555-6.6-1),
// with a Retry-After that is enough (R8555-6.6-2), in whole seconds and never
// zero (R8555-6.6-4).
func TestBadSignatures(t *testing.T) {
	t.Parallel()
	const limit = 3
	var now clock
	f := start(t, servertest.Options{Server: func(c *server.Config) { c.BadSignatures, c.Now = limit, now.now }})
	c := f.registered(t, "default")
	forger := &client{f: f, key: newKey(t), kid: c.kid}
	from := func(remote string, by *client) reply {
		r := post(c.kid, by.withAccount(t, c.kid, ""))
		r.remote = remote
		return f.do(t, r)
	}
	const bad, good = "203.0.113.7:1000", "203.0.113.8:1000"
	for i := range limit {
		wantProblem(t, from("203.0.113.7:"+strconv.Itoa(2000+i), forger), http.StatusBadRequest, acme.Malformed)
	}
	r := from(bad, forger)
	wantProblem(t, r, http.StatusTooManyRequests, acme.RateLimited)
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	wantProblem(t, from(bad, c), http.StatusTooManyRequests, acme.RateLimited)
	wantProblem(t, from("[::ffff:203.0.113.7]:1", c), http.StatusTooManyRequests, acme.RateLimited)
	for _, other := range []string{good, "[2001:db8::1]:1", "203.0.113.70:1"} {
		if r := from(other, c); r.status != http.StatusOK {
			t.Errorf("from %s: %d", other, r.status)
		}
	}
	// Reading what needs no signature goes on.
	r = f.do(t, call{method: http.MethodHead, url: c.url["newNonce"], remote: bad})
	if r.status != http.StatusOK {
		t.Errorf("newNonce: %d", r.status)
	}
	// The wait that was named is enough, and a moment less is not.
	now.advance(time.Duration(wait)*time.Second - 2*time.Second)
	wantProblem(t, from(bad, c), http.StatusTooManyRequests, acme.RateLimited)
	now.advance(2 * time.Second)
	if r := from(bad, c); r.status != http.StatusOK {
		t.Errorf("after the wait: %d %s", r.status, r.body)
	}
	// A /64 is one customer (SL-40).
	for i := range limit {
		wantProblem(t, from("[2001:db8::"+strconv.Itoa(i)+"]:1", forger), http.StatusBadRequest, acme.Malformed)
	}
	wantProblem(t, from("[2001:db8::ffff:1]:1", c), http.StatusTooManyRequests, acme.RateLimited)
	if r := from("[2001:db8:0:1::1]:1", c); r.status != http.StatusOK {
		t.Errorf("the next /64: %d", r.status)
	}
}

// TestBadSignaturesUnbounded: behind a proxy all clients have one address, so
// the bound can be taken away. Other faults never count.
func TestBadSignaturesUnbounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit int
		forge bool
	}{"no bound": {-1, true}, "other faults": {1, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, servertest.Options{Server: func(c *server.Config) { c.BadSignatures = tt.limit }})
			c := f.registered(t, "default")
			by := c
			if tt.forge {
				by = &client{f: f, key: newKey(t), kid: c.kid}
			}
			for range 70 {
				wantProblem(t, by.post(t, c.kid, "no JSON"), http.StatusBadRequest, acme.Malformed)
			}
			if r := c.post(t, c.kid, ""); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
}

// still is a server without a listener and without a running work half: it
// fits into a bubble of testing/synctest.
func still(t *testing.T) *front {
	t.Helper()
	ca, err := localca.Open(localca.Config{Dir: t.TempDir(), Name: "local", PublicURL: "http://pki.test"})
	if err != nil {
		t.Fatal(err)
	}
	profile := servertest.Profile()
	profile.Challenges = []acme.ChallengeType{acme.HTTP01}
	f := &front{Server: &servertest.Server{URL: "https://still.test"}}
	f.Engine, err = engine.New(engine.Config{
		Store: memory.New(), Sealer: clear{}, Holder: "still", Validators: []challenges.Validator{believer{}},
		Backends:    map[string]backends.Backend{"local": ca.Backend()},
		Profiles:    map[acme.ProfileName]acme.Profile{profile.Name: profile},
		Directories: []acme.Directory{{Name: "default", Path: "/directory", Profiles: []acme.ProfileName{profile.Name}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.nonces, err = nonce.New(nonce.Config{}); err != nil {
		t.Fatal(err)
	}
	f.Front, err = server.New(server.Config{Engine: f.Engine, Nonces: f.nonces, BaseURL: f.URL, SignatureChecks: 2})
	if err != nil {
		t.Fatal(err)
	}
	f.handler = f.Front.Handler()
	return f
}

type clear struct{}

func (clear) Seal(b, _ []byte) ([]byte, error) { return b, nil }
func (clear) Open(b, _ []byte) ([]byte, error) { return b, nil }

// TestSignatureChecks: while all slots are taken, requests wait before their
// signature is checked (SL-12, R8555-10.3-1); one whose client leaves stops waiting, takes
// no slot along and spends no nonce.
func TestSignatureChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := still(t)
		c := f.registered(t, "default")
		release := f.Front.OccupySignatureChecks()
		send := func(ctx context.Context) (r call, done <-chan reply) {
			r = post(c.kid, c.withAccount(t, c.kid, ""))
			r.ctx = ctx
			ended := make(chan reply, 1)
			go func() { ended <- f.do(t, r) }()
			return r, ended
		}
		leaving, leave := context.WithCancel(t.Context())
		abandoned, gone := send(leaving)
		_, waits := send(t.Context())
		synctest.Wait()
		if len(waits)+len(gone) > 0 {
			t.Fatal("a signature was checked without a slot")
		}
		// What needs no signature does not wait.
		if r := f.do(t, get(f.DirectoryURL("default"))); r.status != http.StatusOK {
			t.Errorf("directory: %d", r.status)
		}
		leave()
		wantProblem(t, <-gone, http.StatusInternalServerError, acme.ServerInternal)
		synctest.Wait()
		if len(waits) > 0 {
			t.Error("the slot that nobody had was handed on")
		}
		release()
		if r := <-waits; r.status != http.StatusOK {
			t.Errorf("after its turn came: %d %s", r.status, r.body)
		}
		abandoned.ctx = t.Context()
		if r := f.do(t, abandoned); r.status != http.StatusOK {
			t.Errorf("the abandoned request once more: %d %s", r.status, r.body)
		}
		f.Front.OccupySignatureChecks() // all slots are back, or this blocks for ever
	})
}
