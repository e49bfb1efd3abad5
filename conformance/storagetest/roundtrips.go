package storagetest

import (
	"errors"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/storage"
)

// table names what every table can do, for one type of record.
type table[K, R any] struct {
	get     func(storage.Tx, K) (R, error)
	put     func(storage.Tx, R) error
	key     func(R) K
	fixture func(int) R
	// change returns the record with something else in it.
	change func(R) R
	// strip returns the record with nothing but its key.
	strip func(R) R
	// keyless returns the record without its key.
	keyless func(R) R
}

var roundTrips = []testCase{
	{"accounts/round trip", table[acme.AccountID, acme.Account]{
		get:     func(tx storage.Tx, k acme.AccountID) (acme.Account, error) { return tx.Accounts().Get(k) },
		put:     func(tx storage.Tx, r acme.Account) error { return tx.Accounts().Put(r) },
		key:     func(r acme.Account) acme.AccountID { return r.ID },
		fixture: account,
		change:  func(r acme.Account) acme.Account { r.Contact = r.Contact[:1]; return r },
		strip:   func(r acme.Account) acme.Account { return acme.Account{ID: r.ID} },
		keyless: func(r acme.Account) acme.Account { r.ID = ""; return r },
	}.run},
	{"orders/round trip", table[acme.OrderID, acme.Order]{
		get:     func(tx storage.Tx, k acme.OrderID) (acme.Order, error) { return tx.Orders().Get(k) },
		put:     func(tx storage.Tx, r acme.Order) error { return tx.Orders().Put(r) },
		key:     func(r acme.Order) acme.OrderID { return r.ID },
		fixture: order,
		change:  func(r acme.Order) acme.Order { r.Status, r.Problem = acme.OrderValid, nil; return r },
		strip:   func(r acme.Order) acme.Order { return acme.Order{ID: r.ID} },
		keyless: func(r acme.Order) acme.Order { r.ID = ""; return r },
	}.run},
	{"authorizations/round trip", table[acme.AuthorizationID, acme.Authorization]{
		get: func(tx storage.Tx, k acme.AuthorizationID) (acme.Authorization, error) {
			return tx.Authorizations().Get(k)
		},
		put:     func(tx storage.Tx, r acme.Authorization) error { return tx.Authorizations().Put(r) },
		key:     func(r acme.Authorization) acme.AuthorizationID { return r.ID },
		fixture: authorization,
		change:  func(r acme.Authorization) acme.Authorization { r.Status = acme.AuthorizationRevoked; return r },
		strip:   func(r acme.Authorization) acme.Authorization { return acme.Authorization{ID: r.ID} },
		keyless: func(r acme.Authorization) acme.Authorization { r.ID = ""; return r },
	}.run},
	{"jobs/round trip", table[storage.JobID, storage.Job]{
		get:     func(tx storage.Tx, k storage.JobID) (storage.Job, error) { return tx.Jobs().Get(k) },
		put:     func(tx storage.Tx, r storage.Job) error { return tx.Jobs().Put(r) },
		key:     func(r storage.Job) storage.JobID { return r.ID },
		fixture: job,
		change:  func(r storage.Job) storage.Job { r.Parked, r.Attempt = "", 3; return r },
		strip:   func(r storage.Job) storage.Job { return storage.Job{ID: r.ID} },
		keyless: func(r storage.Job) storage.Job { r.ID = ""; return r },
	}.run},
	{"submissions/round trip", table[acme.SubmissionID, storage.Submission]{
		get:     func(tx storage.Tx, k acme.SubmissionID) (storage.Submission, error) { return tx.Submissions().Get(k) },
		put:     func(tx storage.Tx, r storage.Submission) error { return tx.Submissions().Put(r) },
		key:     func(r storage.Submission) acme.SubmissionID { return r.ID },
		fixture: submission,
		change:  func(r storage.Submission) storage.Submission { r.CSR, r.Key = nil, "another"; return r },
		strip:   func(r storage.Submission) storage.Submission { return storage.Submission{ID: r.ID} },
		keyless: func(r storage.Submission) storage.Submission { r.ID = ""; return r },
	}.run},
	{"certificates/round trip", table[acme.CertificateID, acme.Certificate]{
		get:     func(tx storage.Tx, k acme.CertificateID) (acme.Certificate, error) { return tx.Certificates().Get(k) },
		put:     func(tx storage.Tx, r acme.Certificate) error { return tx.Certificates().Put(r) },
		key:     func(r acme.Certificate) acme.CertificateID { return r.ID },
		fixture: certificate,
		change:  func(r acme.Certificate) acme.Certificate { r.Revocation = nil; return r },
		strip:   func(r acme.Certificate) acme.Certificate { return acme.Certificate{ID: r.ID} },
		keyless: func(r acme.Certificate) acme.Certificate { r.ID = ""; return r },
	}.run},
	{"chains/round trip", table[acme.ChainHash, acme.Chain]{
		get:     func(tx storage.Tx, k acme.ChainHash) (acme.Chain, error) { return tx.Certificates().Chain(k) },
		put:     func(tx storage.Tx, r acme.Chain) error { return tx.Certificates().PutChain(r) },
		key:     func(r acme.Chain) acme.ChainHash { return r.Hash },
		fixture: chain,
		change:  func(r acme.Chain) acme.Chain { r.Certificates = r.Certificates[:1]; return r },
		strip:   func(r acme.Chain) acme.Chain { return acme.Chain{Hash: r.Hash} },
	}.run},
	{"external keys/round trip", table[acme.KeyID, acme.ExternalAccountKey]{
		get:     func(tx storage.Tx, k acme.KeyID) (acme.ExternalAccountKey, error) { return tx.ExternalKeys().Get(k) },
		put:     func(tx storage.Tx, r acme.ExternalAccountKey) error { return tx.ExternalKeys().Put(r) },
		key:     func(r acme.ExternalAccountKey) acme.KeyID { return r.ID },
		fixture: externalKey,
		change:  func(r acme.ExternalAccountKey) acme.ExternalAccountKey { r.Used, r.Sealed = 2, nil; return r },
		strip:   func(r acme.ExternalAccountKey) acme.ExternalAccountKey { return acme.ExternalAccountKey{ID: r.ID} },
		keyless: func(r acme.ExternalAccountKey) acme.ExternalAccountKey { r.ID = ""; return r },
	}.run},
	{"members/round trip", table[acme.MemberID, acme.Member]{
		get:     func(tx storage.Tx, k acme.MemberID) (acme.Member, error) { return tx.Members().Get(k) },
		put:     func(tx storage.Tx, r acme.Member) error { return tx.Members().Put(r) },
		key:     func(r acme.Member) acme.MemberID { return r.ID },
		fixture: registered,
		change: func(r acme.Member) acme.Member {
			r.Version, r.Attributes, r.Enforcement = 99, map[string]string{"class": "COM"}, nil
			return r
		},
		strip:   func(r acme.Member) acme.Member { return acme.Member{ID: r.ID} },
		keyless: func(r acme.Member) acme.Member { r.ID = ""; return r },
	}.run},
	{"blocked keys/round trip", table[acme.KeyHash, storage.BlockedKey]{
		get:     func(tx storage.Tx, k acme.KeyHash) (storage.BlockedKey, error) { return tx.BlockedKeys().Get(k) },
		put:     func(tx storage.Tx, r storage.BlockedKey) error { return tx.BlockedKeys().Put(r) },
		key:     func(r storage.BlockedKey) acme.KeyHash { return r.Hash },
		fixture: blockedKey,
		change:  func(r storage.BlockedKey) storage.BlockedKey { r.Reason = "weak"; return r },
		strip:   func(r storage.BlockedKey) storage.BlockedKey { return storage.BlockedKey{Hash: r.Hash} },
	}.run},
	{"publications/round trip", table[string, storage.Publication]{
		get:     func(tx storage.Tx, k string) (storage.Publication, error) { return tx.Publications().Get(k) },
		put:     func(tx storage.Tx, r storage.Publication) error { return tx.Publications().Put(r) },
		key:     func(r storage.Publication) string { return r.Name },
		fixture: publication,
		change:  func(r storage.Publication) storage.Publication { r.Number, r.Body = 99, r.Body[:10]; return r },
		strip:   func(r storage.Publication) storage.Publication { return storage.Publication{Name: r.Name} },
		keyless: func(r storage.Publication) storage.Publication { r.Name = ""; return r },
	}.run},
	{"meta/round trip", metaRoundTrip},
	{"ids of any shape", idsOfAnyShape},
	{"prefetch changes nothing", prefetchChangesNothing},
}

