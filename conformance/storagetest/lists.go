package storagetest

import (
	"errors"
	"fmt"
	"testing"

	"acmebridge/acme"
	"acmebridge/storage"
)

var lists = []testCase{
	{"accounts/by key", accountsByKey},
	{"accounts/one key, one account", oneKeyOneAccount},
	{"accounts/lists", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Account {
			a := account(n)
			a.Member = member(n % 2)
			return a
		}, func(tx storage.Tx) listFunc[acme.Account] { return tx.Accounts().List }, func(tx storage.Tx) listFunc[acme.Account] {
			return func(p storage.Page) ([]acme.Account, string, error) { return tx.Accounts().ByMember(member(0), p) }
		}, func(a acme.Account) acme.Account { a.Member = member(1); return a })
	}},
	{"orders/by account", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Order {
			o := order(n)
			o.Account = accountID(n % 2)
			return o
		}, func(tx storage.Tx) listFunc[acme.Order] { return tx.Orders().List }, func(tx storage.Tx) listFunc[acme.Order] {
			return func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().ByAccount(accountID(0), p) }
		}, func(o acme.Order) acme.Order { o.Account = accountID(1); return o })
	}},
	{"orders/by member", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Order {
			o := order(n)
			o.Member = member(n % 2)
			return o
		}, func(tx storage.Tx) listFunc[acme.Order] { return tx.Orders().List }, func(tx storage.Tx) listFunc[acme.Order] {
			return func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().ByMember(member(0), p) }
		}, func(o acme.Order) acme.Order { o.Member = ""; return o })
	}},
	{"orders/attached", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Order {
			o := order(n)
			o.AttachedTo = orderID(50 + n%2)
			return o
		}, func(tx storage.Tx) listFunc[acme.Order] { return tx.Orders().List }, func(tx storage.Tx) listFunc[acme.Order] {
			return func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().Attached(orderID(50), p) }
		}, func(o acme.Order) acme.Order { o.Status = acme.OrderValid; return o })
	}},
	{"external keys/lists", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.ExternalAccountKey {
			k := externalKey(n)
			k.Member = member(n % 2)
			return k
		}, func(tx storage.Tx) listFunc[acme.ExternalAccountKey] { return tx.ExternalKeys().List }, func(tx storage.Tx) listFunc[acme.ExternalAccountKey] {
			return func(p storage.Page) ([]acme.ExternalAccountKey, string, error) {
				return tx.ExternalKeys().ByMember(member(0), p)
			}
		}, func(k acme.ExternalAccountKey) acme.ExternalAccountKey { k.Member = member(1); return k })
	}},
	{"members/list", membersList},
	{"certificates/by account", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Certificate {
			c := certificate(n)
			c.Account = accountID(n % 2)
			return c
		}, func(tx storage.Tx) listFunc[acme.Certificate] { return tx.Certificates().List }, func(tx storage.Tx) listFunc[acme.Certificate] {
			return func(p storage.Page) ([]acme.Certificate, string, error) {
				return tx.Certificates().ByAccount(accountID(0), p)
			}
		}, func(c acme.Certificate) acme.Certificate { c.Account = accountID(1); return c })
	}},
	{"certificates/by member", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Certificate {
			c := certificate(n)
			c.Member = member(n % 2)
			return c
		}, func(tx storage.Tx) listFunc[acme.Certificate] { return tx.Certificates().List }, func(tx storage.Tx) listFunc[acme.Certificate] {
			return func(p storage.Page) ([]acme.Certificate, string, error) {
				return tx.Certificates().ByMember(member(0), p)
			}
		}, func(c acme.Certificate) acme.Certificate { c.Member = ""; return c })
	}},
	{"certificates/by key", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Certificate {
			c := certificate(n)
			c.KeyHash = hash("shared", n%2)
			return c
		}, func(tx storage.Tx) listFunc[acme.Certificate] { return tx.Certificates().List }, func(tx storage.Tx) listFunc[acme.Certificate] {
			return func(p storage.Page) ([]acme.Certificate, string, error) {
				return tx.Certificates().ByKey(hash("shared", 0), p)
			}
		}, func(c acme.Certificate) acme.Certificate { c.KeyHash = hash("shared", 1); return c })
	}},
	{"certificates/revoked", func(t *testing.T, s storage.Store) {
		listing(t, s, func(n int) acme.Certificate {
			c := certificate(n)
			if n%2 == 1 {
				c.Revocation = nil
			}
			return c
		}, func(tx storage.Tx) listFunc[acme.Certificate] { return tx.Certificates().List }, func(tx storage.Tx) listFunc[acme.Certificate] {
			return func(p storage.Page) ([]acme.Certificate, string, error) { return tx.Certificates().Revoked("local", p) }
		}, func(c acme.Certificate) acme.Certificate { c.Backend = "other"; return c })
	}},
	{"certificates/expiring", expiring},
	{"certificates/by serial, RFC 9773 id and key", bySerial},
	{"submissions/by key", submissionsByKey},
	{"submissions/by need", submissionsByNeed},
	{"authorizations/valid", validAuthorizations},
	{"authorizations/list", func(t *testing.T, s storage.Store) {
		valid := func(n int) acme.Authorization {
			a := authorization(n)
			a.Account, a.Identifier, a.Wildcard, a.Expires = accountID(n%2), name(1), false, at(1000-n)
			return a
		}
		listing(t, s, valid, func(tx storage.Tx) listFunc[acme.Authorization] { return tx.Authorizations().List }, func(tx storage.Tx) listFunc[acme.Authorization] {
			return func(p storage.Page) ([]acme.Authorization, string, error) {
				return tx.Authorizations().Valid(accountID(0), name(1), false, p)
			}
		}, func(a acme.Authorization) acme.Authorization { a.Status = acme.AuthorizationDeactivated; return a })
	}},
	{"publications/list", publicationsList},
}

