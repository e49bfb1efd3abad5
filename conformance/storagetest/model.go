package storagetest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// model is the contract written down in the plainest way: maps, and a walk
// over everything for each question. It is what random operations on a store
// are compared with.
type model struct {
	accounts       map[acme.AccountID]acme.Account
	orders         map[acme.OrderID]acme.Order
	authorizations map[acme.AuthorizationID]acme.Authorization
	jobs           map[storage.JobID]storage.Job
	submissions    map[acme.SubmissionID]storage.Submission
	certificates   map[acme.CertificateID]acme.Certificate
	chains         map[acme.ChainHash]acme.Chain
	externalKeys   map[acme.KeyID]acme.ExternalAccountKey
	members        map[acme.MemberID]acme.Member
	blockedKeys    map[acme.KeyHash]storage.BlockedKey
	publications   map[string]storage.Publication
	meta           map[string][]byte
}

func newModel() model {
	return model{
		accounts: map[acme.AccountID]acme.Account{}, orders: map[acme.OrderID]acme.Order{},
		authorizations: map[acme.AuthorizationID]acme.Authorization{}, jobs: map[storage.JobID]storage.Job{},
		submissions: map[acme.SubmissionID]storage.Submission{}, certificates: map[acme.CertificateID]acme.Certificate{},
		chains: map[acme.ChainHash]acme.Chain{}, externalKeys: map[acme.KeyID]acme.ExternalAccountKey{}, members: map[acme.MemberID]acme.Member{},
		blockedKeys: map[acme.KeyHash]storage.BlockedKey{}, publications: map[string]storage.Publication{}, meta: map[string][]byte{},
	}
}

// clone is for an update that may fail. Records here are never changed in
// place, so the maps are all there is to copy.
func (m model) clone() model {
	return model{
		maps.Clone(m.accounts), maps.Clone(m.orders), maps.Clone(m.authorizations), maps.Clone(m.jobs), maps.Clone(m.submissions),
		maps.Clone(m.certificates), maps.Clone(m.chains), maps.Clone(m.externalKeys), maps.Clone(m.members), maps.Clone(m.blockedKeys), maps.Clone(m.publications), maps.Clone(m.meta),
	}
}

func (m model) Prefetch(...storage.Key)                {}
func (m model) Accounts() storage.Accounts             { return modelAccounts{m} }
func (m model) Orders() storage.Orders                 { return modelOrders{m} }
func (m model) Authorizations() storage.Authorizations { return modelAuthorizations{m} }
func (m model) Jobs() storage.Jobs                     { return modelJobs{m} }
func (m model) Submissions() storage.Submissions       { return modelSubmissions{m} }
func (m model) Certificates() storage.Certificates     { return modelCertificates{m} }
func (m model) ExternalKeys() storage.ExternalKeys     { return modelExternalKeys{m} }
func (m model) Members() storage.Members               { return modelMembers{m} }
func (m model) BlockedKeys() storage.BlockedKeys       { return modelBlockedKeys{m} }
func (m model) Publications() storage.Publications     { return modelPublications{m} }
func (m model) Meta() storage.Meta                     { return modelMeta{m} }

func lookUp[K comparable, R any](in map[K]R, key K) (R, error) {
	r, ok := in[key]
	if !ok {
		return r, storage.ErrNotFound
	}
	return r, nil
}

// all returns, by key, what passes the filter.
func all[K cmp.Ordered, R any](in map[K]R, filter func(R) bool) []R {
	var found []R
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if filter == nil || filter(in[k]) {
			found = append(found, in[k])
		}
	}
	return found
}

// whole answers a request for a page with everything: the cases of lists.go
// look at pages, here only the contents matter.
func whole[R any](all []R, p storage.Page) ([]R, string, error) {
	if len(all) > p.Size() && p.After == "" {
		return all[:p.Size()], "rest", nil
	}
	from := 0
	if p.After != "" {
		from = p.Size() * (len(p.After) - len("rest") + 1)
	}
	if len(all)-from > p.Size() {
		return all[from : from+p.Size()], p.After + "x", nil
	}
	return all[from:], "", nil
}

type modelAccounts struct{ m model }