// run stores, reads, replaces, and reads again.
func (c table[K, R]) run(t *testing.T, s storage.Store) {
	first, second := c.fixture(1), c.fixture(2)
	read := func(what string, r R) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			got, err := c.get(tx, c.key(r))
			if err != nil {
				return err
			}
			same(t, what, got, r)
			return nil
		})
	}
	view(t, s, func(tx storage.Tx) error {
		got, err := c.get(tx, c.key(first))
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get of what is not there: %v, want ErrNotFound", err)
		}
		var none R
		same(t, "the record beside ErrNotFound", got, none)
		if err := c.put(tx, first); !errors.Is(err, storage.ErrReadOnly) {
			t.Errorf("Put in a View: %v, want ErrReadOnly", err)
		}
		return nil
	})
	update(t, s, func(tx storage.Tx) error {
		if err := errors.Join(c.put(tx, first), c.put(tx, second)); err != nil {
			return err
		}
		got, err := c.get(tx, c.key(first))
		same(t, "read in the transaction that wrote it", got, first)
		return err
	})
	read("as written", first)
	read("the other record", second)

	changed := c.change(first)
	update(t, s, func(tx storage.Tx) error { return c.put(tx, changed) })
	read("replaced", changed)
	read("beside the replaced one", second)

	stripped := c.strip(first)
	update(t, s, func(tx storage.Tx) error { return c.put(tx, stripped) })
	read("with nothing but its key", stripped)

	if c.keyless != nil {
		update(t, s, func(tx storage.Tx) error {
			if c.put(tx, c.keyless(second)) == nil {
				t.Error("Put took a record without a key")
			}
			return nil
		})
		read("after a Put without a key", second)
	}
}

