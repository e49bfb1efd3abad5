package memory

import (
	"fmt"
	"strconv"

	"acmebridge/acme"
	"acmebridge/storage"
)

func (t *tx) Accounts() storage.Accounts { return accounts{t, &t.state.accounts} }
func (t *tx) Orders() storage.Orders     { return orders{t, &t.state.orders} }
func (t *tx) Authorizations() storage.Authorizations {
	return authorizations{t, &t.state.authorizations}
}
func (t *tx) Submissions() storage.Submissions   { return submissions{t, &t.state.submissions} }
func (t *tx) ExternalKeys() storage.ExternalKeys { return externalKeys{t, &t.state.externalKeys} }
func (t *tx) Members() storage.Members           { return members{t, &t.state.members} }
func (t *tx) BlockedKeys() storage.BlockedKeys   { return blockedKeys{t, &t.state.blockedKeys} }
func (t *tx) Publications() storage.Publications { return publications{t, &t.state.publications} }
func (t *tx) Meta() storage.Meta                 { return meta{t, &t.state.meta} }

type accounts struct {
	*tx
	*collection
}

var accountKind = kind[acme.Account]{
	name: "accounts",
	key:  func(a acme.Account) string { return string(a.ID) },
	index: func(a acme.Account) (es []string) {
		if a.KeyHash != (acme.KeyHash{}) {
			es = append(es, entry("key", string(a.KeyHash[:]), string(a.Directory)))
		}
		if a.Member != "" {
			es = append(es, entry("member", string(a.Member), string(a.ID)))
		}
		return es
	},
}

func (c accounts) Get(id acme.AccountID) (acme.Account, error) {
	return get(c.tx, c.collection, accountKind, string(id))
}

func (c accounts) Put(a acme.Account) error {
	if key, ok := find(c.collection, entry("key", string(a.KeyHash[:]), string(a.Directory))); ok && key != string(a.ID) {
		return fmt.Errorf("%w: account %s of directory %s has that key", storage.ErrConflict, key, a.Directory)
	}
	return put(c.tx, c.collection, accountKind, a)
}

func (c accounts) ByKey(d acme.DirectoryName, h acme.KeyHash) (acme.Account, error) {
	key, _ := find(c.collection, entry("key", string(h[:]), string(d)))
	return c.Get(acme.AccountID(key))
}

func (c accounts) KeyInUse(h acme.KeyHash) (bool, error) {
	found, _, err := listBy(c.tx, c.collection, accountKind, under("key", string(h[:])), storage.Page{Limit: 1})
	return len(found) > 0, err
}

func (c accounts) ByMember(m acme.MemberID, p storage.Page) ([]acme.Account, string, error) {
	return listBy(c.tx, c.collection, accountKind, under("member", string(m)), p)
}

func (c accounts) List(p storage.Page) ([]acme.Account, string, error) {
	return list(c.tx, c.collection, accountKind, p)
}

type orders struct {
	*tx
	*collection
}

var orderKind = kind[acme.Order]{
	name: "orders",
	key:  func(o acme.Order) string { return string(o.ID) },
	index: func(o acme.Order) (es []string) {
		es = append(es, entry("account", string(o.Account), string(o.ID)))
		if o.Member != "" {
			es = append(es, entry("member", string(o.Member), string(o.ID)))
		}
		if o.AttachedTo != "" && o.Status == acme.OrderProcessing {
			es = append(es, entry("attached", string(o.AttachedTo), string(o.ID)))
		}
		return append(es, openEntries(o)...)
	},
}

func (c orders) Get(id acme.OrderID) (acme.Order, error) {
	return get(c.tx, c.collection, orderKind, string(id))
}

func (c orders) Put(o acme.Order) error { return put(c.tx, c.collection, orderKind, o) }

func (c orders) ByAccount(a acme.AccountID, p storage.Page) ([]acme.Order, string, error) {
	return listBy(c.tx, c.collection, orderKind, under("account", string(a)), p)
}

func (c orders) ByMember(m acme.MemberID, p storage.Page) ([]acme.Order, string, error) {
	return listBy(c.tx, c.collection, orderKind, under("member", string(m)), p)
}

func (c orders) Attached(to acme.OrderID, p storage.Page) ([]acme.Order, string, error) {
	return listBy(c.tx, c.collection, orderKind, under("attached", string(to)), p)
}

func (c orders) List(p storage.Page) ([]acme.Order, string, error) {
	return list(c.tx, c.collection, orderKind, p)
}

type authorizations struct {
	*tx
	*collection
}

var authorizationKind = kind[acme.Authorization]{
	name: "authorizations",
	key:  func(a acme.Authorization) string { return string(a.ID) },
	index: func(a acme.Authorization) []string {
		if a.Status != acme.AuthorizationValid {
			return nil
		}
		return []string{proofs(a.Account, a.Identifier, a.Wildcard) + latestFirst(a.Expires) + string(a.ID)}
	},
}

func proofs(owner acme.AccountID, id acme.Identifier, wildcard bool) string {
	return under("valid", string(owner), string(id.Type), id.Value, strconv.FormatBool(wildcard))
}

func (c authorizations) Get(id acme.AuthorizationID) (acme.Authorization, error) {
	return get(c.tx, c.collection, authorizationKind, string(id))
}

