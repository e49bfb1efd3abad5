package bolt

import (
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The counts walk entries and read no record. An open order has an entry for
// its account and one for its member: of the waiting ones with the time at
// which they expire, of the processing ones with what they are for.
const (
	openByAccount = 'a'
	openByMember  = 'b'
	liveByMember  = 'f'
	issuedForSet  = 'g'
	queuedJobs    = 'j'

	openWaiting    = 0x01
	openProcessing = 0x02
)

func openEntries(o *acme.Order) (es []string) {
	owners := [][]byte{under(openByAccount, string(o.Account))}
	if o.Member != "" {
		owners = append(owners, under(openByMember, string(o.Member)))
	}
	for _, owner := range owners {
		switch o.Status {
		case acme.OrderPending, acme.OrderReady:
			es = append(es, entry(appendTime(append(owner, openWaiting), o.Expires), string(o.ID)))
		case acme.OrderProcessing:
			es = append(es, entry(appendSet(append(owner, openProcessing), acme.NameSetOf(o.Identifiers)), string(o.ID)))
		case acme.OrderValid, acme.OrderInvalid:
		}
	}
	return es
}

func appendSet(b []byte, set acme.NameSet) []byte { return append(b, set[:]...) }

func (c orders) OpenByAccount(id acme.AccountID, at time.Time, limit int) (storage.OpenOrders, error) {
	return c.open(under(openByAccount, string(id)), at, limit)
}

func (c orders) OpenByMember(id acme.MemberID, at time.Time, limit int) (storage.OpenOrders, error) {
	return c.open(under(openByMember, string(id)), at, limit)
}

func (c orders) open(owner []byte, at time.Time, limit int) (n storage.OpenOrders, err error) {
	if n.Waiting, n.Expires, err = countFrom(c.tx, append(owner, openWaiting), at, limit); err != nil {
		return n, err
	}
	n.Processing, err = count(c.tx, append(owner, openProcessing), limit)
	return n, err
}

func (c orders) ProcessingFor(id acme.AccountID, set acme.NameSet, limit int) (int, error) {
	return count(c.tx, appendSet(append(under(openByAccount, string(id)), openProcessing), set), limit)
}

func (c jobs) Queued(backend string, limit int) (int, error) {
	return count(c.tx, under(queuedJobs, backend), limit)
}

// Live is asked for each order of a member with a limit, which may have
// thousands of certificates, so they are counted once; from then on the count
// follows what is added and removed, and passes over what has expired since it
// was last asked for.
func (c certificates) Live(id acme.MemberID, at time.Time, limit int) (int, time.Time, error) {
	if err := c.mayRead(); err != nil {
		return 0, time.Time{}, err
	}
	prefix := under(liveByMember, string(id))
	known, ok := c.state.tallies.Get(string(prefix))
	now := tally{after: string(appendTime(nil, at))}
	switch {
	case ok && known.after <= now.after:
		now.n = known.n
		c.state.scan(c.indexes, prefix, []byte(string(prefix)+known.after+afterAll), func(k []byte) bool {
			if string(k[len(prefix):len(prefix)+timeLength]) > now.after {
				return false
			}
			now.n--
			return true
		})
	default:
		c.state.scan(c.indexes, prefix, []byte(string(prefix)+now.after+afterAll), func([]byte) bool { now.n++; return true })
	}
	if c.writable && (!ok || now.after > known.after) {
		c.state.tallies = c.state.tallies.With(string(prefix), now)
	}
	_, ends, err := countFrom(c.tx, prefix, at, 1)
	return min(now.n, limit), ends, err
}

// tally is how many entries below a prefix have a time after one.
type tally struct {
	after string // in the form of keys
	n     int
}

// afterAll sorts behind every id that follows a time.
const afterAll = "\xff"

// keepUp changes the tally that an entry belongs to.
func (s *state) keepUp(key string, by int) {
	if key[0] != liveByMember || s.tallies.Len() == 0 {
		return
	}
	_, rest, ok := cutText([]byte(key[1:]))
	if !ok || len(rest) < timeLength {
		return
	}
	prefix := key[:len(key)-len(rest)]
	if known, ok := s.tallies.Get(prefix); ok && string(rest[:timeLength]) > known.after {
		known.n += by
		s.tallies = s.tallies.With(prefix, known)
	}
}

func (c certificates) IssuedFor(set acme.NameSet, since time.Time, limit int) ([]time.Time, error) {
	if err := c.mayRead(); err != nil {
		return nil, err
	}
	var all []time.Time
	prefix := appendSet([]byte{issuedForSet}, set)
	c.state.scan(c.indexes, prefix, appendTime(prefix[:len(prefix):len(prefix)], since), func(k []byte) bool {
		if all = append(all, keyTime(k[len(prefix):])); len(all) > limit {
			all = all[1:]
		}
		return true
	})
	return all, nil
}

// count returns how many entries begin with prefix.
func count(t *tx, prefix []byte, limit int) (n int, err error) {
	if err := t.mayRead(); err != nil {
		return 0, err
	}
	t.state.scan(t.indexes, prefix, prefix, func([]byte) bool {
		if n >= limit {
			return false
		}
		n++
		return true
	})
	return n, nil
}

// countFrom is count for entries that go on with a time, of those after one. It
// returns the first of their times.
func countFrom(t *tx, prefix []byte, after time.Time, limit int) (n int, first time.Time, err error) {
	if err := t.mayRead(); err != nil {
		return 0, time.Time{}, err
	}
	from := appendTime(prefix[:len(prefix):len(prefix)], after.Add(1))
	t.state.scan(t.indexes, prefix, from, func(k []byte) bool {
		if n >= limit {
			return false
		}
		if n == 0 {
			first = keyTime(k[len(prefix):])
		}
		n++
		return true
	})
	return n, first, nil
}
