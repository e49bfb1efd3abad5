package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

func (r *run) renewal(c acme.Certificate) acme.RenewalSuggestion {
	r.w.t.Helper()
	s, err := r.RenewalInfo(r.w.t.Context(), acme.CertID(c.AuthorityKeyID, c.Serial))
	if err != nil {
		r.w.t.Fatal(err)
	}
	return s
}

func (r *run) move(m engine.RenewalMove) engine.RenewalMoved {
	r.w.t.Helper()
	done, err := r.Operator().MoveRenewal(r.w.t.Context(), m)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return done
}

// due lists renewals through pages of one.
func (r *run) due(f engine.RenewalFilter) (all []engine.DueRenewal) {
	r.w.t.Helper()
	for p := (storage.Page{Limit: 1}); ; {
		due, next, err := r.Operator().Renewals(r.w.t.Context(), f, p)
		if err != nil {
			r.w.t.Fatal(err)
		}
		if len(due) > p.Limit {
			r.w.t.Errorf("a page of %d has %d", p.Limit, len(due))
		}
		all = append(all, due...)
		if p.After = next; next == "" {
			return all
		}
	}
}

// TestMoveRenewals: a decision about many certificates counts for all of them
// from one commit on, but not for those that replace them; the newest counts,
// and saying the same again changes nothing (R9773-4.2-1, R9773-4.2-2).
func TestMoveRenewals(t *testing.T) {
	w := newWorld(t)
	w.profile.Renewal.Explanation = "https://ca.example/renewals"
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		one, two := r.memberAccount("m1"), r.memberAccount("m2")
		a, b := r.issue(one, csrFor(t, newKey(t), "a.net"), "a.net"), r.issue(two, csrFor(t, newKey(t), "b.net"), "b.net")
		usual := r.renewal(a)
		if usual.Source != acme.RenewalUsual || usual.Explanation != "https://ca.example/renewals" || usual.Again != 6*time.Hour {
			t.Errorf("%+v", usual)
		}
		time.Sleep(time.Hour)

		soon := acme.Window{Start: time.Now().Add(time.Hour).UTC(), End: time.Now().Add(48 * time.Hour).UTC()}
		incident := engine.RenewalMove{Backend: "ca", Window: soon, Explanation: "https://ca.example/incident", Reason: "T-17"}
		done := r.move(incident)
		if !done.Changed || done.Certificates != 2 || done.Renewal.Window != soon || done.Renewal.Reason != "T-17" {
			t.Errorf("%+v", done)
		}
		want := acme.RenewalSuggestion{Window: soon, Explanation: "https://ca.example/incident", Source: acme.RenewalByOperator, Reason: "T-17", Again: 6 * time.Hour}
		for _, c := range []acme.Certificate{a, b} {
			if s := r.renewal(c); s != want {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		time.Sleep(time.Hour)
		// What is issued from now on is what the others were to be replaced by.
		fresh := r.issue(one, csrFor(t, newKey(t), "c.net"), "c.net")
		time.Sleep(time.Hour)
		if again := r.move(incident); again.Changed || again.Renewal != done.Renewal || again.Certificates != 2 {
			t.Errorf("said again: %+v, want %+v", again, done.Renewal)
		}
		if s := r.renewal(fresh); s.Source != acme.RenewalUsual {
			t.Errorf("issued after the decision: %+v", s)
		}

		// After a restart it is the same, and the newest decision counts.
		r.end()
		r = w.start()
		defer r.end()
		if s := r.renewal(b); s != want {
			t.Errorf("after a restart: %+v", s)
		}
		at := time.Now()
		if done := r.move(engine.RenewalMove{Member: "m1", AtOnce: true}); !done.Changed || done.Certificates != 2 {
			t.Errorf("%+v", done)
		}
		for _, c := range []acme.Certificate{a, fresh} {
			if s := r.renewal(c); s.Window != acme.RenewAtOnce(at) || s.Source != acme.RenewalByOperator {
				t.Errorf("at once: %+v", s)
			}
		}
		if s := r.renewal(b); s != want {
			t.Errorf("of another member: %+v", s)
		}
		time.Sleep(time.Hour)
		if done := r.move(engine.RenewalMove{Member: "m1", AtOnce: true}); done.Changed {
			t.Errorf("at once, said again: %+v", done)
		}
		late := acme.Window{Start: soon.Start.Add(240 * time.Hour), End: soon.End.Add(240 * time.Hour)}
		if done := r.move(engine.RenewalMove{Certificate: a.ID, Window: late}); !done.Changed || done.Certificates != 1 {
			t.Errorf("%+v", done)
		}
		if s := r.renewal(a); s.Window != late {
			t.Errorf("a certificate of its own: %+v", s)
		}
		if done := r.move(engine.RenewalMove{Certificate: a.ID, Window: late}); done.Changed {
			t.Errorf("a certificate, said again: %+v", done)
		}

		// Taken back one by one, what was below comes to light.
		for _, step := range []struct {
			lift engine.RenewalMove
			want acme.Window
		}{
			{engine.RenewalMove{Certificate: a.ID, Lift: true}, acme.RenewAtOnce(at)},
			{engine.RenewalMove{Member: "m1", Lift: true}, soon},
			{engine.RenewalMove{Backend: "ca", Lift: true}, usual.Window},
		} {
			if done := r.move(step.lift); !done.Changed || done.Certificates != 0 {
				t.Errorf("%+v", done)
			}
			if s := r.renewal(a); s.Window != step.want {
				t.Errorf("after %+v: %+v, want %v", step.lift, s, step.want)
			}
			if done := r.move(step.lift); done.Changed {
				t.Errorf("lifted twice: %+v", done)
			}
		}

		// A later round reaches what the first one let through.
		r.move(engine.RenewalMove{Profile: "tls", AtOnce: true, IssuedBefore: fresh.IssuedAt.Add(time.Second)})
		if s := r.renewal(fresh); s.Source != acme.RenewalByOperator {
			t.Errorf("a second round: %+v", s)
		}
	})
}