func (a modelAccounts) Get(id acme.AccountID) (acme.Account, error) { return lookUp(a.m.accounts, id) }
func (a modelAccounts) Put(r acme.Account) error                    { a.m.accounts[r.ID] = r; return nil }
func (a modelAccounts) ByKey(d acme.DirectoryName, h acme.KeyHash) (acme.Account, error) {
	for _, r := range a.m.accounts {
		if r.Directory == d && r.KeyHash == h {
			return r, nil
		}
	}
	return acme.Account{}, storage.ErrNotFound
}
func (a modelAccounts) KeyInUse(h acme.KeyHash) (bool, error) {
	return len(all(a.m.accounts, func(r acme.Account) bool { return r.KeyHash == h })) > 0, nil
}
func (a modelAccounts) ByMember(m acme.MemberID, p storage.Page) ([]acme.Account, string, error) {
	return whole(all(a.m.accounts, func(r acme.Account) bool { return r.Member == m }), p)
}
func (a modelAccounts) List(p storage.Page) ([]acme.Account, string, error) {
	return whole(all(a.m.accounts, nil), p)
}

type modelOrders struct{ m model }

func (o modelOrders) Get(id acme.OrderID) (acme.Order, error) { return lookUp(o.m.orders, id) }
func (o modelOrders) Put(r acme.Order) error                  { o.m.orders[r.ID] = r; return nil }
func (o modelOrders) ByAccount(id acme.AccountID, p storage.Page) ([]acme.Order, string, error) {
	return whole(all(o.m.orders, func(r acme.Order) bool { return r.Account == id }), p)
}
func (o modelOrders) ByMember(m acme.MemberID, p storage.Page) ([]acme.Order, string, error) {
	return whole(all(o.m.orders, func(r acme.Order) bool { return r.Member == m }), p)
}
func (o modelOrders) List(p storage.Page) ([]acme.Order, string, error) {
	return whole(all(o.m.orders, nil), p)
}

func (o modelOrders) OpenByAccount(id acme.AccountID, at time.Time, limit int) (storage.OpenOrders, error) {
	return o.open(at, limit, func(r acme.Order) bool { return r.Account == id })
}
func (o modelOrders) OpenByMember(id acme.MemberID, at time.Time, limit int) (storage.OpenOrders, error) {
	return o.open(at, limit, func(r acme.Order) bool { return r.Member == id })
}
func (o modelOrders) open(at time.Time, limit int, whose func(acme.Order) bool) (n storage.OpenOrders, err error) {
	for _, r := range all(o.m.orders, whose) {
		switch r.Status {
		case acme.OrderPending, acme.OrderReady:
			if ends := r.Expires.Truncate(time.Second); ends.After(at.Truncate(time.Second)) {
				n.Waiting = min(n.Waiting+1, limit)
				if n.Expires.IsZero() || ends.Before(n.Expires) {
					n.Expires = ends
				}
			}
		case acme.OrderProcessing:
			n.Processing = min(n.Processing+1, limit)
		case acme.OrderValid, acme.OrderInvalid:
		}
	}
	return n, nil
}
func (o modelOrders) ProcessingFor(id acme.AccountID, set acme.NameSet, limit int) (int, error) {
	return min(limit, len(all(o.m.orders, func(r acme.Order) bool {
		return r.Account == id && r.Status == acme.OrderProcessing && acme.NameSetOf(r.Identifiers) == set
	}))), nil
}

func (o modelOrders) Attached(to acme.OrderID, p storage.Page) ([]acme.Order, string, error) {
	return whole(all(o.m.orders, func(r acme.Order) bool { return r.AttachedTo == to && r.Status == acme.OrderProcessing }), p)
}

type modelAuthorizations struct{ m model }

func (z modelAuthorizations) Get(id acme.AuthorizationID) (acme.Authorization, error) {
	return lookUp(z.m.authorizations, id)
}
func (z modelAuthorizations) Put(r acme.Authorization) error {
	z.m.authorizations[r.ID] = r
	return nil
}
func (z modelAuthorizations) Valid(owner acme.AccountID, id acme.Identifier, wildcard bool, p storage.Page) ([]acme.Authorization, string, error) {
	found := all(z.m.authorizations, func(r acme.Authorization) bool {
		return r.Account == owner && r.Identifier.Same(id) && r.Wildcard == wildcard && r.Status == acme.AuthorizationValid
	})
	slices.SortStableFunc(found, func(a, b acme.Authorization) int { return b.Expires.Compare(a.Expires) })
	return whole(found, p)
}

func (z modelAuthorizations) List(p storage.Page) ([]acme.Authorization, string, error) {
	return whole(all(z.m.authorizations, nil), p)
}

