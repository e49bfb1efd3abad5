package sectigo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/conformance/backendtest"
)

const validity = 396 * 24 * time.Hour

// backend makes one on a client of the world.
func (w world) backend(t *testing.T, client *sectigo.Client, change ...func(*sectigo.BackendConfig)) *sectigo.Backend {
	t.Helper()
	issuing, root := w.ca.Roots()
	cfg := sectigo.BackendConfig{
		Client: client, Profile: "CipherTrace EE", Roots: [][]byte{root}, Intermediates: [][]byte{issuing}, MaxValidity: validity, Now: w.ca.Now,
	}
	for _, c := range change {
		c(&cfg)
	}
	b, err := sectigo.NewBackend(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w world) request() backends.Request {
	return backendtest.NewRequest(w.ca.Now(), backends.Traits{MaxValidity: validity})
}

// TestContract joins the suite of all backends, with each way in which the CA
// may lay out its archives and its list.
func TestContract(t *testing.T) {
	t.Parallel()
	const together = "together"
	for name, cfg := range map[string]sectigotest.Config{
		"chain":         {},
		"leaf alone":    {Layout: sectigotest.LayoutPEM, List: "items", PageSize: 2},
		"all formats":   {Layout: sectigotest.LayoutAll, SingleUse: true},
		"without names": {Layout: sectigotest.LayoutPKCS7, NoBatchName: true, List: "content", PageSize: 3},
		together:        {Layout: sectigotest.LayoutPEM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backendtest.Subject {
				cfg := cfg
				cfg.Processing = time.Minute
				w := newWorld(t, cfg)
				several := func(c *sectigo.BackendConfig) {
					if name == together {
						c.Batch, c.BatchWait = 4, 2*time.Second
					}
				}
				return backendtest.Subject{
					Backend: w.backend(t, w.client, several),
					Now:     w.ca.Now,
					Settle:  func() { w.ca.Advance(time.Minute) },
					Reopen:  func() backends.Backend { return w.backend(t, w.connect(t), several) },
					Refuse: func() backends.Request {
						w.ca.Next(sectigotest.Outcome{Kind: sectigotest.Rejected, Reason: "not ours"})
						return w.request()
					},
					Bought: func() (n int) {
						for _, e := range w.ca.Purchases() {
							n += e.Size
						}
						return n
					},
					Misissue: w.ways(func(kind sectigotest.Kind) { w.ca.Next(sectigotest.Outcome{Kind: kind}) },
						sectigotest.DropName, sectigotest.AddName, sectigotest.WrongKey, sectigotest.WrongSubject, sectigotest.Another),
					Damage: w.ways(func(kind sectigotest.Kind) { w.breaks(t, sectigotest.Fault{Endpoint: "download", Kind: string(kind)}) },
						"zip-truncated", "zip-empty", "zip-bomb", "zip-missing", "zip-nested", "html", "json-error", "empty", "half-body", "reset-before", "redirect"),
					Mend:      w.ca.Mend,
					LoseReply: func() { w.breaks(t, sectigotest.Fault{Endpoint: "upload", Kind: "reset-after", Count: 1}) },
					Unreachable: func() backends.Backend {
						return w.backend(t, w.connect(t, func(c *sectigo.Config) {
							c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
						}))
					},
				}
			})
		})
	}
}

// ways makes of each kind of trouble something that brings it about.
func (w world) ways(do func(sectigotest.Kind), kinds ...sectigotest.Kind) map[string]func() {
	m := map[string]func(){}
	for _, kind := range kinds {
		m[string(kind)] = func() { do(kind) }
	}
	return m
}

// TestPollOutcomes: each end of a batch, as the engine should see it.
func TestPollOutcomes(t *testing.T) {
	t.Parallel()
	const chain, refused, waiting = "chain", "refused", "waiting"
	for kind, want := range map[sectigotest.Kind]struct{ end, says string }{
		sectigotest.Ready:        {chain, ""},
		sectigotest.Wordless:     {chain, ""},
		sectigotest.Partial:      {refused, "could not issue"},
		sectigotest.Rejected:     {refused, "operator of the certificate authority"},
		sectigotest.Broken:       {refused, "does not accept this CSR"},
		sectigotest.Failed:       {refused, "could not issue"},
		sectigotest.Expired:      {refused, "no longer be fetched"},
		sectigotest.Revoked:      {refused, "no longer be fetched"},
		sectigotest.Stuck:        {waiting, "PROCESSING"},
		sectigotest.Strange:      {waiting, "AWAITING_MOONRISE"},
		sectigotest.DropName:     {chain, ""}, // the engine judges
		sectigotest.AddName:      {chain, ""},
		sectigotest.WrongKey:     {chain, ""},
		sectigotest.WrongSubject: {chain, ""},
		sectigotest.Another:      {chain, ""}, // of nobody else yet
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{Created: time.Minute, Processing: time.Minute})
			b := w.backend(t, w.client)
			w.ca.Next(sectigotest.Outcome{Kind: kind, Reason: "the CA's own words"})
			ticket, err := b.Submit(t.Context(), w.request())
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range []string{"CREATED", "PROCESSING"} {
				if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain != nil || !strings.Contains(got.Note, status) || got.After <= 0 {
					t.Errorf("while it is %s: %+v, %v", status, got, err)
				}
				w.ca.Advance(time.Minute)
			}
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
			if strings.Contains(detail, "the CA's own words") {
				t.Errorf("a client would see the CA's words: %s", detail)
			}
			if end == refused && !strings.Contains(err.Error(), "the CA's own words") && kind != sectigotest.Partial {
				t.Errorf("the operator does not see the CA's words: %v", err)
			}
		})
	}
}

