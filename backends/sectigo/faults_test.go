package sectigo_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends/sectigo/sectigotest"
)

// needs are orders of which it is known what they are to get.
type needs struct {
	b   *bridge
	all []struct {
		placed
		key []byte
	}
	// earlier are the purchases at the CA before it was started anew.
	earlier []sectigotest.Event
}

func (n *needs) place(e *engine.Engine, a acme.Account, name string) {
	n.b.t.Helper()
	o := newOrder(n.b.t, name)
	p, err := n.b.orders(e, a, name, o.csr)
	if err != nil {
		n.b.t.Fatal(err)
	}
	n.all = append(n.all, struct {
		placed
		key []byte
	}{p, o.key})
}

// purchases wants so many, and none twice: the CA's journal is what counts.
func (n *needs) purchases(want int) {
	n.b.t.Helper()
	keys := map[string]int{}
	bought := append(append([]sectigotest.Event{}, n.earlier...), n.b.ca.Purchases()...)
	for _, e := range bought {
		if keys[e.KeySHA256]++; keys[e.KeySHA256] > 1 {
			n.b.t.Errorf("batch %d is the second purchase for one key", e.Batch)
		}
	}
	if len(bought) != want {
		n.b.t.Errorf("%d purchases, want %d", len(bought), want)
	}
}

// are wants all orders in one state, and who has a certificate to have his own.
func (n *needs) are(e *engine.Engine, want acme.OrderStatus) {
	n.b.t.Helper()
	for i, o := range n.all {
		status, why := n.b.status(e, o.placed)
		if status != want {
			n.b.t.Errorf("order %d is %s, want %s: %s", i, status, want, why)
		}
	}
	n.own(e)
}

