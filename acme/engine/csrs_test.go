package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/challenges"
	"acmebridge/internal/ratelimit"
	"acmebridge/storage"
)

// byHand submits a CSR as an operator does.
func (r *run) byHand(csr []byte, change ...func(*engine.CSRRequest)) (engine.CSRAnswer, error) {
	request := engine.CSRRequest{Profile: "tls", CSR: csr, Submitted: acme.Submitter{By: "alice"}}
	for _, c := range change {
		c(&request)
	}
	return r.Operator().SubmitCSR(r.w.t.Context(), request)
}

func forMember(id acme.MemberID) func(*engine.CSRRequest) {
	return func(r *engine.CSRRequest) { r.Member = id }
}

func vouching(why string) func(*engine.CSRRequest) {
	return func(r *engine.CSRRequest) { r.Submitted.Vouch = why }
}

// submitted is byHand for what has to be taken.
func (r *run) submitted(csr []byte, want acme.OrderStatus, change ...func(*engine.CSRRequest)) engine.CSRAnswer {
	r.w.t.Helper()
	x, err := r.byHand(csr, change...)
	if err != nil {
		r.w.t.Fatal(err)
	}
	if x.Order.Status != want {
		r.w.t.Fatalf("the order is %s, want %s: %v", x.Order.Status, want, x.Order.Problem)
	}
	return x
}

// wantOrders counts all orders there are.
func (r *run) wantOrders(want int) {
	r.w.t.Helper()
	orders, _, err := r.Operator().Orders(r.w.t.Context(), "", storage.Page{})
	if err != nil || len(orders) != want {
		r.w.t.Errorf("there are %d orders, want %d (%v)", len(orders), want, err)
	}
}

// wantAccounts counts all accounts there are.
func (r *run) wantAccounts(want int) {
	r.w.t.Helper()
	accounts, _, err := r.Operator().Accounts(r.w.t.Context(), storage.Page{})
	if err != nil || len(accounts) != want {
		r.w.t.Errorf("there are %d accounts, want %d (%v)", len(accounts), want, err)
	}
}

// TestCSRByRegistry: a CSR whose names the registry gives to a member is an
// order like any other, and says who brought it.
func TestCSRByRegistry(t *testing.T) {
	limited(t, engine.Limits{}, byRegistry, func(r *run) {
		r.enrol("m1", ".example.org")
		x := r.submitted(csrFor(r.w.t, newKey(r.w.t), "a.example.org"), acme.OrderValid, forMember("m1"))
		seen := r.explain(x.Order.ID)
		if seen.Certificate == nil || seen.Certificate.Member != "m1" || seen.Order.MemberVersion != 1 {
			r.w.t.Errorf("the certificate is %+v", seen.Certificate)
		}
		if s := seen.Order.Submitted; s == nil || s.By != "alice" || s.Via != acme.ByOperator || s.Vouch != "" {
			r.w.t.Errorf("submitted by %+v", s)
		}
		if h := fmt.Sprint(seen.Order.History); !strings.Contains(h, "with a CSR by the operator alice") {
			r.w.t.Errorf("the history is %s", h)
		}
		r.wantBought(1)
		if _, parked, err := r.Operator().Jobs(r.w.t.Context()); err != nil || parked > 0 {
			r.w.t.Errorf("%d parked jobs, %v", parked, err)
		}
	})
}