func TestMoveRenewalRefuses(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.enrol("m1")
		window := acme.Window{Start: time.Now().Add(time.Hour), End: time.Now().Add(2 * time.Hour)}
		for words, m := range map[string]engine.RenewalMove{
			"name one":                {Window: window},
			"name one certificate":    {Profile: "tls", Backend: "ca", Window: window},
			"give a window":           {Profile: "tls"},
			"or ask for renewal":      {Profile: "tls", AtOnce: true, Lift: true},
			"end after":               {Profile: "tls", Window: acme.Window{Start: window.End, End: window.Start}},
			"absolute":                {Profile: "tls", AtOnce: true, Explanation: "/incident"},
			"certificate x":           {Certificate: "x", AtOnce: true},
			"member m2":               {Member: "m2", AtOnce: true},
			"profile tsl":             {Profile: "tsl", AtOnce: true},
			"backend cb: there is no": {Backend: "cb", AtOnce: true},
		} {
			done, err := r.Operator().MoveRenewal(t.Context(), m)
			if err == nil || !strings.Contains(err.Error(), words) || done != (engine.RenewalMoved{}) {
				t.Errorf("%+v: %+v, %v", m, done, err)
			}
		}
		// A client that waits for a window after the end lets the certificate expire.
		cert := r.certificate(r.account(), "a.net")
		time.Sleep(time.Second)
		late := acme.Window{Start: cert.NotAfter.Add(-time.Hour), End: cert.NotAfter.Add(time.Second)}
		if _, err := r.Operator().MoveRenewal(t.Context(), engine.RenewalMove{Certificate: cert.ID, Window: late}); err == nil || !strings.Contains(err.Error(), "choose one that ends earlier") {
			t.Errorf("a window that ends after the certificate: %v", err)
		}
		before := r.renewal(cert)
		late.Start = cert.NotAfter
		if done := r.move(engine.RenewalMove{Profile: "tls", Window: late}); !done.Changed || done.Certificates != 0 || done.TooShort != 1 || r.renewal(cert) != before {
			t.Errorf("a window after the end, for all: %+v, and the certificate has %+v", done, r.renewal(cert))
		}
		late.Start = cert.NotAfter.Add(-time.Second)
		if done := r.move(engine.RenewalMove{Profile: "tls", Window: late}); done.Certificates != 1 || done.TooShort != 0 || !r.renewal(cert).Window.End.Equal(cert.NotAfter) {
			t.Errorf("a window around the end, for all: %+v, and the certificate has %+v", done, r.renewal(cert))
		}
		if done := r.move(engine.RenewalMove{Member: "m1", AtOnce: true}); !done.Changed || done.Certificates != 0 {
			t.Errorf("a member without certificates: %+v", done)
		}
	})
}

