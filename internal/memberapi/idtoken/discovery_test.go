package idtoken_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/memberapi"
	"acmebridge/internal/memberapi/idtoken"
)

// wantAway checks that nobody could tell whose a token is, which is no fault of
// its bearer.
func wantAway(t *testing.T, err error) {
	t.Helper()
	var p *acme.Problem
	if !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable || p.RetryAfter == 0 || errors.Is(err, memberapi.ErrUnknown) {
		t.Errorf("the answer is %v", err)
	}
}

// gate holds what a provider is asked for until it is opened.
type gate struct {
	asked chan string // the path of each request
	open  chan struct{}
}

// gated puts a gate in front of a provider.
func gated(l *login) gate {
	g := gate{make(chan string, 100), make(chan struct{})}
	behaves := l.server.Config.Handler
	l.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked <- r.URL.Path
		select {
		case <-g.open:
			behaves.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	return g
}

// TestFirstGone: that whoever came first has gone does not end what the others
// wait for, and the provider is asked once for all of them.
func TestFirstGone(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	g := gated(l)
	p := l.provider()
	first, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := p.Identify(first, l.token(l.key, nil))
		gone <- err
	}()
	<-g.asked
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			if id, err := p.Identify(t.Context(), l.token(l.key, nil)); err != nil || id.Name != "alice@m1.example" {
				t.Errorf("one who stayed: %+v, %v", id, err)
			}
		})
	}
	cancel()
	wantAway(t, <-gone) // while the provider has not answered
	close(g.open)
	others.Wait()
	discoveries := 1
	for range len(g.asked) {
		if <-g.asked == "/.well-known/openid-configuration" {
			discoveries++
		}
	}
	if discoveries != 1 {
		t.Errorf("the provider was asked %d times what it is", discoveries)
	}
}

// TestGoneWhileKeysAreFetched: a bearer who hangs up while the keys are on their
// way has shown no bad token.
func TestGoneWhileKeysAreFetched(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	keys := make(chan struct{})
	behaves := l.server.Config.Handler
	l.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/openid-configuration" {
			keys <- struct{}{}
			<-r.Context().Done()
			return
		}
		behaves.ServeHTTP(w, r)
	})
	p := l.provider()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := p.Identify(ctx, l.token(l.key, nil))
		gone <- err
	}()
	<-keys
	cancel()
	wantAway(t, <-gone)
	l.server.CloseClientConnections()
}

// TestCutOff: keys of which half arrives are no judgement of a token.
func TestCutOff(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	behaves := l.server.Config.Handler
	l.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			behaves.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		behaves.ServeHTTP(whole, r)
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(whole.Body.Bytes())
	})
	_, err := l.provider().Identify(t.Context(), l.token(l.key, nil))
	wantAway(t, err)
}

// TestHanging: a provider that takes connections and says nothing holds nobody
// for longer than its patience, nor for longer than the caller's own; and it is
// not asked again at once.
func TestHanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dialed atomic.Int64
		p, err := idtoken.New(idtoken.Config{
			Issuer: "https://login.example", Audience: "directory-cli", MemberClaim: "organization", NameClaim: "email",
			Dial: func(context.Context, string, string) (net.Conn, error) {
				dialed.Add(1)
				time.Sleep(time.Minute)
				return nil, errors.New("nobody is there")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		identify := func(own time.Duration) time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), own)
			defer cancel()
			asked := time.Now()
			_, err := p.Identify(ctx, "a.b.c")
			wantAway(t, err)
			return time.Since(asked)
		}
		var all sync.WaitGroup
		for own, want := range map[time.Duration]time.Duration{time.Second: time.Second, 3 * time.Second: 3 * time.Second, time.Minute: 10 * time.Second, time.Hour: 10 * time.Second} {
			all.Go(func() {
				if took := identify(own); took != want {
					t.Errorf("who would wait for %s waited for %s, want %s", own, took, want)
				}
			})
		}
		all.Wait()
		if took := identify(time.Hour); took != 0 || time.Since(begun) != 10*time.Second {
			t.Errorf("right after the failure one waited for %s", took)
		}
		if n := dialed.Load(); n != 1 {
			t.Errorf("it was dialed %d times", n)
		}
		time.Sleep(5 * time.Second)
		if took := identify(time.Second); took != time.Second || dialed.Load() != 2 {
			t.Errorf("after the pause one waited for %s, %d dialed", took, dialed.Load())
		}
		time.Sleep(time.Minute) // all that was begun ends
	})
}
