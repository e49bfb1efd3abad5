package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// advisingCA is a fakeCA that says when to renew. What it says holds for all
// of its certificates.
type advisingCA struct {
	searchable

	says   sync.Mutex
	info   backends.RenewalInfo // guarded by says, like all below
	broken error
	panics bool
	takes  time.Duration
	asked  []acme.CertificateID
	most   int // asked at the same time
	now    int
}

func (f *advisingCA) RenewalInfo(ctx context.Context, c acme.Certificate) (backends.RenewalInfo, error) {
	f.says.Lock()
	f.asked = append(f.asked, c.ID)
	f.now++
	f.most = max(f.most, f.now)
	takes := f.takes
	f.says.Unlock()
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	f.says.Lock()
	defer f.says.Unlock()
	f.now--
	if f.panics {
		panic("a bug in a backend")
	}
	if err := ctx.Err(); err != nil {
		return backends.RenewalInfo{}, err
	}
	return f.info, f.broken
}

func (f *advisingCA) say(change func(*advisingCA)) {
	f.says.Lock()
	defer f.says.Unlock()
	change(f)
}

func (f *advisingCA) questions() int {
	f.says.Lock()
	defer f.says.Unlock()
	return len(f.asked)
}

func newAdvisedWorld(t *testing.T) (*world, *advisingCA) {
	w := newWorld(t)
	ca := &advisingCA{searchable: searchable{w.fake}}
	w.backend = ca
	return w, ca
}

// TestAdvice: what a CA says is answered from the record, however slow, broken
// or mistaken the CA is, and it is asked as rarely as it wants (R9773-4.2-1,
// R9773-4.3-1).
func TestAdvice(t *testing.T) {
	w, ca := newAdvisedWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		cert := r.issue(r.account(), csrFor(t, newKey(t), "a.net"), "a.net")
		window := acme.Window{Start: cert.NotBefore.Add(10 * 24 * time.Hour), End: cert.NotBefore.Add(11 * 24 * time.Hour)}
		ca.say(func(ca *advisingCA) {
			ca.takes = 20 * time.Second
			ca.info = backends.RenewalInfo{Window: window, Explanation: "https://ca.example/why", After: 2 * time.Hour}
		})

		asked := time.Now()
		first := r.renewal(cert)
		if first.Source != acme.RenewalUsual || first.Again != 5*time.Minute || !time.Now().Equal(asked) {
			t.Errorf("while the CA is asked: %+v, after %s", first, time.Since(asked))
		}
		for range 10 { // while the first question is open
			r.renewal(cert)
		}
		time.Sleep(time.Minute)
		want := acme.RenewalSuggestion{Window: window, Explanation: "https://ca.example/why", Source: acme.RenewalByBackend, Again: 6 * time.Hour}
		if s := r.renewal(cert); s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
		if n := ca.questions(); n != 1 {
			t.Errorf("the CA was asked %d times", n)
		}

		// It is kept over a restart, and for as long as the CA said.
		r.end()
		r = w.start()
		defer r.end()
		time.Sleep(2*time.Hour - 2*time.Minute)
		if s := r.renewal(cert); s != want || ca.questions() != 1 {
			t.Errorf("%+v after %d questions", s, ca.questions())
		}
		time.Sleep(3 * time.Minute)
		for what, change := range map[string]func(*advisingCA){
			"broken":             func(ca *advisingCA) { ca.broken = errBroken },
			"panics":             func(ca *advisingCA) { ca.panics = true },
			"takes for ever":     func(ca *advisingCA) { ca.takes = time.Hour },
			"fails with no wish": func(ca *advisingCA) { ca.broken, ca.info.After = errBroken, 0 },
		} {
			before := ca.questions()
			ca.say(change)
			r.renewal(cert)
			time.Sleep(2 * time.Minute)
			if s := r.renewal(cert); s != want || ca.questions() != before+1 {
				t.Errorf("%s: %+v after %d questions", what, s, ca.questions()-before)
			}
			ca.say(func(ca *advisingCA) { ca.broken, ca.panics, ca.takes = nil, false, 0 })
			time.Sleep(time.Hour)
		}

		// Nonsense is not passed on, and the wish to be asked all the time is not
		// granted.
		ca.say(func(ca *advisingCA) {
			ca.info = backends.RenewalInfo{Window: acme.Window{Start: window.End, End: window.Start}, Explanation: "javascript:alert(1)", After: time.Second}
		})
		before := ca.questions()
		for range 50 {
			r.renewal(cert)
			time.Sleep(time.Minute)
		}
		if s := r.renewal(cert); s.Source != acme.RenewalUsual || s.Explanation != "" || s.Window != first.Window {
			t.Errorf("nonsense: %+v", s)
		}
		if n := ca.questions() - before; n != 1 {
			t.Errorf("asked %d times within the hour", n)
		}

		// Nobody asks about what is over.
		time.Sleep(24 * time.Hour)
		if err := r.Operator().RevokeCertificate(t.Context(), cert.ID, acme.Superseded); err != nil {
			t.Fatal(err)
		}
		before = ca.questions()
		if s := r.renewal(cert); s.Source != acme.RenewalByRevocation || s.Again != 6*time.Hour {
			t.Errorf("revoked: %+v", s)
		}
		time.Sleep(time.Minute)
		if n := ca.questions() - before; n != 0 {
			t.Errorf("asked %d times about a revoked certificate", n)
		}
	})
}