func (c authorizations) Put(a acme.Authorization) error {
	return put(c.tx, c.collection, authorizationKind, a)
}

func (c authorizations) Valid(owner acme.AccountID, id acme.Identifier, wildcard bool, p storage.Page) ([]acme.Authorization, string, error) {
	return listBy(c.tx, c.collection, authorizationKind, proofs(owner, id, wildcard), p)
}

func (c authorizations) List(p storage.Page) ([]acme.Authorization, string, error) {
	return list(c.tx, c.collection, authorizationKind, p)
}

type submissions struct {
	*tx
	*collection
}

var submissionKind = kind[storage.Submission]{
	name: "submissions",
	key:  func(s storage.Submission) string { return string(s.ID) },
	index: func(s storage.Submission) (es []string) {
		if s.Key != "" {
			es = append(es, entry("key", s.Key))
		}
		if s.Need != (acme.Need{}) {
			es = append(es, under("need", string(s.Need[:]))+latestFirst(s.CreatedAt)+string(s.ID))
		}
		return es
	},
}

func (c submissions) Get(id acme.SubmissionID) (storage.Submission, error) {
	return get(c.tx, c.collection, submissionKind, string(id))
}

func (c submissions) Put(s storage.Submission) error {
	if key, ok := find(c.collection, entry("key", s.Key)); ok && key != string(s.ID) {
		return fmt.Errorf("%w: submission %s has the key %q", storage.ErrConflict, key, s.Key)
	}
	return put(c.tx, c.collection, submissionKind, s)
}

func (c submissions) ByKey(k string) (storage.Submission, error) {
	key, _ := find(c.collection, entry("key", k))
	return c.Get(acme.SubmissionID(key))
}

func (c submissions) ByNeed(n acme.Need, p storage.Page) ([]storage.Submission, string, error) {
	return listBy(c.tx, c.collection, submissionKind, under("need", string(n[:])), p)
}

type externalKeys struct {
	*tx
	*collection
}

var externalKeyKind = kind[acme.ExternalAccountKey]{
	name: "external keys",
	key:  func(k acme.ExternalAccountKey) string { return string(k.ID) },
	index: func(k acme.ExternalAccountKey) []string {
		if k.Member == "" {
			return nil
		}
		return []string{entry("member", string(k.Member), string(k.ID))}
	},
}

func (c externalKeys) Get(id acme.KeyID) (acme.ExternalAccountKey, error) {
	return get(c.tx, c.collection, externalKeyKind, string(id))
}

func (c externalKeys) Put(k acme.ExternalAccountKey) error {
	return put(c.tx, c.collection, externalKeyKind, k)
}

func (c externalKeys) ByMember(m acme.MemberID, p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return listBy(c.tx, c.collection, externalKeyKind, under("member", string(m)), p)
}

func (c externalKeys) List(p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return list(c.tx, c.collection, externalKeyKind, p)
}

type members struct {
	*tx
	*collection
}

var memberKind = kind[acme.Member]{
	name: "members",
	key:  func(m acme.Member) string { return string(m.ID) },
}

func (c members) Get(id acme.MemberID) (acme.Member, error) {
	return get(c.tx, c.collection, memberKind, string(id))
}

func (c members) Put(m acme.Member) error { return put(c.tx, c.collection, memberKind, m) }

func (c members) List(p storage.Page) ([]acme.Member, string, error) {
	return list(c.tx, c.collection, memberKind, p)
}

type blockedKeys struct {
	*tx
	*collection
}

var blockedKeyKind = kind[storage.BlockedKey]{
	name: "blocked keys",
	key:  func(k storage.BlockedKey) string { return string(k.Hash[:]) },
}

func (c blockedKeys) Get(h acme.KeyHash) (storage.BlockedKey, error) {
	return get(c.tx, c.collection, blockedKeyKind, string(h[:]))
}

func (c blockedKeys) Put(k storage.BlockedKey) error {
	return put(c.tx, c.collection, blockedKeyKind, k)
}

type publications struct {
	*tx
	*collection
}

var publicationKind = kind[storage.Publication]{
	name: "publications",
	key:  func(p storage.Publication) string { return p.Name },
}

func (c publications) Get(name string) (storage.Publication, error) {
	return get(c.tx, c.collection, publicationKind, name)
}

func (c publications) Put(p storage.Publication) error {
	return put(c.tx, c.collection, publicationKind, p)
}

func (c publications) List(p storage.Page) ([]storage.Publication, string, error) {
	return list(c.tx, c.collection, publicationKind, p)
}

// named is one value of the meta table.
type named struct {
	Name  string `cbor:"1,keyasint,omitempty"`
	Value []byte `cbor:"2,keyasint,omitempty"`
}

type meta struct {
	*tx
	*collection
}

var metaKind = kind[named]{name: "meta", key: func(n named) string { return n.Name }}

func (c meta) Get(name string) ([]byte, error) {
	n, err := get(c.tx, c.collection, metaKind, name)
	return n.Value, err
}

func (c meta) Put(name string, value []byte) error {
	return put(c.tx, c.collection, metaKind, named{Name: name, Value: value})
}
