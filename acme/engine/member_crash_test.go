package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// TestKillSwitchCrash lets the process die at each commit of the removal of a
// member in turn, once before it and once after it, and again in the process
// that takes over, while the operator asks until there is an answer. In the end
// all orders are over, every certificate is revoked, the count of them is
// right, and what was decided is there once (SS-16).
func TestKillSwitchCrash(t *testing.T) {
	last, step := 0, 1
	for at := 1; ; at += step {
		if at > 20 {
			step = 9 // from here on it is one revocation after the other
		}
		crashed := false
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, applied %t", at, applied), func(t *testing.T) {
				crashed = crashKillSwitch(t, at, applied) || crashed
			})
		}
		if last = at; !crashed {
			break
		}
	}
	// The decision, the claim, two pages of orders, two of certificates, and
	// for the revocations at least a claim and a result.
	if last < 8 {
		t.Errorf("only %d commits were crashed", last-1)
	}
}

func crashKillSwitch(t *testing.T, at int, applied bool) (crashed bool) {
	w := newWorld(t)
	memory := w.store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.memberAccount("m1")
		r.enrol("m1")
		for n := range 3 {
			name := fmt.Sprintf("n%d.net", n)
			r.issue(a, csrFor(t, newKey(t), name), name)
		}
		for n := range 66 { // more than one page, with those above
			r.order(a, fmt.Sprintf("o%d.net", n))
		}
		r.end()
		more(t, memory, a, 70)

		decided := false
		goOn := func(r *run) {
			if !decided {
				_, err := r.Operator().RemoveMember(t.Context(), "m1", engine.Measures{Revoke: true})
				decided = err == nil
			}
			time.Sleep(10 * time.Minute)
		}
		for i := range 3 {
			store := &crashStore{Store: memory, at: at, applied: applied}
			if i > 0 {
				store.at = min(at, 2) // the next process dies as well
			}
			if i > 0 && !crashed {
				store.at = 0
			}
			w.store = store
			r = w.start()
			goOn(r)
			crashed = checkEnd(t, r, store) || crashed
		}
		w.store = memory
		r = w.start()
		defer r.end()
		goOn(r)
		p, err := r.Operator().MemberProgress(t.Context(), "m1")
		if want := (engine.MemberProgress{Revoked: 73, Done: true}); err != nil || p != want {
			t.Errorf("progress %+v, %v; want %+v", p, err, want)
		}
		m, err := r.Operator().Member(t.Context(), "m1")
		if err != nil || m.Version != 2 || m.Enforcement.Orders != 66 || m.Enforcement.Certificates != 73 {
			t.Errorf("%+v %+v, %v", m, m.Enforcement, err)
		}
		// A CA may be told twice, when the answer got lost; not of another one.
		told := slices.Clone(w.fake.revoked)
		slices.Sort(told)
		if n := len(slices.Compact(told)); n != 73 {
			t.Errorf("the CA was told of %d certificates", n)
		}
		if all, parked, err := r.Operator().Jobs(t.Context()); err != nil || all != 0 || parked != 0 {
			t.Errorf("%d jobs are left, %d of them parked, %v", all, parked, err)
		}
	})
	return crashed
}

// more stores n further certificates of an account, made from one that it has.
func more(t *testing.T, s storage.Store, a acme.Account, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx storage.Tx) error {
		found, _, err := tx.Certificates().ByAccount(a.ID, storage.Page{Limit: 1})
		if err != nil {
			return err
		}
		for i := range n {
			c := found[0]
			c.ID = acme.CertificateID(fmt.Sprintf("%s-%02d", c.ID, i))
			c.Serial = fmt.Appendf(nil, "\x01%02d", i)
			if err := tx.Certificates().Put(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
