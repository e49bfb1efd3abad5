package ratelimit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Limit is a rate for each of its keys. Table.Limit makes one; nil lets
// everything pass.
type Limit struct {
	table   *Table
	rate    Rate
	id      uint64
	step    int64 // nanoseconds for one token
	size    int64 // nanoseconds for all of them
	refused atomic.Int64

	mu     sync.Mutex
	others bucket // of the keys that have no place in the table; guarded by mu
}

// Rate returns the rate, zero for no limit.
func (l *Limit) Rate() Rate {
	if l == nil {
		return Rate{}
	}
	return l.rate
}

// Refused returns how often Take refused, for metrics.
func (l *Limit) Refused() int64 {
	if l == nil {
		return 0
	}
	return l.refused.Load()
}

// Claim is one thing that somebody wants to do: a limit and a key of it.
type Claim struct {
	limit *Limit
	key   uint64
}

// For returns the claim of a key. Keys of any comparable type may be mixed;
// those of different limits never meet.
func For[K comparable](l *Limit, key K) Claim {
	if l == nil {
		return Claim{}
	}
	return Claim{l, l.mix(maphash.Comparable(l.table.seed, key))}
}

// mix gives each limit hashes of its own.
func (l *Limit) mix(h uint64) uint64 {
	h ^= l.id * 0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	return max(h, 1)
}

// Limit returns what the claim is under.
func (c Claim) Limit() *Limit { return c.limit }

// Take does it now and returns zero, or leaves everything as it is and returns
// how long it will be until it may be done.
func (c Claim) Take() time.Duration {
	if c.limit == nil {
		return 0
	}
	wait := c.change(c.limit.step, true)
	if wait > 0 {
		c.limit.refused.Add(1)
	}
	return wait
}

// Wait returns how long it will be until it may be done, and changes nothing.
func (c Claim) Wait() time.Duration {
	if c.limit == nil {
		return 0
	}
	return c.change(0, false)
}

// Return takes a Take back: it turned out that nothing was done.
func (c Claim) Return() {
	if c.limit != nil {
		c.change(-c.limit.step, false)
	}
}

// TakeAll takes all of the claims, or none. When one of them refuses, it returns
// the one that refuses for longest, and for how long: after that time the same
// claims would pass (R8555-6.6-2).
func TakeAll(claims ...Claim) (refusing Claim, wait time.Duration) {
	for i, c := range claims {
		if c.Take() == 0 {
			continue
		}
		for _, taken := range claims[:i] {
			taken.Return()
		}
		for _, c := range claims {
			if w := c.Wait(); w > wait {
				refusing, wait = c, w
			}
		}
		if wait == 0 { // time has passed since it refused
			return c, 1
		}
		return refusing, wait
	}
	return Claim{}, 0
}

// change moves the time at which the bucket is full by step. settle says whether
// a key that is not known gets a bucket.
func (c Claim) change(step int64, settle bool) time.Duration {
	l, t := c.limit, c.limit.table
	now := t.since()
	s := t.lock(c.key)
	b := s.find(c.key, t.mask)
	crowded := false
	if b == nil {
		free := s.free(c.key, t.mask, now)
		if crowded = free == nil; !crowded && settle {
			*free = bucket{key: c.key}
			b = free
		}
	}
	if b != nil {
		wait := b.change(now, step, l.step, l.size)
		s.mu.Unlock()
		return wait
	}
	s.mu.Unlock()
	if !crowded {
		return 0 // nothing is known of it, so its bucket is full
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.others.change(now, step/share, max(1, l.step/share), l.size)
}

// change moves the time at which the bucket is full by step, if one more token
// is there: it holds size, and each is worth one. It returns the time until
// one is there.
func (b *bucket) change(now, step, one, size int64) time.Duration {
	full := max(b.full, now)
	if full > now+size {
		full = now + size // the clock was set back
	}
	if wait := full + one - now - size; step >= 0 && wait > 0 {
		return time.Duration(wait)
	}
	b.full = max(full+step, now)
	return 0
}
