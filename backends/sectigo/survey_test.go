package sectigo_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// TestSurvey: what a look finds, and what it stops. None of it buys anything.
func TestSurvey(t *testing.T) {
	t.Parallel()
	edit := func(change func(*sectigotest.Profile)) func(world) {
		return func(w world) {
			if err := w.ca.EditProfile(profile, change); err != nil {
				panic(err)
			}
		}
	}
	wants := func(p sectigotest.Param) func(world) {
		return edit(func(e *sectigotest.Profile) { e.Params = append(e.Params, p) })
	}
	for name, test := range map[string]struct {
		before func(world)
		change func(*sectigo.BackendConfig)
		kind   backends.FindingKind // none when empty
		stops  backends.Stop
		says   string
	}{
		"nothing":         {},
		"nothing left":    {before: func(w world) { w.ca.SetBalance(authority, 0) }, kind: backends.FindingBalance, stops: backends.StopAll, says: "order more"},
		"the floor":       {change: func(c *sectigo.BackendConfig) { c.Floor = 1000 }, kind: backends.FindingBalance, stops: backends.StopNew, says: "kept for renewals"},
		"a low balance":   {change: func(c *sectigo.BackendConfig) { c.Low = 1000 }, kind: backends.FindingBalance, says: "1000 left"},
		"switched off":    {before: edit(func(p *sectigotest.Profile) { p.Disabled = true }), kind: backends.FindingProfile, stops: backends.StopAll, says: "switched off"},
		"renamed":         {before: edit(func(p *sectigotest.Profile) { p.Name = "Other_#17" }), change: func(c *sectigo.BackendConfig) { c.Profile = "CipherTrace EE" }, kind: backends.FindingProfile, stops: backends.StopAll, says: "Other"},
		"wants a value":   {before: wants(sectigotest.Param{Name: "region", Required: true, Scopes: []string{"CSR"}}), kind: backends.FindingParameters, stops: backends.StopAll, says: "add it to params"},
		"may want one":    {before: wants(sectigotest.Param{Name: "region", Required: true}), kind: backends.FindingParameters, says: "if requests are refused"},
		"has its own":     {before: wants(sectigotest.Param{Name: "region", Required: true, Value: "EU", Scopes: []string{"CSR"}})},
		"is given one":    {before: wants(sectigotest.Param{Name: "region", Required: true, Scopes: []string{"CSR"}}), change: func(c *sectigo.BackendConfig) { c.Params = map[string]string{"region": "EU"} }},
		"looks odd":       {before: wants(sectigotest.Param{Name: "region", ValidationPattern: "^[0-9]+$", Message: "digits"}), change: func(c *sectigo.BackendConfig) { c.Params = map[string]string{"region": "EU"} }, kind: backends.FindingParameters, says: "digits"},
		"another dialect": {before: wants(sectigotest.Param{Name: "region", ValidationPattern: "^(?=E)EU$"}), change: func(c *sectigo.BackendConfig) { c.Params = map[string]string{"region": "EU"} }},
		"takes no value":  {change: func(c *sectigo.BackendConfig) { c.Params = map[string]string{"bogus": "x"} }, kind: backends.FindingParameters, stops: backends.StopAll, says: "bogus"},
		"no list":         {before: func(w world) { must(w.ca.Break(sectigotest.Fault{Endpoint: "batches", Kind: "status", Status: 403})) }, kind: backends.FindingOther, says: "waits for a person"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{})
			if test.before != nil {
				test.before(w)
			}
			b := w.backend(t, w.client, func(c *sectigo.BackendConfig) {
				if test.change != nil {
					test.change(c)
				}
			})
			s, err := b.Survey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.kind == "" && len(s.Findings) == 0 {
				return
			}
			if len(s.Findings) != 1 || s.Findings[0].Kind != test.kind || s.Findings[0].Stops != test.stops || !strings.Contains(s.Findings[0].Text, test.says) {
				t.Errorf("%+v", s.Findings)
			}
			if len(w.ca.Purchases()) != 0 {
				t.Error("a look bought something")
			}
		})
	}
}

