package godaddy_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/internal/caclient"
	"acmebridge/internal/standin"
)

// TestPageInFront: a page for people in place of the service says nothing of an
// order, whatever its status. What was paid for is not ended by it, what is looked
// for is not missing because of it, and neither a dry run nor a purchase is refused
// by it (SC-3, SC-10).
func TestPageInFront(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"html-400", "html-404", "html-422"} {
		w := newWorld(t, godaddytest.Config{Processing: time.Minute})
		b := w.backend(t, w.client(t))
		r := w.request(t)
		ticket, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		w.breaks(t, standin.Fault{Endpoint: "info", Kind: kind, Count: 1})
		if _, err := b.Poll(t.Context(), ticket); err == nil || errors.Is(err, caclient.ErrNotFound) {
			t.Errorf("%s is taken for an order that shows late: %v", kind, err)
		}
		w.ca.Advance(time.Hour)
		for _, at := range []string{"info", "download"} {
			w.breaks(t, standin.Fault{Endpoint: at, Kind: kind})
			if _, err := b.Poll(t.Context(), ticket); err == nil {
				t.Errorf("%s at %s: no error", kind, at)
			} else if detail, over := backends.RefusalDetail(err); over || errors.Is(err, caclient.ErrNotFound) {
				t.Errorf("%s at %s ended the order: %q, %v", kind, at, detail, err)
			}
			w.ca.Mend()
		}
		for _, at := range []string{"list", "info", "download"} {
			w.breaks(t, standin.Fault{Endpoint: at, Kind: kind})
			if _, found, err := b.Find(t.Context(), r); err == nil || found {
				t.Errorf("%s at %s proves that nothing was bought: found %t, %v", kind, at, found, err)
			}
			w.ca.Mend()
		}
		if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
			t.Errorf("%s: afterwards %+v, %v", kind, got, err)
		}
		w.breaks(t, standin.Fault{Endpoint: "order", Kind: kind, Count: 1})
		_, err = b.Submit(t.Context(), w.request(t))
		if _, over := backends.RefusalDetail(err); err == nil || over || backends.IsNotSent(err) {
			t.Errorf("%s: a purchase was decided by it: %v", kind, err)
		}
		w.breaks(t, standin.Fault{Endpoint: "validate", Kind: kind, Count: 1})
		if _, err = b.Submit(t.Context(), w.request(t)); !backends.IsNotSent(err) {
			t.Errorf("%s at the dry run: %v", kind, err)
		}
	}
}

// TestYoungOrderShowsLate: a CA may take a moment to show what it has just sold, and
// what it never shows is for a person to see, and not over.
func TestYoungOrderShowsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{Processing: time.Minute})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request(t))
	if err != nil {
		t.Fatal(err)
	}
	w.breaks(t, standin.Fault{Endpoint: "info", Kind: "status", Status: http.StatusNotFound, Code: "NOT_FOUND"})
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain != nil || got.After <= 0 {
		t.Errorf("at first %+v, %v", got, err)
	}
	w.ca.Advance(time.Hour)
	_, err = b.Poll(t.Context(), ticket)
	if _, over := backends.RefusalDetail(err); !errors.Is(err, caclient.ErrNotFound) || over {
		t.Errorf("an hour later: %v", err)
	}
}

// TestErrorsOfTheService: each error of the service has a code; what has none may be
// anybody's.
func TestErrorsOfTheService(t *testing.T) {
	t.Parallel()
	for body, ours := range map[string]bool{
		`{"code":"NOT_FOUND","message":"no such certificate"}`: true, `{"code":"NOT_FOUND"}`: true,
		`{"message":"no route"}`: false, `{"fields":[{"path":"a"}]}`: false, `null`: false, `{"code":`: false, "": false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		client, err := godaddy.New(godaddy.Config{URL: server.URL, Login: login(apiKey, apiSecret), Dial: new(net.Dialer).DialContext})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		if _, err := client.Certificate(t.Context(), "1"); err == nil || errors.Is(err, caclient.ErrNotFound) != ours {
			t.Errorf("%s: %v", body, err)
		}
	}
}