type modelJobs struct{ m model }

func (j modelJobs) Get(id storage.JobID) (storage.Job, error) { return lookUp(j.m.jobs, id) }
func (j modelJobs) Put(r storage.Job) error                   { j.m.jobs[r.ID] = r; return nil }
func (j modelJobs) Delete(id storage.JobID) error             { delete(j.m.jobs, id); return nil }
func (j modelJobs) Due(now time.Time, limit int) ([]storage.Job, error) {
	due := all(j.m.jobs, func(r storage.Job) bool { return r.Parked == "" && !r.Due.After(now) })
	slices.SortStableFunc(due, func(a, b storage.Job) int { return a.Due.Compare(b.Due) })
	return due[:min(limit, len(due))], nil
}
func (j modelJobs) Next() (time.Time, bool, error) {
	due, _ := j.Due(farFuture, 1)
	if len(due) == 0 {
		return time.Time{}, false, nil
	}
	return due[0].Due, true, nil
}
func (j modelJobs) LeasedByOthers(holder string, p storage.Page) ([]storage.Job, string, error) {
	return whole(all(j.m.jobs, func(r storage.Job) bool { return r.Lease.Holder != "" && r.Lease.Holder != holder }), p)
}
func (j modelJobs) Parked(p storage.Page) ([]storage.Job, string, error) {
	return whole(all(j.m.jobs, isParked), p)
}
func (j modelJobs) Count() (int, int, error) {
	return len(j.m.jobs), len(all(j.m.jobs, isParked)), nil
}

func (j modelJobs) Queued(backend string, limit int) (int, error) {
	return min(limit, len(all(j.m.jobs, func(r storage.Job) bool { return r.Backend == backend && r.Parked == "" }))), nil
}

func (j modelJobs) Waiting(p storage.Page) ([]storage.Job, string, error) {
	return whole(all(j.m.jobs, func(r storage.Job) bool { return r.Waits != "" }), p)
}

func isParked(j storage.Job) bool { return j.Parked != "" }

type modelSubmissions struct{ m model }

func (s modelSubmissions) Get(id acme.SubmissionID) (storage.Submission, error) {
	return lookUp(s.m.submissions, id)
}
func (s modelSubmissions) Put(r storage.Submission) error { s.m.submissions[r.ID] = r; return nil }
func (s modelSubmissions) ByKey(key string) (storage.Submission, error) {
	for _, r := range s.m.submissions {
		if r.Key == key {
			return r, nil
		}
	}
	return storage.Submission{}, storage.ErrNotFound
}