// TestCSRRefused: what is refused over ACME is refused here, and leaves nothing
// behind.
func TestCSRRefused(t *testing.T) {
	limited(t, engine.Limits{}, byRegistry, func(r *run) {
		r.enrol("m1", ".example.org")
		r.enrol("frozen", ".example.org")
		if _, err := r.Operator().FreezeMember(r.w.t.Context(), "frozen", engine.Measures{}); err != nil {
			r.w.t.Fatal(err)
		}
		key := newKey(r.w.t)
		if _, _, err := r.NewAccount(r.w.t.Context(), accountRequest(r.w.t, "default", key.Public())); err != nil {
			r.w.t.Fatal(err)
		}
		fine := csrFor(r.w.t, newKey(r.w.t), "a.example.org")
		for name, x := range map[string]struct {
			csr    []byte
			change func(*engine.CSRRequest)
			want   acme.ProblemType
		}{
			"a name of somebody else":     {csrFor(r.w.t, newKey(r.w.t), "a.example.net"), forMember("m1"), acme.RejectedIdentifier},
			"a member that is frozen":     {fine, forMember("frozen"), acme.Unauthorized},
			"a member that is not there":  {fine, forMember("m2"), acme.Unauthorized},
			"no member":                   {fine, forMember(""), acme.Unauthorized},
			"the key of an account":       {csrFor(r.w.t, key, "a.example.org"), forMember("m1"), acme.BadCSR},
			"no names":                    {bareCSR(r.w.t, newKey(r.w.t)), forMember("m1"), acme.BadCSR},
			"no CSR":                      {[]byte("hello"), forMember("m1"), acme.BadCSR},
			"a profile that is not there": {fine, func(r *engine.CSRRequest) { r.Member, r.Profile = "m1", "gold" }, acme.InvalidProfile},
			"a directory that is not":     {fine, func(r *engine.CSRRequest) { r.Member, r.Directory = "m1", "nowhere" }, acme.InvalidProfile},
			"an application":              {fine, func(r *engine.CSRRequest) { r.Member, r.Application = "m1", app1 }, acme.Malformed},
		} {
			_, err := r.byHand(x.csr, x.change)
			var p *acme.Problem
			if !errors.As(err, &p) || p.Type != x.want {
				r.w.t.Errorf("%s: got %v, want %s", name, err, x.want)
			}
		}
		if _, err := r.byHand(fine, func(r *engine.CSRRequest) { r.Submitted.By = "" }); err == nil {
			r.w.t.Error("a CSR that nobody submits was taken")
		}
		r.wantAccounts(1) // that over ACME
		r.wantOrders(0)
		r.wantBought(0)
	})
}

// TestCSRRefusedLate: what the last look refuses leaves nothing behind either,
// and does not stand in the way of what is taken later.
func TestCSRRefusedLate(t *testing.T) {
	limited(t, engine.Limits{}, byRegistry, func(r *run) {
		m, err := r.Operator().CreateMember(r.w.t.Context(), acme.Member{ID: "m1", Identifiers: []string{".net"}, Certificates: 1})
		if err != nil {
			r.w.t.Fatal(err)
		}
		in := func(d acme.DirectoryName) func(*engine.CSRRequest) {
			return func(r *engine.CSRRequest) { r.Member, r.Directory = "m1", d }
		}
		r.submitted(csrFor(r.w.t, newKey(r.w.t), "a.net"), acme.OrderValid, in("default"))
		csr := csrFor(r.w.t, newKey(r.w.t), "b.net")
		for range 2 {
			_, err = r.byHand(csr, in("members"))
			wantProblem(r.w.t, err, acme.RateLimited)
		}
		r.wantAccounts(1)
		m.Certificates = 2
		if _, err := r.Operator().UpdateMember(r.w.t.Context(), m); err != nil {
			r.w.t.Fatal(err)
		}
		r.submitted(csr, acme.OrderValid, in("members"))
		r.wantAccounts(2)
	})
}