func (n *needs) own(e *engine.Engine) {
	n.b.t.Helper()
	for i, o := range n.all {
		got, _, err := e.Order(n.b.t.Context(), o.account.ID, o.id)
		if err != nil {
			n.b.t.Fatal(err)
		}
		if got.Certificate == "" {
			continue
		}
		cert, _, err := e.Certificate(n.b.t.Context(), o.account.ID, got.Certificate)
		if err != nil {
			n.b.t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(cert.Leaf)
		if err != nil || !bytes.Equal(leaf.RawSubjectPublicKeyInfo, o.key) {
			n.b.t.Errorf("order %d has somebody else's certificate: %v", i, err)
		}
	}
}

// open counts the orders that have not ended.
func (n *needs) open(e *engine.Engine) (open int) {
	n.b.t.Helper()
	for _, o := range n.all {
		if status, _ := n.b.status(e, o.placed); status == acme.OrderProcessing {
			open++
		}
	}
	return open
}

// TestFaults: each thing that may go wrong at the CA is there for an hour, with
// a restart of the engine in the middle, and then it is over. What the orders
// have come to by then, and a day or ten later, is what their batches deserve;
// each is paid for as often as the CA's journal is to say.
func TestFaults(t *testing.T) {
	t.Parallel()
	const valid, invalid, processing = acme.OrderValid, acme.OrderInvalid, acme.OrderProcessing
	type fault = sectigotest.Fault
	status := func(endpoint string, code int, retryAfter string) fault {
		return fault{Endpoint: endpoint, Kind: "status", Status: code, RetryAfter: retryAfter}
	}
	few := func(f fault, skip, count int) fault { f.Skip, f.Count = skip, count; return f }
	type row struct {
		cfg      sectigotest.Config
		faults   []fault
		outcome  sectigotest.Kind
		resubmit bool
		// begin, when there is one, comes when the CA was found to be well and
		// tokens have ended; then there is one order only, since the next
		// ones are not taken any more.
		begin  func(*sectigotest.CA)
		mend   func(*sectigotest.CA)
		during acme.OrderStatus // before it is over
		after  acme.OrderStatus
		late   bool // after means after the deadline of the orders
		bought int
	}
	rows := map[string]row{
		"401 in mid-run": {faults: []fault{few(status("upload", 401, ""), 1, 1), few(status("batch", 401, ""), 2, 2), few(status("download", 401, ""), 1, 2)}, during: valid, after: valid, bought: 3},
		"401 for ever":   {faults: []fault{status("batch", 401, "")}, during: processing, after: valid, bought: 3},
		"403":            {faults: []fault{status("upload", 403, "")}, during: processing, after: valid, bought: 3},

		"429 to uploads":                  {faults: []fault{status("upload", 429, "")}, during: processing, after: valid, bought: 3},
		"429 to uploads, with a pause":    {faults: []fault{status("upload", 429, "300")}, during: processing, after: valid, bought: 3},
		"429 to everything, now and then": {faults: []fault{{Kind: "status", Status: 429, RetryAfter: "20", Probability: 0.3}}, during: valid, after: valid, bought: 3},
		"503 to polls":                    {faults: []fault{status("batch", 503, "")}, during: processing, after: valid, bought: 3},
		"503 to polls, with a pause":      {faults: []fault{status("batch", 503, "600")}, during: processing, after: valid, bought: 3},
		"503 to downloads":                {faults: []fault{status("download", 503, "")}, during: processing, after: valid, bought: 3},
		// Nobody can tell whether one of these was carried out, so a person
		// has to, unless the profile says otherwise.
		"503 to uploads":                  {faults: []fault{status("upload", 503, "")}, during: processing, after: processing},
		"503 to uploads, with a pause":    {faults: []fault{few(status("upload", 503, "60"), 0, 3)}, during: processing, after: processing},
		"503 to uploads, may be resent":   {faults: []fault{few(status("upload", 503, ""), 0, 3)}, resubmit: true, during: valid, after: valid, bought: 3},
		"503 after the upload was done":   {faults: []fault{{Endpoint: "upload", Kind: "status-after", Status: 503, RetryAfter: "30"}}, resubmit: true, during: valid, after: valid, bought: 3},
		"the reply to the upload is lost": {faults: []fault{{Endpoint: "upload", Kind: "reset-after"}}, resubmit: true, during: valid, after: valid, bought: 3},
		"a page instead of the reply":     {faults: []fault{{Endpoint: "upload", Kind: "html"}}, resubmit: true, during: valid, after: valid, bought: 3},

		"PARTIAL":      {outcome: sectigotest.Partial, during: invalid, after: invalid, bought: 3},
		"REJECTED":     {outcome: sectigotest.Rejected, during: invalid, after: invalid, bought: 3},
		"BROKEN":       {outcome: sectigotest.Broken, during: invalid, after: invalid, bought: 3},
		"FAILED":       {outcome: sectigotest.Failed, during: invalid, after: invalid, bought: 3},
		"EXPIRED":      {outcome: sectigotest.Expired, during: invalid, after: invalid, bought: 3},
		"REVOKED":      {outcome: sectigotest.Revoked, during: invalid, after: invalid, bought: 3},
		"no word":      {outcome: sectigotest.Wordless, during: valid, after: valid, bought: 3},
		"unknown word": {outcome: sectigotest.Strange, during: processing, after: invalid, late: true, bought: 3},
		"for ever":     {outcome: sectigotest.Stuck, during: processing, after: invalid, late: true, bought: 3},

		"wrong key":    {outcome: sectigotest.WrongKey, during: invalid, after: invalid, bought: 3},
		"dropped name": {outcome: sectigotest.DropName, during: invalid, after: invalid, bought: 3},
		"added name":   {outcome: sectigotest.AddName, during: invalid, after: invalid, bought: 3},

		"traversal": {faults: []fault{{Endpoint: "download", Kind: "zip-traversal"}}, during: valid, after: valid, bought: 3},
		"twins":     {faults: []fault{{Endpoint: "download", Kind: "zip-twins"}}, during: valid, after: valid, bought: 3},

		"no balance": {
			begin:  func(ca *sectigotest.CA) { ca.SetBalance(authority, 0) },
			mend:   func(ca *sectigotest.CA) { ca.SetBalance(authority, 100) },
			during: processing, after: valid, bought: 1,
		},
		"lockout": {
			cfg:    sectigotest.Config{LockAfter: 3, AccessLifetime: time.Minute, RefreshLifetime: 2 * time.Minute},
			begin:  func(ca *sectigotest.CA) { ca.SetPassword("another") },
			mend:   func(ca *sectigotest.CA) { ca.SetPassword(password) },
			during: processing, after: valid, bought: 1,
		},
		"logins refused": {
			cfg:    sectigotest.Config{AccessLifetime: time.Minute, RefreshLifetime: 2 * time.Minute},
			begin:  func(ca *sectigotest.CA) { ca.SetLogin("403") },
			mend:   func(ca *sectigotest.CA) { ca.SetLogin("ok") },
			during: processing, after: valid, bought: 1,
		},
	}
	for _, kind := range []string{"zip-truncated", "zip-empty", "zip-bomb", "zip-missing", "zip-nested", "html", "json-error", "empty", "huge", "half-body", "redirect", "reset-before", "reset-after"} {
		rows["download, "+kind] = row{faults: []fault{{Endpoint: "download", Kind: kind}}, during: processing, after: valid, bought: 3}
		rows["download, "+kind+", once"] = row{faults: []fault{{Endpoint: "download", Kind: kind, Count: 1}}, during: valid, after: valid, bought: 3}
	}
	for name, test := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := test.cfg
				cfg.Seed = 7
				cfg.Created, cfg.Processing = 30*time.Second, 2*time.Minute
				b := newBridge(t, cfg)
				b.profile.ResubmitOnDoubt = test.resubmit
				if test.late {
					b.profile.IssuanceDeadline = 12 * time.Hour
				}
				n := &needs{b: b}
				if test.outcome != "" {
					if err := b.ca.Plan("*", sectigotest.Outcome{Kind: test.outcome, Reason: "so it is"}); err != nil {
						t.Fatal(err)
					}
				}
				for _, f := range test.faults {
					if err := b.ca.Break(f); err != nil {
						t.Fatal(err)
					}
				}
				b.life(func(e *engine.Engine) {
					orders := 3
					if test.begin != nil {
						orders = 1
						time.Sleep(5 * time.Minute)
						test.begin(b.ca)
					}
					for i := range orders {
						n.place(e, b.account(e), fmt.Sprintf("n%d.example.org", i))
					}
					time.Sleep(30 * time.Minute)
				})
				b.life(func(e *engine.Engine) {
					time.Sleep(30 * time.Minute)
					n.are(e, test.during)
				})
				logins := len(b.ca.Journal("login"))
				// A lockout or a change of the token is no reason for a storm (SC-13).
				if logins > 12 {
					t.Errorf("%d logins in an hour", logins)
				}
				requests := b.ca.Count("request")
				if requests > 600 { // what stops purchases is looked at each minute
					t.Errorf("%d requests in an hour", requests)
				}
				b.ca.Mend()
				if test.mend != nil {
					test.mend(b.ca)
				}
				b.life(func(e *engine.Engine) {
					wait := 24 * time.Hour
					if test.late {
						wait = 36 * time.Hour
					}
					time.Sleep(wait)
					n.are(e, test.after)
				})
				n.purchases(test.bought)
			})
		})
	}
}

