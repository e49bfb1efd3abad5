package digicert_test

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
	"acmebridge/backends/digicert"
	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// TestOrderSaysEverything: what is bought is in the JSON, with both lists of
// usages and our reference in both places (SC-2).
func TestOrderSaysEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	r := w.request()
	b := w.backend(t, w.client(t), func(c *digicert.BackendConfig) {
		c.KeyExchange, c.Container, c.Days = true, 5, 200
		c.CustomFields = []digicert.Field{{ID: 3, Value: "TRUST"}}
	})
	if _, err := b.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var sent struct {
		Certificate struct {
			Names    []string `json:"dns_names"`
			CSR      string
			Hash     string   `json:"signature_hash"`
			Usages   []string `json:"key_usages"`
			Extended []string `json:"extended_key_usages"`
		}
		Validity  struct{ Days int } `json:"order_validity"`
		Container struct{ ID int }
		Comments  string
		AutoRenew any    `json:"auto_renew"`
		Skip      bool   `json:"skip_approval"`
		Reference string `json:"alternative_order_id"`
		Fields    []any  `json:"custom_fields"`
	}
	for _, e := range w.ca.Journal("request") {
		if e.Endpoint == "order" {
			if err := json.Unmarshal([]byte(e.Body), &sent); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(e.Body+e.Query+e.Path, apiKey) {
			t.Errorf("the API key is in %s %s", e.Method, e.Path)
		}
	}
	c := sent.Certificate
	if len(c.Names) != 2 || c.Hash != "sha256" || strings.Contains(c.CSR, "\n") || !strings.HasPrefix(c.CSR, "-----BEGIN CERTIFICATE REQUEST-----") ||
		!slices.Equal(c.Usages, []string{"digital_signature", "key_agreement_encipherment"}) ||
		!slices.Equal(c.Extended, []string{"server_authentication", "client_authentication"}) {
		t.Errorf("the certificate: %+v", c)
	}
	if sent.Reference != r.Key || !strings.HasPrefix(sent.Comments, r.Key) || sent.AutoRenew != nil || !sent.Skip || sent.Validity.Days != 200 || sent.Container.ID != 5 || len(sent.Fields) != 1 {
		t.Errorf("the order: %+v", sent)
	}
}

