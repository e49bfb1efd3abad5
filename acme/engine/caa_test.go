package engine_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/challenges"
)

// holders are the holders of domains and what their CAA records say: those of
// "forbidden..." let nobody issue, and the servers of "mute..." do not answer.
type holders struct {
	mu    sync.Mutex
	asked []challenges.CAARequest // guarded by mu
	panic bool
}

func (h *holders) Check(ctx context.Context, r challenges.CAARequest) acme.Outcome {
	h.mu.Lock()
	h.asked = append(h.asked, r)
	h.mu.Unlock()
	switch host, _, _ := strings.Cut(r.Name, "."); {
	case h.panic:
		panic("a bug in the checker")
	case host == "forbidden":
		return acme.Outcome{Problem: acme.Problemf(acme.CAA, "the records of %s forbid it", r.Name)}
	case host == "mute":
		<-ctx.Done()
		return acme.Outcome{Retry: true, Problem: acme.Problemf(acme.DNS, "CAA of %s: no answer", r.Name)}
	}
	return acme.Outcome{Valid: true}
}

// questions returns what was asked since the last call.
func (h *holders) questions() []challenges.CAARequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

// withCAA has the profile of the world ask the holders.
func (w *world) withCAA(h *holders) {
	w.profile.CAA, w.profile.IssuerDomainNames = true, []string{"ca.example"}
	before := w.change
	w.change = func(c *engine.Config) {
		c.CAA = h
		c.AccountURL = func(a acme.Account) string { return "https://acme.example/account/" + string(a.ID) }
		if before != nil {
			before(c)
		}
	}
}

// TestCAAOfTheRegistry: where the registry entitles to a name and nothing is
// proved, its holder is asked at finalize, and the answer is good for a while
// (R8555-7.4F-12).
func TestCAAOfTheRegistry(t *testing.T) {
	w, h := newWorld(t), &holders{}
	w.withCAA(h)
	w.profile.Authorization, w.profile.Challenges = acme.AuthorizeByRegistry, nil
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.memberAccount("m1")
		r.enrol("m1", "*")
		o := r.order(a, "a.example.org", "forbidden.example.org")
		if asked := h.questions(); asked != nil {
			t.Errorf("asked before anybody wanted a certificate: %v", asked)
		}
		csr := csrFor(t, newKey(t), "a.example.org", "forbidden.example.org")
		for range 2 {
			_, _, err := r.Finalize(t.Context(), a, o.ID, csr)
			p := problemOf(t, err, acme.CAA)
			if p.Status != 403 || len(p.Subproblems) != 1 || p.Subproblems[0].Identifier.Value != "forbidden.example.org" {
				t.Errorf("got %d %+v", p.Status, p)
			}
			r.wantStatus(a, o.ID, acme.OrderReady)
		}
		var names []string
		for _, q := range h.questions() {
			names = append(names, q.Name)
			if q.Method != "" || q.AccountURL != "https://acme.example/account/"+string(a.ID) || !slices.Equal(q.Identities, []string{"ca.example"}) {
				t.Errorf("asked with %+v", q)
			}
		}
		slices.Sort(names)
		if want := []string{"a.example.org", "forbidden.example.org", "forbidden.example.org"}; !slices.Equal(names, want) {
			t.Errorf("asked about %v, want %v", names, want)
		}
	})
}

// TestCAAOfReusedProofs: a proof that serves later orders brings the look at the
// CAA records with it, for eight hours; after that the records are looked at
// again, by the method of the proof, and that serves the next orders
// (R8659-BR-1).
func TestCAAOfReusedProofs(t *testing.T) {
	w, h := newWorld(t), &holders{}
	w.withCAA(h)
	w.backend = w.ca
	w.profile.ReuseAuthorizations, w.profile.AuthorizationLifetime = 30*24*time.Hour, 30*24*time.Hour
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		for i, tt := range []struct {
			after time.Duration
			asked int
		}{
			{0, 1}, // when it is proved
			{7 * time.Hour, 0},
			{2 * time.Hour, 1},
			{7 * time.Hour, 0},
			{2 * time.Hour, 1},
		} {
			time.Sleep(tt.after)
			o := r.order(a, "a.example.org")
			if i == 0 {
				if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
					t.Fatal(err)
				}
			}
			o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
			if err != nil || o.Status == acme.OrderInvalid {
				t.Fatalf("order %d is %s, %v", i, o.Status, err)
			}
			asked := h.questions()
			if len(asked) != tt.asked {
				t.Errorf("for order %d the holder was asked %d times, want %d", i, len(asked), tt.asked)
			}
			for _, q := range asked {
				if q.Method != acme.HTTP01 {
					t.Errorf("for order %d the method was %q", i, q.Method)
				}
			}
		}
	})
}