// TestPollAgainLater: what is wrong with an archive this time is tried again.
func TestPollAgainLater(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"zip-truncated", "zip-empty", "zip-bomb", "zip-missing", "zip-nested", "html", "half-body", "reset-before"} {
		w := newWorld(t, sectigotest.Config{})
		b := w.backend(t, w.client)
		ticket, err := b.Submit(t.Context(), w.request())
		if err != nil {
			t.Fatal(err)
		}
		w.breaks(t, sectigotest.Fault{Endpoint: "download", Kind: kind})
		for range 2 {
			got, err := b.Poll(t.Context(), ticket)
			if _, no := backends.RefusalDetail(err); err == nil || no {
				t.Errorf("%s: a chain of %d, %v", kind, len(got.Chain), err)
			}
		}
		w.ca.Mend()
		if got, err := b.Poll(t.Context(), ticket); err != nil || len(got.Chain) != 2 {
			t.Errorf("after %s: a chain of %d, %v", kind, len(got.Chain), err)
		}
	}
}

// TestPauseAskedFor: a CA that says when to come again is taken at its word,
// up to an hour (SC-15).
func TestPauseAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	b := w.backend(t, w.client)
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "864000": time.Hour, "moment": 90 * time.Second,
	} {
		if header == "moment" {
			header = w.ca.Now().Add(want).Format(http.TimeFormat)
		}
		w.ca.Mend()
		w.breaks(t, sectigotest.Fault{Endpoint: "batch", Kind: "status", Status: 503, RetryAfter: header})
		if got, err := b.Poll(t.Context(), ticket); backends.PauseAsked(err) != want || got.Chain != nil {
			t.Errorf("%s: %s, %v; want %s", header, backends.PauseAsked(err), err, want)
		}
		w.ca.Advance(want)
	}
	for _, header := range []string{"", "-5", "soon", "0"} {
		w.ca.Mend()
		w.breaks(t, sectigotest.Fault{Endpoint: "batch", Kind: "status", Status: 503, RetryAfter: header})
		if got, err := b.Poll(t.Context(), ticket); err == nil || backends.PauseAsked(err) != 5*time.Second {
			t.Errorf("%q: %+v, %v", header, got, err)
		}
		w.ca.Advance(5 * time.Second)
	}
}

// TestPauses: the CA is asked often in the beginning, and less and less.
func TestPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{AccessLifetime: 24 * time.Hour})
	w.ca.Hold()
	b := w.backend(t, w.client)
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 14 {
		result, err := b.Poll(t.Context(), ticket)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, result.After.String())
		w.ca.Advance(result.After)
	}
	if s := strings.Join(got, " "); s != "5s 10s 20s 40s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s 5m0s" {
		t.Error(s)
	}
}

// TestSubmitOutcomes: what the engine may conclude from each failure, and what
// it cost.
func TestSubmitOutcomes(t *testing.T) {
	t.Parallel()
	const refused, notSent, unknown = "refused", "not sent", "unknown"
	disable := func(w world) {
		if err := w.ca.EditProfile(profile, func(p *sectigotest.Profile) { p.Disabled = true }); err != nil {
			panic(err)
		}
	}
	for name, test := range map[string]struct {
		cfg    sectigotest.Config
		fault  sectigotest.Fault
		before func(world)
		want   string
		bought int
	}{
		"400":              {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 400}, want: refused},
		"403":              {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 403}, want: notSent},
		"404":              {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 404}, want: notSent},
		"429":              {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 429}, want: notSent},
		"500":              {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 500}, want: unknown},
		"lost":             {fault: sectigotest.Fault{Endpoint: "upload", Kind: "reset-after"}, want: unknown, bought: 1},
		"no balance":       {before: func(w world) { w.ca.SetBalance(authority, 0) }, want: notSent},
		"balance unseen":   {fault: sectigotest.Fault{Endpoint: "balance", Kind: "status", Status: 500}, want: notSent},
		"switched off":     {before: disable, want: notSent},
		"login refused":    {cfg: sectigotest.Config{Login: "401"}, want: notSent},
		"authorities down": {fault: sectigotest.Fault{Endpoint: "authorities", Kind: "reset-before"}, want: notSent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			b := w.backend(t, w.client)
			if test.fault.Kind != "" {
				w.breaks(t, test.fault)
			}
			if test.before != nil {
				test.before(w)
			}
			_, err := b.Submit(t.Context(), w.request())
			got := unknown
			if _, no := backends.RefusalDetail(err); no {
				got = refused
			} else if backends.IsNotSent(err) {
				got = notSent
			}
			if err == nil || got != test.want || len(w.ca.Purchases()) != test.bought {
				t.Errorf("%s, %d purchases, %v", got, len(w.ca.Purchases()), err)
			}
		})
	}
}