// TestAdviceManyAtOnce: a crowd of questions is no crowd at the CA, stands in
// front of no order, and a stop does not wait for it.
func TestAdviceManyAtOnce(t *testing.T) {
	w, ca := newAdvisedWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		var certs []acme.Certificate
		for n := range 8 {
			name := fmt.Sprintf("n%d.net", n)
			certs = append(certs, r.issue(a, csrFor(t, newKey(t), name), name))
		}
		ca.say(func(ca *advisingCA) { ca.takes = 10 * time.Second })
		for range 3 {
			for _, c := range certs {
				r.renewal(c)
			}
		}
		begun := time.Now()
		r.issue(a, csrFor(t, newKey(t), "urgent.net"), "urgent.net")
		if d := time.Since(begun); d > 10*time.Second {
			t.Errorf("an order waited for advice: %s", d)
		}
		time.Sleep(5 * time.Minute)
		if n := ca.questions(); n != len(certs) || ca.most != 1 {
			t.Errorf("%d questions about %d certificates, %d at a time", n, len(certs), ca.most)
		}
	})
}

// TestAdviceCrash: what a crash loses is asked for again with the next question
// (SS-16).
func TestAdviceCrash(t *testing.T) {
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprintf("applied %t", applied), func(t *testing.T) {
			w, ca := newAdvisedWorld(t)
			memory := w.store
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				cert := r.issue(r.account(), csrFor(t, newKey(t), "a.net"), "a.net")
				r.end()
				window := acme.Window{Start: cert.NotBefore.Add(10 * 24 * time.Hour), End: cert.NotBefore.Add(11 * 24 * time.Hour)}
				ca.say(func(ca *advisingCA) { ca.info.Window = window })
				store := &crashStore{Store: memory, at: 2, applied: applied}
				w.store = store
				r = w.start()
				synctest.Wait()
				r.renewal(cert)
				time.Sleep(time.Minute)
				if !checkEnd(t, r, store) {
					t.Fatal("nothing died")
				}
				w.store = memory
				r = w.start()
				defer r.end()
				r.renewal(cert)
				time.Sleep(time.Minute)
				if s := r.renewal(cert); s.Window != window || s.Source != acme.RenewalByBackend {
					t.Errorf("%+v", s)
				}
				if n, want := ca.questions(), map[bool]int{false: 2, true: 1}[applied]; n != want {
					t.Errorf("asked %d times, want %d", n, want)
				}
			})
		})
	}
}

// TestAdviceOffline: a command over the data asks no CA.
func TestAdviceOffline(t *testing.T) {
	w, ca := newAdvisedWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		cert := r.issue(r.account(), csrFor(t, newKey(t), "a.net"), "a.net")
		if due := r.due(engine.RenewalFilter{DueBefore: cert.NotAfter}); len(due) != 1 {
			t.Errorf("%d are due", len(due))
		}
		time.Sleep(time.Minute)
		if n := ca.questions(); n != 0 {
			t.Errorf("a list asked the CA %d times", n)
		}
	})
}
