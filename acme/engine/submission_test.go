package engine_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/storage"
)

// TestUnknownOutcome: each fault twice, once it happened and once it did not
// (SC-3, SC-4). The books of the CA say how often was paid: the CA hears of an
// order only after that was stored (R8555-7.1.6-4). What it refuses makes the
// order invalid, in our words (R8555-7.4F-16).
// TestLockedOut: what a CA says of our credentials is told apart from other
// failures, until something else is the last failure.
func TestLockedOut(t *testing.T) {
	w := newWorld(t)
	w.fake.set(func(f *fakeCA) { f.lockedOut = true })
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		_, o := r.finalized("a.net")
		synctest.Wait()
		if j := r.explain(o.ID).Job; j == nil || !j.Credentials || !strings.Contains(j.LastError, "credentials") {
			t.Fatalf("%+v", j)
		}
		for _, next := range []struct {
			change      func(*fakeCA)
			wait        time.Duration
			credentials bool
			says        string
		}{
			{func(f *fakeCA) { f.lockedOut, f.notSent = false, 1 }, 5 * time.Second, false, "no route"},
			{func(f *fakeCA) { f.lockedOut = true }, 9 * time.Second, true, "credentials"},
			{func(f *fakeCA) { f.lockedOut, f.dropRequests = false, 1 }, 17 * time.Second, false, "submitted at"},
		} {
			w.fake.set(next.change)
			time.Sleep(next.wait)
			if j := r.explain(o.ID).Job; j == nil || j.Credentials != next.credentials || !strings.Contains(j.LastError, next.says) {
				t.Fatalf("%+v, want a word of %q", j, next.says)
			}
		}
	})
}

func TestUnknownOutcome(t *testing.T) {
	for _, test := range []struct {
		name     string
		fault    func(*fakeCA)
		backend  func(*fakeCA) backends.Backend
		resubmit bool
		want     acme.OrderStatus
		bought   int
		parked   bool
	}{
		{name: "reply lost after the CA accepted", fault: func(f *fakeCA) { f.loseReplies = 1 },
			want: acme.OrderValid, bought: 1},
		{name: "reply lost, and the CA shows it late", fault: func(f *fakeCA) { f.loseReplies, f.hiddenFor = 1, 90*time.Second },
			want: acme.OrderValid, bought: 1},
		{name: "request lost, not allowed to send again", fault: func(f *fakeCA) { f.dropRequests = 1 },
			want: acme.OrderProcessing, bought: 0, parked: true},
		{name: "request lost, allowed to send again", fault: func(f *fakeCA) { f.dropRequests = 1 }, resubmit: true,
			want: acme.OrderValid, bought: 1},
		{name: "reply lost, allowed to send again", fault: func(f *fakeCA) { f.loseReplies = 1 }, resubmit: true,
			want: acme.OrderValid, bought: 1},
		{name: "reply lost at a CA that cannot be asked", fault: func(f *fakeCA) { f.loseReplies = 1 },
			backend: func(f *fakeCA) backends.Backend { return f },
			want:    acme.OrderProcessing, bought: 1, parked: true},
		{name: "request provably not sent", fault: func(f *fakeCA) { f.notSent = 3 },
			want: acme.OrderValid, bought: 1},
		{name: "refused", fault: func(f *fakeCA) { f.refuse = "the profile takes no such name" },
			want: acme.OrderInvalid, bought: 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.profile.ResubmitOnDoubt = test.resubmit
			if test.backend != nil {
				w.backend = test.backend(w.fake)
			}
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				test.fault(w.fake)
				r := w.start()
				defer r.end()
				a, o := r.finalized("a.example.org")
				time.Sleep(time.Hour)
				o = r.wantStatus(a, o.ID, test.want)
				if n := w.fake.bought(); n != test.bought {
					t.Errorf("%d were bought, want %d", n, test.bought)
				}
				x := r.explain(o.ID)
				if parked := x.Job != nil && x.Job.Parked != ""; parked != test.parked {
					t.Errorf("parked %t, want %t: %+v", parked, test.parked, x.Job)
				}
				told := slices.ContainsFunc(o.History, func(e acme.Event) bool { return strings.Contains(e.What, "its reply had been lost") })
				if found := strings.HasPrefix(test.name, "reply lost") && !test.parked; told != found {
					t.Errorf("the history tells of a lost reply: %t, want %t: %v", told, found, o.History)
				}
				if test.parked && x.Submission.Evidence == "" {
					t.Error("parked without evidence")
				}
				if test.want == acme.OrderInvalid && (o.Problem == nil || !strings.Contains(o.Problem.Detail, "no such name") || strings.Contains(o.Problem.Detail, "-2017")) {
					t.Errorf("the problem is %v: want our words, without the CA's", o.Problem)
				}
			})
		})
	}
}

