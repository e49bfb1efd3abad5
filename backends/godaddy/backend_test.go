package godaddy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/conformance/backendtest"
	"acmebridge/internal/caclient"
	"acmebridge/internal/standin"
)

// TestOrder: what is bought is in the JSON, after a dry run, and no secret is
// anywhere that the CA writes down.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{})
	r := w.request(t)
	b := w.backend(t, w.client(t), func(c *godaddy.BackendConfig) { c.MaxNames = 12 })
	if _, err := b.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var sent godaddy.Purchase
	var endpoints []string
	for _, e := range w.ca.Journal("request") {
		endpoints = append(endpoints, e.Endpoint)
		if e.Endpoint == "order" {
			if err := json.Unmarshal([]byte(e.Body), &sent); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(e.Body+e.Query+e.Path, apiSecret) {
			t.Errorf("the secret is in %s %s", e.Method, e.Path)
		}
	}
	if !slices.Equal(endpoints, []string{"validate", "order"}) {
		t.Errorf("the calls: %v", endpoints)
	}
	if sent.CommonName != r.Contract.CommonName || len(sent.Names) != 2 || sent.Slots != "FIFTEEN" || sent.Period != 1 || sent.Product != "UCC_DV_SSL" || sent.Root != "GODADDY_SHA_2" {
		t.Errorf("the order: %+v", sent)
	}
}

// TestRefusedBeforeMoney: what the product cannot be, and usages that certificates
// of the day do not have, are said without asking the CA at all.
func TestRefusedBeforeMoney(t *testing.T) {
	t.Parallel()
	identifier := func(kind acme.IdentifierType, value string) func(*backends.Request) {
		return func(r *backends.Request) {
			r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: kind, Value: value})
		}
	}
	product := func(name string) func(*godaddy.BackendConfig) {
		return func(c *godaddy.BackendConfig) { c.Product = name }
	}
	from := func(days int) func(*godaddy.BackendConfig) {
		return func(c *godaddy.BackendConfig) { c.ServerOnlyFrom = begin.AddDate(0, 0, days) }
	}
	serverOnly := func(r *backends.Request) { r.Contract.Usages = []acme.Usage{acme.ServerAuth} }
	for want, test := range map[string]struct {
		change func(*backends.Request)
		config func(*godaddy.BackendConfig)
	}{
		"no certificates for clients since 2026-03-31": {config: from(-1)},
		"from 2026-04-06 on, and one that is ordered":  {config: from(5)},
		"wants one for servers alone":                  {config: from(5), change: serverOnly},
		"certificates for servers and clients":         {change: serverOnly},
		"for no other usage alone":                     {change: func(r *backends.Request) { r.Contract.Usages = []acme.Usage{acme.ClientAuth} }},
		"for servers, and for no other usage":          {change: func(r *backends.Request) { r.Contract.Usages = append(r.Contract.Usages, acme.CodeSigning) }},
		"takes RSA keys": {change: func(r *backends.Request) {
			r.PublicKey = backendtest.NewRequest(begin, backends.Traits{}).PublicKey
		}},
		"DNS names, and 192.0.2.1 is none":      {change: identifier(acme.IPIdentifier, "192.0.2.1")},
		"UCC_DV_SSL is not for wildcard names":  {change: identifier(acme.DNSIdentifier, "*.example.org")},
		"is for a wildcard name, and":           {config: product("DV_WILDCARD_SSL")},
		"is for one name, and this order has 2": {config: product("DV_SSL")},
		"for up to 5 names, and this order has 6": {change: func(r *backends.Request) {
			for i := range 4 {
				identifier(acme.DNSIdentifier, fmt.Sprintf("n%d.example.org", i))(r)
			}
		}},
		"subject: by_ca":                   {change: func(r *backends.Request) { r.Contract.Subject = acme.SubjectEmpty }},
		"puts the organization into the s": {config: product("UCC_OV_SSL")},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, godaddytest.Config{})
			r := w.request(t)
			if test.change != nil {
				test.change(&r)
			}
			b := w.backend(t, w.client(t), func(c *godaddy.BackendConfig) {
				if test.config != nil {
					test.config(c)
				}
			})
			_, err := b.Submit(t.Context(), r)
			if detail, no := backends.RefusalDetail(err); !no || !strings.Contains(detail, want) {
				t.Errorf("%q: %v", want, err)
			}
			if n := w.ca.Count("order") + w.ca.Count("validate"); n != 0 {
				t.Errorf("the CA was asked %d times", n)
			}
		})
	}
}