// TestRefusedBeforeMoney: what the product cannot be is said without asking
// the CA for it.
func TestRefusedBeforeMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	b := w.backend(t, w.client(t))
	name := func(value string) func(*backends.Request) {
		return func(r *backends.Request) {
			r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: acme.DNSIdentifier, Value: value})
		}
	}
	address := func(value string) func(*backends.Request) {
		return func(r *backends.Request) {
			r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: acme.IPIdentifier, Value: value})
		}
	}
	for want, change := range map[string]func(*backends.Request){
		"wildcard":                   name("*.example.org"),
		"fully qualified":            name("intranet"),
		"public addresses":           address("10.1.2.3"),
		"has not validated a domain": name("example.net"),
		"up to 250 names": func(r *backends.Request) {
			for i := range 249 {
				name(fmt.Sprintf("n%d.example.org", i))(r)
			}
		},
		"no other usage": func(r *backends.Request) { r.Contract.Usages = []acme.Usage{acme.ServerAuth, "code_signing"} },
		"RSA keys of":    func(r *backends.Request) { r.PublicKey = []byte("hello") },
	} {
		r := w.request()
		change(&r)
		_, err := b.Submit(t.Context(), r)
		if detail, no := backends.RefusalDetail(err); !no || !strings.Contains(detail, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if n := w.ca.Count("order"); n != 0 {
		t.Errorf("the CA was asked %d times", n)
	}
}

// TestWaits: what an operator has to see to, or what passes, keeps an order
// waiting, costs nothing, and ends no order (SC-16).
func TestWaits(t *testing.T) {
	t.Parallel()
	past, future := begin.Add(-time.Hour), begin.AddDate(1, 0, 0)
	fault := func(f digicerttest.Fault) func(*testing.T, world) {
		return func(t *testing.T, w world) { t.Helper(); w.breaks(t, f) }
	}
	for name, test := range map[string]struct {
		breaks, mends func(*testing.T, world)
		credentials   bool
	}{
		"product not enabled": {
			breaks: func(_ *testing.T, w world) { w.ca.SetProducts("ssl_plus") }, mends: func(_ *testing.T, w world) { w.ca.SetProducts("x9_pki") },
		},
		"organization's validation over": {
			breaks: func(_ *testing.T, w world) { w.ca.SetOrganization(117, past) }, mends: func(_ *testing.T, w world) { w.ca.SetOrganization(117, future) },
		},
		"domain's validation over": {
			breaks: func(_ *testing.T, w world) { w.ca.SetDomain("example.org", past) }, mends: func(_ *testing.T, w world) { w.ca.SetDomain("example.org", future) },
		},
		"throttled":                      {breaks: fault(digicerttest.Fault{Endpoint: "order", Kind: "status", Status: 429, Code: "request_limit_exceeded", RetryAfter: "20"})},
		"key refused":                    {breaks: fault(digicerttest.Fault{Kind: "status", Status: 401, Code: "access_denied|invalid_api_key"}), credentials: true},
		"not permitted":                  {breaks: fault(digicerttest.Fault{Endpoint: "order", Kind: "status", Status: 403, Code: "access_denied|missing_permission"}), credentials: true},
		"no funds":                       {breaks: fault(digicerttest.Fault{Endpoint: "order", Kind: "status", Status: 400, Code: "insufficient_funds"})},
		"a field of the account missing": {breaks: fault(digicerttest.Fault{Endpoint: "order", Kind: "status", Status: 400, Code: "missing_custom_field"})},
		"list down":                      {breaks: fault(digicerttest.Fault{Endpoint: "orders", Kind: "status", Status: 500})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, digicerttest.Config{})
			b := w.backend(t, w.client(t))
			test.breaks(t, w)
			r := w.request()
			_, err := b.Submit(t.Context(), r)
			if !backends.IsNotSent(err) || errors.Is(err, backends.ErrCredentials) != test.credentials {
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

// TestKeyRefusedOnce: a key that is refused is not tried again at once, and one
// that was put in its place is (SC-13).
func TestKeyRefusedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	key := "old-key"
	c := w.client(t, func(c *digicert.Config) {
		c.Key = func() (secret.Secret, error) { return secret.New([]byte(key)), nil }
	})
	for range 3 {
		if _, err := c.Roles(t.Context()); !errors.Is(err, backends.ErrCredentials) {
			t.Errorf("with a wrong key: %v", err)
		}
	}
	if n := w.ca.Count("user"); n != 1 {
		t.Errorf("%d calls with a key that was refused", n)
	}
	key = apiKey
	if _, err := c.Roles(t.Context()); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

// TestOwnLimit: a request that the CA would turn away is not sent, and says
// when it can be.
func TestOwnLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{ShortRate: 10, LongRate: 40})
	c := w.client(t, func(c *digicert.Config) { c.Short, c.Long = 9, 36 })
	sent, turned := 0, 0
	for range 80 {
		_, err := c.Roles(t.Context())
		var e *caclient.Error
		switch {
		case err == nil:
			sent++
		case errors.As(err, &e) && e.Outcome == caclient.NotSent && e.RetryAfter > 0 && errors.Is(err, caclient.ErrThrottled):
			turned++
			w.ca.Advance(e.RetryAfter)
		default:
			t.Fatal(err)
		}
	}
	if n := w.ca.Count("user"); n != sent || turned == 0 {
		t.Errorf("%d sent, %d held back, %d arrived", sent, turned, n)
	}
	for _, e := range w.ca.Journal("request") {
		if e.Status == 429 {
			t.Fatal("the CA had to turn one away")
		}
	}
}

// TestPollOutcomes: each end of an order, as the engine should see it.
func TestPollOutcomes(t *testing.T) {
	t.Parallel()
	const chain, refused, waiting = "chain", "refused", "waiting"
	for kind, want := range map[digicerttest.Kind]struct{ end, says string }{
		digicerttest.Ready:    {chain, ""},
		digicerttest.Upper:    {chain, ""},
		digicerttest.Rejected: {refused, "rejected at the certificate authority"},
		digicerttest.Canceled: {refused, "cancelled at the certificate authority"},
		digicerttest.Revoked:  {refused, "revoked it"},
		digicerttest.Stuck:    {waiting, "pending"},
		digicerttest.Approved: {waiting, "approved"},
		digicerttest.Pickup:   {waiting, "needs a look"},
		digicerttest.Strange:  {waiting, "awaiting_moonrise"},
		digicerttest.DropName: {chain, ""}, // the engine judges
		digicerttest.WrongKey: {chain, ""},
		digicerttest.NoClient: {chain, ""},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, digicerttest.Config{Processing: time.Minute})
			b := w.backend(t, w.client(t))
			w.ca.Next(digicerttest.Outcome{Kind: kind, Reason: "the CA's own words"})
			ticket, err := b.Submit(t.Context(), w.request())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain != nil || !strings.Contains(strings.ToLower(got.Note), "pending") || got.After <= 0 {
				t.Errorf("at first: %+v, %v", got, err)
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
			if end != want.end || !strings.Contains(detail+got.Note, want.says) {
				t.Errorf("%s: %+v, %v; want %s", end, got, err, want.end)
			}
			if strings.Contains(detail, "the CA's own words") || no && !strings.Contains(err.Error(), "the CA's own words") {
				t.Errorf("the CA's words are for the operator: %q, %v", detail, err)
			}
		})
	}
}

