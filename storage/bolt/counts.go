package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The counts walk entries and read no record, so their entries need not lead to
// one: who it is about, a time, and which record, each as short as will do. An
// open order has an entry for its account and one for its member: of the
// waiting ones with the second at which they expire, of the processing ones
// with what they are for.
const (
	openByAccount = 'a'
	openByMember  = 'b'
	liveByMember  = 'f'
	issuedForSet  = 'g'
	queuedJobs    = 'j'

	openWaiting    = 0x01
	openProcessing = 0x02
)

// marked begins the entries of a count for one owner.
func marked(letter byte, owner string) []byte {
	return appendMark(append(make([]byte, 0, 40), letter), owner)
}

// appendMark adds what stands for an id: 64 bits that nobody can choose.
func appendMark(b []byte, id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return append(b, sum[:8]...)
}

// secondsLength is the length of a time in the entries of counts.
const secondsLength = 4

// appendSeconds adds a time to the second, from 2000 to 2136; what lies outside
// is taken for the nearer end.
func appendSeconds(b []byte, t time.Time) []byte {
	s := min(max(t.Unix()-secondsFrom, 0), math.MaxUint32)
	return binary.BigEndian.AppendUint32(b, uint32(s))
}

const secondsFrom = 946_684_800

func keySeconds(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(b))+secondsFrom, 0).UTC()
}

func openEntries(o *acme.Order) (es []string) {
	owners := [][]byte{marked(openByAccount, string(o.Account))}
	if o.Member != "" {
		owners = append(owners, marked(openByMember, string(o.Member)))
	}
	for _, owner := range owners {
		switch o.Status {
		case acme.OrderPending, acme.OrderReady:
			es = append(es, string(appendMark(appendSeconds(append(owner, openWaiting), o.Expires), string(o.ID))))
		case acme.OrderProcessing:
			es = append(es, string(appendMark(appendSet(append(owner, openProcessing), acme.NameSetOf(o.Identifiers)), string(o.ID))))
		case acme.OrderValid, acme.OrderInvalid:
		}
	}
	return es
}

func liveEntry(c *acme.Certificate) string {
	return string(appendMark(appendSeconds(marked(liveByMember, string(c.Member)), c.NotAfter), string(c.ID)))
}

func appendSet(b []byte, set acme.NameSet) []byte { return append(b, set[:]...) }

func (c orders) OpenByAccount(id acme.AccountID, at time.Time, limit int) (storage.OpenOrders, error) {
	return c.open(marked(openByAccount, string(id)), at, limit)
}

func (c orders) OpenByMember(id acme.MemberID, at time.Time, limit int) (storage.OpenOrders, error) {
	return c.open(marked(openByMember, string(id)), at, limit)
}

func (c orders) open(owner []byte, at time.Time, limit int) (n storage.OpenOrders, err error) {
	if n.Waiting, n.Expires, err = countFrom(c.tx, append(owner, openWaiting), at, limit); err != nil {
		return n, err
	}
	n.Processing, err = count(c.tx, append(owner, openProcessing), limit)
	return n, err
}

func (c orders) ProcessingFor(id acme.AccountID, set acme.NameSet, limit int) (int, error) {
	return count(c.tx, appendSet(append(marked(openByAccount, string(id)), openProcessing), set), limit)
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
	prefix := marked(liveByMember, string(id))
	known, ok := c.state.tallies.Get(string(prefix))
	now := tally{after: string(appendSeconds(nil, at))}
	if ok && known.after <= now.after {
		now.n = known.n
		c.state.scan(c.indexes, prefix, nextSecond(prefix, known.after), func(k []byte) bool {
			if string(k[len(prefix):len(prefix)+secondsLength]) > now.after {
				return false
			}
			now.n--
			return true
		})
	} else {
		c.state.scan(c.indexes, prefix, nextSecond(prefix, now.after), func([]byte) bool { now.n++; return true })
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

// nextSecond is where the entries below a prefix begin that are after a second.
func nextSecond(prefix []byte, second string) []byte {
	from := append(prefix[:len(prefix):len(prefix)], second...)
	return append(from, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) // longer than a mark
}

// keepUp changes the tally that an entry belongs to.
func (s *state) keepUp(key string, by int) {
	const owner = 1 + 8
	if key[0] != liveByMember || s.tallies.Len() == 0 || len(key) < owner+secondsLength {
		return
	}
	if known, ok := s.tallies.Get(key[:owner]); ok && key[owner:owner+secondsLength] > known.after {
		known.n += by
		s.tallies = s.tallies.With(key[:owner], known)
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

// countFrom is count for entries that go on with a second, of those after a
// time. It returns the first of their times.
func countFrom(t *tx, prefix []byte, after time.Time, limit int) (n int, first time.Time, err error) {
	if err := t.mayRead(); err != nil {
		return 0, time.Time{}, err
	}
	t.state.scan(t.indexes, prefix, nextSecond(prefix, string(appendSeconds(nil, after))), func(k []byte) bool {
		if n >= limit {
			return false
		}
		if n == 0 {
			first = keySeconds(k[len(prefix):])
		}
		n++
		return true
	})
	return n, first, nil
}
