package godaddy_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/internal/standin"
)

func renews(c *godaddy.BackendConfig) { c.Renew = true }

// TestRenew: a renewal is placed as one where the CA has what it replaces and takes
// it, and as an order otherwise. It is bought once.
func TestRenew(t *testing.T) {
	t.Parallel()
	const renew, order = "renew", "order"
	for name, test := range map[string]struct {
		cfg    godaddytest.Config
		change func(*testing.T, world, *backends.Request)
		off    bool
		calls  []string
	}{
		"renewed":      {calls: []string{renew}},
		"switched off": {off: true, calls: []string{order}},
		"too early":    {cfg: godaddytest.Config{RenewWithin: 24 * time.Hour}, calls: []string{renew, order}},
		"no such call": {change: func(t *testing.T, w world, _ *backends.Request) {
			w.breaks(t, standin.Fault{Endpoint: "renew", Kind: "status", Status: 404, Code: "NOT_FOUND"})
		}, calls: []string{renew, order}},
		"of another account": {change: func(_ *testing.T, _ world, r *backends.Request) { r.Replaces = "AAAA.AQ" }, calls: []string{order}},
		"nothing replaced":   {change: func(_ *testing.T, _ world, r *backends.Request) { r.Replaces = "" }, calls: []string{order}},
		"for another name": {change: func(t *testing.T, w world, r *backends.Request) {
			replaces := r.Replaces
			*r = w.request(t)
			r.Replaces = replaces
		}, calls: []string{order}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			r := w.renewal(t)
			if test.change != nil {
				test.change(t, w, &r)
			}
			b := w.backend(t, w.client(t), func(c *godaddy.BackendConfig) { c.Renew = !test.off })
			ticket, err := b.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
				t.Errorf("%+v, %v", got, err)
			}
			var calls []string
			for _, e := range w.ca.Journal("request") {
				if e.Endpoint == renew || e.Endpoint == order {
					calls = append(calls, e.Endpoint)
				}
			}
			if !slices.Equal(calls, test.calls) || w.ca.Count("purchase") != 1 {
				t.Errorf("%v, and %d purchases", calls, w.ca.Count("purchase"))
			}
		})
	}
}

// TestRenewDoubt: what may have been bought is never bought as an order besides, and
// a list that cannot be read, or a lack of credits, keeps a renewal waiting.
func TestRenewDoubt(t *testing.T) {
	t.Parallel()
	for _, f := range []standin.Fault{
		{Endpoint: "renew", Kind: "reset-after", Count: 1}, {Endpoint: "renew", Kind: "status-after", Status: 500, Count: 1}, {Endpoint: "renew", Kind: "html-422", Count: 1},
	} {
		w := newWorld(t, godaddytest.Config{})
		_, err := w.backend(t, w.client(t), renews).Submit(t.Context(), w.renewal(t))
		if err != nil {
			t.Fatal(err)
		}
		w.breaks(t, f)
		r := w.renewal(t)
		_, err = w.backend(t, w.client(t), renews).Submit(t.Context(), r)
		if _, no := backends.RefusalDetail(err); err == nil || no || backends.IsNotSent(err) || w.ca.Count("order") != 0 {
			t.Errorf("%s: %v, and %d orders", f.Kind, err, w.ca.Count("order"))
		}
	}
	w := newWorld(t, godaddytest.Config{})
	b := w.backend(t, w.client(t), renews)
	r := w.renewal(t)
	w.breaks(t, standin.Fault{Endpoint: "list", Kind: "status", Status: 500, Count: 1})
	if _, err := b.Submit(t.Context(), r); !backends.IsNotSent(err) {
		t.Errorf("no list: %v", err)
	}
	w.ca.SetCredits(0)
	if _, err := b.Submit(t.Context(), r); !backends.IsNotSent(err) || w.ca.Count("order") != 0 {
		t.Errorf("no credit: %v, and %d orders", err, w.ca.Count("order"))
	}
}

func reissues(c *godaddy.BackendConfig) { c.Reissue, c.ReissueDelay = true, 48*time.Hour }