// TestMoveRenewalLostBackend: the certificates of a CA that nobody uses any
// more are the ones to be replaced in a hurry.
func TestMoveRenewalLostBackend(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		cert := r.issue(r.account(), csrFor(t, newKey(t), "a.net"), "a.net")
		r.end()
		w.change = func(c *engine.Config) {
			c.Backends["other"] = c.Backends["ca"]
			delete(c.Backends, "ca")
			p := c.Profiles["tls"]
			p.Name, p.Backend = "new", "other"
			c.Profiles = map[acme.ProfileName]acme.Profile{"new": p}
			for i := range c.Directories {
				c.Directories[i].Profiles = []acme.ProfileName{"new"}
			}
		}
		r = w.start()
		defer r.end()
		time.Sleep(time.Second)
		for _, m := range []engine.RenewalMove{{Backend: "ca", AtOnce: true}, {Profile: "tls", AtOnce: true}} {
			if done := r.move(m); done.Certificates != 1 {
				t.Errorf("%+v: %+v", m, done)
			}
		}
		if s := r.renewal(cert); s.Source != acme.RenewalByOperator {
			t.Errorf("%+v", s)
		}
	})
}

// TestMoveRenewalCrash: an operator who asks until there is an answer has
// decided once, whenever the server died (SS-16).
func TestMoveRenewalCrash(t *testing.T) {
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprintf("applied %t", applied), func(t *testing.T) {
			w := newWorld(t)
			memory := w.store
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				cert := r.issue(r.account(), csrFor(t, newKey(t), "a.net"), "a.net")
				r.end()
				time.Sleep(time.Minute)
				store := &crashStore{Store: memory, at: 2, applied: applied}
				w.store = store
				r = w.start()
				synctest.Wait() // it has scheduled its publications, and nothing else is due
				first := time.Now()
				m := engine.RenewalMove{Backend: "ca", AtOnce: true, Reason: "T-17"}
				if _, err := r.Operator().MoveRenewal(t.Context(), m); !errors.Is(err, storage.ErrUnknown) {
					t.Errorf("the store died, and the answer is %v", err)
				}
				if !checkEnd(t, r, store) {
					t.Fatal("nothing died")
				}
				w.store = memory
				r = w.start()
				defer r.end()
				time.Sleep(time.Hour)
				if done := r.move(m); done.Changed == applied || done.Certificates != 1 {
					t.Errorf("%+v", done)
				}
				want := acme.RenewAtOnce(time.Now())
				if applied {
					want = acme.RenewAtOnce(first)
				}
				if s := r.renewal(cert); s.Window != want {
					t.Errorf("%+v, want %v", s, want)
				}
			})
		})
	}
}

