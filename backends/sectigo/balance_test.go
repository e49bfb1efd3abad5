package sectigo_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// gate stands in front of a stand-in and keeps uploads waiting: arrived gets one
// value for each, and it goes on when pass has one.
type gate struct {
	url           string
	arrived, pass chan struct{}
}

func newGate(t *testing.T, w world) gate {
	t.Helper()
	behind, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	g := gate{arrived: make(chan struct{}, 100), pass: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/batches/upload") {
			g.arrived <- struct{}{}
			select {
			case <-g.pass:
			case <-t.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	g.url = s.URL
	return g
}

// TestFloorWithUploadsInFlight: a balance that the CA tells while an upload is on
// its way does not have that upload in it, and the floor holds all the same; once
// the CA has taken it off, it counts once (SC-16).
func TestFloorWithUploadsInFlight(t *testing.T) {
	t.Parallel()
	for name, reads := range map[string]func(context.Context, *sectigo.Backend) error{
		"the purchase": func(context.Context, *sectigo.Backend) error { return nil },
		"a survey":     func(ctx context.Context, b *sectigo.Backend) error { _, err := b.Survey(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{Balance: 3})
			g := newGate(t, w)
			b := w.backend(t, w.connect(t, func(c *sectigo.Config) { c.URL = g.url }), func(c *sectigo.BackendConfig) { c.Floor = 1 })
			done := make(chan error)
			for range 2 {
				r := w.request()
				go func() {
					_, err := b.Submit(t.Context(), r)
					done <- err
				}()
			}
			<-g.arrived
			<-g.arrived
			w.ca.Advance(2 * time.Minute) // what is known of the balance is too old
			if err := reads(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			third := w.request()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := b.Submit(ctx, third); !backends.IsNotSent(err) || ctx.Err() != nil {
				t.Errorf("a third purchase with three left, two on their way and one to be kept: %v", err)
			}
			for range 2 {
				g.pass <- struct{}{}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			w.ca.SetBalance(authority, 2)
			w.ca.Advance(2 * time.Minute)
			go func() {
				_, err := b.Submit(t.Context(), third)
				done <- err
			}()
			select {
			case g.pass <- struct{}{}:
			case err := <-done:
				t.Fatalf("two left, one to be kept, none on the way: %v", err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := len(w.ca.Purchases()); n != 3 {
				t.Errorf("%d purchases", n)
			}
		})
	}
}

// TestFloorAfterALostReply: an upload whose reply was lost may still be on its way
// to the books of the CA, for a while.
func TestFloorAfterALostReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{Balance: 3})
	b := w.backend(t, w.client, func(c *sectigo.BackendConfig) { c.Floor = 2 })
	w.breaks(t, sectigotest.Fault{Endpoint: "upload", Kind: "reset-before", Count: 1})
	if _, err := b.Submit(t.Context(), w.request()); err == nil || backends.IsNotSent(err) {
		t.Fatal(err)
	}
	if _, err := b.Submit(t.Context(), w.request()); !backends.IsNotSent(err) {
		t.Errorf("while it may be on its way: %v", err)
	}
	w.ca.Advance(5 * time.Minute)
	if _, err := b.Submit(t.Context(), w.request()); err != nil {
		t.Errorf("when it is clear that it never came: %v", err)
	}
}
