package godaddy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/internal/standin"
)

// TestSurvey: what a look finds, and what it stops. None of it buys anything.
func TestSurvey(t *testing.T) {
	t.Parallel()
	_, foreign := newWorld(t, godaddytest.Config{}).ca.Roots()
	sold := func(t *testing.T, w world) { t.Helper(); w.sold(t, w.request(t)) }
	ordered := func(kind godaddytest.Kind, age time.Duration) func(*testing.T, world) {
		return func(t *testing.T, w world) {
			t.Helper()
			w.ca.Next(godaddytest.Outcome{Kind: kind})
			if _, err := w.backend(t, w.client(t)).Submit(t.Context(), w.request(t)); err != nil {
				t.Fatal(err)
			}
			w.ca.Advance(age)
		}
	}
	broken := func(f standin.Fault) func(*testing.T, world) {
		return func(t *testing.T, w world) { t.Helper(); w.breaks(t, f) }
	}
	from := func(at time.Time) func(*godaddy.BackendConfig) {
		return func(c *godaddy.BackendConfig) { c.ServerOnlyFrom = at }
	}
	for name, test := range map[string]struct {
		cfg    godaddytest.Config
		before func(*testing.T, world)
		change func(*godaddy.BackendConfig)
		kind   backends.FindingKind // none when empty
		stops  backends.Stop
		says   string
	}{
		"an account without orders":  {},
		"a certificate as it should": {before: sold},
		"waits for a day":            {before: ordered(godaddytest.Stuck, 24*time.Hour)},
		"waits for a week":           {before: ordered(godaddytest.Stuck, 7*24*time.Hour), kind: backends.FindingOther, says: "PENDING_ISSUANCE since 2026-04-01"},
		"a strange word":             {before: ordered(godaddytest.Strange, 0), kind: backends.FindingOther, says: "AWAITING_MOONRISE"},
		"no right to list":           {before: broken(standin.Fault{Endpoint: "list", Kind: "status", Status: 403}), kind: backends.FindingOther, says: "waits for a person"},
		"another account's number":   {change: func(c *godaddy.BackendConfig) { c.Shopper = 7 }, kind: backends.FindingProfile, stops: backends.StopAll, says: "correct shopper_id"},
		"another root":               {before: sold, change: func(c *godaddy.BackendConfig) { c.Roots = [][]byte{foreign} }, kind: backends.FindingProfile, says: "add its root"},
		"another product's root":     {before: sold, change: func(c *godaddy.BackendConfig) { c.Roots, c.Product = [][]byte{foreign}, "DV_SSL" }},
		"for servers alone, as said": {cfg: godaddytest.Config{ServerOnlyFrom: begin.AddDate(0, -2, 0)}, before: sold, change: from(begin.AddDate(0, -2, 0))},
		"for servers alone already":  {cfg: godaddytest.Config{ServerOnlyFrom: begin}, before: sold, change: from(begin.AddDate(0, 2, 0)), kind: backends.FindingProfile, says: "is for server_auth, and server_only_from"},
		"for both, still":            {before: sold, change: from(begin.AddDate(0, -2, 0)), kind: backends.FindingProfile, says: "is for client_auth and server_auth"},
		"around the day":             {before: sold, change: from(begin.AddDate(0, 0, -3))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			if test.before != nil {
				test.before(t, w)
			}
			bought := w.ca.Count("purchase")
			b := w.backend(t, w.client(t), func(c *godaddy.BackendConfig) {
				if test.change != nil {
					test.change(c)
				}
			})
			s, err := b.Survey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n := w.ca.Count("purchase") - bought; n != 0 {
				t.Errorf("a look bought %d", n)
			}
			if test.kind == "" && len(s.Findings) == 0 {
				return
			}
			if len(s.Findings) != 1 || s.Findings[0].Kind != test.kind || s.Findings[0].Stops != test.stops || !strings.Contains(s.Findings[0].Text, test.says) {
				t.Errorf("%+v", s.Findings)
			}
		})
	}
}

