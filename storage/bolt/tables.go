package bolt

import (
	"errors"
	"fmt"

	"acmebridge/acme"
	"acmebridge/storage"
)

func (t *tx) Accounts() storage.Accounts             { return accounts{t} }
func (t *tx) Orders() storage.Orders                 { return orders{t} }
func (t *tx) Authorizations() storage.Authorizations { return authorizations{t} }
func (t *tx) Submissions() storage.Submissions       { return submissions{t} }
func (t *tx) ExternalKeys() storage.ExternalKeys     { return externalKeys{t} }
func (t *tx) Members() storage.Members               { return members{t} }
func (t *tx) BlockedKeys() storage.BlockedKeys       { return blockedKeys{t} }
func (t *tx) Publications() storage.Publications     { return publications{t} }
func (t *tx) Meta() storage.Meta                     { return meta{t} }

// under begins the entries of an index for one text.
func under(letter byte, text string) []byte { return appendText([]byte{letter}, text) }

// entry is a whole entry: the beginning and the id.
func entry(beginning []byte, id string) string { return string(appendText(beginning, id)) }

type accounts struct{ *tx }

var accountTable = table[acme.Account]{
	letter: 'A', name: "accounts",
	id: func(a *acme.Account) string { return string(a.ID) },
	entries: func(a *acme.Account) (es []string) {
		if a.KeyHash != (acme.KeyHash{}) {
			es = append(es, entry(accountKey(a.KeyHash, a.Directory), string(a.ID)))
		}
		if a.Member != "" {
			es = append(es, entry(under('m', string(a.Member)), string(a.ID)))
		}
		return es
	},
}

func accountKey(h acme.KeyHash, d acme.DirectoryName) []byte {
	return appendText(append([]byte{'k'}, h[:]...), string(d))
}

func (c accounts) Get(id acme.AccountID) (acme.Account, error) {
	return get(c.tx, accountTable, string(id))
}

func (c accounts) Put(a acme.Account) error {
	if err := c.mayWrite(); err != nil {
		return err
	}
	if a.KeyHash != (acme.KeyHash{}) {
		switch other, err := c.ByKey(a.Directory, a.KeyHash); {
		case err == nil && other.ID != a.ID:
			return fmt.Errorf("%w: account %s of directory %s has that key", storage.ErrConflict, other.ID, a.Directory)
		case err != nil && !errors.Is(err, storage.ErrNotFound):
			return err
		}
	}
	return put(c.tx, accountTable, a)
}

func (c accounts) ByKey(d acme.DirectoryName, h acme.KeyHash) (acme.Account, error) {
	return first(c.tx, accountTable, accountKey(h, d), byID)
}

func (c accounts) KeyInUse(h acme.KeyHash) (bool, error) {
	return exists(c.tx, append([]byte{'k'}, h[:]...))
}

func (c accounts) ByMember(m acme.MemberID, p storage.Page) ([]acme.Account, string, error) {
	return listBy(c.tx, accountTable, under('m', string(m)), byID, p, nil, nil)
}

func (c accounts) List(p storage.Page) ([]acme.Account, string, error) {
	return list(c.tx, accountTable, p)
}

const orderLetter = 'O'

type orders struct{ *tx }

var orderTable = table[acme.Order]{
	letter: orderLetter, name: "orders",
	id: func(o *acme.Order) string { return string(o.ID) },
	entries: func(o *acme.Order) []string {
		es := []string{entry(under('o', string(o.Account)), string(o.ID))}
		if o.Member != "" {
			es = append(es, entry(under('p', string(o.Member)), string(o.ID)))
		}
		if o.AttachedTo != "" && o.Status == acme.OrderProcessing {
			es = append(es, entry(under('u', string(o.AttachedTo)), string(o.ID)))
		}
		return append(es, openEntries(o)...)
	},
}

func (c orders) Get(id acme.OrderID) (acme.Order, error) { return get(c.tx, orderTable, string(id)) }
func (c orders) Put(o acme.Order) error                  { return put(c.tx, orderTable, o) }

func (c orders) ByAccount(a acme.AccountID, p storage.Page) ([]acme.Order, string, error) {
	return listBy(c.tx, orderTable, under('o', string(a)), byID, p, nil, nil)
}

func (c orders) ByMember(m acme.MemberID, p storage.Page) ([]acme.Order, string, error) {
	return listBy(c.tx, orderTable, under('p', string(m)), byID, p, nil, nil)
}

func (c orders) Attached(to acme.OrderID, p storage.Page) ([]acme.Order, string, error) {
	return listBy(c.tx, orderTable, under('u', string(to)), byID, p, nil, nil)
}

func (c orders) List(p storage.Page) ([]acme.Order, string, error) { return list(c.tx, orderTable, p) }

type authorizations struct{ *tx }

var authorizationTable = table[acme.Authorization]{
	letter: 'Z', name: "authorizations",
	id: func(a *acme.Authorization) string { return string(a.ID) },
	entries: func(a *acme.Authorization) []string {
		if a.Status != acme.AuthorizationValid {
			return nil
		}
		return []string{entry(appendLatestFirst(proofs(a.Account, a.Identifier, a.Wildcard), a.Expires), string(a.ID))}
	},
}

// proofs begins the entries of the valid authorizations of one account for one
// identifier. The one that lasts longest is the first.
func proofs(owner acme.AccountID, id acme.Identifier, wildcard bool) []byte {
	b := appendText(appendText(under('v', string(owner)), string(id.Type)), id.Value)
	if wildcard {
		return append(b, 1)
	}
	return append(b, 0)
}

