package globalsign_test

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
	"acmebridge/backends/globalsign"
	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/internal/caclient"
	"acmebridge/internal/standin"
)

// TestOrderSaysEverything: what is bought is in the JSON, and no secret is
// anywhere that the CA writes down.
func TestOrderSaysEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	r := w.request()
	if _, err := w.backend(t, w.client(t)).Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var sent globalsign.Wish
	for _, e := range w.ca.Journal("request") {
		if e.Endpoint == "order" {
			if err := json.Unmarshal([]byte(e.Body), &sent); err != nil {
				t.Fatal(err)
			}
			if slices.Contains(e.Headers, "Idempotency-Key") || slices.Contains(e.Headers, "X-Idempotency-Key") {
				t.Error("the transport would repeat a purchase by itself (SC-5)")
			}
		}
		if strings.Contains(e.Body+e.Query+e.Path, apiSecret) {
			t.Errorf("the secret is in %s %s", e.Method, e.Path)
		}
	}
	if len(sent.SAN.Names) != 2 || sent.Subject.CommonName != r.Contract.CommonName || sent.Validity.NotAfter != r.Contract.NotAfter.Unix() ||
		sent.Validity.NotBefore != r.At.Unix() || !slices.Equal(sent.Usages, []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}) ||
		sent.Signature.Hash != "SHA-256" || !strings.HasPrefix(sent.PublicKey, "-----BEGIN CERTIFICATE REQUEST-----") {
		t.Errorf("the order: %+v", sent)
	}
}

// TestRefusedBeforeMoney: whatever the policy of the account does not give is said
// to the client in words, and never asked for.
func TestRefusedBeforeMoney(t *testing.T) {
	t.Parallel()
	identifier := func(kind acme.IdentifierType, value string) func(*backends.Request) {
		return func(r *backends.Request) {
			r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: kind, Value: value})
		}
	}
	for want, test := range map[string]struct {
		cfg    globalsigntest.Config
		change func(*backends.Request)
		config func(*globalsign.BackendConfig)
	}{
		"gives no certificates for clientAuth": {cfg: globalsigntest.Config{ServerOnly: true}},
		"gives all certificates the usages serverAuth, and this profile wants serverAuth and clientAuth": {cfg: globalsigntest.Config{ServerOnly: true, StaticUsages: true}},
		"gives all certificates the usages serverAuth and clientAuth, and this profile wants serverAuth": {
			cfg: globalsigntest.Config{StaticUsages: true}, change: func(r *backends.Request) { r.Contract.Usages = []acme.Usage{acme.ServerAuth} },
		},
		"for clients since 2026-03-31": {config: func(c *globalsign.BackendConfig) { c.ServerOnlyFrom = begin.AddDate(0, 0, -1) }},
		"no other usage":               {change: func(r *backends.Request) { r.Contract.Usages = []acme.Usage{acme.CodeSigning} }},
		"does not take the name *.":    {change: identifier(acme.DNSIdentifier, "*.example.org")},
		"has claimed no domain that":   {change: identifier(acme.DNSIdentifier, "a.example.net")},
		"up to 100 names, and this order has 102": {change: func(r *backends.Request) {
			for i := range 100 {
				identifier(acme.DNSIdentifier, fmt.Sprintf("n%d.example.org", i))(r)
			}
		}},
		"keys of this kind":                              {change: func(r *backends.Request) { r.PublicKey = []byte("hello") }},
		"needs subject: by_ca":                           {cfg: globalsigntest.Config{Organization: "Example VASP"}},
		"needs subject: empty or by_ca":                  {cfg: globalsigntest.Config{NoCommonName: true}},
		"up to 10 days, and this profile asks for 30":    {cfg: globalsigntest.Config{MaxValidity: 240 * time.Hour}},
		"up to 20 days, and this profile asks for 30 da": {config: func(c *globalsign.BackendConfig) { c.MaxValidity = 480 * time.Hour }},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			r := w.request()
			if test.change != nil {
				test.change(&r)
			}
			b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) {
				if test.config != nil {
					test.config(c)
				}
			})
			_, err := b.Submit(t.Context(), r)
			if detail, no := backends.RefusalDetail(err); !no || !strings.Contains(detail, want) {
				t.Errorf("%q: %v", want, err)
			}
			if n := w.ca.Count("order"); n != 0 {
				t.Errorf("the CA was asked %d times", n)
			}
		})
	}
}