// TestDryRun: a no to the dry run ends the order, and nothing was bought.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{})
	w.breaks(t, standin.Fault{Endpoint: "validate", Kind: "status", Status: 422, Code: "INVALID_NAMES"})
	_, err := w.backend(t, w.client(t)).Submit(t.Context(), w.request(t))
	if detail, no := backends.RefusalDetail(err); !no || strings.Contains(detail, "INVALID_NAMES") || !strings.Contains(err.Error(), "INVALID_NAMES") {
		t.Errorf("%v", err)
	}
	if n := w.ca.Count("order"); n != 0 {
		t.Errorf("%d orders", n)
	}
}

// TestWaits: what an operator has to see to, or what passes, keeps an order
// waiting, costs nothing, and ends no order (SC-16).
func TestWaits(t *testing.T) {
	t.Parallel()
	fault := func(f standin.Fault) func(*testing.T, world) {
		return func(t *testing.T, w world) { t.Helper(); w.breaks(t, f) }
	}
	for name, test := range map[string]struct {
		breaks, mends func(*testing.T, world)
		is            error
	}{
		"no credit": {
			breaks: func(_ *testing.T, w world) { w.ca.SetCredits(0) }, mends: func(_ *testing.T, w world) { w.ca.SetCredits(1) }, is: backends.ErrExhausted,
		},
		"key refused":    {breaks: fault(standin.Fault{Kind: "status", Status: 401}), is: backends.ErrCredentials},
		"not permitted":  {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 403}), is: backends.ErrCredentials},
		"throttled":      {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 429, Code: "TOO_MANY_REQUESTS", RetryAfter: "20"})},
		"dry run lost":   {breaks: fault(standin.Fault{Endpoint: "validate", Kind: "reset-after"})},
		"dry run broken": {breaks: fault(standin.Fault{Endpoint: "validate", Kind: "status", Status: 500})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, godaddytest.Config{})
			b := w.backend(t, w.client(t))
			test.breaks(t, w)
			r := w.request(t)
			_, err := b.Submit(t.Context(), r)
			if !backends.IsNotSent(err) || test.is != nil && !errors.Is(err, test.is) {
				t.Fatalf("not a reason to wait: %v", err)
			}
			if n := w.ca.Count("purchase"); n != 0 {
				t.Errorf("%d purchases", n)
			}
			w.ca.Mend()
			if test.mends != nil {
				test.mends(t, w)
			}
			w.ca.Advance(time.Minute)
			if _, err := b.Submit(t.Context(), r); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestKeyRefusedOnce: a key that is refused is not tried again at once, one that
// was put in its place is (SC-13), and an answer that repeats the secret does not
// carry it further.
func TestKeyRefusedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{})
	value := "old-secret"
	c := w.client(t, func(c *godaddy.Config) { c.Login = func() (godaddy.Login, error) { return login(apiKey, value)() } })
	for range 3 {
		if _, err := c.Customer(t.Context(), shopper); !errors.Is(err, backends.ErrCredentials) || strings.Contains(err.Error(), value) || caclient.OutcomeOf(err) != caclient.NotSent {
			t.Errorf("with a wrong secret: %v", err)
		}
	}
	if n := w.ca.Count("shopper"); n != 1 {
		t.Errorf("%d calls with a key that was refused", n)
	}
	value = apiSecret
	if _, err := c.Customer(t.Context(), shopper); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