// TestNoSuchPage: nobody knows whether the real service lists batches and shows
// profiles. A page for people with status 404 says no as much as an error of the
// service does, and everything else is seen.
func TestNoSuchPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	behind, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/api/v1/batches", strings.HasPrefix(path, "/api/v1/profiles"):
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(http.StatusNotFound)
			_, _ = rw.Write([]byte("<html><body>404 Not Found</body></html>"))
		default:
			proxy.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(front.Close)
	b := w.backend(t, w.connect(t, func(c *sectigo.Config) { c.URL = front.URL }))
	s, err := b.Survey(t.Context())
	if err != nil || s.Balance == nil || len(s.Facts) != 2 || !slices.Equal(s.Unseen, []string{"profile", "template", "parameters"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if len(s.Findings) != 1 || !strings.Contains(s.Findings[0].Text, "waits for a person") {
		t.Errorf("%+v", s.Findings)
	}
	r := w.request()
	if _, err := b.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.ca.Advance(time.Second)
	if _, found, err := b.Find(t.Context(), r); found || err == nil || !strings.Contains(err.Error(), "may be the one") {
		t.Errorf("%v, %v", found, err)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestSurveyFails: what cannot be seen at all is no finding, and a profile that
// could not be read is not taken for one that has changed.
func TestSurveyFails(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"login", "authorities", "balance", "params", "profiles", "profile", "batches"} {
		w := newWorld(t, sectigotest.Config{})
		w.breaks(t, sectigotest.Fault{Endpoint: endpoint, Kind: "status", Status: 500})
		if s, err := w.backend(t, w.client).Survey(t.Context()); err == nil {
			t.Errorf("%s: %+v", endpoint, s)
		}
	}
}

// TestSurveyDrift: an administrator re-synchronizes a template. What changes what
// is bought shows, what is for the eye does not, and rights that come and go are
// no change of the profile (SC-19).
func TestSurveyDrift(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*sectigotest.Profile)
		says   string
	}{
		"nothing":        {change: func(*sectigotest.Profile) {}},
		"words":          {change: func(p *sectigotest.Profile) { p.Params[0].Title, p.Params[0].Message = "another", "another" }},
		"required":       {change: func(p *sectigotest.Profile) { p.Params[0].Required = !p.Params[0].Required }, says: "parameters/"},
		"pattern":        {change: func(p *sectigotest.Profile) { p.Params[0].ValidationPattern = "^x$" }, says: "like ^x$"},
		"new parameter":  {change: func(p *sectigotest.Profile) { p.Params = append(p.Params, sectigotest.Param{Name: "x"}) }, says: "parameters/x is new"},
		"parameter gone": {change: func(p *sectigotest.Profile) { p.Params = p.Params[1:] }, says: "is gone"},
		"keys":           {change: func(p *sectigotest.Profile) { p.Keys = []string{"RSA"} }, says: "profile/algorithms"},
		"subject":        {change: func(p *sectigotest.Profile) { p.Subject = map[string]string{"O": "Other"} }, says: "template/subject"},
	} {
		w := newWorld(t, sectigotest.Config{})
		b := w.backend(t, w.client)
		before, err := b.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		must(w.ca.EditProfile(profile, test.change))
		after, err := b.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		drift := strings.Join(backends.Drift(before.Facts, after), "; ")
		if (drift == "") != (test.says == "") || !strings.Contains(drift, test.says) {
			t.Errorf("%s: %q", name, drift)
		}
	}

	w := newWorld(t, sectigotest.Config{})
	b := w.backend(t, w.client)
	all, err := b.Survey(t.Context())
	must(err)
	w.breaks(t, sectigotest.Fault{Endpoint: "profile", Kind: "status", Status: 403}, sectigotest.Fault{Endpoint: "params", Kind: "status", Status: 403})
	some, err := b.Survey(t.Context())
	must(err)
	slices.Sort(some.Unseen)
	if drift := backends.Drift(all.Facts, some); len(drift) != 0 || fmt.Sprint(some.Unseen) != "[parameters template]" {
		t.Errorf("%v, unseen %v", drift, some.Unseen)
	}
	if drift := backends.Drift(some.Facts, all); len(drift) != 0 {
		t.Errorf("seen for the first time: %v", drift)
	}
	if agreed := backends.Agree(all.Facts, some); len(agreed) != len(all.Facts) {
		t.Errorf("agreed on %v, had %v", agreed, all.Facts)
	}
}

// TestSurveyRequests: batches that bear our mark are seen, with what became of
// them, and others are not ours to look at.
func TestSurveyRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	b := w.backend(t, w.client)
	r := w.request()
	if _, err := b.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.uploads(t, "by-hand", newOrder(t, "by-hand.example"))
	w.ca.Next(sectigotest.Outcome{Kind: sectigotest.Rejected})
	w.uploads(t, "acme-unknown", newOrder(t, "unknown.example"))
	s, err := b.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Requests) != 2 || s.Requests[0].Key != r.Key || s.Requests[0].Over || s.Requests[1].Key != "unknown" || !s.Requests[1].Over || s.Requests[0].At.IsZero() {
		t.Errorf("%+v", s.Requests)
	}
}

