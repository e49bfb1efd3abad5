package digicert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/digicert/digicerttest"
)

// again is a request for the names of an earlier one, with another key.
func (w world) again(first backends.Request, ticket backends.Ticket) backends.Request {
	r := w.request()
	r.Account, r.Contract.CommonName, r.Contract.Identifiers = first.Account, first.Contract.CommonName, first.Contract.Identifiers
	r.TakesOver = ticket
	return r
}

// keyOf is the hash of the key of a chain's certificate.
func keyOf(t *testing.T, chain [][]byte) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(leaf.RawSubjectPublicKeyInfo))
}

// TestTakeOver: another key for what was ordered gets its certificate and costs
// nothing, whatever the order has come to, and whatever gets lost on the way.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg            digicerttest.Config
		issued         bool // before anybody comes back
		faults         []digicerttest.Fault
		swaps, reissue int
	}{
		"pending":                 {cfg: digicerttest.Config{Processing: time.Hour}, swaps: 1},
		"waits for approval":      {cfg: digicerttest.Config{Processing: time.Hour, NoApproval: true, NoSelfApproval: true}, swaps: 1},
		"swap's reply lost":       {cfg: digicerttest.Config{Processing: time.Hour}, faults: []digicerttest.Fault{{Endpoint: "swap", Kind: "reset-after", Count: 1}}, swaps: 1},
		"no such call":            {cfg: digicerttest.Config{Processing: time.Hour, NoSwap: true}, reissue: 1},
		"issued":                  {cfg: digicerttest.Config{Processing: time.Hour}, issued: true, reissue: 1},
		"reissue's reply lost":    {cfg: digicerttest.Config{Processing: time.Hour}, issued: true, faults: []digicerttest.Fault{{Endpoint: "reissue", Kind: "reset-after", Count: 1}}, reissue: 1},
		"reissue's 500":           {cfg: digicerttest.Config{Processing: time.Hour}, issued: true, faults: []digicerttest.Fault{{Endpoint: "reissue", Kind: "html-502", Count: 1}}, reissue: 1},
		"the sibling is sent":     {cfg: digicerttest.Config{Processing: time.Hour}, issued: true, faults: []digicerttest.Fault{{Endpoint: "download", Kind: "sibling", Skip: 1, Count: 1}}, reissue: 1},
		"throttled in the middle": {cfg: digicerttest.Config{Processing: time.Hour}, issued: true, faults: []digicerttest.Fault{{Endpoint: "reissue", Kind: "status", Status: 429, Count: 1}}, reissue: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			b := w.backend(t, w.client(t))
			first := w.request()
			ticket, err := b.Submit(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Poll(t.Context(), ticket); err != nil {
				t.Fatal(err)
			}
			if test.issued {
				w.ca.Advance(test.cfg.Processing)
			}
			second := w.again(first, ticket)
			w.breaks(t, test.faults...)
			taken, err := b.Submit(t.Context(), second)
			if err != nil {
				t.Fatal(err)
			}
			if found, ok, err := b.Find(t.Context(), second); err != nil || !ok || found != taken {
				t.Errorf("found %q, want %q: %t, %v", found, taken, ok, err)
			}
			if len(taken) > 2048 {
				t.Errorf("a ticket of %d octets", len(taken))
			}
			var chain [][]byte
			for i := range 12 {
				// Each time another instance, as after a restart.
				got, err := w.backend(t, w.client(t)).Poll(t.Context(), taken)
				if _, no := backends.RefusalDetail(err); no || err != nil && len(test.faults) == 0 {
					t.Fatal(err)
				}
				if chain = got.Chain; chain != nil {
					break
				}
				if i == 2 && test.cfg.NoApproval {
					if err := w.ca.Approve(w.ca.Purchases()[0].Order); err != nil {
						t.Fatal(err)
					}
				}
				w.ca.Advance(20 * time.Minute)
			}
			if chain == nil || keyOf(t, chain) != fmt.Sprintf("%x", sha256.Sum256(second.PublicKey)) {
				t.Fatalf("no certificate for the new key: a chain of %d", len(chain))
			}
			if n := w.ca.Count("purchase"); n != 1 {
				t.Errorf("%d purchases", n)
			}
			swaps, reissues := len(w.ca.Journal("swap")), len(w.ca.Journal("reissue"))
			if swaps != test.swaps || reissues != test.reissue {
				t.Errorf("%d swaps and %d reissues", swaps, reissues)
			}
			if n := w.ca.Count("revocation"); n != 0 {
				t.Errorf("%d revocations", n)
			}
		})
	}
}

// TestReissueLikeAnOrder: what a reissue is asked to be signed with goes by its key,
// as in an order.
func TestReissueLikeAnOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	b := w.backend(t, w.client(t))
	first := w.request()
	ticket, err := b.Submit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	second := w.again(first, ticket)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if second.PublicKey, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		t.Fatal(err)
	}
	taken, err := b.Submit(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Poll(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, e := range w.ca.Journal("request") {
		if e.Endpoint != "reissue" || e.Method != "POST" {
			continue
		}
		if asked++; !strings.Contains(e.Body, `"signature_hash":"sha384"`) {
			t.Errorf("asked for %s", e.Body)
		}
	}
	if asked != 1 {
		t.Errorf("asked for %d reissues", asked)
	}
}

// TestTakeOverEnded: what was cancelled meanwhile is a refusal in our words, so
// that the client orders anew.
func TestTakeOverEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{Processing: time.Hour})
	b := w.backend(t, w.client(t))
	first := w.request()
	ticket, err := b.Submit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Reject(w.ca.Purchases()[0].Order); err != nil {
		t.Fatal(err)
	}
	taken, err := b.Submit(t.Context(), w.again(first, ticket))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Poll(t.Context(), taken); err == nil || !strings.Contains(err.Error(), "rejected") {
		t.Errorf("%v", err)
	}
}

// TestDamagedTickets: nothing goes out for one.
func TestDamagedTickets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	b := w.backend(t, w.client(t))
	good, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	before := w.ca.Count("request")
	fields := strings.Split(string(good), ".")
	for _, bad := range []string{
		"", "d1", "d2." + strings.Join(fields[1:], "."), "d1.0." + strings.Join(fields[2:], "."), "d1.x." + strings.Join(fields[2:], "."),
		string(good) + ".sc", string(good) + ".sc.AAAA", strings.Join(append(append([]string{}, fields[:3]...), "AAAA", "0"), "."),
	} {
		if got, err := b.Poll(t.Context(), backends.Ticket(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	if n := w.ca.Count("request") - before; n != 0 {
		t.Errorf("%d requests", n)
	}
}