// TestPollOutcomes: each end of an order, as the engine should see it.
func TestPollOutcomes(t *testing.T) {
	t.Parallel()
	const chain, refused, waiting = "chain", "refused", "waiting"
	for kind, want := range map[godaddytest.Kind]struct{ end, says string }{
		godaddytest.Ready:    {chain, ""},
		godaddytest.WrongKey: {chain, ""}, // the engine judges
		godaddytest.Denied:   {refused, "has denied"},
		godaddytest.Canceled: {refused, "cancelled"},
		godaddytest.Revoked:  {refused, "revoked it"},
		godaddytest.Stuck:    {waiting, "PENDING_ISSUANCE"},
		godaddytest.Strange:  {waiting, "AWAITING_MOONRISE, 40 %, which needs a look"},
	} {
		w := newWorld(t, godaddytest.Config{Processing: time.Minute})
		b := w.backend(t, w.client(t))
		w.ca.Next(godaddytest.Outcome{Kind: kind, Reason: "the CA's own words"})
		ticket, err := b.Submit(t.Context(), w.request(t))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain != nil || got.After <= 0 || !strings.Contains(got.Note, "PENDING") {
			t.Errorf("%s at first: %+v, %v", kind, got, err)
		}
		w.ca.Advance(time.Minute)
		got, err := b.Poll(t.Context(), ticket)
		detail, no := backends.RefusalDetail(err)
		end := waiting
		switch {
		case no:
			end = refused
		case err != nil:
			end = "error"
		case got.Chain != nil:
			end = chain
		}
		if end != want.end || !strings.Contains(detail+got.Note, want.says) || strings.Contains(detail, "the CA's own words") {
			t.Errorf("%s: %+v, %v; want %s", kind, got, err, want.end)
		}
	}
}

// TestFind: after a lost reply the order is found by its key, once that shows; until
// then, and when the list cannot be read, nothing is proved (SC-4).
func TestFind(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"reset-after", "status-after", "html-502", "half-body", "empty", "invalid-json", "huge"} {
		w := newWorld(t, godaddytest.Config{Processing: time.Minute})
		b := w.backend(t, w.client(t))
		w.breaks(t, standin.Fault{Endpoint: "order", Kind: kind, Status: 500, Count: 1})
		r := w.request(t)
		_, err := b.Submit(t.Context(), r)
		if _, no := backends.RefusalDetail(err); err == nil || no || backends.IsNotSent(err) {
			t.Fatalf("%s: %v", kind, err)
		}
		if _, found, err := b.Find(t.Context(), r); err == nil || found {
			t.Errorf("%s: its key does not show yet: found %t, %v", kind, found, err)
		}
		w.ca.Advance(time.Minute)
		ticket, found, err := b.Find(t.Context(), r)
		if err != nil || !found {
			t.Fatalf("%s: found %t, %v", kind, found, err)
		}
		if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		other := w.request(t)
		other.Contract.CommonName, other.Contract.Identifiers = r.Contract.CommonName, r.Contract.Identifiers
		if _, found, err := b.Find(t.Context(), other); err != nil || found {
			t.Errorf("%s: another key for the same names: found %t, %v", kind, found, err)
		}
		for _, f := range []standin.Fault{{Endpoint: "list", Kind: "status", Status: 500}, {Endpoint: "list", Kind: "html"}, {Endpoint: "info", Kind: "invalid-json"}, {Endpoint: "download", Kind: "pem-truncated"}} {
			w.ca.Mend()
			w.breaks(t, f)
			if _, found, err := b.Find(t.Context(), other); err == nil || found {
				t.Errorf("%+v: found %t, %v", f, found, err)
			}
		}
		if n := w.ca.Count("purchase"); n != 1 {
			t.Errorf("%s: %d purchases", kind, n)
		}
	}
}

// TestCheck: what would keep orders lying is found before the first one.
func TestCheck(t *testing.T) {
	t.Parallel()
	for want, test := range map[string]struct {
		cfg    godaddytest.Config
		change func(*godaddy.BackendConfig)
	}{
		"":            {},
		"credentials": {cfg: godaddytest.Config{Secret: "another"}},
		"unknown":     {change: func(c *godaddy.BackendConfig) { c.Shopper = 7 }},
	} {
		w := newWorld(t, test.cfg)
		b := w.backend(t, w.client(t), func(c *godaddy.BackendConfig) {
			if test.change != nil {
				test.change(c)
			}
		})
		if err := b.Check(t.Context()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// TestNewBackend: what cannot be ordered with is said at once.
func TestNewBackend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{})
	_, root := w.ca.Roots()
	for want, cfg := range map[string]godaddy.BackendConfig{
		"is none for TLS": {Client: w.client(t), Shopper: 1, Product: "OV_CS", Roots: [][]byte{root}},
		"the shopper":     {Client: w.client(t), Roots: [][]byte{root}},
		"no root":         {Client: w.client(t), Shopper: 1},
		"needs a client":  {Shopper: 1, Roots: [][]byte{root}},
	} {
		if _, err := godaddy.NewBackend(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