// TestCSRReplaces: a CSR can say which certificate it renews. When it is time for
// that, the new one takes the place of the old one among those that the member may
// have, and in the list of what is due.
func TestCSRReplaces(t *testing.T) {
	limited(t, engine.Limits{NewOrders: ratelimit.Rate{Count: 2, Per: 1000 * time.Hour}}, byRegistry, func(r *run) {
		if _, err := r.Operator().CreateMember(r.w.t.Context(), acme.Member{ID: "m1", Identifiers: []string{".net"}, Certificates: 1}); err != nil {
			r.w.t.Fatal(err)
		}
		r.enrol("m2", ".net")
		renewing := func(id acme.CertificateID, m acme.MemberID) func(*engine.CSRRequest) {
			return func(r *engine.CSRRequest) { r.Member, r.Replaces = m, id }
		}
		csr := func(names ...string) []byte { return csrFor(r.w.t, newKey(r.w.t), names...) }
		old := r.explain(r.submitted(csr("a.net"), acme.OrderValid, forMember("m1")).Order.ID).Certificate
		_, err := r.byHand(csr("a.net"), renewing(old.ID, "m1"))
		wantProblem(r.w.t, err, acme.RateLimited) // it is not time yet
		time.Sleep(time.Until(r.renewal(*old).Window.Start))
		for name, x := range map[string]struct {
			csr    []byte
			change func(*engine.CSRRequest)
			want   acme.ProblemType
		}{
			"without a word":            {csr("a.net"), forMember("m1"), acme.RateLimited},
			"for other names":           {csr("b.net"), renewing(old.ID, "m1"), acme.Malformed},
			"what is not there":         {csr("a.net"), renewing("nothing", "m1"), acme.Malformed},
			"that of somebody else":     {csr("a.net"), renewing(old.ID, "m2"), acme.Malformed},
			"that, for nobody":          {csr("a.net"), renewing(old.ID, ""), acme.Unauthorized},
			"that of another directory": {csr("a.net"), func(r *engine.CSRRequest) { renewing(old.ID, "m1")(r); r.Directory = "members" }, acme.Unauthorized},
		} {
			_, err := r.byHand(x.csr, x.change)
			var p *acme.Problem
			if !errors.As(err, &p) || p.Type != x.want {
				r.w.t.Errorf("%s: got %v, want %s", name, err, x.want)
			}
		}
		next := csr("a.net")
		x := r.submitted(next, acme.OrderValid, renewing(old.ID, "m1"))
		seen := r.explain(x.Order.ID)
		if !seen.Order.Renews || seen.Order.Replaces != acme.CertID(old.AuthorityKeyID, old.Serial) || seen.Certificate.ID == old.ID {
			r.w.t.Errorf("the order is %+v", seen.Order)
		}
		if c, _, err := r.Operator().Certificate(r.w.t.Context(), old.ID); err != nil || c.RenewedAt.IsZero() || c.ReplacedBy != x.Order.ID {
			r.w.t.Errorf("the old certificate is %+v, %v", c, err)
		}
		if again := r.submitted(next, acme.OrderValid, renewing(old.ID, "m1")); !again.Known || again.Order.ID != x.Order.ID {
			r.w.t.Errorf("the same CSR is order %s, after %s", again.Order.ID, x.Order.ID)
		}
		_, err = r.byHand(csr("a.net"), renewing(old.ID, "m1"))
		wantProblem(r.w.t, err, acme.AlreadyReplaced)
		r.wantOrders(2)
	})
}

// TestCSRVouched: where control has to be proved, an operator may give his word
// with a reason. It is good for its one order and for nobody else's.
func TestCSRVouched(t *testing.T) {
	limited(t, engine.Limits{}, nil, func(r *run) {
		csr := csrFor(r.w.t, newKey(r.w.t), "a.net")
		for _, word := range []string{"", "  \n"} {
			_, err := r.byHand(csr, vouching(word))
			wantProblem(r.w.t, err, acme.Unauthorized)
		}
		r.wantOrders(0)
		x := r.submitted(csr, acme.OrderValid, vouching("ticket 17"))
		seen := r.explain(x.Order.ID)
		if !seen.Order.Vouched() || !strings.Contains(fmt.Sprint(seen.Order.History), "alice vouches for control of every name: ticket 17") {
			r.w.t.Errorf("the history is %v", seen.Order.History)
		}
		if a := seen.Authorizations[0]; a.Status != acme.AuthorizationValid || a.Proved() {
			r.w.t.Errorf("the authorization is %+v", a)
		}
		if n := r.w.targets.tried("a.net"); n > 0 {
			r.w.t.Errorf("the name was tried %d times", n)
		}
		if o := r.order(r.account(), "a.net"); o.Status != acme.OrderPending {
			r.w.t.Errorf("an order of somebody else for the name is %s", o.Status)
		}
	})
}