// TestCAAIsSlow: name servers that do not answer keep a finalize request no
// longer than clients wait, and further requests put no further questions.
func TestCAAIsSlow(t *testing.T) {
	w, h := newWorld(t), &holders{}
	w.withCAA(h)
	w.profile.Authorization, w.profile.Challenges = acme.AuthorizeByRegistry, nil
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.memberAccount("m1")
		r.enrol("m1", "*")
		o := r.order(a, "mute.example.org")
		csr := csrFor(t, newKey(t), "mute.example.org")
		begun := time.Now()
		var requests sync.WaitGroup
		requests.Go(func() {
			_, _, err := r.Finalize(t.Context(), a, o.ID, csr)
			if p := problemOf(t, err, acme.DNS); p.RetryAfter == 0 {
				t.Error("nothing says when to come back")
			}
		})
		synctest.Wait()
		for range 5 {
			_, _, err := r.Finalize(t.Context(), a, o.ID, csr)
			if p := problemOf(t, err, acme.RateLimited); p.RetryAfter == 0 {
				t.Error("nothing says when to come back")
			}
		}
		requests.Wait()
		if took := time.Since(begun); took != 8*time.Second {
			t.Errorf("the client had to wait for %v", took)
		}
		if asked := h.questions(); len(asked) != 1 {
			t.Errorf("asked %d times", len(asked))
		}
		r.wantStatus(a, o.ID, acme.OrderReady)
		// It can be tried again as soon as the first request is through.
		_, _, err := r.Finalize(t.Context(), a, o.ID, csr)
		wantProblem(t, err, acme.DNS)
	})
}

// TestCAAPanics: a bug in the checker is an outcome (SP-15).
func TestCAAPanics(t *testing.T) {
	w, h := newWorld(t), &holders{panic: true}
	w.withCAA(h)
	w.change = func(before func(*engine.Config)) func(*engine.Config) {
		return func(c *engine.Config) { before(c); c.Attempts = 1 }
	}(w.change)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.order(a, "a.example.org")
		authz, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01)
		if err != nil || authz.Status != acme.AuthorizationInvalid || authz.Challenges[0].Problem.Type != acme.ServerInternal {
			t.Errorf("got %+v, %v", authz, err)
		}
	})
}

// TestCAANeedsAChecker: a profile that wants what nobody does is refused.
func TestCAANeedsAChecker(t *testing.T) {
	w := newWorld(t)
	w.withCAA(&holders{})
	full := engine.Config{
		Store: w.store, Sealer: sealer{}, Holder: "h", CAA: &holders{},
		Profiles: map[acme.ProfileName]acme.Profile{},
	}
	for says, change := range map[string]func(*engine.Config, *acme.Profile){
		"a checker": func(c *engine.Config, _ *acme.Profile) { c.CAA = nil },
		"the names": func(_ *engine.Config, p *acme.Profile) { p.IssuerDomainNames = nil },
	} {
		c, p := full, w.profile
		c.Backends = map[string]backends.Backend{"ca": w.backend}
		c.Validators = []challenges.Validator{w.targets}
		change(&c, &p)
		c.Profiles = map[acme.ProfileName]acme.Profile{"tls": p}
		if _, err := engine.New(c); err == nil || !strings.Contains(err.Error(), "wants CAA") {
			t.Errorf("without %s: %v", says, err)
		}
	}
}