// TestCutOffAhead: what is to come does not keep anybody from ordering today.
func TestCutOffAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) { c.ServerOnlyFrom = begin.Add(time.Hour) })
	if _, err := b.Submit(t.Context(), w.request()); err != nil {
		t.Error(err)
	}
	w.ca.Advance(time.Hour)
	if _, no := backends.RefusalDetail(submitError(t, b, w.request())); !no {
		t.Error("it is sold after the cut-off")
	}
}

func submitError(t *testing.T, b backends.Backend, r backends.Request) error {
	t.Helper()
	_, err := b.Submit(t.Context(), r)
	return err
}

// TestPolicyChanges: an account whose policy loses clientAuth between two orders
// is asked again, as soon as the CA refuses one.
func TestPolicyChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t))
	if err := submitError(t, b, w.request()); err != nil {
		t.Fatal(err)
	}
	w.ca.SetServerOnly(true)
	if _, no := backends.RefusalDetail(submitError(t, b, w.request())); !no {
		t.Error("the CA's no is none")
	}
	if detail, _ := backends.RefusalDetail(submitError(t, b, w.request())); !strings.Contains(detail, "clientAuth") {
		t.Errorf("the policy was not read again: %q", detail)
	}
	// And what was refused by an old policy is looked at anew.
	w.ca.SetServerOnly(false)
	if err := submitError(t, b, w.request()); err != nil {
		t.Errorf("the policy has it again: %v", err)
	}
	if n := w.ca.Count("purchase"); n != 2 {
		t.Errorf("%d purchases", n)
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
		cfg           globalsigntest.Config
		breaks, mends func(*testing.T, world)
		is            error
	}{
		"domain not verified": {
			breaks: func(_ *testing.T, w world) { w.ca.SetDomain("example.org", time.Time{}) },
			mends:  func(_ *testing.T, w world) { w.ca.SetDomain("example.org", begin.AddDate(1, 0, 0)) },
		},
		"domain's proof over": {
			breaks: func(_ *testing.T, w world) { w.ca.SetDomain("example.org", begin) },
			mends:  func(_ *testing.T, w world) { w.ca.SetDomain("example.org", begin.AddDate(1, 0, 0)) },
		},
		"no quota": {
			breaks: func(_ *testing.T, w world) { w.ca.SetQuota(0) }, mends: func(_ *testing.T, w world) { w.ca.SetQuota(5) }, is: backends.ErrExhausted,
		},
		"login refused":  {breaks: fault(standin.Fault{Endpoint: "login", Kind: "status", Status: 401}), is: backends.ErrCredentials},
		"login down":     {breaks: fault(standin.Fault{Endpoint: "login", Kind: "reset-after"})},
		"login is HTML":  {breaks: fault(standin.Fault{Endpoint: "login", Kind: "html"})},
		"token refused":  {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 401}), is: backends.ErrCredentials},
		"not permitted":  {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 403}), is: backends.ErrCredentials},
		"throttled":      {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 429, RetryAfter: "20"})},
		"policy unread":  {breaks: fault(standin.Fault{Endpoint: "policy", Kind: "invalid-json"})},
		"claims unread":  {breaks: fault(standin.Fault{Endpoint: "claims", Kind: "status", Status: 500})},
		"quota unknown":  {breaks: fault(standin.Fault{Endpoint: "quota", Kind: "html-502"})},
		"key to prove":   {cfg: globalsigntest.Config{BareKeys: true, Possession: true}},
		"quota ran dry":  {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 422, Code: "quota"}), is: backends.ErrExhausted},
		"wrong base URL": {breaks: fault(standin.Fault{Endpoint: "order", Kind: "status", Status: 404})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			b := w.backend(t, w.client(t))
			if test.breaks != nil {
				test.breaks(t, w)
			}
			r := w.request()
			_, err := b.Submit(t.Context(), r)
			if !backends.IsNotSent(err) || test.is != nil && !errors.Is(err, test.is) {
				t.Fatalf("not a reason to wait: %v", err)
			}
			if strings.Contains(err.Error(), apiSecret) {
				t.Errorf("a secret is in %v", err)
			}
			if n := w.ca.Count("purchase"); n != 0 {
				t.Errorf("%d purchases", n)
			}
			if test.breaks == nil {
				return
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

// TestLoginRefusedOnce: credentials that are refused are not tried again at once,
// ones that were put in their place are (SC-13), and a message of the CA that
// repeats the secret does not carry it further.
func TestLoginRefusedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	value := "old-secret"
	c := w.client(t, func(c *globalsign.Config) {
		c.Login = func() (globalsign.Login, error) { return login(apiKey, value)() }
	})
	for range 3 {
		_, err := c.Policy(t.Context())
		if !errors.Is(err, backends.ErrCredentials) || globalsign.OutcomeOf(err) != caclient.NotSent || strings.Contains(err.Error(), value) {
			t.Errorf("with a wrong secret: %v", err)
		}
	}
	if n := w.ca.Count("login"); n != 1 {
		t.Errorf("%d logins with a secret that was refused", n)
	}
	value = apiSecret
	if _, err := c.Policy(t.Context()); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

// TestToken: one login serves many calls, is renewed in time, and once when the CA
// has forgotten it.
func TestToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	c := w.client(t)
	ended := make(chan error)
	for range 8 {
		go func() { _, err := c.Policy(t.Context()); ended <- err }()
	}
	for range 8 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	logins := func(want int, when string) {
		t.Helper()
		if _, err := c.Policy(t.Context()); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if n := w.ca.Count("login"); n != want {
			t.Errorf("%s: %d logins, want %d", when, n, want)
		}
	}
	logins(1, "at once")
	w.ca.Advance(9*time.Minute - time.Second)
	logins(1, "before the ninth minute")
	w.ca.Advance(time.Second)
	logins(2, "after it")
	w.ca.Expire()
	logins(3, "forgotten by the CA")
	for _, e := range w.ca.Journal("request") {
		if e.Endpoint == "login" && e.Body != "" {
			t.Error("the journal has the body of a login")
		}
	}
}

// TestTokenAtPurchase: a token that is refused at a purchase is renewed for the next
// one, and the purchase is not repeated here (SC-5).
func TestTokenAtPurchase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t))
	w.breaks(t, standin.Fault{Endpoint: "order", Kind: "status", Status: 401, Count: 1})
	r := w.request()
	if err := submitError(t, b, r); !backends.IsNotSent(err) {
		t.Errorf("%v", err)
	}
	if n := w.ca.Count("order"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
	if err := submitError(t, b, r); err != nil {
		t.Errorf("the next time: %v", err)
	}
	if n := w.ca.Count("login"); n != 2 {
		t.Errorf("%d logins", n)
	}
}