type listFunc[R any] func(storage.Page) ([]R, string, error)

// listing stores fixtures, of which the even ones are in a selection, and goes
// through both lists in pages of every size; adds while it pages; and moves
// one record out of the selection.
func listing[R any](t *testing.T, s storage.Store, fixture func(int) R, all, selection func(storage.Tx) listFunc[R], leave func(R) R) {
	view(t, s, func(tx storage.Tx) error {
		for _, l := range []listFunc[R]{all(tx), selection(tx)} {
			if found, next, err := l(storage.Page{}); err != nil || len(found) != 0 || next != "" {
				t.Errorf("an empty list: %d records, next %q, %v", len(found), next, err)
			}
		}
		return nil
	})
	const n = 12
	var everything, selected []R
	for i := range n {
		everything = append(everything, fixture(i))
		if i%2 == 0 {
			selected = append(selected, fixture(i))
		}
	}
	for _, i := range []int{5, 0, 11, 3, 8, 1, 2, 10, 9, 4, 7, 6} { // order of storing is not order of ids
		put(t, s, fixture(i))
	}
	view(t, s, func(tx storage.Tx) error {
		for limit := range n + 2 {
			got, err := pages(limit, all(tx))
			if err != nil {
				return fmt.Errorf("pages of %d: %w", limit, err)
			}
			same(t, fmt.Sprintf("everything in pages of %d", limit), got, everything)
			got, err = pages(limit, selection(tx))
			if err != nil {
				return fmt.Errorf("selection, pages of %d: %w", limit, err)
			}
			same(t, fmt.Sprintf("selection in pages of %d", limit), got, selected)
		}
		return nil
	})

	// A page is not disturbed by what is stored between it and the one before.
	var after string
	view(t, s, func(tx storage.Tx) error {
		got, next, err := selection(tx)(storage.Page{Limit: 3})
		same(t, "the first page", got, selected[:3])
		after = next
		return err
	})
	put(t, s, fixture(n), leave(fixture(2)), leave(fixture(6)))
	view(t, s, func(tx storage.Tx) error {
		got, next, err := selection(tx)(storage.Page{After: after, Limit: 3})
		same(t, "the page after something was added and two have left", got, []R{fixture(8), fixture(10), fixture(12)})
		if next != "" {
			t.Errorf("there is nothing more, and the key to go on with is %q", next)
		}
		if err != nil {
			return err
		}
		rest, err := pages(0, selection(tx))
		same(t, "what is left of the selection", rest, []R{fixture(0), fixture(4), fixture(8), fixture(10), fixture(12)})
		return err
	})
}