// TestDownloads: whatever is around the certificate, the chain is in order.
func TestDownloads(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"pem-leaf-only", "pem-no-root", "pem-shuffled", "pem-extra"} {
		w := newWorld(t, digicerttest.Config{RSA: kind == "pem-shuffled"})
		w.breaks(t, digicerttest.Fault{Endpoint: "download", Kind: kind}, digicerttest.Fault{Endpoint: "info", Kind: "array-organization"})
		b := w.backend(t, w.client(t))
		ticket, err := b.Submit(t.Context(), w.request())
		if err != nil {
			t.Fatal(err)
		}
		issuing, _ := w.ca.Roots()
		if got, err := b.Poll(t.Context(), ticket); err != nil || len(got.Chain) != 2 || !slices.Equal(got.Chain[1], issuing) {
			t.Errorf("%s: a chain of %d, %v", kind, len(got.Chain), err)
		}
	}
}

// TestNumbersAsStrings: so they come from some endpoints.
func TestNumbersAsStrings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{Processing: time.Minute})
	w.breaks(t, digicerttest.Fault{Kind: "string-numbers"})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	w.ca.Advance(time.Minute)
	w.ca.Mend()
	w.breaks(t, digicerttest.Fault{Endpoint: "info", Kind: "string-numbers"})
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestApprovalAtTheCA: where the key may not approve, somebody has to, and the
// engine is told.
func TestApprovalAtTheCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{NoApproval: true, NoSelfApproval: true})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Poll(t.Context(), ticket); err != nil || !got.Approval || got.Chain != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := w.ca.Approve(w.ca.Purchases()[0].Order); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
		t.Errorf("approved: %+v, %v", got, err)
	}
}

// TestValidationRunsOutMeanwhile: an order for which something is not validated
// any more goes on waiting, its note says what that is, and it goes on by itself.
func TestValidationRunsOutMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{Processing: time.Hour})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	w.ca.SetDomain("example.org", w.ca.Now())
	w.ca.SetOrganization(117, w.ca.Now())
	w.ca.Advance(2 * time.Hour)
	got, err := b.Poll(t.Context(), ticket)
	if err != nil || got.Chain != nil || !strings.Contains(got.Note, "not validated: the organization (X9 PKI); h") || len(got.Note) > 1024 {
		t.Fatalf("%+v, %v", got, err)
	}
	w.ca.SetDomain("example.org", begin.AddDate(1, 0, 0))
	w.ca.SetOrganization(117, begin.AddDate(1, 0, 0))
	w.ca.Advance(time.Hour)
	if got, err = b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
		t.Errorf("validated again: %+v, %v", got, err)
	}
	if n := w.ca.Count("random"); n != 0 {
		t.Errorf("asked %d times for a new random value", n)
	}
}