// TestNoCertificate: who comes without a client certificate is told so.
func TestNoCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	c := w.client(t, func(c *globalsign.Config) { c.Certificate = nil })
	if _, err := c.Policy(t.Context()); !errors.Is(err, backends.ErrCredentials) || !strings.Contains(err.Error(), "client certificate") {
		t.Errorf("%v", err)
	}
}

// TestLocation: what was bought is only ever fetched from the CA that was
// configured (SC-11), and an answer that does not say where it is proves nothing.
func TestLocation(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"elsewhere", "no-location", "html"} {
		w := newWorld(t, globalsigntest.Config{})
		w.breaks(t, standin.Fault{Endpoint: "order", Kind: kind, Count: 1})
		b := w.backend(t, w.client(t))
		r := w.request()
		ticket, err := b.Submit(t.Context(), r)
		if _, no := backends.RefusalDetail(err); err == nil || no || backends.IsNotSent(err) {
			t.Fatalf("%s: ticket %q, %v", kind, ticket, err)
		}
		if _, found, err := b.Find(t.Context(), r); err != nil || !found {
			t.Errorf("%s: found %t, %v", kind, found, err)
		}
	}
}

// TestPollOutcomes: each end of an order, as the engine should see it.
func TestPollOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{Processing: time.Minute})
	b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) { c.Intermediates = nil })
	order := func(kind globalsigntest.Kind) backends.Ticket {
		t.Helper()
		w.ca.Next(globalsigntest.Outcome{Kind: kind})
		ticket, err := b.Submit(t.Context(), w.request())
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	ready, stuck, revoked := order(globalsigntest.Ready), order(globalsigntest.Stuck), order(globalsigntest.Revoked)
	if got, err := b.Poll(t.Context(), ready); err != nil || got.Chain != nil || got.After <= 0 || got.Note == "" {
		t.Errorf("at first: %+v, %v", got, err)
	}
	w.ca.Advance(time.Minute)
	issuing, _ := w.ca.Roots()
	if got, err := b.Poll(t.Context(), ready); err != nil || len(got.Chain) != 2 || !slices.Equal(got.Chain[1], issuing) {
		t.Errorf("the chain of the CA: %d, %v", len(got.Chain), err)
	}
	w.ca.Advance(24 * time.Hour)
	if got, err := b.Poll(t.Context(), stuck); err != nil || got.Chain != nil || got.After <= 0 {
		t.Errorf("stuck: %+v, %v", got, err)
	}
	if _, err := b.Poll(t.Context(), revoked); err == nil {
		t.Error("revoked at the CA, and handed on")
	} else if detail, _ := backends.RefusalDetail(err); !strings.Contains(detail, "revoked it") {
		t.Errorf("revoked: %v", err)
	}
	unknown := backends.Ticket(strings.Replace(string(ready), ".", ".00", 1))
	if _, err := b.Poll(t.Context(), unknown); !errors.Is(err, caclient.ErrNotFound) {
		t.Errorf("a day later the CA does not know it: %v", err)
	}
}