// TestOperatorDecides: a parked order goes on when a person says so, once.
func TestOperatorDecides(t *testing.T) {
	for _, test := range []struct {
		name   string
		decide func(*testing.T, *run, acme.OrderID)
		want   acme.OrderStatus
		bought int
	}{
		{"send again", func(t *testing.T, r *run, id acme.OrderID) {
			if err := r.Operator().Retry(t.Context(), id, true); err != nil {
				t.Fatal(err)
			}
		}, acme.OrderValid, 1},
		{"look again", func(t *testing.T, r *run, id acme.OrderID) {
			if err := r.Operator().Retry(t.Context(), id, false); err != nil {
				t.Fatal(err)
			}
		}, acme.OrderProcessing, 0},
		{"give up", func(t *testing.T, r *run, id acme.OrderID) {
			if err := r.Operator().Abandon(t.Context(), id, "the CA lost it"); err != nil {
				t.Fatal(err)
			}
		}, acme.OrderInvalid, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				w.fake.dropRequests = 1
				r := w.start()
				defer r.end()
				a, o := r.finalized("a.example.org")
				time.Sleep(time.Hour)
				jobs, _, err := r.Operator().Parked(t.Context(), storage.Page{})
				if err != nil || len(jobs) != 1 {
					t.Fatalf("%d jobs are parked, %v", len(jobs), err)
				}
				test.decide(t, r, o.ID)
				time.Sleep(time.Hour)
				r.wantStatus(a, o.ID, test.want)
				if n := w.fake.bought(); n != test.bought {
					t.Errorf("%d were bought, want %d", n, test.bought)
				}
			})
		})
	}
}

// TestGate: nothing is delivered that is not exactly what was ordered (D10).
// The rules themselves are tested in package acme; here, that they are asked,
// and that the chain is kept as evidence.
func TestGate(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		w.fake.mutate = func(chain [][]byte) [][]byte { // the same CA, somebody else's certificate
			req := w.fake.purchases[0]
			req.Contract.Identifiers = dns("evil.example.org")
			req.Contract.CommonName = "evil.example.org"
			wrong, err := other.ca.Issue(req)
			if err != nil {
				t.Error(err)
			}
			return wrong
		}
		o := r.ready(a, "a.example.org")
		o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
		if err != nil || o.Status != acme.OrderInvalid || o.Certificate != "" {
			t.Fatalf("order is %s with certificate %q, %v", o.Status, o.Certificate, err)
		}
		x := r.explain(o.ID)
		if len(x.Submission.Quarantine) == 0 {
			t.Error("the chain was not kept as evidence")
		} else if leaf, err := x509.ParseCertificate(x.Submission.Quarantine[0]); err != nil || leaf.DNSNames[0] != "evil.example.org" {
			t.Errorf("the evidence is something else: %v", err)
		}
		if r.Counters.Quarantined.Load() != 1 {
			t.Error("nobody counted it")
		}
	})
}

// twisted signs at once, and something else than it was asked for.
type twisted struct {
	*localca.CA
	bend func(backends.Request) backends.Request
}

func (b twisted) Issue(r backends.Request) ([][]byte, error) { return b.CA.Issue(b.bend(r)) }

// TestGateInline: a backend that signs at once goes through the same gate.
func TestGateInline(t *testing.T) {
	w := newWorld(t)
	w.backend = twisted{w.ca, func(r backends.Request) backends.Request {
		r.Contract.Usages = []acme.Usage{acme.CodeSigning}
		return r
	}}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		o := r.ready(a, "a.example.org")
		o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.example.org"))
		if err != nil || o.Status != acme.OrderInvalid || o.Certificate != "" {
			t.Fatalf("order is %s with certificate %q, %v", o.Status, o.Certificate, err)
		}
		if x := r.explain(o.ID); x.Submission == nil || len(x.Submission.Quarantine) == 0 || x.Job != nil {
			t.Errorf("no evidence is kept: %+v", x)
		}
	})
}

// TestCertificateOfAnotherOrder: a CA that hands out one certificate twice is
// caught even where names and key agree (SC-9).
func TestCertificateOfAnotherOrder(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		csr := csrFor(t, newKey(t), "a.example.org")
		first := r.ready(a, "a.example.org")
		if o, _, err := r.Finalize(t.Context(), a, first.ID, csr); err != nil || o.Status != acme.OrderValid {
			t.Fatalf("first: %s, %v", o.Status, err)
		}
		w.fake.set(func(f *fakeCA) {
			f.mutate = func([][]byte) [][]byte {
				chain, err := f.issuing.Issue(f.purchases[0])
				if err != nil {
					t.Error(err)
				}
				return chain
			}
		})
		second := r.ready(a, "a.example.org")
		o, _, err := r.Finalize(t.Context(), a, second.ID, csr)
		if err != nil || o.Status != acme.OrderInvalid {
			t.Fatalf("second: %s, %v", o.Status, err)
		}
	})
}