// TestBalanceRunsOut: others buy too, so the CA may know of the end first; the
// order waits, and goes through once there is more.
func TestBalanceRunsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{Balance: 5})
	b := w.backend(t, w.client, func(c *sectigo.BackendConfig) { c.Floor = 1 })
	if _, err := b.Submit(t.Context(), w.request()); err != nil {
		t.Fatal(err)
	}
	w.ca.SetBalance(authority, 0) // somebody in the portal
	r := w.request()
	if _, err := b.Submit(t.Context(), r); !backends.IsNotSent(err) || w.ca.Count("upload") != 2 {
		t.Errorf("%v after %d uploads", err, w.ca.Count("upload"))
	}
	for range 5 {
		if _, err := b.Submit(t.Context(), r); !backends.IsNotSent(err) || !strings.Contains(err.Error(), "floor 1") {
			t.Errorf("%v", err)
		}
	}
	if w.ca.Count("upload") != 2 {
		t.Errorf("%d uploads for nothing", w.ca.Count("upload"))
	}
	w.ca.SetBalance(authority, 2)
	w.ca.Advance(time.Minute)
	if _, err := b.Submit(t.Context(), r); err != nil {
		t.Errorf("once there is more: %v", err)
	}
}

// TestTimeForArchives: the engine leaves the time that an archive may take.
func TestTimeForArchives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	for want, client := range map[time.Duration]*sectigo.Client{
		120 * time.Second: w.client, 10 * time.Minute: w.connect(t, func(c *sectigo.Config) { c.TransferTimeout = 10 * time.Minute }),
	} {
		if got := w.backend(t, client).Traits().CallTime; got <= want {
			t.Errorf("%s for a call that transfers for up to %s", got, want)
		}
	}
}

// TestNoNamesNoPurchase: the CA would take the money and then call it broken.
func TestNoNamesNoPurchase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	r := w.request()
	r.CSR = newOrder(t).csr
	_, err := w.backend(t, w.client).Submit(t.Context(), r)
	if detail, no := backends.RefusalDetail(err); !no || !strings.Contains(detail, "subjectAltName") || w.ca.Count("request") != 0 {
		t.Errorf("%v after %d requests", err, w.ca.Count("request"))
	}
}