// TestRenewals: what is due, by whom, and what is not any more.
func TestRenewals(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		one, two := r.memberAccount("m1"), r.memberAccount("m2")
		var certs []acme.Certificate
		for i, a := range []acme.Account{one, two, one} {
			name := fmt.Sprintf("n%d.net", i)
			certs = append(certs, r.issue(a, csrFor(t, newKey(t), name), name))
			time.Sleep(24 * time.Hour)
		}
		names := func(f engine.RenewalFilter) string {
			var all []string
			for _, d := range r.due(f) {
				all = append(all, d.Certificate.Identifiers[0].Value+" "+string(d.Suggestion.Source))
			}
			return strings.Join(all, ", ")
		}
		check := func(f engine.RenewalFilter, want string) {
			t.Helper()
			if got := names(f); got != want {
				t.Errorf("%+v: %q, want %q", f, got, want)
			}
		}
		check(engine.RenewalFilter{}, "")
		inTwoMonths := certs[1].IssuedAt.Add(60 * 24 * time.Hour)
		check(engine.RenewalFilter{DueBefore: inTwoMonths}, "n0.net usual, n1.net usual")
		check(engine.RenewalFilter{DueBefore: inTwoMonths, Member: "m1"}, "n0.net usual")
		check(engine.RenewalFilter{DueBefore: inTwoMonths, Profile: "tls", Backend: "ca"}, "n0.net usual, n1.net usual")
		check(engine.RenewalFilter{DueBefore: inTwoMonths, Profile: "other"}, "")
		check(engine.RenewalFilter{DueBefore: inTwoMonths, Backend: "other"}, "")
		r.move(engine.RenewalMove{Certificate: certs[2].ID, AtOnce: true})
		check(engine.RenewalFilter{}, "n2.net operator")

		// Ordered again is not renewed yet.
		request := engine.OrderRequest{Identifiers: dns("n2.net"), Replaces: acme.CertID(certs[2].AuthorityKeyID, certs[2].Serial)}
		o, err := r.NewOrder(t.Context(), one, request)
		if err != nil {
			t.Fatal(err)
		}
		check(engine.RenewalFilter{Member: "m1"}, "n2.net operator")
		if _, _, err := r.Respond(t.Context(), one, o.Authorizations[0], acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		if o, _, err = r.Finalize(t.Context(), one, o.ID, csrFor(t, newKey(t), "n2.net")); err != nil || o.Status != acme.OrderValid {
			t.Fatal(o.Status, err)
		}
		check(engine.RenewalFilter{}, "")
		time.Sleep(200 * 24 * time.Hour)
		check(engine.RenewalFilter{Member: "m1"}, "") // expired
		check(engine.RenewalFilter{}, "")
	})
}

// TestRenewalDecisions: what stands can be listed, also by who comes later, and
// there is a bound to it.
func TestRenewalDecisions(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		decided := func() string {
			t.Helper()
			all, err := r.Operator().RenewalDecisions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, d := range all {
				text = append(text, fmt.Sprintf("%s|%s|%s %s", d.Member, d.Profile, d.Backend, d.Renewal.Reason))
			}
			return strings.Join(text, ", ")
		}
		check := func(want string) {
			t.Helper()
			if got := decided(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		r.enrol("renewal/profile/m1")
		check("")
		r.move(engine.RenewalMove{Profile: "tls", AtOnce: true, Reason: "one"})
		r.move(engine.RenewalMove{Member: "renewal/profile/m1", AtOnce: true, Reason: "two"})
		r.move(engine.RenewalMove{Backend: "ca", AtOnce: true, Reason: "three"})
		check("||ca three, renewal/profile/m1|| two, |tls| one")
		r.move(engine.RenewalMove{Profile: "tls", AtOnce: true, Reason: "four"})
		r.move(engine.RenewalMove{Backend: "ca", Lift: true})
		check("renewal/profile/m1|| two, |tls| four")
		r.end()
		r = w.start()
		defer r.end()
		check("renewal/profile/m1|| two, |tls| four")

		// As after so many moves, in the form in which the list is stored.
		var full struct {
			Names []string `cbor:"1,keyasint"`
		}
		for n := range 4999 {
			full.Names = append(full.Names, fmt.Sprintf("renewal/member/x%04d", n))
		}
		full.Names = append(full.Names, "renewal/profile/tls")
		if err := w.store.Update(t.Context(), func(tx storage.Tx) error {
			b, err := storage.Encode(full)
			if err != nil {
				return err
			}
			return tx.Meta().Put("renewal/decided", b)
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Operator().MoveRenewal(t.Context(), engine.RenewalMove{Backend: "ca", AtOnce: true}); err == nil || !strings.Contains(err.Error(), "5000 decisions") {
			t.Errorf("one too many: %v", err)
		}
		if done := r.move(engine.RenewalMove{Profile: "tls", AtOnce: true, Reason: "five"}); !done.Changed {
			t.Errorf("one that is on the list: %+v", done)
		}
		r.move(engine.RenewalMove{Profile: "tls", Lift: true})
		if done := r.move(engine.RenewalMove{Backend: "ca", AtOnce: true}); !done.Changed {
			t.Errorf("after one was taken back: %+v", done)
		}
	})
}