// TestPause: a CA that asks for a pause gets it (SC-15).
func TestPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	w.breaks(t, standin.Fault{Kind: "status", Status: 429, RetryAfter: "40", Count: 1})
	for range 3 {
		if _, err := b.Poll(t.Context(), ticket); backends.PauseAsked(err) != 40*time.Second {
			t.Errorf("%v", err)
		}
	}
	if n := w.ca.Count("fetch"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.ca.Advance(40 * time.Second)
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCheck: what would keep orders lying is found before the first one.
func TestCheck(t *testing.T) {
	t.Parallel()
	both := [][]acme.Usage{{acme.ServerAuth, acme.ClientAuth}, {acme.ServerAuth}}
	for want, test := range map[string]struct {
		cfg    globalsigntest.Config
		change func(world, *globalsign.BackendConfig)
	}{
		"":                    {change: func(_ world, c *globalsign.BackendConfig) { c.Usages, c.Domains = both, []string{"example.org"} }},
		"credentials":         {cfg: globalsigntest.Config{Secret: "another"}},
		"proof of possession": {cfg: globalsigntest.Config{BareKeys: true, Possession: true}},
		"for clientAuth":      {cfg: globalsigntest.Config{ServerOnly: true}, change: func(_ world, c *globalsign.BackendConfig) { c.Usages = both }},
		"may issue no more":   {change: func(w world, _ *globalsign.BackendConfig) { w.ca.SetQuota(0) }},
		"the domain example.org": {change: func(w world, c *globalsign.BackendConfig) {
			w.ca.SetDomain("example.org", begin.AddDate(0, 0, 10))
			c.Domains = []string{"example.org"}
		}},
	} {
		w := newWorld(t, test.cfg)
		b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) {
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

// TestNew: what cannot work is said before the first connection.
func TestNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	for _, url := range []string{"", "ca.example.org/v2", "http://ca.example.org/v2", "https://user@ca.example.org/v2", "https://ca.example.org/v2?x=1"} {
		_, err := globalsign.New(globalsign.Config{URL: url, Login: login(apiKey, apiSecret), Dial: (&noDial{}).dial})
		if err == nil || !strings.HasPrefix(err.Error(), "globalsign: ") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := globalsign.New(globalsign.Config{URL: w.url, Login: login(apiKey, apiSecret)}); err == nil {
		t.Error("a client without a way to connect")
	}
	if _, err := globalsign.NewBackend(globalsign.BackendConfig{Client: w.client(t)}); err == nil || !strings.Contains(err.Error(), "no root") {
		t.Errorf("without a root: %v", err)
	}
}
