package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// mending is a fakeCA whose certificates are for other names than was ordered,
// and that issues again for nothing. What it was asked to issue again counts, and
// no reply that gets lost makes it forget.
type mending struct {
	searchable

	// Guarded by fakeCA.mu.
	wrong     int  // so many times what it issues is wrong, for each request
	again     int  // requests to issue again that arrived
	lose      int  // so many of their replies get lost
	drop      int  // so many of them get lost themselves, without proof of it
	away      int  // so many provably never leave
	refuses   bool // it does not issue again
	meanwhile func()
}

const otherName = "other.example.org"

func (b *mending) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	first, turn, _ := strings.Cut(string(t), "+")
	b.mu.Lock()
	b.mutate = nil
	if wrong := b.wrong; len(turn) < wrong {
		b.mutate = func([][]byte) [][]byte {
			r := b.purchases[0]
			r.Contract.Identifiers = dns(otherName)
			r.Contract.CommonName = otherName
			r.Key = fmt.Sprintf("%032x", len(turn)+7)
			chain, err := b.issuing.Issue(r)
			if err != nil {
				panic(err)
			}
			return chain
		}
	}
	b.mu.Unlock()
	return b.searchable.Poll(ctx, backends.Ticket(first))
}

func (b *mending) Reissue(_ context.Context, _ backends.Request, t backends.Ticket, wrong []byte) (backends.Ticket, error) {
	if b.meanwhile != nil {
		b.meanwhile()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(wrong) == 0:
		return "", backends.Refused("nothing is wrong", nil)
	case b.away > 0:
		b.away--
		return "", backends.NotSent(errors.New("no route to the CA"))
	case b.refuses:
		return "", backends.Refused("not again", errors.New("code -9"))
	case b.drop > 0:
		b.drop--
		return "", errBroken
	}
	if b.again++; b.lose > 0 {
		b.lose--
		return "", errBroken
	}
	return t + "+a", nil
}

func (b *mending) FindReissue(_ context.Context, _ backends.Request, t backends.Ticket, _ []byte) (backends.Ticket, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return "", false, errBroken
	}
	return t + "+a", b.again > 0, nil
}

// TestReissue: what is not what was ordered is issued again where the CA does so
// for nothing, once, and what was wrong stays in quarantine (SC-8, SC-9).
func TestReissue(t *testing.T) {
	for name, c := range map[string]struct {
		is     func(*mending)
		status acme.OrderStatus
		again  int // how often the CA was made to issue again
		kept   int // chains in quarantine
	}{
		"first wrong, then right": {func(b *mending) { b.wrong = 1 }, acme.OrderValid, 1, 1},
		"wrong twice":             {func(b *mending) { b.wrong = 2 }, acme.OrderInvalid, 1, 2},
		"the reply is lost":       {func(b *mending) { b.wrong, b.lose = 1, 1 }, acme.OrderValid, 1, 1},
		"the request is lost":     {func(b *mending) { b.wrong, b.drop = 1, 1 }, acme.OrderValid, 1, 1},
		"it is lost for ever":     {func(b *mending) { b.wrong, b.drop = 1, 9 }, acme.OrderInvalid, 0, 1},
		"it does not leave":       {func(b *mending) { b.wrong, b.away = 1, 5 }, acme.OrderValid, 1, 1},
		"the CA does not":         {func(b *mending) { b.wrong, b.refuses = 1, true }, acme.OrderInvalid, 0, 1},
		"the order is blocked":    {func(b *mending) { b.wrong = 1 }, acme.OrderInvalid, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ca := &mending{searchable: searchable{w.fake}}
			c.is(ca)
			w.backend = ca
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				if name == "the order is blocked" {
					w.fake.issueAfter = time.Hour
				}
				r := w.start()
				defer r.end()
				a, o := r.finalized("a.example.org")
				if name == "the order is blocked" {
					// Blocked between its first certificate and the second.
					ca.set(func(*fakeCA) { ca.away = 1000 })
					time.Sleep(2 * time.Hour)
					x := r.explain(o.ID)
					if x.Submission == nil || x.Submission.Reissue == nil {
						t.Fatalf("it is not to be issued again: %v", x.Order.History)
					}
					err := w.store.Update(t.Context(), func(tx storage.Tx) error {
						return tx.BlockedKeys().Put(storage.BlockedKey{Hash: x.Submission.Contract.KeyHash, Reason: "found in a leak"})
					})
					if err != nil {
						t.Fatal(err)
					}
					ca.set(func(*fakeCA) { ca.away = 0 })
				}
				time.Sleep(24 * time.Hour)
				o = r.wantStatus(a, o.ID, c.status)
				x := r.explain(o.ID)
				kept := len(x.Submission.Reissue.Wrong) + len(x.Submission.Quarantine)
				if kept != 2*c.kept { // a leaf and what is above it
					t.Errorf("%d certificates are in quarantine: %v", kept, o.History)
				}
				if ca.again != c.again || w.fake.bought() != 1 {
					t.Errorf("issued again %d times, bought %d times: %v", ca.again, w.fake.bought(), o.History)
				}
				if x.Job != nil {
					t.Errorf("a job is left: %+v", x.Job)
				}
			})
		})
	}
}