// TestRevokeOne: the others of an order stay as they are, and an administrator
// who has to approve it is waited for.
func TestRevokeOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{RevokeByRequest: true, NoSelfApproval: true})
	b := w.backend(t, w.client(t))
	if _, err := b.Submit(t.Context(), w.request()); err != nil {
		t.Fatal(err)
	}
	var serial []byte
	for _, e := range w.ca.Journal("certificate") {
		if _, err := fmt.Sscanf(e.Serial, "%X", &serial); err != nil {
			t.Fatal(err)
		}
	}
	// R8555-7.6: code 10 has no word here, and the certificate is no less revoked.
	if err := b.Revoke(t.Context(), acme.Certificate{Serial: serial}, acme.AACompromise); err == nil || !strings.Contains(err.Error(), "waits for an administrator") {
		t.Errorf("an administrator is needed: %v", err)
	}
	if n := w.ca.Count("revocation"); n != 0 {
		t.Errorf("%d revocations", n)
	}
	if err := b.Revoke(t.Context(), acme.Certificate{Serial: []byte{1, 2}}, acme.Superseded); !errors.Is(err, caclient.ErrNotFound) {
		t.Errorf("an unknown certificate: %v", err)
	}
}

// TestCheck: what would keep orders lying is found before the first one.
func TestCheck(t *testing.T) {
	t.Parallel()
	soon := begin.AddDate(0, 0, 10)
	for want, test := range map[string]struct {
		cfg    digicerttest.Config
		change func(world, *digicert.BackendConfig)
	}{
		"":                      {},
		"the API key":           {cfg: digicerttest.Config{Key: "another"}},
		"role Administrator":    {cfg: digicerttest.Config{Roles: []string{"Standard User"}}},
		"is not switched on":    {cfg: digicerttest.Config{Products: []string{"ssl_plus"}}},
		"none with the number":  {change: func(_ world, c *digicert.BackendConfig) { c.Organization = 7 }},
		"118 has no validation": {change: func(_ world, c *digicert.BackendConfig) { c.Organization = 118 }},
		"117 has no validation": {change: func(w world, _ *digicert.BackendConfig) { w.ca.SetOrganization(117, soon) }},
		"wants its field 9 in each order": {cfg: digicerttest.Config{Required: []int64{3, 9}}, change: func(_ world, c *digicert.BackendConfig) {
			c.CustomFields = []digicert.Field{{ID: 3, Value: "TRUST"}}
		}},
		"the domain example.org": {change: func(w world, c *digicert.BackendConfig) {
			w.ca.SetDomain("example.org", soon)
			c.Domains = []string{"example.com", "example.org"}
		}},
	} {
		w := newWorld(t, test.cfg)
		b := w.backend(t, w.client(t), func(c *digicert.BackendConfig) {
			if test.change != nil {
				test.change(w, c)
			}
		})
		if err := b.Check(t.Context()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
		if n := w.ca.Count("purchase"); n != 0 {
			t.Errorf("%q: %d purchases", want, n)
		}
	}
}

// TestRenewalLink: an order for the same need is linked to the one that runs
// out, and nobody else's is; a CA that does not want the link sells without it.
func TestRenewalLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{})
	b := w.backend(t, w.client(t), func(c *digicert.BackendConfig) { c.Days = 90 })
	first := w.request()
	again := func() backends.Request {
		r := w.request()
		r.Contract.Identifiers, r.Contract.CommonName, r.Account = first.Contract.Identifiers, first.Contract.CommonName, first.Account
		return r
	}
	stranger := again()
	stranger.Account = "somebody-else"
	for _, r := range []backends.Request{first, stranger, again()} {
		if _, err := b.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	w.breaks(t, digicerttest.Fault{Endpoint: "order", Kind: "status", Status: 400, Code: "order_not_renewable", Count: 1})
	if _, err := b.Submit(t.Context(), again()); err != nil {
		t.Fatal(err)
	}
	p := w.ca.Purchases()
	if len(p) != 4 || p[0].RenewalOf != "" || p[1].RenewalOf != "" || p[2].RenewalOf != p[0].Order || p[3].RenewalOf != "" {
		t.Errorf("%+v", p)
	}
}