// TestCSROnce: the same CSR is the same order while its certificate is on its
// way and a while after; another key waits; a day later it is a new order.
func TestCSROnce(t *testing.T) {
	limited(t, engine.Limits{}, func(w *world) { byRegistry(w); w.fake.issueAfter = 5 * time.Hour }, func(r *run) {
		r.enrol("m1", "*")
		csr := csrFor(r.w.t, newKey(r.w.t), "a.net")
		first := r.submitted(csr, acme.OrderProcessing, forMember("m1"))
		if first.Known || first.RetryAfter <= 0 {
			r.w.t.Errorf("the first answer is %+v", first)
		}
		for range 40 { // more than could be attached to one
			time.Sleep(time.Minute)
			if again := r.submitted(csr, acme.OrderProcessing, forMember("m1")); !again.Known || again.Order.ID != first.Order.ID {
				r.w.t.Fatalf("the same CSR is order %s, after %s", again.Order.ID, first.Order.ID)
			}
		}
		_, err := r.byHand(csrFor(r.w.t, newKey(r.w.t), "a.net"), forMember("m1"))
		wantProblem(r.w.t, err, acme.RateLimited)
		r.wantOrders(1)
		for r.explain(first.Order.ID).Order.Status != acme.OrderValid {
			time.Sleep(10 * time.Minute)
		}
		if again := r.submitted(csr, acme.OrderValid, forMember("m1")); !again.Known || again.Order.ID != first.Order.ID {
			r.w.t.Errorf("just issued, the same CSR is order %s", again.Order.ID)
		}
		r.wantBought(1)
		time.Sleep(24 * time.Hour)
		if later := r.submitted(csr, acme.OrderProcessing, forMember("m1")); later.Known {
			r.w.t.Error("a day later the CSR got its old certificate")
		}
	})
}

// TestCSRAtOnce: of the same CSR from many at once one order comes, whether the
// CA signs within the answer or not.
func TestCSRAtOnce(t *testing.T) {
	for _, inline := range []bool{false, true} {
		limited(t, engine.Limits{}, func(w *world) {
			byRegistry(w)
			before := w.change
			w.withCAA(&holders{})
			ask := w.change
			w.change = func(c *engine.Config) {
				before(c)
				ask(c)
				c.CAA = slowly{c.CAA} // so that all get that far before the first is closed
			}
			if inline {
				w.backend = w.ca
			}
		}, func(r *run) {
			r.enrol("m1", "*")
			csr := csrFor(r.w.t, newKey(r.w.t), "a.net")
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if x, err := r.byHand(csr, forMember("m1")); err != nil || x.Order.Status != acme.OrderValid {
						r.w.t.Errorf("%s, %v", x.Order.Status, err)
					}
				})
			}
			all.Wait()
			r.wantOrders(1)
			r.wantAccounts(1)
			if certs, _, err := r.Operator().Certificates(r.w.t.Context(), "", storage.Page{}); err != nil || len(certs) != 1 {
				r.w.t.Errorf("inline %t: %d certificates, %v", inline, len(certs), err)
			}
		})
	}
}

// slowly takes a second to ask.
type slowly struct{ engine.CAAChecker }

func (s slowly) Check(ctx context.Context, r challenges.CAARequest) acme.Outcome {
	time.Sleep(time.Second)
	return s.CAAChecker.Check(ctx, r)
}

// TestCSRApproval: a CSR waits for the same person as an order over ACME.
func TestCSRApproval(t *testing.T) {
	limited(t, engine.Limits{}, func(w *world) { fourEyes(w); byRegistry(w) }, func(r *run) {
		r.enrol("m1", "*")
		x := r.submitted(csrFor(r.w.t, newKey(r.w.t), "a.net"), acme.OrderProcessing, forMember("m1"))
		r.wantWaiting(x.Order.ID)
		r.wantBought(0)
		if err := r.Operator().Approve(r.w.t.Context(), x.Order.ID, "alice", "it is mine"); !errors.Is(err, acme.ErrNoApprover) {
			r.w.t.Errorf("who submitted it approved it: %v", err)
		}
		if err := r.Operator().Approve(r.w.t.Context(), x.Order.ID, "bob", "as asked"); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := r.explain(x.Order.ID).Order.Status; got != acme.OrderValid {
			r.w.t.Errorf("the order is %s", got)
		}
		r.wantBought(1)
	})
}