// TestSurveyFails: what cannot be seen is no finding, and a key that is refused is
// not tried again by the next look (SC-13).
func TestSurveyFails(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"shopper", "list", "download"} {
		w := newWorld(t, godaddytest.Config{})
		w.sold(t, w.request(t))
		w.breaks(t, standin.Fault{Endpoint: endpoint, Kind: "status", Status: 500})
		if s, err := w.backend(t, w.client(t)).Survey(t.Context()); err == nil {
			t.Errorf("%s: %+v", endpoint, s)
		}
	}
	w := newWorld(t, godaddytest.Config{Secret: "another"})
	b := w.backend(t, w.client(t))
	for range 3 {
		if _, err := b.Survey(t.Context()); !errors.Is(err, backends.ErrCredentials) || strings.Contains(err.Error(), apiSecret) {
			t.Errorf("a refused key: %v", err)
		}
	}
	if n := w.ca.Count("shopper"); n != 1 {
		t.Errorf("%d tries", n)
	}
}

// TestSurveyOfTheProduct: a certificate of another product shows nothing of this one.
// Where the list does not say which is which, each is asked for by itself, and one
// that does not say so either is no source of facts (SC-19).
func TestSurveyOfTheProduct(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg   godaddytest.Config
		facts int
		asks  int
	}{
		"the list says it":  {cfg: godaddytest.Config{}, facts: 2},
		"each one says it":  {cfg: godaddytest.Config{HideProduct: true}, facts: 2, asks: 2},
		"nothing ever does": {cfg: godaddytest.Config{HideProducts: true}, asks: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			b := w.backend(t, w.client(t))
			w.sold(t, w.request(t))
			before, err := b.Survey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// What signs code has other usages.
			w.ca.Advance(time.Hour)
			w.ca.SetServerOnlyFrom(begin)
			r := w.request(t)
			if _, err := w.ca.Sold(r.CSR, "OV_CS", r.Contract.CommonName); err != nil {
				t.Fatal(err)
			}
			asked := w.ca.Count("info")
			s, err := b.Survey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if drift := backends.Drift(before.Facts, s); len(s.Findings) != 0 || len(drift) != 0 || len(s.Facts) != test.facts {
				t.Errorf("%+v, and changed is %q", s, drift)
			}
			if n := w.ca.Count("info") - asked; n != test.asks {
				t.Errorf("%d were asked for their product", n)
			}
		})
	}
	// However many do not say it, a look asks only a few.
	w := newWorld(t, godaddytest.Config{HideProducts: true})
	for range 8 {
		w.sold(t, w.request(t))
	}
	if s, err := w.backend(t, w.client(t)).Survey(t.Context()); err != nil || len(s.Facts) != 0 || w.ca.Count("info") > 5 {
		t.Errorf("%+v, %v after %d", s, err, w.ca.Count("info"))
	}
}

// TestSurveyDrift: nobody announces that certificates lose a usage, but the newest
// one shows it (SC-19). That they do so on the configured day is no drift.
func TestSurveyDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, godaddytest.Config{})
	day := begin.AddDate(0, 1, 0)
	b := w.backend(t, w.client(t), func(c *godaddy.BackendConfig) { c.ServerOnlyFrom = day })
	survey := func() backends.Survey {
		t.Helper()
		s, err := b.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	nothing := survey()
	w.sold(t, w.request(t))
	agreed := survey()
	if drift := backends.Drift(nothing.Facts, agreed); len(drift) != 0 || len(agreed.Facts) != 2 {
		t.Errorf("the first certificate: %v, %v", drift, agreed.Facts)
	}
	w.ca.SetServerOnlyFrom(begin)
	w.ca.Advance(time.Hour)
	w.sold(t, w.request(t))
	if drift := backends.Drift(agreed.Facts, survey()); len(drift) != 1 || !strings.Contains(drift[0], "issued/usages") {
		t.Errorf("a usage is gone: %q", drift)
	}
	w.ca.Advance(60 * 24 * time.Hour)
	w.sold(t, w.request(t))
	if drift := backends.Drift(agreed.Facts, survey()); len(drift) != 0 {
		t.Errorf("on the day: %q", drift)
	}
}
