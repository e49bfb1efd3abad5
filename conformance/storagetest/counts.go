package storagetest

import (
	"fmt"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// Counts decide what is refused, so each is tried at its edges; the random
// cases compare all of them with the model.
var counts = []testCase{
	{"orders/open", openOrders},
	{"orders/processing for a set of names", processingFor},
	{"certificates/live", liveCertificates},
	{"certificates/issued for a set of names", issuedFor},
	{"jobs/queued", jobsQueued},
}

// second is a time without a part of a second: what limits look at has none.
func second(n int) time.Time { return at(n).Truncate(time.Second) }

func openOrders(t *testing.T, s storage.Store) {
	with := func(n int, status acme.OrderStatus, expires time.Time) acme.Order {
		o := order(n)
		o.Account, o.Member, o.Status, o.Expires = accountID(1), member(1), status, expires
		return o
	}
	open := func(when time.Time, limit, waiting, processing int, expires time.Time) {
		t.Helper()
		want := storage.OpenOrders{Waiting: waiting, Processing: processing, Expires: expires}
		view(t, s, func(tx storage.Tx) error {
			got, err := tx.Orders().OpenByAccount(accountID(1), when, limit)
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("open of the account at %s up to %d", when.Format(time.TimeOnly), limit), got, want)
			got, err = tx.Orders().OpenByMember(member(1), when, limit)
			same(t, "open of the member", got, want)
			return err
		})
	}
	open(second(0), 10, 0, 0, time.Time{})
	elsewhere, nobody := with(8, acme.OrderReady, second(50)), with(9, acme.OrderProcessing, second(50))
	elsewhere.Account, elsewhere.Member = accountID(2), member(2)
	nobody.Account, nobody.Member = accountID(2), ""
	a, b, c, d := with(1, acme.OrderPending, second(30)), with(2, acme.OrderReady, second(20)), with(3, acme.OrderReady, second(90000)), with(4, acme.OrderProcessing, second(10))
	put(t, s, a, b, c, d, with(5, acme.OrderValid, second(50)), with(6, acme.OrderInvalid, second(50)), elsewhere, nobody)
	open(second(0), 10, 3, 1, second(20))
	open(second(0), 2, 2, 1, second(20))
	// The moment an order expires it is over; a CA at work knows no such moment.
	open(second(20).Add(-time.Second), 10, 3, 1, second(20))
	open(second(20), 10, 2, 1, second(30))
	open(second(30), 10, 1, 1, second(90000))
	open(second(29).Add(59*time.Second+999*time.Millisecond), 10, 2, 1, second(30))
	open(second(30).Add(999*time.Millisecond), 10, 1, 1, second(90000))
	// What moves on is counted where it is, once.
	a.Status, c.Status, d.Status = acme.OrderReady, acme.OrderProcessing, acme.OrderValid
	put(t, s, a, a, c, d)
	open(second(0), 10, 2, 1, second(20))
	a.Status, b.Status, c.Status = acme.OrderInvalid, acme.OrderInvalid, acme.OrderInvalid
	put(t, s, a, b, c)
	open(second(0), 10, 0, 0, time.Time{})
	view(t, s, func(tx storage.Tx) error {
		got, err := tx.Orders().OpenByAccount(accountID(2), second(0), 10)
		same(t, "of the other account", got, storage.OpenOrders{Waiting: 1, Processing: 1, Expires: second(50)})
		if err != nil {
			return err
		}
		got, err = tx.Orders().OpenByMember("", second(0), 10)
		same(t, "of nobody", got, storage.OpenOrders{})
		return err
	})
}

func processingFor(t *testing.T, s storage.Store) {
	with := func(n int, owner acme.AccountID, status acme.OrderStatus, names ...acme.Identifier) acme.Order {
		o := order(n)
		o.Account, o.Status, o.Identifiers = owner, status, names
		return o
	}
	one := with(1, accountID(1), acme.OrderProcessing, name(1), name(2))
	put(t, s, one, with(2, accountID(1), acme.OrderProcessing, name(2), name(1)), with(3, accountID(1), acme.OrderReady, name(1), name(2)),
		with(4, accountID(2), acme.OrderProcessing, name(1), name(2)), with(5, accountID(1), acme.OrderProcessing, name(1)))
	both, single := acme.NameSetOf([]acme.Identifier{name(1), name(2)}), acme.NameSetOf([]acme.Identifier{name(1)})
	of := func(owner acme.AccountID, set acme.NameSet, limit, want int) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			if got, err := tx.Orders().ProcessingFor(owner, set, limit); err != nil || got != want {
				t.Errorf("ProcessingFor up to %d: %d, %v; want %d", limit, got, err, want)
			}
			return nil
		})
	}
	of(accountID(1), both, 10, 2)
	of(accountID(1), both, 1, 1)
	of(accountID(1), single, 10, 1)
	of(accountID(2), both, 10, 1)
	of(accountID(2), single, 10, 0)
	one.Status = acme.OrderValid
	put(t, s, one)
	of(accountID(1), both, 10, 1)
}