// TestTakeOver: another key for what was ordered gets its certificate and costs
// nothing, once there is one to issue again, and what was there is revoked when the
// configuration says.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{Processing: time.Minute})
	b := w.backend(t, w.client(t), reissues)
	if !b.Traits().TakesOver {
		t.Error("the engine is not told")
	}
	first := w.request(t)
	ticket, err := b.Submit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	second := w.like(t, first)
	second.TakesOver = ticket
	for range 2 {
		if _, err := b.Submit(t.Context(), second); !backends.IsNotSent(err) || backends.PauseAsked(err) < time.Minute || !strings.Contains(err.Error(), "PENDING_ISSUANCE") {
			t.Errorf("before there is a certificate: %v", err)
		}
	}
	w.ca.Advance(time.Minute)
	w.breaks(t, standin.Fault{Endpoint: "reissue", Kind: "reset-after", Count: 1})
	if _, err := b.Submit(t.Context(), second); err == nil || backends.IsNotSent(err) {
		t.Fatalf("a lost reply: %v", err)
	}
	w.ca.Advance(time.Minute)
	taken, found, err := w.backend(t, w.client(t), reissues).Find(t.Context(), second)
	if err != nil || !found || taken == ticket {
		t.Fatalf("%q, found %t, %v", taken, found, err)
	}
	got, err := b.Poll(t.Context(), taken)
	if err != nil || got.Chain == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	leaf, err := x509.ParseCertificate(got.Chain[0])
	if err != nil || !bytes.Equal(leaf.RawSubjectPublicKeyInfo, second.PublicKey) || len(leaf.DNSNames) != 2 {
		t.Errorf("the certificate: %v for %v", err, leaf.DNSNames)
	}
	// A third key goes on from the second.
	third := w.like(t, first)
	third.TakesOver = taken
	if _, err := b.Submit(t.Context(), third); err != nil {
		t.Error(err)
	}
	if p, r := w.ca.Count("purchase"), w.ca.Count("reissue"); p != 1 || len(w.ca.Journal("reissue")) != 2 {
		t.Errorf("%d purchases, %d reissues", p, r)
	}
	for _, e := range w.ca.Journal("request") {
		var sent godaddy.Reissue
		if e.Endpoint == "reissue" && (json.Unmarshal([]byte(e.Body), &sent) != nil || sent.Delay != 48 || sent.CommonName != first.Contract.CommonName || len(sent.Names) != 2) {
			t.Errorf("asked for %s", e.Body)
		}
	}
	if n := len(w.ca.Journal("revocation")); n != 0 {
		t.Errorf("%d revocations at once", n)
	}
}

// TestTakeOverEnded: what has ended meanwhile, or is not reissued, is a refusal in
// our words, so that the client orders anew; and switched off, nothing is bought.
func TestTakeOverEnded(t *testing.T) {
	t.Parallel()
	for kind, want := range map[godaddytest.Kind]string{
		godaddytest.Denied: "has denied", godaddytest.Canceled: "was cancelled", godaddytest.Revoked: "revoked it", godaddytest.Ready: "does not accept this request",
	} {
		w := newWorld(t, godaddytest.Config{Processing: time.Minute})
		b := w.backend(t, w.client(t), reissues)
		w.ca.Next(godaddytest.Outcome{Kind: kind, Reason: "not yours"})
		first := w.request(t)
		ticket, err := b.Submit(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		w.ca.Advance(time.Minute)
		w.ca.Next(godaddytest.Outcome{Kind: godaddytest.Refused, Reason: "not now"})
		second := w.like(t, first)
		second.TakesOver = ticket
		_, err = b.Submit(t.Context(), second)
		if detail, no := backends.RefusalDetail(err); !no || !strings.Contains(detail, want) || strings.Contains(detail, "not ") && strings.Contains(detail, "yours") {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := w.backend(t, w.client(t)).Submit(t.Context(), second); !backends.IsNotSent(err) || !strings.Contains(fmt.Sprint(err), "switched off") {
			t.Errorf("%s, switched off: %v", kind, err)
		}
		if n := w.ca.Count("purchase"); n != 1 {
			t.Errorf("%s: %d purchases", kind, n)
		}
	}
}

// TestRenewInACrowd: what is replaced is not looked for longer than an order may take.
func TestRenewInACrowd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{})
	r, other := w.renewal(t), w.request(t)
	for range 1000 {
		w.sold(t, other)
	}
	if _, err := w.backend(t, w.client(t), renews).Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if lists, orders := w.ca.Count("list"), w.ca.Count("order"); lists != 10 || orders != 1 {
		t.Errorf("%d pages were read, %d orders", lists, orders)
	}
}