func (s modelSubmissions) ByNeed(n acme.Need, p storage.Page) ([]storage.Submission, string, error) {
	found := all(s.m.submissions, func(r storage.Submission) bool { return r.Need == n && n != acme.Need{} })
	slices.SortStableFunc(found, func(a, b storage.Submission) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return whole(found, p)
}

type modelCertificates struct{ m model }

func (c modelCertificates) Get(id acme.CertificateID) (acme.Certificate, error) {
	return lookUp(c.m.certificates, id)
}
func (c modelCertificates) Put(r acme.Certificate) error { c.m.certificates[r.ID] = r; return nil }
func (c modelCertificates) BySerial(serial []byte) ([]acme.Certificate, error) {
	return all(c.m.certificates, func(r acme.Certificate) bool { return bytes.Equal(r.Serial, serial) }), nil
}
func (c modelCertificates) ByCertID(aki, serial []byte) (acme.Certificate, error) {
	for _, r := range all(c.m.certificates, nil) {
		if bytes.Equal(r.Serial, serial) && bytes.Equal(r.AuthorityKeyID, aki) {
			return r, nil
		}
	}
	return acme.Certificate{}, storage.ErrNotFound
}
func (c modelCertificates) KeyInUse(h acme.KeyHash) (bool, error) {
	return len(all(c.m.certificates, func(r acme.Certificate) bool { return r.KeyHash == h })) > 0, nil
}
func (c modelCertificates) ByKey(h acme.KeyHash, p storage.Page) ([]acme.Certificate, string, error) {
	return whole(all(c.m.certificates, func(r acme.Certificate) bool { return r.KeyHash == h }), p)
}
func (c modelCertificates) ByAccount(id acme.AccountID, p storage.Page) ([]acme.Certificate, string, error) {
	return whole(all(c.m.certificates, func(r acme.Certificate) bool { return r.Account == id }), p)
}
func (c modelCertificates) ByMember(m acme.MemberID, p storage.Page) ([]acme.Certificate, string, error) {
	return whole(all(c.m.certificates, func(r acme.Certificate) bool { return r.Member == m }), p)
}
func (c modelCertificates) List(p storage.Page) ([]acme.Certificate, string, error) {
	return whole(all(c.m.certificates, nil), p)
}
func (c modelCertificates) Expiring(from, to time.Time, p storage.Page) ([]acme.Certificate, string, error) {
	found := all(c.m.certificates, func(r acme.Certificate) bool { return !r.NotAfter.Before(from) && r.NotAfter.Before(to) })
	slices.SortStableFunc(found, func(a, b acme.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return whole(found, p)
}
func (c modelCertificates) Revoked(backend string, p storage.Page) ([]acme.Certificate, string, error) {
	return whole(all(c.m.certificates, func(r acme.Certificate) bool { return r.Revocation != nil && r.Backend == backend }), p)
}
func (c modelCertificates) Live(id acme.MemberID, at time.Time, limit int) (n int, ends time.Time, err error) {
	for _, r := range all(c.m.certificates, func(r acme.Certificate) bool {
		return r.Member == id && r.NotAfter.Truncate(time.Second).After(at.Truncate(time.Second)) && r.Revocation == nil && r.RenewedAt.IsZero()
	}) {
		n = min(n+1, limit)
		if ends.IsZero() || r.NotAfter.Before(ends) {
			ends = r.NotAfter.Truncate(time.Second)
		}
	}
	return n, ends, nil
}
func (c modelCertificates) IssuedFor(set acme.NameSet, since time.Time, limit int) ([]time.Time, error) {
	var found []time.Time
	for _, r := range all(c.m.certificates, func(r acme.Certificate) bool {
		return r.CountsNames && r.CountsAs() == set && !r.IssuedAt.Before(since)
	}) {
		found = append(found, r.IssuedAt)
	}
	slices.SortFunc(found, time.Time.Compare)
	return found[max(0, len(found)-limit):], nil
}
func (c modelCertificates) Chain(h acme.ChainHash) (acme.Chain, error) { return lookUp(c.m.chains, h) }
func (c modelCertificates) PutChain(r acme.Chain) error                { c.m.chains[r.Hash] = r; return nil }

type modelExternalKeys struct{ m model }

func (k modelExternalKeys) Get(id acme.KeyID) (acme.ExternalAccountKey, error) {
	return lookUp(k.m.externalKeys, id)
}
func (k modelExternalKeys) Put(r acme.ExternalAccountKey) error {
	k.m.externalKeys[r.ID] = r
	return nil
}
func (k modelExternalKeys) ByMember(m acme.MemberID, p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return whole(all(k.m.externalKeys, func(r acme.ExternalAccountKey) bool { return r.Member == m }), p)
}
func (k modelExternalKeys) List(p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return whole(all(k.m.externalKeys, nil), p)
}

type modelMembers struct{ m model }

func (x modelMembers) Get(id acme.MemberID) (acme.Member, error) { return lookUp(x.m.members, id) }
func (x modelMembers) Put(r acme.Member) error                   { x.m.members[r.ID] = r; return nil }
func (x modelMembers) List(p storage.Page) ([]acme.Member, string, error) {
	return whole(all(x.m.members, nil), p)
}

type modelBlockedKeys struct{ m model }

func (k modelBlockedKeys) Get(h acme.KeyHash) (storage.BlockedKey, error) {
	return lookUp(k.m.blockedKeys, h)
}
func (k modelBlockedKeys) Put(r storage.BlockedKey) error { k.m.blockedKeys[r.Hash] = r; return nil }

type modelPublications struct{ m model }

func (b modelPublications) Get(name string) (storage.Publication, error) {
	return lookUp(b.m.publications, name)
}
func (b modelPublications) Put(r storage.Publication) error { b.m.publications[r.Name] = r; return nil }
func (b modelPublications) List(p storage.Page) ([]storage.Publication, string, error) {
	return whole(all(b.m.publications, nil), p)
}

type modelMeta struct{ m model }

func (x modelMeta) Get(name string) ([]byte, error)     { return lookUp(x.m.meta, name) }
func (x modelMeta) Put(name string, value []byte) error { x.m.meta[name] = value; return nil }