func liveCertificates(t *testing.T, s storage.Store) {
	with := func(n int, ends time.Time, change func(*acme.Certificate)) acme.Certificate {
		c := certificate(n)
		c.Member, c.NotAfter, c.Revocation, c.RenewedAt = member(1), ends, nil, time.Time{}
		if change != nil {
			change(&c)
		}
		return c
	}
	live := func(when time.Time, limit, want int, wantEnds time.Time) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			if got, ends, err := tx.Certificates().Live(member(1), when, limit); err != nil || got != want || !ends.Equal(wantEnds) {
				t.Errorf("Live at %s up to %d: %d, %s, %v; want %d, %s", when.Format(time.TimeOnly), limit, got, ends, err, want, wantEnds)
			}
			return nil
		})
	}
	live(second(0), 10, 0, time.Time{})
	a, b := with(1, second(30), nil), with(2, second(20), nil)
	put(t, s, a, b, with(3, second(40), nil),
		with(4, second(50), func(c *acme.Certificate) { c.Revocation = &acme.Revocation{At: second(1)} }),
		with(5, second(50), func(c *acme.Certificate) { c.RenewedAt = second(1) }),
		with(6, second(50), func(c *acme.Certificate) { c.Member = member(2) }),
		with(7, second(50), func(c *acme.Certificate) { c.Member = "" }))
	live(second(0), 10, 3, second(20))
	live(second(0), 2, 2, second(20))
	live(second(20).Add(-time.Second), 10, 3, second(20))
	live(second(20), 10, 2, second(30))
	b.RenewedAt, a.Revocation = second(5), &acme.Revocation{At: second(5)}
	put(t, s, a, b)
	live(second(0), 10, 1, second(40))
}

func issuedFor(t *testing.T, s storage.Store) {
	with := func(n int, when time.Time, names ...acme.Identifier) acme.Certificate {
		c := certificate(n)
		c.IssuedAt, c.Identifiers = when, names
		return c
	}
	uncounted := with(6, at(15), name(1), name(2))
	uncounted.CountsNames = false
	put(t, s, uncounted, with(1, at(30), name(1), name(2)), with(2, at(10), name(2), name(1)), with(3, at(20), name(1), name(2)),
		with(4, at(20), name(1)), with(5, at(20), name(2), name(3)))
	issued := func(set []acme.Identifier, since time.Time, limit int, want ...time.Time) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			got, err := tx.Certificates().IssuedFor(acme.NameSetOf(set), since, limit)
			same(t, fmt.Sprintf("issued since %s, the latest %d", since.Format(time.TimeOnly), limit), got, want)
			return err
		})
	}
	both := []acme.Identifier{name(1), name(2)}
	issued(both, at(0), 10, at(10), at(20), at(30))
	issued(both, at(10), 10, at(10), at(20), at(30))
	issued(both, at(10).Add(1), 10, at(20), at(30))
	issued(both, at(0), 2, at(20), at(30))
	issued(both, at(31), 10)
	issued([]acme.Identifier{name(1)}, at(0), 10, at(20))
	issued([]acme.Identifier{name(3)}, at(0), 10)
}

func jobsQueued(t *testing.T, s storage.Store) {
	with := func(n int, backend string) storage.Job {
		j := dueJob(n)
		j.Backend = backend
		return j
	}
	queued := func(backend string, limit, want int) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			if got, err := tx.Jobs().Queued(backend, limit); err != nil || got != want {
				t.Errorf("Queued(%q) up to %d: %d, %v; want %d", backend, limit, got, err, want)
			}
			return nil
		})
	}
	queued("local", 10, 0)
	a := with(1, "local")
	a.Lease = storage.Lease{Holder: "run-1", Until: at(9)} // at work is not done
	put(t, s, a, with(2, "local"), with(3, "local"), with(4, "locale"), with(5, ""), job(6))
	queued("local", 10, 3)
	queued("local", 2, 2)
	queued("locale", 10, 1)
	a.Parked = "a person decides"
	put(t, s, a)
	queued("local", 10, 2)
	update(t, s, func(tx storage.Tx) error { return tx.Jobs().Delete(jobID(2)) })
	queued("local", 10, 1)
}
