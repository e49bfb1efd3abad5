package storagetest

import (
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// contents is everything that a store says when asked in every way, about the
// fixtures below a hundred or so.
type contents struct {
	Accounts, AccountsByMember, AccountsByKey []acme.Account
	Orders, OrdersByAccount, OrdersByMember   []acme.Order
	Authorizations, Valid                     []acme.Authorization
	OrdersAttached                            []acme.Order
	Jobs, Due, Parked, Leased, Waiting        []storage.Job
	All, ParkedCount                          int
	Next                                      time.Time
	Submissions, SubmissionsByKey             []storage.Submission
	SubmissionsByNeed                         []storage.Submission
	Certificates, CertificatesByAccount       []acme.Certificate
	CertificatesByMember, BySerial, Expiring  []acme.Certificate
	Revoked                                   []acme.Certificate
	Open                                      []storage.OpenOrders
	Counts                                    []int
	Issued, Ends                              []time.Time
	KeysInUse                                 []bool
	Chains                                    []acme.Chain
	ExternalKeys, ExternalKeysByMember        []acme.ExternalAccountKey
	Members                                   []acme.Member
	BlockedKeys                               []storage.BlockedKey
	Publications                              []storage.Publication
	Meta                                      []string
}

var nothing = contents{
	KeysInUse: make([]bool, 2*known), Open: make([]storage.OpenOrders, 4*known), Counts: make([]int, 8*known+3), Ends: make([]time.Time, 6*known),
}

// known is how many fixtures of each kind the snapshot asks for.
const known = 8

// snapshot asks for everything.
func snapshot(t *testing.T, s storage.Store) (c contents) {
	t.Helper()
	view(t, s, func(tx storage.Tx) error {
		c = contents{}
		return c.read(tx)
	})
	return c
}

func (c *contents) read(tx storage.Tx) error {
	var errs []error
	fail := func(err error) {
		if err != nil && !isNotFound(err) {
			errs = append(errs, err)
		}
	}
	listInto(&c.Accounts, fail, tx.Accounts().List)
	listInto(&c.Orders, fail, tx.Orders().List)
	listInto(&c.Certificates, fail, tx.Certificates().List)
	listInto(&c.ExternalKeys, fail, tx.ExternalKeys().List)
	listInto(&c.Members, fail, tx.Members().List)
	listInto(&c.Authorizations, fail, tx.Authorizations().List)
	listInto(&c.Publications, fail, tx.Publications().List)
	listInto(&c.Parked, fail, tx.Jobs().Parked)
	listInto(&c.Waiting, fail, tx.Jobs().Waiting)
	listInto(&c.Leased, fail, func(p storage.Page) ([]storage.Job, string, error) { return tx.Jobs().LeasedByOthers("me", p) })
	listInto(&c.Expiring, fail, func(p storage.Page) ([]acme.Certificate, string, error) {
		return tx.Certificates().Expiring(time.Time{}, farFuture, p)
	})
	listInto(&c.Revoked, fail, func(p storage.Page) ([]acme.Certificate, string, error) { return tx.Certificates().Revoked("local", p) })
	var err error
	c.Due, err = tx.Jobs().Due(farFuture, 1000)
	fail(err)
	c.Next, _, err = tx.Jobs().Next()
	fail(err)
	c.All, c.ParkedCount, err = tx.Jobs().Count()
	fail(err)
	for _, h := range []acme.KeyHash{hash("swapped", 1), hash("swapped", 2)} {
		getInto(&c.AccountsByKey, fail)(tx.Accounts().ByKey("default", h))
	}
	for _, k := range []string{"swapped", "another"} {
		getInto(&c.SubmissionsByKey, fail)(tx.Submissions().ByKey(k))
	}
	serials, err := tx.Certificates().BySerial([]byte{7})
	fail(err)
	c.BySerial = append(c.BySerial, serials...)
	for n := range known {
		listInto(&c.AccountsByMember, fail, func(p storage.Page) ([]acme.Account, string, error) { return tx.Accounts().ByMember(member(n), p) })
		listInto(&c.OrdersByAccount, fail, func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().ByAccount(accountID(n), p) })
		listInto(&c.OrdersByMember, fail, func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().ByMember(member(n), p) })
		listInto(&c.CertificatesByAccount, fail, func(p storage.Page) ([]acme.Certificate, string, error) {
			return tx.Certificates().ByAccount(accountID(n), p)
		})
		listInto(&c.CertificatesByMember, fail, func(p storage.Page) ([]acme.Certificate, string, error) {
			return tx.Certificates().ByMember(member(n), p)
		})
		listInto(&c.ExternalKeysByMember, fail, func(p storage.Page) ([]acme.ExternalAccountKey, string, error) {
			return tx.ExternalKeys().ByMember(member(n), p)
		})
		listInto(&c.OrdersAttached, fail, func(p storage.Page) ([]acme.Order, string, error) { return tx.Orders().Attached(orderID(n), p) })
		listInto(&c.SubmissionsByNeed, fail, func(p storage.Page) ([]storage.Submission, string, error) { return tx.Submissions().ByNeed(need(n), p) })
		getInto(&c.AccountsByKey, fail)(tx.Accounts().ByKey("default", account(n).KeyHash))
		getInto(&c.Authorizations, fail)(tx.Authorizations().Get(authorization(n).ID))
		for _, wildcard := range []bool{true, false} {
			listInto(&c.Valid, fail, func(p storage.Page) ([]acme.Authorization, string, error) {
				return tx.Authorizations().Valid(accountID(n), name(n), wildcard, p)
			})
		}
		getInto(&c.Jobs, fail)(tx.Jobs().Get(jobID(n)))
		getInto(&c.Jobs, fail)(tx.Jobs().Get(jobID(100 + n)))
		getInto(&c.Submissions, fail)(tx.Submissions().Get(submission(n).ID))
		getInto(&c.SubmissionsByKey, fail)(tx.Submissions().ByKey(submission(n).Key))
		getInto(&c.Chains, fail)(tx.Certificates().Chain(chain(n).Hash))
		getInto(&c.BlockedKeys, fail)(tx.BlockedKeys().Get(blockedKey(n).Hash))
		serials, err := tx.Certificates().BySerial(certificate(n).Serial)
		fail(err)
		c.BySerial = append(c.BySerial, serials...)
		used, err := tx.Certificates().KeyInUse(certificate(n).KeyHash)
		fail(err)
		usedToo, err := tx.Accounts().KeyInUse(account(n).KeyHash)
		fail(err)
		c.KeysInUse = append(c.KeysInUse, used, usedToo)
		fail(c.count(tx, n))
	}
	for _, limit := range []int{1, 2, 1000} {
		queued, err := tx.Jobs().Queued("local", limit)
		fail(err)
		c.Counts = append(c.Counts, queued)
	}
	for _, n := range []string{"m", "n"} {
		v, err := tx.Meta().Get(n)
		fail(err)
		if err == nil {
			c.Meta = append(c.Meta, n+"="+string(v))
		}
	}
	return joined(errs...)
}