// TestSwappedArchive: the CA sends the archive of another batch. Nobody gets
// what is in there but whom it was issued for.
func TestSwappedArchive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, sectigotest.Config{Processing: time.Minute})
		n := &needs{b: b}
		if err := b.ca.Break(sectigotest.Fault{Endpoint: "download", Kind: "zip-swapped", Probability: 0.5}); err != nil {
			t.Fatal(err)
		}
		b.life(func(e *engine.Engine) {
			for i := range 12 {
				n.place(e, b.account(e), fmt.Sprintf("n%d.example.org", i))
			}
			time.Sleep(24 * time.Hour)
			n.are(e, acme.OrderValid) // the right archive came sooner or later
		})
		swapped := 0
		for _, e := range b.ca.Journal("request") {
			if e.Fault == "zip-swapped" {
				swapped++
			}
		}
		if swapped == 0 {
			t.Error("no archive was swapped")
		}
		n.purchases(12)
	})
}

// TestPausesAreKept: who says when to come again is left alone until then, for
// whatever was asked (SC-15).
func TestPausesAreKept(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"upload", "batch", "batches", "download"} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, sectigotest.Config{Processing: time.Minute})
				n := &needs{b: b}
				faults := []sectigotest.Fault{{Endpoint: endpoint, Kind: "status", Status: http.StatusTooManyRequests, RetryAfter: "600"}}
				if endpoint == "batches" { // which is asked when in doubt
					faults = append(faults, sectigotest.Fault{Endpoint: "upload", Kind: "reset-after", Count: 1})
				}
				for _, f := range faults {
					if err := b.ca.Break(f); err != nil {
						t.Fatal(err)
					}
				}
				b.life(func(e *engine.Engine) {
					n.place(e, b.account(e), "a.example.org")
					time.Sleep(2 * time.Hour)
					var last time.Time
					asked := 0
					for _, e := range b.ca.Journal("request") {
						if e.Endpoint != endpoint {
							continue
						}
						// A poll may come a fifth earlier. Two ask for the list,
						// each with its own pauses: who looks for a request, and
						// who looks whether all is well.
						asked++
						if pause := e.Time.Sub(last); pause < 8*time.Minute && endpoint != "batches" {
							t.Errorf("asked again after %s", pause)
						}
						last = e.Time
					}
					if asked < 2 || asked > 2*2*60/8 {
						t.Errorf("asked %d times", asked)
					}
					b.ca.Mend()
					time.Sleep(2 * time.Hour)
					n.are(e, acme.OrderValid)
				})
				n.purchases(1)
			})
		})
	}
}