func (c authorizations) Get(id acme.AuthorizationID) (acme.Authorization, error) {
	return get(c.tx, authorizationTable, string(id))
}

func (c authorizations) Put(a acme.Authorization) error { return put(c.tx, authorizationTable, a) }

func (c authorizations) Valid(owner acme.AccountID, id acme.Identifier, wildcard bool, p storage.Page) ([]acme.Authorization, string, error) {
	return listBy(c.tx, authorizationTable, proofs(owner, id, wildcard), cursor{fixed: timeLength}, p, nil, nil)
}

func (c authorizations) List(p storage.Page) ([]acme.Authorization, string, error) {
	return list(c.tx, authorizationTable, p)
}

type submissions struct{ *tx }

var submissionTable = table[storage.Submission]{
	letter: 'S', name: "submissions",
	id: func(s *storage.Submission) string { return string(s.ID) },
	entries: func(s *storage.Submission) (es []string) {
		if s.Key != "" {
			es = append(es, entry(under('s', s.Key), string(s.ID)))
		}
		if s.Need != (acme.Need{}) {
			es = append(es, entry(appendLatestFirst(forNeed(s.Need), s.CreatedAt), string(s.ID)))
		}
		return es
	},
}

func (c submissions) Get(id acme.SubmissionID) (storage.Submission, error) {
	return get(c.tx, submissionTable, string(id))
}

func (c submissions) Put(s storage.Submission) error {
	if err := c.mayWrite(); err != nil {
		return err
	}
	switch other, err := c.ByKey(s.Key); {
	case err == nil && other.ID != s.ID:
		return fmt.Errorf("%w: submission %s has the key %q", storage.ErrConflict, other.ID, s.Key)
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return err
	}
	return put(c.tx, submissionTable, s)
}

func (c submissions) ByKey(key string) (storage.Submission, error) {
	return first(c.tx, submissionTable, under('s', key), byID)
}

// forNeed begins the entries of what was asked for a need. The latest is the
// first.
func forNeed(n acme.Need) []byte { return append([]byte{'t'}, n[:]...) }

func (c submissions) ByNeed(n acme.Need, p storage.Page) ([]storage.Submission, string, error) {
	return listBy(c.tx, submissionTable, forNeed(n), cursor{fixed: timeLength}, p, nil, nil)
}

type externalKeys struct{ *tx }

var externalKeyTable = table[acme.ExternalAccountKey]{
	letter: 'K', name: "external keys",
	id: func(k *acme.ExternalAccountKey) string { return string(k.ID) },
	entries: func(k *acme.ExternalAccountKey) []string {
		if k.Member == "" {
			return nil
		}
		return []string{entry(under('x', string(k.Member)), string(k.ID))}
	},
}

func (c externalKeys) Get(id acme.KeyID) (acme.ExternalAccountKey, error) {
	return get(c.tx, externalKeyTable, string(id))
}

func (c externalKeys) Put(k acme.ExternalAccountKey) error { return put(c.tx, externalKeyTable, k) }

func (c externalKeys) ByMember(m acme.MemberID, p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return listBy(c.tx, externalKeyTable, under('x', string(m)), byID, p, nil, nil)
}

func (c externalKeys) List(p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return list(c.tx, externalKeyTable, p)
}

type members struct{ *tx }

var memberTable = table[acme.Member]{
	letter: 'E', name: "members",
	id: func(m *acme.Member) string { return string(m.ID) },
}

func (c members) Get(id acme.MemberID) (acme.Member, error) {
	return get(c.tx, memberTable, string(id))
}

func (c members) Put(m acme.Member) error { return put(c.tx, memberTable, m) }

func (c members) List(p storage.Page) ([]acme.Member, string, error) {
	return list(c.tx, memberTable, p)
}

type blockedKeys struct{ *tx }

var blockedKeyTable = table[storage.BlockedKey]{
	letter: 'B', name: "blocked keys",
	id: func(k *storage.BlockedKey) string { return string(k.Hash[:]) },
}

func (c blockedKeys) Get(h acme.KeyHash) (storage.BlockedKey, error) {
	return get(c.tx, blockedKeyTable, string(h[:]))
}

func (c blockedKeys) Put(k storage.BlockedKey) error { return put(c.tx, blockedKeyTable, k) }

type publications struct{ *tx }

var publicationTable = table[storage.Publication]{
	letter: 'P', name: "publications",
	id: func(p *storage.Publication) string { return p.Name },
}

func (c publications) Get(name string) (storage.Publication, error) {
	return get(c.tx, publicationTable, name)
}

func (c publications) Put(p storage.Publication) error { return put(c.tx, publicationTable, p) }

func (c publications) List(p storage.Page) ([]storage.Publication, string, error) {
	return list(c.tx, publicationTable, p)
}

// named is one value of the meta table.
type named struct {
	Name  string `cbor:"1,keyasint,omitempty"`
	Value []byte `cbor:"2,keyasint,omitempty"`
}

type meta struct{ *tx }

var metaTable = table[named]{letter: 'M', name: "meta", id: func(n *named) string { return n.Name }}

func (c meta) Get(name string) ([]byte, error) {
	n, err := get(c.tx, metaTable, name)
	return n.Value, err
}

func (c meta) Put(name string, value []byte) error {
	return put(c.tx, metaTable, named{Name: name, Value: value})
}
