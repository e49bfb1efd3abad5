package backendtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
)

func subject(t *testing.T, fault string, issuer bool) Subject {
	g := newRegistry(t)
	c := &client{registry: g, fault: fault}
	s := Subject{
		Backend: c,
		Settle:  func() { g.release(fault) },
		Reopen: func() backends.Backend {
			if fault == "forgets" {
				return &client{registry: newRegistry(t)}
			}
			return &client{registry: g, fault: fault}
		},
		Refuse: func() backends.Request {
			r := NewRequest(time.Now(), c.Traits())
			r.Contract.NotAfter = r.At.AddDate(4, 0, 0)
			return r
		},
		Bought: func() int {
			g.mu.Lock()
			defer g.mu.Unlock()
			return len(g.orders)
		},
		Misissue:    map[string]func(){"wrong key": g.misissues("wrong key"), "missing name": g.misissues("missing name"), "another's": g.misissues("another's")},
		Damage:      map[string]func(){"cut off": func() { g.mu.Lock(); g.damaged = true; g.mu.Unlock() }},
		Mend:        func() { g.mu.Lock(); g.damaged = false; g.mu.Unlock() },
		LoseReply:   func() { g.mu.Lock(); g.loseNext = true; g.mu.Unlock() },
		Unreachable: func() backends.Backend { return &client{registry: g, fault: fault, down: true} },
	}
	if issuer {
		s.Backend, s.LoseReply, s.Misissue = issuing{c}, nil, nil
		s.Reopen = nil
	}
	return s
}

// TestRun is also the proof that a backend can pass.
func TestRun(t *testing.T) {
	Run(t, func(t *testing.T) Subject { return subject(t, "", false) })
}

func TestRunIssuer(t *testing.T) {
	Run(t, func(t *testing.T) Subject { return subject(t, "", true) })
}

func mendingSubject(t *testing.T, fault string) Subject {
	s := subject(t, fault, false)
	c := s.Backend.(*client)
	s.Backend = mending{c}
	s.Reopen = func() backends.Backend { return mending{&client{registry: c.registry, fault: fault}} }
	s.MisissueTwice = map[string]func(){}
	for name, misissue := range s.Misissue {
		s.MisissueTwice[name] = func() { misissue(); c.mu.Lock(); c.misissueAgain = name; c.mu.Unlock() }
	}
	s.LoseReissue = func() { c.mu.Lock(); c.loseAgain = true; c.mu.Unlock() }
	s.Reissued = func() int { c.mu.Lock(); defer c.mu.Unlock(); return c.again }
	return s
}

func TestRunReissuer(t *testing.T) {
	Run(t, func(t *testing.T) Subject { return mendingSubject(t, "") })
}

// TestReissuerFaults does what TestFaults does for a backend that has things issued
// again.
func TestReissuerFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		"delivers the wrong one":                "what is issued again is another certificate, and found",
		"finds any reissue":                     "what is issued again is another certificate, and found",
		"finds nothing again":                   "what is issued again is another certificate, and found",
		"lost again is not sent":                "what is issued again is another certificate, and found",
		"delivers the wrong one, to the engine": "the engine has what is wrong issued again, and pays once",
		"buys what it issues again":             "the engine has what is wrong issued again, and pays once",
		"buys what it issues again, twice":      "the engine has it issued again once",
		"finds nothing again, after a loss":     "the engine loses the reply to that, and asks once",
		"lost again is not sent, after a loss":  "the engine loses the reply to that, and asks once",
		"finds nothing again, after a crash":    "the engine crashes at every commit of that, and asks once",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			fault, _, _ := strings.Cut(fault, ", ")
			if err := runNamed(t.Context(), t, want, mendingSubject(t, fault)); err == nil {
				t.Errorf("the check %q did not notice", want)
			} else if testing.Verbose() {
				t.Log(strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		})
	}
}

// TestFaults breaks one thing at a time and names the check that must notice.
func TestFaults(t *testing.T) {
	const granted = "a submitted request is granted as its contract says"
	for fault, want := range map[string]string{
		"traits change":          "traits do not change",
		"wrong key":              granted,
		"extra name":             granted,
		"missing name":           granted,
		"usage dropped":          granted,
		"no common name":         granted,
		"begins late":            granted,
		"leaf is a CA":           granted,
		"broken signature":       granted,
		"spoils the request":     granted,
		"long ticket":            granted,
		"own end":                "the end asked for is honoured as the traits say",
		"signs each time":        "polling again gives the same",
		"forgets":                "another instance polls the same",
		"any validity":           "no validity beyond the traits",
		"waits for the unknown":  "an unknown ticket is an error",
		"refuses when cancelled": "methods return when their context has ended",
		"serial repeated":        "many at once",
		"finds nothing":          "a lost request is found",
		"lost is not sent":       "a lost request is found",
		"finds anything":         "a request never sent is not found",
		"revokes once":           "revoking may be repeated",
		"window backwards":       "renewals are suggested for a time that comes",
		"window after the end":   "renewals are suggested for a time that comes",
		"advice only once":       "renewals are suggested for a time that comes",
		"own numbers":            "lists say what was revoked",
		"any list":               "lists say what was revoked",
		"lists all":              "lists say what was revoked",
		"unsorted list":          "lists say what was revoked",
		"reason said":            "lists say what was revoked",
		"next too late":          "lists say what was revoked",
		"always alarmed":         "a check of a healthy CA finds nothing",
		"refusal unsaid":         "a refusal is one",
		"unsure when down":       "not sent is said when nothing was sent",

		"impatient":           "a slow CA is waited for",
		"refuses the second":  "a request that comes twice",
		"forgets the first":   "a request that comes twice",
		"damage is a refusal": "what is delivered damaged is asked for again",
		"damage is handed on": "what is delivered damaged is asked for again",

		"buys two":                       "the engine gets what it orders, and pays once",
		"wrong key, ordered":             "the engine gets what it orders, and pays once",
		"finds nothing, after a crash":   "the engine crashes at every commit, and pays once",
		"finds nothing, after a loss":    "the engine loses a reply, and pays once",
		"lost is not sent, after a loss": "the engine loses a reply, and pays once",
		"wrong for ever":                 "the engine delivers nothing that was issued wrongly",
		"damage is a refusal, outlasted": "the engine outlasts what is delivered damaged",
		"damage is handed on, outlasted": "the engine outlasts what is delivered damaged",
		"refusal unsaid, to the engine":  "the engine ends what is refused",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			fault, _, _ := strings.Cut(fault, ", ")
			if err := runNamed(t.Context(), t, want, subject(t, fault, false)); err == nil {
				t.Errorf("the check %q did not notice", want)
			} else if testing.Verbose() {
				t.Log(strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		})
	}
	t.Run("issues anew", func(t *testing.T) {
		t.Parallel()
		if err := runNamed(t.Context(), t, "issuing is a function of the request", subject(t, "issues anew", true)); err == nil {
			t.Error("nobody noticed")
		}
	})
}

func runNamed(ctx context.Context, t *testing.T, name string, s Subject) error {
	t.Helper()
	for _, c := range checks {
		if c.name == name {
			return c.run(ctx, s.complete())
		}
	}
	t.Fatalf("there is no check %q", name)
	return nil
}