func accountsByKey(t *testing.T, s storage.Store) {
	here, there := account(1), account(2)
	there.KeyHash, there.Directory = here.KeyHash, "other" // D11: the same key in two directories makes two accounts
	put(t, s, here, there)
	find := func(d acme.DirectoryName, h acme.KeyHash, want acme.AccountID) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			got, err := tx.Accounts().ByKey(d, h)
			if got.ID != want || (want == "") != isNotFound(err) {
				t.Errorf("ByKey(%s, %x): %q, %v; want %q", d, h[:2], got.ID, err, want)
			}
			return nil
		})
	}
	inUse := func(h acme.KeyHash, want bool) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			if got, err := tx.Accounts().KeyInUse(h); err != nil || got != want {
				t.Errorf("KeyInUse: %t, %v; want %t", got, err, want)
			}
			return nil
		})
	}
	find("default", here.KeyHash, here.ID)
	find("other", here.KeyHash, there.ID)
	find("third", here.KeyHash, "")
	find("default", hash("nobody", 1), "")
	find("default", acme.KeyHash{}, "")

	// SP-13: the old key is dead at the commit that brings the new one.
	old := here.KeyHash
	here.KeyHash = hash("new key", 1)
	put(t, s, here)
	find("default", here.KeyHash, here.ID)
	find("default", old, "")
	find("other", old, there.ID)
	inUse(old, true)
	inUse(here.KeyHash, true)
	there.KeyHash = hash("new key", 2)
	put(t, s, there)
	inUse(old, false)
}

func oneKeyOneAccount(t *testing.T, s storage.Store) {
	first, second := account(1), account(2)
	second.KeyHash = first.KeyHash
	put(t, s, first, first) // its own key is in nobody's way
	if err := s.Update(t.Context(), func(tx storage.Tx) error { return tx.Accounts().Put(second) }); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("a second account with that key: %v, want ErrConflict", err)
	}
	view(t, s, func(tx storage.Tx) error {
		if _, err := tx.Accounts().Get(second.ID); !isNotFound(err) {
			t.Errorf("the refused account: %v, want ErrNotFound", err)
		}
		got, err := tx.Accounts().ByKey(first.Directory, first.KeyHash)
		same(t, "the account of the key", got, first)
		return err
	})
}

func submissionsByKey(t *testing.T, s storage.Store) {
	first, second := submission(1), submission(2)
	put(t, s, first, second)
	third := submission(3)
	third.Key = first.Key
	if err := s.Update(t.Context(), func(tx storage.Tx) error { return tx.Submissions().Put(third) }); !errors.Is(err, storage.ErrConflict) { // SC-2
		t.Errorf("a second submission with that key: %v, want ErrConflict", err)
	}
	old := first.Key
	first.Key = "another reference"
	put(t, s, first)
	view(t, s, func(tx storage.Tx) error {
		for key, want := range map[string]acme.SubmissionID{second.Key: second.ID, first.Key: first.ID, old: "", "": "", "nobody's": ""} {
			got, err := tx.Submissions().ByKey(key)
			if got.ID != want || (want == "") != isNotFound(err) {
				t.Errorf("ByKey(%q): %q, %v; want %q", key, got.ID, err, want)
			}
		}
		return nil
	})
}

