package storagetest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"acmebridge/acme"
	"acmebridge/storage"
)

var isolation = []testCase{
	{"isolation/counter", counterIsExact},
	{"isolation/write skew", noWriteSkew},
	{"isolation/view sees one state", viewSeesOneState},
	{"isolation/view stands still", viewStandsStill},
	{"isolation/finalize once", finalizeOnce},
	{"isolation/records are not shared", recordsAreNotShared},
}

// increment adds one to the counter of a name, in whatever way a function of a
// serializable transaction may: it reads, adds and writes.
func increment(tx storage.Tx, name string) error {
	n, err := counter(tx.Meta().Get(name))
	if err != nil {
		return err
	}
	return tx.Meta().Put(name, number(n+1))
}

func value(t *testing.T, s storage.Store, name string) (n uint64) {
	t.Helper()
	view(t, s, func(tx storage.Tx) (err error) {
		n, err = counter(tx.Meta().Get(name))
		return err
	})
	return n
}

func counterIsExact(t *testing.T, s storage.Store) {
	const goroutines, rounds = 64, 8
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				if err := s.Update(t.Context(), func(tx storage.Tx) error { return increment(tx, "n") }); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := value(t, s, "n"); got != goroutines*rounds {
		t.Errorf("%d updates added up to %d", goroutines*rounds, got)
	}
}

// noWriteSkew lets pairs of updates read the same two values and write one
// each. Snapshot isolation would let both think the other one stays.
func noWriteSkew(t *testing.T, s storage.Store) {
	for round := range 20 {
		names := [2]string{fmt.Sprintf("on call %d a", round), fmt.Sprintf("on call %d b", round)}
		update(t, s, func(tx storage.Tx) error {
			for _, n := range names {
				if err := tx.Meta().Put(n, number(1)); err != nil {
					return err
				}
			}
			return nil
		})
		var wg sync.WaitGroup
		for i := range names {
			wg.Go(func() {
				if err := s.Update(t.Context(), func(tx storage.Tx) error {
					mine, err := counter(tx.Meta().Get(names[i]))
					if err != nil {
						return err
					}
					other, err := counter(tx.Meta().Get(names[1-i]))
					if err != nil || mine+other < 2 {
						return err
					}
					return tx.Meta().Put(names[i], number(0))
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		wg.Wait()
		if left := value(t, s, names[0]) + value(t, s, names[1]); left != 1 {
			t.Fatalf("round %d: %d left on call, want 1", round, left)
		}
	}
}

// viewSeesOneState changes an order and its job together, over and over, and
// never may a view see one of them without the other.
func viewSeesOneState(t *testing.T, s storage.Store) {
	const rounds = 60
	set := func(n int) error {
		return s.Update(t.Context(), func(tx storage.Tx) error {
			o, j := order(1), dueJob(1)
			o.Replaces, j.Attempt = fmt.Sprint(n), n
			if n%2 == 1 {
				return joined(tx.Orders().Put(o), tx.Jobs().Delete(j.ID))
			}
			return joined(tx.Jobs().Put(j), tx.Orders().Put(o))
		})
	}
	if err := set(0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range rounds {
			if err := set(n); err != nil {
				t.Errorf("Update: %v", err)
			}
		}
	}()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				if err := s.View(t.Context(), func(tx storage.Tx) error {
					o, err := tx.Orders().Get(order(1).ID)
					if err != nil {
						return err
					}
					all, _, err := tx.Jobs().Count()
					if err != nil {
						return err
					}
					jobs, err := tx.Jobs().Due(farFuture, 10)
					if err != nil {
						return err
					}
					state := fmt.Sprintf("order says %s, %d jobs due, %d counted", o.Replaces, len(jobs), all)
					switch {
					case len(jobs) != all, len(jobs) == 1 && fmt.Sprint(jobs[0].Attempt) != o.Replaces:
						t.Errorf("a view saw two states at once: %s", state)
					}
					return nil
				}); err != nil {
					t.Errorf("View: %v", err)
				}
			}
		})
	}
	<-done
	wg.Wait()
}

// viewStandsStill reads the same thing many times in one view while others
// write it. A store may hold the writers up meanwhile, so nothing waits for them.
func viewStandsStill(t *testing.T, s storage.Store) {
	update(t, s, func(tx storage.Tx) error { return increment(tx, "n") })
	var wg sync.WaitGroup
	defer wg.Wait()
	view(t, s, func(tx storage.Tx) error {
		first, err := counter(tx.Meta().Get("n"))
		if err != nil {
			return err
		}
		for range 4 {
			wg.Go(func() {
				if err := s.Update(t.Context(), func(tx storage.Tx) error { return increment(tx, "n") }); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		for range 500 {
			runtime.Gosched()
			if n, err := counter(tx.Meta().Get("n")); err != nil || n != first {
				return fmt.Errorf("within one view the value went from %d to %d: %w", first, n, err)
			}
		}
		return nil
	})
}

// finalizeOnce moves one order from ready to processing from many sides at
// once (SP-11): exactly one of them may do it.
func finalizeOnce(t *testing.T, s storage.Store) {
	o := order(1)
	o.Status = acme.OrderReady
	put(t, s, o)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		won int
	)
	for range 32 {
		wg.Go(func() {
			var mine bool
			err := s.Update(t.Context(), func(tx storage.Tx) error {
				mine = false // assigned, not accumulated: this may run again
				now, err := tx.Orders().Get(o.ID)
				if err != nil || now.Status != acme.OrderReady {
					return err
				}
				mine, now.Status = true, acme.OrderProcessing
				return tx.Orders().Put(now)
			})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
			if mine {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d finalized the order, want 1", won)
	}
}

// recordsAreNotShared changes what was handed in and what was handed out.
func recordsAreNotShared(t *testing.T, s storage.Store) {
	given := order(1)
	cert := certificate(1)
	update(t, s, func(tx storage.Tx) error {
		if err := joined(tx.Orders().Put(given), tx.Certificates().Put(cert)); err != nil {
			return err
		}
		given.Identifiers[0].Value, given.Problem.Detail, given.History[0].What, cert.Leaf[0] = "changed", "changed", "changed", cert.Leaf[0]+1
		return nil
	})
	for range 2 {
		var (
			gotOrder acme.Order
			gotCert  acme.Certificate
			listed   []acme.Order
		)
		view(t, s, func(tx storage.Tx) (err error) {
			if gotOrder, err = tx.Orders().Get(given.ID); err != nil {
				return err
			}
			if gotCert, err = tx.Certificates().Get(cert.ID); err != nil {
				return err
			}
			listed, _, err = tx.Orders().List(storage.Page{})
			return err
		})
		// After the view, too: nothing of it may point into the store (SS-8).
		update(t, s, func(tx storage.Tx) error { return tx.Certificates().Put(certificate(2)) })
		same(t, "the order", gotOrder, order(1))
		same(t, "the listed order", listed, []acme.Order{order(1)})
		same(t, "the certificate", gotCert, certificate(1))
		gotOrder.Identifiers[0].Value, gotOrder.Problem.Subproblems[0].Detail = "changed", "changed"
		listed[0].Authorizations[0], gotCert.Leaf[0], gotCert.Revocation.By = "changed", 0, "changed"
	}
}