// count asks for every count about fixture n, at a time when some are over, and
// up to limits that some exceed.
func (c *contents) count(tx storage.Tx, n int) error {
	for _, limit := range []int{2, 1000} {
		byAccount, err := tx.Orders().OpenByAccount(accountID(n), at(52), limit)
		if err != nil {
			return err
		}
		byMember, err := tx.Orders().OpenByMember(member(n), at(52), limit)
		if err != nil {
			return err
		}
		forNames, err := tx.Orders().ProcessingFor(accountID(n), acme.NameSetOf([]acme.Identifier{name(n + 1), name(n)}), limit)
		if err != nil {
			return err
		}
		// Time mostly goes on, and what was counted before must not count again.
		for _, minute := range []int{3, 4, 2} {
			live, ends, err := tx.Certificates().Live(member(n), at(minute), limit)
			if err != nil {
				return err
			}
			c.Counts, c.Ends = append(c.Counts, live), append(c.Ends, ends)
		}
		issued, err := tx.Certificates().IssuedFor(acme.NameSetOf([]acme.Identifier{name(n)}), at(2), limit)
		if err != nil {
			return err
		}
		c.Open = append(c.Open, byAccount, byMember)
		c.Counts, c.Issued = append(c.Counts, forNames), append(c.Issued, issued...)
	}
	return nil
}

func listInto[R any](to *[]R, fail func(error), list listFunc[R]) {
	all, err := pages(3, list)
	fail(err)
	*to = append(*to, all...)
}

func getInto[R any](to *[]R, fail func(error)) func(R, error) {
	return func(r R, err error) {
		fail(err)
		if err == nil {
			*to = append(*to, r)
		}
	}
}