// TestServersShareAnAccount: what another server has bought is that one's to take
// care of, what bears no mark is from before there were marks, and each server
// finds what it has bought under its earlier names too (SC-7).
func TestServersShareAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	as := func(mark string) *sectigo.Backend {
		return w.backend(t, w.client, func(c *sectigo.BackendConfig) { c.Server = mark })
	}
	bought := map[string]backends.Request{}
	for _, mark := range []string{"", "one", "two"} {
		bought[mark] = w.request()
		if _, err := as(mark).Submit(t.Context(), bought[mark]); err != nil {
			t.Fatal(err)
		}
	}
	whole := w.request()
	whole.Batch = whole.Key + "-1"
	if _, err := as("two").SubmitBatch(t.Context(), []backends.Request{whole}); err != nil {
		t.Fatal(err)
	}
	for mark, own := range map[string]backends.Request{"one": bought["one"], "two": bought["two"]} {
		b := as(mark)
		s, err := b.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for _, r := range s.Requests {
			keys[r.Key] = !r.Elsewhere
			if r.Elsewhere == (r.Key == own.Key || r.Key == bought[""].Key || r.Key == whole.Key && mark == "two") {
				t.Errorf("%s sees %+v", mark, r)
			}
			if (r.Key == whole.Key) != (r.Batch == whole.Batch) {
				t.Errorf("the batch of several: %+v", r)
			}
		}
		if len(keys) != 4 {
			t.Errorf("%s sees %v", mark, s.Requests)
		}
		// The address of a server may change, and what it bought is still its own.
		for _, r := range []backends.Request{bought[""], bought["one"], bought["two"], whole} {
			if ticket, found, err := b.Find(t.Context(), r); err != nil || !found || ticket == "" {
				t.Errorf("%s looks for what was bought: %v, %v", mark, found, err)
			}
		}
		if _, found, err := b.Find(t.Context(), w.request()); err != nil || found {
			t.Errorf("what nobody bought: %v, %v", found, err)
		}
	}
	for _, mark := range []string{"a.b", "a b", "thirteenchars"} {
		if _, err := sectigo.NewBackend(sectigo.BackendConfig{Client: w.client, ProfileID: profile, Roots: [][]byte{{}}, Server: mark}); err == nil || !strings.Contains(err.Error(), "mark") {
			t.Errorf("%q: %v", mark, err)
		}
	}
}

// TestFloorIsForRenewals: what is kept for renewals, renewals may have (SC-16).
func TestFloorIsForRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{Balance: 3})
	b := w.backend(t, w.client, func(c *sectigo.BackendConfig) { c.Floor = 2 })
	buy := func(renewal bool) error {
		r := w.request()
		r.Renewal = renewal
		_, err := b.Submit(t.Context(), r)
		return err
	}
	if err := buy(false); err != nil {
		t.Fatal(err)
	}
	if err := buy(false); !backends.IsNotSent(err) {
		t.Errorf("a new order below the floor: %v", err)
	}
	for range 2 {
		if err := buy(true); err != nil {
			t.Errorf("a renewal: %v", err)
		}
	}
	if err := buy(true); !backends.IsNotSent(err) {
		t.Errorf("a renewal with nothing left: %v", err)
	}
}

// TestProblems: what the CA says becomes the problem that a client can act on
// (7.6), and its own words stay with the operator (SC-18).
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcome sectigotest.Outcome
		fault   sectigotest.Fault
		want    acme.ProblemType
		cause   string
	}{
		"broken":           {outcome: sectigotest.Outcome{Kind: sectigotest.Broken}, want: acme.BadCSR, cause: "BROKEN"},
		"rejected":         {outcome: sectigotest.Outcome{Kind: sectigotest.Rejected, Reason: "the member has not paid."}, want: acme.Unauthorized, cause: "not paid"},
		"rejected, a host": {outcome: sectigotest.Outcome{Kind: sectigotest.Rejected, Reason: "a.example is not yours"}, want: acme.RejectedIdentifier, cause: "not yours"},
		"rejected, domain": {outcome: sectigotest.Outcome{Kind: sectigotest.Rejected, Reason: "Domain: unknown"}, want: acme.RejectedIdentifier, cause: "unknown"},
		"failed":           {outcome: sectigotest.Outcome{Kind: sectigotest.Failed}, want: acme.ServerInternal, cause: "FAILED"},
		"expired":          {outcome: sectigotest.Outcome{Kind: sectigotest.Expired}, want: acme.ServerInternal, cause: "EXPIRATION"},
		"revoked":          {outcome: sectigotest.Outcome{Kind: sectigotest.Revoked}, want: acme.ServerInternal, cause: "REVOKED"},
		"400":              {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 400, Message: "Malformed request"}, want: acme.Unauthorized, cause: "Malformed request"},
		"400 of the CSR":   {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 400, Message: "Parameter dNSName is invalid"}, want: acme.BadCSR, cause: "dNSName"},
		"400 of the key":   {fault: sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 400, Message: "Public key too small"}, want: acme.BadCSR, cause: "too small"},
	} {
		w := newWorld(t, sectigotest.Config{})
		b := w.backend(t, w.client)
		if test.outcome.Kind != "" {
			w.ca.Next(test.outcome)
		}
		if test.fault.Kind != "" {
			w.breaks(t, test.fault)
		}
		ticket, err := b.Submit(t.Context(), w.request())
		if err == nil {
			w.ca.Advance(time.Second)
			_, err = b.Poll(t.Context(), ticket)
		}
		detail, refused := backends.RefusalDetail(err)
		cause := backends.RefusalCause(err)
		if !refused || backends.RefusalType(err) != test.want || cause == nil || !strings.Contains(cause.Error(), test.cause) || strings.Contains(detail, test.cause) {
			t.Errorf("%s: %s, %q, %v", name, backends.RefusalType(err), detail, cause)
		}
	}
}
