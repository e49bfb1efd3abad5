package globalsign_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/internal/standin"
)

// noDial connects to nothing.
type noDial struct{}

func (*noDial) dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no way")
}

// lost has the reply to an order lost, and what was ordered issued.
func (w world) lost(t *testing.T, b backends.Backend, kind string) backends.Request {
	t.Helper()
	w.breaks(t, standin.Fault{Endpoint: "order", Kind: kind, Status: 503, Count: 1})
	r := w.request()
	if ticket, err := b.Submit(t.Context(), r); err == nil || backends.IsNotSent(err) {
		t.Fatalf("%s: ticket %q, %v", kind, ticket, err)
	}
	return r
}

// TestFind: after a lost reply, and after the 503 on which the CA's own library
// buys again, the certificate is found by its key, among others, and was bought
// once (SC-4, SC-5).
func TestFind(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"reset-after", "status-after", "html-502", "elsewhere", "no-location", "huge"} {
		w := newWorld(t, globalsigntest.Config{})
		b := w.backend(t, w.client(t))
		for range 5 {
			if _, err := b.Submit(t.Context(), w.request()); err != nil {
				t.Fatal(err)
			}
		}
		r := w.lost(t, b, kind)
		w.ca.Advance(10 * time.Second) // a CA that says 503 is left alone
		ticket, found, err := w.backend(t, w.client(t)).Find(t.Context(), r)
		if err != nil || !found {
			t.Fatalf("%s: found %t, %v", kind, found, err)
		}
		if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		if n := w.ca.Count("purchase"); n != 6 {
			t.Errorf("%s: %d purchases", kind, n)
		}
	}
}

// TestFindPages: the list is walked to its end.
func TestFindPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t))
	r := w.lost(t, b, "reset-after")
	w.ca.Advance(time.Minute)
	for range 130 {
		if _, err := b.Submit(t.Context(), w.request()); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := b.Find(t.Context(), r); err != nil || !found {
		t.Errorf("found %t, %v", found, err)
	}
	if n := w.ca.Count("issued"); n != 2 {
		t.Errorf("%d pages", n)
	}
	if n := w.ca.Count("fetch"); n > 5 {
		t.Errorf("%d certificates were fetched before the one that began when the order did", n)
	}
}

// TestFindNothing: what never arrived is not found; a list that cannot be read, and
// a certificate for the same key with another end, prove nothing.
func TestFindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t))
	r := w.lost(t, b, "reset-before")
	if ticket, found, err := b.Find(t.Context(), r); err != nil || found {
		t.Errorf("ticket %q, %t, %v", ticket, found, err)
	}
	for _, f := range []standin.Fault{
		{Endpoint: "issued", Kind: "status", Status: 500}, {Endpoint: "issued", Kind: "html"}, {Endpoint: "issued", Kind: "invalid-json"}, {Endpoint: "issued", Kind: "status", Status: 403},
	} {
		w.ca.Mend()
		w.breaks(t, f)
		if _, found, err := b.Find(t.Context(), r); err == nil || found {
			t.Errorf("%+v: found %t, %v", f, found, err)
		}
	}
	w.ca.Mend()
	other := r
	other.Contract.NotAfter = r.Contract.NotAfter.Add(-time.Hour)
	if _, err := b.Submit(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, found, err := b.Find(t.Context(), r); err == nil || found {
		t.Errorf("the same key for another end: found %t, %v", found, err)
	}
	w.breaks(t, standin.Fault{Endpoint: "fetch", Kind: "not-ready"})
	if _, found, err := b.Find(t.Context(), w.request()); err == nil || found {
		t.Errorf("what is not made yet may be the one: found %t, %v", found, err)
	}
}
