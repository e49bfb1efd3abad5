package globalsign_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/globalsign"
	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/internal/standin"
)

// TestSurvey: what a look finds, and what it stops. None of it buys anything.
func TestSurvey(t *testing.T) {
	t.Parallel()
	both := [][]acme.Usage{{acme.ServerAuth, acme.ClientAuth}}
	_, foreign := newWorld(t, globalsigntest.Config{}).ca.Roots()
	for name, test := range map[string]struct {
		cfg    globalsigntest.Config
		before func(*testing.T, world)
		change func(*globalsign.BackendConfig)
		kind   backends.FindingKind // none when empty
		stops  backends.Stop
		says   string
	}{
		"nothing":      {change: func(c *globalsign.BackendConfig) { c.Usages, c.Domains = both, []string{"example.org"} }},
		"nothing left": {before: func(_ *testing.T, w world) { w.ca.SetQuota(0) }, kind: backends.FindingBalance, stops: backends.StopAll, says: "have its quota raised"},
		"the floor":    {cfg: globalsigntest.Config{Quota: 5}, change: func(c *globalsign.BackendConfig) { c.Floor = 5 }, kind: backends.FindingBalance, stops: backends.StopNew, says: "kept for renewals"},
		"a low quota":  {cfg: globalsigntest.Config{Quota: 7}, change: func(c *globalsign.BackendConfig) { c.Floor, c.Low = 5, 10 }, kind: backends.FindingBalance, says: "7 left"},
		"not counted": {before: func(t *testing.T, w world) {
			w.breaks(t, standin.Fault{Endpoint: "quota", Kind: "status", Status: 403})
		}},
		"for servers alone": {cfg: globalsigntest.Config{ServerOnly: true}, change: func(c *globalsign.BackendConfig) { c.Usages = both }, kind: backends.FindingProfile, says: "for clientAuth"},
		"keys to be proved": {cfg: globalsigntest.Config{BareKeys: true, Possession: true}, kind: backends.FindingProfile, stops: backends.StopAll, says: "proof of possession"},
		"another root":      {change: func(c *globalsign.BackendConfig) { c.Roots = [][]byte{foreign} }, kind: backends.FindingProfile, stops: backends.StopAll, says: "add its root"},
		"a proof is over soon": {
			before: func(_ *testing.T, w world) { w.ca.SetDomain("example.org", begin.AddDate(0, 0, 10)) },
			change: func(c *globalsign.BackendConfig) { c.Domains = []string{"example.org"} },
			kind:   backends.FindingOther, says: "verify it in Atlas",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			if test.before != nil {
				test.before(t, w)
			}
			b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) {
				if test.change != nil {
					test.change(c)
				}
			})
			s, err := b.Survey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Subject != w.url || len(s.Facts) < 10 {
				t.Errorf("of %q: %v", s.Subject, s.Facts)
			}
			if counted := name != "not counted"; (s.Balance != nil) != counted {
				t.Errorf("the quota: %v", s.Balance)
			}
			if n := w.ca.Count("purchase"); n != 0 {
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

// TestSurveyFails: what cannot be seen is no finding, and a login that is refused is
// not tried again by the next look (SC-13).
func TestSurveyFails(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"login", "policy", "claims", "quota", "chain"} {
		w := newWorld(t, globalsigntest.Config{})
		w.breaks(t, standin.Fault{Endpoint: endpoint, Kind: "status", Status: 500})
		if s, err := w.backend(t, w.client(t)).Survey(t.Context()); err == nil {
			t.Errorf("%s: %+v", endpoint, s)
		}
	}
	w := newWorld(t, globalsigntest.Config{Secret: "another"})
	b := w.backend(t, w.client(t))
	for range 3 {
		if _, err := b.Survey(t.Context()); !errors.Is(err, backends.ErrCredentials) || strings.Contains(err.Error(), apiSecret) {
			t.Errorf("a refused login: %v", err)
		}
	}
	if n := w.ca.Count("login"); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// TestSurveyDrift: GlobalSign edits the policy of the account (SC-19).
func TestSurveyDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{})
	b := w.backend(t, w.client(t))
	survey := func() backends.Survey {
		t.Helper()
		s, err := b.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	agreed := survey()
	w.ca.Advance(time.Hour)
	w.ca.SetQuota(500)
	if drift := backends.Drift(agreed.Facts, survey()); len(drift) != 0 {
		t.Errorf("the same policy: %v", drift)
	}
	w.ca.SetServerOnly(true)
	drift := backends.Drift(agreed.Facts, survey())
	if len(drift) != 1 || !strings.Contains(drift[0], "policy/extended_key_usages.ekus was") || !strings.Contains(drift[0], "1.3.6.1.5.5.7.3.2") {
		t.Errorf("clientAuth is gone: %q", drift)
	}
}

// TestFloorIsForRenewals: what is kept for renewals, renewals may have (SC-16).
func TestFloorIsForRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{Quota: 3})
	b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) { c.Floor = 2 })
	buy := func(renewal bool) error {
		r := w.request()
		r.Renewal = renewal
		return submitError(t, b, r)
	}
	if err := buy(false); err != nil {
		t.Fatal(err)
	}
	if err := buy(false); !backends.IsNotSent(err) || !errors.Is(err, backends.ErrExhausted) {
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