// TestCSRQuarantined: a certificate that is not what was ordered reaches nobody.
func TestCSRQuarantined(t *testing.T) {
	limited(t, engine.Limits{}, byRegistry, func(r *run) {
		r.enrol("m1", "*")
		r.submitted(csrFor(r.w.t, newKey(r.w.t), "other.net"), acme.OrderValid, forMember("m1"))
		sibling := r.explain(r.submitted(csrFor(r.w.t, newKey(r.w.t), "sibling.net"), acme.OrderValid, forMember("m1")).Order.ID).Certificate
		r.w.fake.set(func(f *fakeCA) {
			f.mutate = func(chain [][]byte) [][]byte { return append([][]byte{sibling.Leaf}, chain[1:]...) }
		})
		x := r.submitted(csrFor(r.w.t, newKey(r.w.t), "a.net"), acme.OrderInvalid, forMember("m1"))
		if seen := r.explain(x.Order.ID); seen.Certificate != nil || len(seen.Submission.Quarantine) == 0 {
			r.w.t.Errorf("the order has the certificate %v", seen.Certificate)
		}
	})
}

// TestCSRWithCAA: the holders of the names are asked, and may say no.
func TestCSRWithCAA(t *testing.T) {
	w, h := newWorld(t), &holders{}
	w.withCAA(h)
	byRegistry(w)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.enrol("m1", "*")
		_, err := r.byHand(csrFor(t, newKey(t), "forbidden.example.org"), forMember("m1"))
		wantProblem(t, err, acme.CAA)
		r.wantOrders(0)
		x := r.submitted(csrFor(t, newKey(t), "a.example.org"), acme.OrderValid, forMember("m1"))
		if a := r.explain(x.Order.ID).Authorizations[0]; a.CAA == nil {
			t.Error("nothing says that CAA was looked at")
		}
	})
}

// TestCSRLimits: the rate of new orders and the limits of the member hold, and
// a refusal costs nothing of them.
func TestCSRLimits(t *testing.T) {
	limited(t, engine.Limits{NewOrders: ratelimit.Rate{Count: 2, Per: time.Hour}}, byRegistry, func(r *run) {
		if _, err := r.Operator().CreateMember(r.w.t.Context(), acme.Member{ID: "m1", Identifiers: []string{".net"}, Certificates: 3}); err != nil {
			r.w.t.Fatal(err)
		}
		for range 5 {
			_, err := r.byHand(csrFor(r.w.t, newKey(r.w.t), "a.org"), forMember("m1"))
			wantProblem(r.w.t, err, acme.RejectedIdentifier)
		}
		submit := func(n int) error {
			name := fmt.Sprintf("n%d.net", n)
			_, err := r.byHand(csrFor(r.w.t, newKey(r.w.t), name), forMember("m1"))
			return err
		}
		for n := range 2 {
			if err := submit(n); err != nil {
				r.w.t.Fatal(err)
			}
		}
		wantProblem(r.w.t, submit(2), acme.RateLimited)
		time.Sleep(time.Hour)
		if err := submit(2); err != nil {
			r.w.t.Fatal(err)
		}
		time.Sleep(time.Hour)
		for range 5 {
			wantProblem(r.w.t, submit(3), acme.RateLimited) // the member has all that it may have
		}
		r.wantOrders(3)
		if _, err := r.Operator().UpdateMember(r.w.t.Context(), acme.Member{ID: "m1", Version: 1, Identifiers: []string{".net"}}); err != nil {
			r.w.t.Fatal(err)
		}
		for n := range 2 {
			if err := submit(3 + n); err != nil {
				r.w.t.Errorf("what was refused counted: %v", err)
			}
		}
	})
}