// TestDeadline: a CA that never answers ends the order with a clear problem.
func TestDeadline(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.issueAfter = 1000 * time.Hour
		r := w.start()
		defer r.end()
		a, o := r.finalized("a.example.org")
		time.Sleep(6 * 24 * time.Hour)
		r.wantStatus(a, o.ID, acme.OrderProcessing)
		time.Sleep(2 * 24 * time.Hour)
		o = r.wantStatus(a, o.ID, acme.OrderInvalid)
		if !strings.Contains(o.Problem.Detail, "has not answered") {
			t.Errorf("the problem is %v", o.Problem)
		}
	})
}

// leisurely is a CA that takes its time for each call.
type leisurely struct {
	searchable
	takes, may time.Duration
}

func (l leisurely) Traits() backends.Traits {
	traits := l.searchable.Traits()
	traits.CallTime = l.may
	return traits
}

func (l leisurely) wait(ctx context.Context) error {
	t := time.NewTimer(l.takes)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l leisurely) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	ticket, err := l.searchable.Submit(ctx, r)
	return ticket, errors.Join(err, l.wait(ctx))
}

func (l leisurely) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	if err := l.wait(ctx); err != nil {
		return backends.Result{}, err
	}
	return l.searchable.Poll(ctx, t)
}

// TestCallTime: a backend has the time for a call that it says it needs, also
// when that is longer than a lease, and no more.
func TestCallTime(t *testing.T) {
	for _, c := range []struct{ takes, may time.Duration }{
		{20 * time.Second, 0}, {140 * time.Second, 150 * time.Second}, {40 * time.Second, 0}, {160 * time.Second, 150 * time.Second},
	} {
		w := newWorld(t)
		w.backend = leisurely{searchable{w.fake}, c.takes, c.may}
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			r := w.start()
			defer r.end()
			a, o := r.finalized("a.example.org")
			time.Sleep(10 * time.Minute)
			lost := c.takes > max(c.may, 30*time.Second)
			if x := r.explain(o.ID); (x.Order.Status == acme.OrderValid) == lost || (w.fake.finds > 0) != lost {
				t.Errorf("a call of %s where %s are allowed: the order is %s, after %d looks for it", c.takes, c.may, x.Order.Status, w.fake.finds)
			}
			if !lost {
				r.wantStatus(a, o.ID, acme.OrderValid)
			}
			r.wantBought(1)
		})
	}
}

// broken is a backend with a bug that one order brings out.
type broken struct{ searchable }

func (b broken) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if r.Contract.CommonName == "sick.example.org" {
		panic("a bug")
	}
	return b.searchable.Submit(ctx, r)
}

func (b broken) Find(context.Context, backends.Request) (backends.Ticket, bool, error) {
	panic("the same bug")
}

// TestPollDeadline: a CA that took the order and is down at the deadline
// leaves it to a person.
func TestPollDeadline(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.down = true
		r := w.start()
		defer r.end()
		_, o := r.finalized("a.example.org")
		time.Sleep(6 * 24 * time.Hour)
		if x := r.explain(o.ID); x.Job == nil || x.Job.Parked != "" {
			t.Fatalf("before the deadline: %+v", x.Job)
		}
		time.Sleep(2 * 24 * time.Hour)
		if x := r.explain(o.ID); x.Job == nil || !strings.Contains(x.Job.Parked, "deadline") {
			t.Fatalf("after the deadline: %+v", x.Job)
		}
	})
}

// TestPoison: a step that never works is parked after ten tries and holds up
// nobody (SS-15).
func TestPoison(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.backend = broken{searchable{w.fake}}
		r := w.start()
		defer r.end()
		a := r.account()
		sick := r.ready(a, "sick.example.org")
		if _, _, err := r.Finalize(t.Context(), a, sick.ID, csrFor(t, newKey(t), "sick.example.org")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if x := r.explain(sick.ID); x.Job == nil || !strings.Contains(x.Job.Parked, "failed 10 times") {
			t.Fatalf("not parked: %+v", x.Job)
		}
		well := r.ready(a, "well.example.org")
		if o, _, err := r.Finalize(t.Context(), a, well.ID, csrFor(t, newKey(t), "well.example.org")); err != nil || o.Status != acme.OrderValid {
			t.Fatalf("the next order is %s, %v", o.Status, err)
		}
	})
}
