package digicert_test

import (
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/digicert/digicerttest"
)

// lost has the reply to an order lost, and what was ordered issued.
func (w world) lost(t *testing.T, b backends.Backend, kind string) backends.Request {
	t.Helper()
	w.breaks(t, digicerttest.Fault{Endpoint: "order", Kind: kind, Status: 500, Count: 1})
	r := w.request()
	if ticket, err := b.Submit(t.Context(), r); err == nil || backends.IsNotSent(err) {
		t.Fatalf("%s: ticket %q, %v", kind, ticket, err)
	}
	return r
}

// TestFind: after a lost reply the order is found by its reference, and where
// that shows late or was dropped, by its public key (SC-4).
func TestFind(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]digicerttest.Config{
		"by reference":  {},
		"shows late":    {Visibility: 3 * time.Minute},
		"was dropped":   {ForgetAlternative: true},
		"still pending": {Processing: time.Hour},
	} {
		for _, kind := range []string{"reset-after", "status-after", "html-502", "half-body", "empty", "invalid-json", "huge"} {
			w := newWorld(t, cfg)
			b := w.backend(t, w.client(t))
			r := w.lost(t, b, kind)
			ticket, found, err := w.backend(t, w.client(t)).Find(t.Context(), r)
			if err != nil || !found {
				t.Fatalf("%s, %s: found %t, %v", name, kind, found, err)
			}
			w.ca.Advance(cfg.Processing)
			if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
				t.Errorf("%s, %s: %+v, %v", name, kind, got, err)
			}
			if n := w.ca.Count("purchase"); n != 1 {
				t.Errorf("%s, %s: %d purchases", name, kind, n)
			}
		}
	}
}

// TestFindNothing: what never arrived is not found, and a list that cannot be
// read proves nothing.
func TestFindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	b := w.backend(t, w.client(t))
	r := w.lost(t, b, "reset-before")
	if ticket, found, err := b.Find(t.Context(), r); err != nil || found {
		t.Errorf("ticket %q, %t, %v", ticket, found, err)
	}
	// Another request of ours for the same key and names is not this one.
	other := r
	other.Key = "0123456789abcdef0123456789abcdef"
	if _, err := b.Submit(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if ticket, found, err := b.Find(t.Context(), r); err != nil || found {
		t.Errorf("beside another: ticket %q, %t, %v", ticket, found, err)
	}
	for _, f := range []digicerttest.Fault{
		{Endpoint: "alternate", Kind: "status", Status: 500}, {Endpoint: "alternate", Kind: "html"}, {Endpoint: "orders", Kind: "invalid-json"},
		{Endpoint: "orders", Kind: "status", Status: 403},
	} {
		w.ca.Mend()
		w.breaks(t, f)
		if _, found, err := b.Find(t.Context(), r); err == nil || found {
			t.Errorf("%+v: found %t, %v", f, found, err)
		}
	}
}

// TestFindAmongSiblings: where references are dropped, a client that uses its key
// again has two orders for one key and one name. Which is whose is in the comment:
// the certificate of the one is not given to the other, whose own was paid for.
func TestFindAmongSiblings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{ForgetAlternative: true})
	b := w.backend(t, w.client(t))
	first := w.request()
	theirs, err := b.Submit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	second := first
	second.Key = "0123456789abcdef0123456789abcdef"
	if ticket, found, err := b.Find(t.Context(), second); err != nil || found {
		t.Errorf("what was never sent is found as %q, %t, %v", ticket, found, err)
	}
	w.breaks(t, digicerttest.Fault{Endpoint: "order", Kind: "reset-after", Count: 1})
	if _, err := b.Submit(t.Context(), second); err == nil {
		t.Fatal("the reply was not lost")
	}
	ours, found, err := b.Find(t.Context(), second)
	if err != nil || !found || ours == theirs {
		t.Errorf("found %q, %t, %v; that of the first is %q", ours, found, err, theirs)
	}
	if again, found, err := b.Find(t.Context(), first); err != nil || !found || again != theirs {
		t.Errorf("the first one is found as %q, %t, %v; want %q", again, found, err, theirs)
	}
}

// TestTwins: of two orders with our reference the oldest is kept, and the other
// one cancelled while it can be.
func TestTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{Twins: true, Processing: time.Minute})
	b := w.backend(t, w.client(t))
	r := w.lost(t, b, "reset-after")
	ticket, found, err := b.Find(t.Context(), r)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	p, c := w.ca.Purchases(), w.ca.Journal("cancel")
	if len(p) != 2 || len(c) != 1 || c[0].Order != p[1].Order || p[1].Order < p[0].Order {
		t.Errorf("bought %+v, cancelled %+v", p, c)
	}
	w.ca.Advance(time.Minute)
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
		t.Errorf("%+v, %v", got, err)
	}
}