func metaRoundTrip(t *testing.T, s storage.Store) {
	value := []byte("instance\x00one")
	update(t, s, func(tx storage.Tx) error {
		if _, err := tx.Meta().Get("colour"); !isNotFound(err) {
			t.Errorf("Get of what is not there: %v, want ErrNotFound", err)
		}
		return errors.Join(tx.Meta().Put("colour", value), tx.Meta().Put("empty", nil))
	})
	value[0] = 'X' // the caller's own again
	view(t, s, func(tx storage.Tx) error {
		got, err := tx.Meta().Get("colour")
		if err != nil || string(got) != "instance\x00one" {
			t.Errorf("Get: %q, %v", got, err)
		}
		if got, err := tx.Meta().Get("empty"); err != nil || len(got) != 0 {
			t.Errorf("Get of an empty value: %q, %v", got, err)
		}
		if err := tx.Meta().Put("colour", nil); !errors.Is(err, storage.ErrReadOnly) {
			t.Errorf("Put in a View: %v, want ErrReadOnly", err)
		}
		return nil
	})
	update(t, s, func(tx storage.Tx) error { return tx.Meta().Put("colour", []byte("two")) })
	view(t, s, func(tx storage.Tx) error {
		if got, err := tx.Meta().Get("colour"); err != nil || string(got) != "two" {
			t.Errorf("Get after replacing: %q, %v", got, err)
		}
		return nil
	})
}

// idsOfAnyShape checks that a store takes ids as they come: those of members
// and external keys are chosen by people, and one id may begin another.
func idsOfAnyShape(t *testing.T, s storage.Store) {
	ids := []acme.AccountID{"a", "a\x00", "a\x00b", "ab", "A", "/", "with space", "ümlaut", acme.AccountID(strings.Repeat("v", 36)), acme.AccountID(strings.Repeat("w", 36)), acme.AccountID(strings.Repeat("v", 35)), accountID(1)}
	for i, id := range ids {
		a, o := account(i), order(i)
		a.ID, a.Member = id, acme.MemberID(id)
		o.ID, o.Account, o.Member = acme.OrderID(id), id, acme.MemberID(id)
		put(t, s, a, o)
	}
	view(t, s, func(tx storage.Tx) error {
		for _, id := range ids {
			if a, err := tx.Accounts().Get(id); err != nil || a.ID != id {
				t.Errorf("Get(%q): id %q, %v", id, a.ID, err)
			}
			accounts, next, err := tx.Accounts().ByMember(acme.MemberID(id), storage.Page{})
			if err != nil || len(accounts) != 1 || accounts[0].ID != id || next != "" {
				t.Errorf("ByMember(%q): %d accounts, next %q, %v; want the one", id, len(accounts), next, err)
			}
			orders, _, err := tx.Orders().ByAccount(id, storage.Page{})
			if err != nil || len(orders) != 1 || orders[0].Account != id {
				t.Errorf("ByAccount(%q): %d orders, %v; want the one", id, len(orders), err)
			}
		}
		all, err := pages(2, tx.Accounts().List)
		if len(all) != len(ids) {
			t.Errorf("List returns %d accounts, want %d", len(all), len(ids))
		}
		return err
	})
}

func prefetchChangesNothing(t *testing.T, s storage.Store) {
	o := order(1)
	update(t, s, func(tx storage.Tx) error {
		tx.Prefetch()
		tx.Prefetch(storage.Key{Table: "orders", ID: string(o.ID)}, storage.Key{Table: "orders", ID: "none"}, storage.Key{Table: "no such table", ID: "x"})
		if _, err := tx.Orders().Get(o.ID); !isNotFound(err) {
			t.Errorf("Get after Prefetch: %v, want ErrNotFound", err)
		}
		if err := tx.Orders().Put(o); err != nil {
			return err
		}
		got, err := tx.Orders().Get(o.ID) // what was fetched before is stale
		same(t, "after Prefetch and Put", got, o)
		return err
	})
}
