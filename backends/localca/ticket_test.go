package localca

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/backends"
)

func TestTickets(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ca := open(t, cfg)
	r := newRequest(birth)
	r.Contract.Identifiers = nil
	for i := range 100 { // SL-8
		r.Contract.Identifiers = append(r.Contract.Identifiers,
			acme.Identifier{Type: acme.DNSIdentifier, Value: "host-" + strings.Repeat("x", i%10) + string(rune('a'+i%26)) + ".shop.example.org"})
	}
	ticket, err := ca.Submit(t.Context(), r)
	if err != nil || len(ticket) > maxTicket {
		t.Fatalf("a ticket of %d octets: %v", len(ticket), err)
	}
	again, err := ca.Submit(t.Context(), r)
	if err != nil || again != ticket {
		t.Errorf("submitted again, the ticket is another one: %v", err)
	}
	// Whoever can write into the store cannot make us sign.
	for i := range len(ticket) {
		forged := []byte(ticket)
		if forged[i] ^= 1; string(forged) == string(ticket) {
			continue
		}
		if got, err := ca.Poll(t.Context(), backends.Ticket(forged)); err == nil {
			// The last character has bits that do not count.
			if want, err := ca.Poll(t.Context(), ticket); err != nil || !slices.EqualFunc(got.Chain, want.Chain, bytes.Equal) {
				t.Fatalf("a ticket changed at %d was honoured", i)
			}
		}
	}
	if _, err := open(t, testConfig(t)).Poll(t.Context(), ticket); err == nil {
		t.Error("another CA honours the ticket")
	}
	// Random names do not compress, and the ticket has a bound.
	for i := range r.Contract.Identifiers {
		r.Contract.Identifiers[i].Value = newKey(t) + "." + newKey(t) + ".example"
	}
	if _, ok := backends.RefusalDetail(errorOf(ca.Submit(t.Context(), r))); !ok {
		t.Error("more than fits into a ticket was not refused")
	}
	if _, err := ca.Issue(r); err != nil {
		t.Errorf("the same at once: %v", err)
	}
}

func FuzzPollForeignTickets(f *testing.F) {
	cfg := testConfig(f)
	ca := open(f, cfg)
	ours, err := ca.Submit(context.Background(), newRequest(birth))
	if err != nil {
		f.Fatal(err)
	}
	want, err := ca.Poll(context.Background(), ours)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "1", "1.", "2.AAAA", string(ours), string(ours[:len(ours)-4]), "01" + string(ours[1:])} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ca.Poll(t.Context(), backends.Ticket(s))
		if err == nil && !bytes.Equal(got.Chain[0], want.Chain[0]) {
			t.Errorf("the ticket %q, which we never gave, was honoured", s)
		}
	})
}

func errorOf(_ backends.Ticket, err error) error { return err }

func ipID(value string) []acme.Identifier {
	return []acme.Identifier{{Type: acme.IPIdentifier, Value: value}}
}