// TestCAABeforeReissue: the look at the CAA records that was good for the purchase has
// grown old when the CA is done. To issue again is to issue, so they are looked at
// again (R8659-BR-1).
func TestCAABeforeReissue(t *testing.T) {
	for name, changed := range map[string]acme.Outcome{"allowed": mayIssue, "forbidden": forbidden, "no answer": silent} {
		t.Run(name, func(t *testing.T) {
			w, holder := newWorld(t), &fickle{answer: mayIssue}
			w.withCAA(nil)
			before := w.change
			w.change = func(c *engine.Config) { before(c); c.CAA = holder }
			ca := &mending{searchable: searchable{w.fake}, wrong: 1}
			w.backend, w.fake.issueAfter = ca, 9*time.Hour
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				defer r.end()
				a := r.account()
				o := r.finalizes(a, r.ready(a, "a.net"), newKey(t))
				time.Sleep(time.Hour)
				holder.says(changed)
				time.Sleep(12 * time.Hour)
				status, again := acme.OrderValid, 1
				switch name {
				case "forbidden":
					status, again = acme.OrderInvalid, 0
				case "no answer":
					r.wantStatus(a, o.ID, acme.OrderProcessing)
					if ca.again != 0 {
						t.Error("it is issued again before that is known to be allowed")
					}
					holder.says(mayIssue)
					time.Sleep(24 * time.Hour)
				}
				o = r.wantStatus(a, o.ID, status)
				if ca.again != again || w.fake.bought() != 1 {
					t.Errorf("issued again %d times, bought %d times: %v", ca.again, w.fake.bought(), o.History)
				}
				if status == acme.OrderInvalid {
					wantProblem(t, o.Problem, acme.CAA)
				}
			})
		})
	}
}

// TestReissueCrash lets the process die at each commit of an order whose first
// certificate is wrong, once before and once after: it has the right one in the
// end, was bought once and issued again once.
func TestReissueCrash(t *testing.T) {
	last := 0
	for at := 1; ; at++ {
		crashed := false
		for _, applied := range []bool{false, true} {
			w := newWorld(t)
			ca := &mending{searchable: searchable{w.fake}, wrong: 1}
			w.backend = ca
			w.profile.ResubmitOnDoubt = true
			memory := w.store
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				client := client{w: w, key: newKey(t), csr: csrFor(t, newKey(t), "a.example.org")}
				dying := &crashStore{Store: memory, at: at, applied: applied}
				w.store = dying
				r := w.start()
				client.goOn(r)
				crashed = checkEnd(t, r, dying) || crashed
				w.store = memory
				r = w.start()
				defer r.end()
				client.goOn(r)
				r.wantStatus(client.account, client.order, acme.OrderValid)
				if w.fake.bought() != 1 || ca.again != 1 {
					t.Errorf("commit %d, applied %t: bought %d times, issued again %d times", at, applied, w.fake.bought(), ca.again)
				}
			})
		}
		if !crashed {
			last = at
			break
		}
	}
	if last < 12 {
		t.Errorf("only %d commits were crashed", last-1)
	}
}