// TestFindDoubts: absence is claimed only when it is seen.
func TestFindDoubts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg    sectigotest.Config
		during func(world)
		found  bool
		bad    string
	}{
		"nothing there":        {},
		"no search":            {during: func(w world) { must(w.ca.Break(sectigotest.Fault{Endpoint: "find", Kind: "status", Status: 403})) }},
		"no list":              {cfg: sectigotest.Config{List: "off"}, bad: "unknown to the CA"},
		"unnamed and open":     {cfg: sectigotest.Config{NoBatchName: true, Processing: time.Hour}, during: buysAnother, bad: "may be the one"},
		"unnamed and another":  {cfg: sectigotest.Config{NoBatchName: true}, during: buysAnother},
		"named and another":    {during: buysAnother},
		"unnamed and long ago": {cfg: sectigotest.Config{NoBatchName: true, Processing: 100 * time.Hour}, during: func(w world) { buysAnother(w); w.ca.Advance(time.Hour) }},
	} {
		w := newWorld(t, test.cfg)
		if test.during != nil {
			test.during(w)
		}
		b := w.backend(t, w.client)
		_, found, err := b.Find(t.Context(), w.request())
		if found != test.found || (err == nil) != (test.bad == "") || (err != nil && !strings.Contains(err.Error(), test.bad)) {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// TestFindWithoutAList: where batches cannot be listed, what the CA shows of the
// certificate is said to the person who has to decide (7.3).
func TestFindWithoutAList(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{true, false} {
		w := newWorld(t, sectigotest.Config{List: "off"})
		b := w.backend(t, w.client)
		r := w.request()
		if !named {
			r.Contract.CommonName = "" // the CA takes the first DNS name
		}
		if _, found, err := b.Find(t.Context(), r); found || !errors.Is(err, sectigo.ErrNotFound) || strings.Contains(err.Error(), "may be the one") {
			t.Errorf("before: %v, %v", found, err)
		}
		if _, err := b.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		w.ca.Advance(time.Second)
		if _, found, err := b.Find(t.Context(), r); found || !errors.Is(err, sectigo.ErrNotFound) || !strings.Contains(err.Error(), "may be the one") {
			t.Errorf("after, with a common name %t: %v, %v", named, found, err)
		}
	}
}

// buysAnother is a purchase by somebody else.
func buysAnother(w world) {
	r := w.request()
	issuing, root := w.ca.Roots()
	b, err := sectigo.NewBackend(sectigo.BackendConfig{Client: w.client, ProfileID: profile, Roots: [][]byte{root}, Intermediates: [][]byte{issuing}, Now: w.ca.Now})
	if err != nil {
		panic(err)
	}
	if _, err := b.Submit(context.Background(), r); err != nil {
		panic(err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg    sectigotest.Config
		change func(*sectigo.BackendConfig)
		says   string
	}{
		"good":              {},
		"login":             {cfg: sectigotest.Config{Login: "403"}, says: "no authority"},
		"unknown profile":   {change: func(c *sectigo.BackendConfig) { c.Profile = "Bogus" }, says: `profile 423 "CipherTrace EE_#17"`},
		"template's number": {change: func(c *sectigo.BackendConfig) { c.Profile, c.ProfileID = "", 17 }, says: "profile 423"},
		"balance":           {cfg: sectigotest.Config{Balance: 3}, change: func(c *sectigo.BackendConfig) { c.Floor = 3 }, says: "3 left"},
		"parameter":         {change: func(c *sectigo.BackendConfig) { c.Params = map[string]string{"bogus": "x"} }, says: "no parameter bogus"},
	} {
		w := newWorld(t, test.cfg)
		var change []func(*sectigo.BackendConfig)
		if test.change != nil {
			change = append(change, test.change)
		}
		err := w.backend(t, w.client, change...).Check(t.Context())
		if (err == nil) != (test.says == "") || (err != nil && !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if len(w.ca.Purchases()) != 0 {
			t.Errorf("%s: a check bought something", name)
		}
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	b := w.backend(t, w.client)
	good, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	before := w.ca.Count("request")
	parts := strings.Split(string(good), ".")
	for i := range parts {
		for _, other := range []string{"", "x", "-1", "99999999999999999999", parts[i] + "A"} {
			changed := append([]string{}, parts...)
			changed[i] = other
			if i == 2 && other == "-1" {
				continue // a time before 1970 is odd and does no harm
			}
			if got, err := b.Poll(t.Context(), backends.Ticket(strings.Join(changed, "."))); err == nil {
				t.Errorf("field %d %q: %+v", i, other, got)
			}
		}
	}
	if n := w.ca.Count("request") - before; n != 0 {
		t.Errorf("%d requests went out for damaged tickets", n)
	}
	if _, err := b.Poll(t.Context(), good); err != nil {
		t.Error(err)
	}
}

func TestRevokeUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	err := w.backend(t, w.client).Revoke(t.Context(), acme.Certificate{Serial: []byte{1, 2, 3}}, acme.Superseded)
	if !errors.Is(err, sectigo.ErrNotFound) {
		t.Error(err)
	}
}

// TestRevokeOfAnEarlierProfile: what was bought before the backend got another
// profile is revoked below its own; and where nobody knows it, nothing happens.
func TestRevokeOfAnEarlierProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	o := newOrder(t, "a.example.org")
	chain, err := w.archive(t, w.uploads(t, "acme-1", o)).Match(o.key, o.names, false)
	if err != nil {
		t.Fatal(err)
	}
	later := w.backend(t, w.client, func(c *sectigo.BackendConfig) { c.Profile, c.ProfileID = "", 489 })
	for range 2 { // and twice is no error either
		if err := later.Revoke(t.Context(), acme.Certificate{Serial: chain[0].SerialNumber.Bytes()}, acme.Superseded); err != nil {
			t.Error(err)
		}
	}
	if got := w.ca.Journal("revocation"); len(got) != 1 || got[0].Reason != "4" {
		t.Errorf("%+v", got)
	}
	if err := later.Revoke(t.Context(), acme.Certificate{Serial: []byte{1, 2, 3}}, acme.Superseded); !errors.Is(err, sectigo.ErrNotFound) {
		t.Error(err)
	}
}

func ExampleParseReason() {
	reason, err := sectigo.ParseReason("cessation of operation")
	fmt.Println(int(reason), sectigo.ReasonName(reason), err)
	// Output: 5 cessationOfOperation <nil>
}