// TestCSROfApplication: in a framework the CSR is nothing but a key, and the
// registry says the rest.
func TestCSROfApplication(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing)
		_, err := r.byHand(bareCSR(t, newKey(t)), func(r *engine.CSRRequest) {
			r.Member, r.Application, r.Profile = member1, app1+"2", "ib1-client"
		})
		wantProblem(t, err, acme.Unauthorized)
		r.wantAccounts(0)
		key := newKey(t)
		asks := func(p acme.ProfileName) func(*engine.CSRRequest) {
			return func(r *engine.CSRRequest) { r.Member, r.Profile = member1, p }
		}
		csr := bareCSR(t, key)
		x := r.submitted(csr, acme.OrderValid, asks("ib1-client"))
		if c := r.explain(x.Order.ID).Certificate; c.Holder == nil || c.Holder.Application != app1 || c.Holder.Roles[0] != reader {
			t.Errorf("the certificate is for %+v", c.Holder)
		}
		_, err = r.byHand(bareCSR(t, key), asks("ib1-signing")) // the key is of the other tree
		wantProblem(t, err, acme.BadPublicKey)
		r.submitted(bareCSR(t, newKey(t)), acme.OrderValid, asks("ib1-signing"))
		_, err = r.byHand(bareCSR(t, newKey(t)), asks("ib1-client"), func(r *engine.CSRRequest) { r.Application = app1 + "2" })
		wantProblem(t, err, acme.Unauthorized)
		_, err = r.byHand(bareCSR(t, newKey(t)), func(r *engine.CSRRequest) {
			r.Member, r.Application, r.Profile, r.Directory = member1, app1, "", "members"
		})
		wantProblem(t, err, acme.InvalidProfile) // there is a choice
		// What the registry took back is no answer to the same CSR.
		if _, err := r.Operator().PutApplication(t.Context(), member1, acme.Application{URL: app1, Roles: []string{reader, writer}, Trees: []acme.IB1Tree{acme.IB1Client}, Handle: handle1}); err != nil {
			t.Fatal(err)
		}
		if again := r.submitted(csr, acme.OrderValid, asks("ib1-client")); again.Known {
			t.Error("the registry has changed, and the certificate has not")
		}
	})
}

// TestCSRCrash lets the process die at each commit in turn, and the operator
// submit the same CSR until there is an answer: there is one purchase, and one
// order that ends with its certificate (D8, SS-2, SS-16).
func TestCSRCrash(t *testing.T) {
	for _, ca := range []string{"remote", "inline"} {
		last := 0
		for at := 1; ; at++ {
			crashed := false
			for _, applied := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, commit %d, applied %t", ca, at, applied), func(t *testing.T) {
					crashed = crashCSR(t, ca, at, applied) || crashed
				})
			}
			if last = at; !crashed {
				break
			}
		}
		// An inline order is placed, closed and delivered in one commit; there may be
		// others, which publish.
		if want := map[string]int{"remote": 6, "inline": 1}[ca]; last <= want {
			t.Errorf("%s: only %d commits were crashed", ca, last-1)
		}
	}
}

func crashCSR(t *testing.T, ca string, at int, applied bool) (crashed bool) {
	w := newWorld(t)
	byRegistry(w)
	if ca == "inline" {
		w.backend = w.ca
	}
	w.profile.ResubmitOnDoubt = true
	memory := w.store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		r.enrol("m1", "*")
		r.end()
		csr := csrFor(t, newKey(t), "a.net")
		until := func(r *run) (x engine.CSRAnswer) {
			for range 10 {
				var err error
				if x, err = r.byHand(csr, forMember("m1")); err != nil || x.Order.Status == acme.OrderValid {
					return x
				}
				time.Sleep(time.Minute)
			}
			return x
		}
		dying := &crashStore{Store: memory, at: at, applied: applied}
		w.store = dying
		r = w.start()
		until(r)
		crashed = checkEnd(t, r, dying)
		w.store = memory
		r = w.start()
		defer r.end()
		if x := until(r); x.Order.Status != acme.OrderValid {
			t.Errorf("the order is %s: %v", x.Order.Status, x.Order.Problem)
		}
		r.wantOrders(1)
		if n := w.fake.bought(); ca == "remote" && n != 1 {
			t.Errorf("%d certificates were bought for one CSR", n)
		}
		if certs, _, err := r.Operator().Certificates(t.Context(), "", storage.Page{}); err != nil || len(certs) != 1 {
			t.Errorf("%d certificates are stored, %v", len(certs), err)
		}
	})
	return crashed
}
