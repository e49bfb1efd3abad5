package memory

import (
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The counts walk index entries and read no record. An open order is listed
// for its account and for its member: under "waiting" by when it expires, and
// under "processing" by what it is for.

func openEntries(o acme.Order) (es []string) {
	owners := []string{under("open", "account", string(o.Account))}
	if o.Member != "" {
		owners = append(owners, under("open", "member", string(o.Member)))
	}
	for _, owner := range owners {
		switch o.Status {
		case acme.OrderPending, acme.OrderReady:
			es = append(es, owner+"waiting"+sortable(o.Expires)+string(o.ID))
		case acme.OrderProcessing:
			set := acme.NameSetOf(o.Identifiers)
			es = append(es, owner+"processing"+string(set[:])+string(o.ID))
		case acme.OrderValid, acme.OrderInvalid:
		}
	}
	return es
}

func (c orders) OpenByAccount(id acme.AccountID, at time.Time, limit int) (storage.OpenOrders, error) {
	return c.open(under("open", "account", string(id)), at, limit)
}

func (c orders) OpenByMember(id acme.MemberID, at time.Time, limit int) (storage.OpenOrders, error) {
	return c.open(under("open", "member", string(id)), at, limit)
}

func (c orders) open(owner string, at time.Time, limit int) (n storage.OpenOrders, err error) {
	first := ""
	n.Waiting, first, err = count(c.tx, c.collection, owner+"waiting", sortable(nextSecond(at)), limit)
	if err != nil {
		return n, err
	}
	if n.Waiting > 0 {
		o, err := c.Get(acme.OrderID(first[sortableLength:]))
		if err != nil {
			return n, err
		}
		n.Expires = o.Expires.Truncate(time.Second)
	}
	n.Processing, _, err = count(c.tx, c.collection, owner+"processing", "", limit)
	return n, err
}

func (c orders) ProcessingFor(id acme.AccountID, set acme.NameSet, limit int) (int, error) {
	n, _, err := count(c.tx, c.collection, under("open", "account", string(id))+"processing"+string(set[:]), "", limit)
	return n, err
}

func (c jobs) Queued(backend string, limit int) (int, error) {
	n, _, err := count(c.tx, c.collection, under("queued", backend), "", limit)
	return n, err
}

func (c certificates) Live(id acme.MemberID, at time.Time, limit int) (int, time.Time, error) {
	n, first, err := count(c.tx, c.collection, under("live", string(id)), sortable(nextSecond(at)), limit)
	if err != nil || n == 0 {
		return 0, time.Time{}, err
	}
	r, err := c.Get(acme.CertificateID(first[sortableLength:]))
	return n, r.NotAfter.Truncate(time.Second), err
}

func issuedFor(set acme.NameSet) string { return "issued\x00\x01" + string(set[:]) }

func (c certificates) IssuedFor(set acme.NameSet, since time.Time, limit int) ([]time.Time, error) {
	var all []time.Time
	if c.ended {
		return nil, storage.ErrClosed
	}
	prefix := issuedFor(set)
	var failed error
	c.index.Ascend(prefix+sortable(since), func(e string, key []byte) bool {
		if !strings.HasPrefix(e, prefix) {
			return false
		}
		var r acme.Certificate
		if r, failed = c.Get(acme.CertificateID(key)); failed != nil {
			return false
		}
		if all = append(all, r.IssuedAt); len(all) > limit {
			all = all[1:]
		}
		return true
	})
	return all, failed
}

// nextSecond is when what ends within the second of a time is over.
func nextSecond(at time.Time) time.Time { return at.Truncate(time.Second).Add(time.Second) }

// count returns how many entries begin with prefix, from one on, and the rest
// of the first of them.
func count(t *tx, c *collection, prefix, from string, limit int) (n int, first string, err error) {
	if t.ended {
		return 0, "", storage.ErrClosed
	}
	c.index.Ascend(prefix+from, func(e string, _ []byte) bool {
		rest, ok := strings.CutPrefix(e, prefix)
		if !ok || n >= limit {
			return false
		}
		if n == 0 {
			first = rest
		}
		n++
		return true
	})
	return n, first, nil
}

// sortableLength is the length of what sortable writes.
const sortableLength = 24