func submissionsByNeed(t *testing.T, s storage.Store) {
	with := func(n, created int, of acme.Need) storage.Submission {
		x := submission(n)
		x.CreatedAt, x.Need = at(created), of
		return x
	}
	asked := func(of acme.Need, want ...storage.Submission) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			for limit := range len(want) + 2 {
				got, err := pages(limit, func(p storage.Page) ([]storage.Submission, string, error) { return tx.Submissions().ByNeed(of, p) })
				if err != nil {
					return fmt.Errorf("by need in pages of %d: %w", limit, err)
				}
				same(t, fmt.Sprintf("by need in pages of %d", limit), got, want)
			}
			return nil
		})
	}
	asked(need(1))
	first, latest, middle := with(1, 10, need(1)), with(2, 30, need(1)), with(3, 20, need(1))
	other, ancient, none := with(4, 40, need(2)), with(5, 0, need(1)), with(6, 50, acme.Need{})
	ancient.CreatedAt = at(0).AddDate(-100, 0, 0) // before 1970, too
	put(t, s, first, latest, middle, other, ancient, none)
	asked(need(1), latest, middle, first, ancient)
	asked(need(2), other)
	asked(need(3))
	asked(acme.Need{})
	// What is known of a request changes, and leaves it where it is.
	middle.Ticket, latest.Need = "another ticket", need(2)
	put(t, s, middle, latest)
	asked(need(1), middle, first, ancient)
	asked(need(2), other, latest)
}

func validAuthorizations(t *testing.T, s storage.Store) {
	with := func(n int, change func(*acme.Authorization)) acme.Authorization {
		a := authorization(n)
		a.Account, a.Identifier, a.Wildcard = accountID(1), name(1), false
		a.Expires = at(n)
		change(&a)
		return a
	}
	valid := func(owner acme.AccountID, id acme.Identifier, wildcard bool, want ...acme.Authorization) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			for limit := range len(want) + 2 {
				got, err := pages(limit, func(p storage.Page) ([]acme.Authorization, string, error) {
					return tx.Authorizations().Valid(owner, id, wildcard, p)
				})
				if err != nil {
					return fmt.Errorf("valid for %s, wildcard %t, in pages of %d: %w", id.Value, wildcard, limit, err)
				}
				same(t, fmt.Sprintf("valid for %s, wildcard %t, in pages of %d", id.Value, wildcard, limit), got, want)
			}
			return nil
		})
	}
	asked := acme.Identifier{Type: acme.DNSIdentifier, Value: name(1).Value} // however the client spells it
	valid(accountID(1), asked, false)
	nothing := func(*acme.Authorization) {}
	wildcard := with(50, func(a *acme.Authorization) { a.Wildcard = true })
	other := with(60, func(a *acme.Authorization) { a.Account = accountID(2) })
	latest, middle, sameTime, first := with(30, nothing), with(20, nothing), with(21, func(a *acme.Authorization) { a.Expires = at(20) }), with(10, nothing)
	ancient := with(90, func(a *acme.Authorization) { a.Expires = at(0).AddDate(-100, 0, 0) }) // before 1970, too
	put(t, s,
		first, latest, sameTime, wildcard, middle, other, ancient,
		with(40, func(a *acme.Authorization) { a.Status = acme.AuthorizationPending }),
		with(70, func(a *acme.Authorization) { a.Identifier.Type = acme.IPIdentifier }),
		with(80, func(a *acme.Authorization) { a.Identifier.Value += "x" }),
	)
	valid(accountID(1), asked, false, latest, middle, sameTime, first, ancient)
	valid(accountID(1), asked, true, wildcard)
	valid(accountID(2), asked, false, other)
	valid(accountID(2), asked, true)
	latest.Status = acme.AuthorizationDeactivated
	middle.Expires = at(5)
	put(t, s, latest, middle)
	valid(accountID(1), asked, false, sameTime, first, middle, ancient)
}