// TestThousandInFlight: a thousand batches are at the CA at once while the
// engine is started anew again and again, and so is the CA, which loses its
// connections, but not its books. A tenth of the replies to uploads get lost.
func TestThousandInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many, each = 1000, 250
		cfg := sectigotest.Config{Processing: 8 * time.Minute, Balance: 2 * many, StateDir: t.TempDir(), Seed: 3}
		b := newBridge(t, cfg)
		b.profile.Hold = 0
		b.profile.ResubmitOnDoubt = true // some uploads never arrive
		n := &needs{b: b}
		lossy := sectigotest.Fault{Endpoint: "upload", Kind: "reset-after", Probability: 0.1}
		if err := b.ca.Break(lossy); err != nil {
			t.Fatal(err)
		}
		inFlight := 0
		for len(n.all) < many {
			b.life(func(e *engine.Engine) {
				a := b.account(e)
				for range each {
					n.place(e, a, fmt.Sprintf("n%d.example.org", len(n.all)))
				}
				if len(n.all)%500 == 0 {
					n.restart(cfg, lossy) // in the middle of the uploads
				}
				time.Sleep(30 * time.Second)
				inFlight = n.open(e)
			})
		}
		if inFlight != many {
			t.Errorf("only %d were in flight at once", inFlight)
		}
		n.restart(cfg)
		b.life(func(*engine.Engine) { time.Sleep(5 * time.Minute) })
		n.restart(cfg)
		b.life(func(e *engine.Engine) {
			time.Sleep(2 * time.Hour)
			n.are(e, acme.OrderValid)
		})
		n.purchases(many)
	})
}

// restart ends the CA as a crash would, and brings it back from its books.
func (n *needs) restart(cfg sectigotest.Config, faults ...sectigotest.Fault) {
	n.b.t.Helper()
	n.b.cut()
	n.earlier = append(n.earlier, n.b.ca.Purchases()...)
	ca, err := sectigotest.New(cfg)
	if err != nil {
		n.b.t.Fatal(err)
	}
	for _, f := range faults {
		if err := ca.Break(f); err != nil {
			n.b.t.Fatal(err)
		}
	}
	n.b.serve(ca)
}