func bySerial(t *testing.T, s storage.Store) {
	// Two issuers, one serial; and a serial that begins with another.
	a, b, c := certificate(1), certificate(2), certificate(3)
	a.Serial, b.Serial, c.Serial = []byte{1, 2}, []byte{1, 2}, []byte{1, 2, 3}
	b.AuthorityKeyID = blob("aki", 2, 20)
	put(t, s, b, c, a)
	view(t, s, func(tx storage.Tx) error {
		got, err := tx.Certificates().BySerial([]byte{1, 2})
		if err != nil {
			return err
		}
		same(t, "BySerial", got, []acme.Certificate{a, b})
		if got, err := tx.Certificates().BySerial([]byte{1}); err != nil || len(got) != 0 {
			t.Errorf("BySerial of an unknown serial: %d, %v; want none and no error", len(got), err)
		}
		one, err := tx.Certificates().ByCertID(b.AuthorityKeyID, b.Serial)
		same(t, "ByCertID", one, b)
		if err != nil {
			return err
		}
		if _, err := tx.Certificates().ByCertID(b.AuthorityKeyID, c.Serial); !isNotFound(err) {
			t.Errorf("ByCertID of the other issuer: %v, want ErrNotFound", err)
		}
		for h, want := range map[acme.KeyHash]bool{a.KeyHash: true, hash("nobody", 1): false, account(1).KeyHash: false} {
			if got, err := tx.Certificates().KeyInUse(h); err != nil || got != want {
				t.Errorf("KeyInUse: %t, %v; want %t", got, err, want)
			}
		}
		return nil
	})
	var many []acme.Certificate // more than one page of them
	for n := range 130 {
		c := certificate(1000 + n)
		c.Serial = []byte{9}
		many = append(many, c)
	}
	update(t, s, func(tx storage.Tx) error {
		for _, c := range many {
			if err := tx.Certificates().Put(c); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(tx storage.Tx) error {
		got, err := tx.Certificates().BySerial([]byte{9})
		same(t, "BySerial of many", got, many)
		return err
	})
}

func expiring(t *testing.T, s storage.Store) {
	// Age and expiry run against each other; two end at the same moment.
	var certs []acme.Certificate
	for n := range 8 {
		c := certificate(n)
		c.NotAfter = at(100 - 10*(n/2))
		put(t, s, c)
		certs = append(certs, c)
	}
	never := certificate(20)
	never.NotAfter = farFuture
	put(t, s, never)
	soonest := []acme.Certificate{certs[6], certs[7], certs[4], certs[5], certs[2], certs[3], certs[0], certs[1]}
	view(t, s, func(tx storage.Tx) error {
		for limit := range 10 {
			got, err := pages(limit, func(p storage.Page) ([]acme.Certificate, string, error) {
				return tx.Certificates().Expiring(at(0), at(1000), p)
			})
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("all in pages of %d", limit), got, soonest)
			got, err = pages(limit, func(p storage.Page) ([]acme.Certificate, string, error) {
				return tx.Certificates().Expiring(at(80), at(100), p) // from is in, to is not
			})
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("a window in pages of %d", limit), got, soonest[2:6])
		}
		got, next, err := tx.Certificates().Expiring(at(100).Add(1), farFuture.Add(1), storage.Page{})
		same(t, "the last day of X.509", got, []acme.Certificate{never})
		if next != "" {
			t.Errorf("next is %q at the end", next)
		}
		return err
	})
	moved := certs[6]
	moved.NotAfter = at(500)
	put(t, s, moved)
	view(t, s, func(tx storage.Tx) error {
		got, _, err := tx.Certificates().Expiring(at(0), at(1000), storage.Page{})
		same(t, "after one got another end", got, append(soonest[1:len(soonest):len(soonest)], moved))
		return err
	})
}

func membersList(t *testing.T, s storage.Store) {
	put(t, s, registered(3), registered(1), registered(2))
	view(t, s, func(tx storage.Tx) error {
		for limit := range 5 {
			got, err := pages(limit, tx.Members().List)
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("members in pages of %d", limit), got, []acme.Member{registered(1), registered(2), registered(3)})
		}
		got, _, err := tx.Members().List(storage.Page{After: "DEV/GOV/1001x"}) // an id that need not exist
		same(t, "members after an id of nobody", got, []acme.Member{registered(2), registered(3)})
		return err
	})
}

func publicationsList(t *testing.T, s storage.Store) {
	put(t, s, publication(3), publication(1), publication(2))
	view(t, s, func(tx storage.Tx) error {
		for limit := range 5 {
			got, err := pages(limit, tx.Publications().List)
			if err != nil {
				return err
			}
			same(t, "publications", got, []storage.Publication{publication(1), publication(2), publication(3)})
		}
		return nil
	})
}
