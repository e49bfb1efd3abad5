package ratelimit

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a table is made of. All of it may be zero.
type Config struct {
	// Entries is how many buckets fit, 262,144 when zero: 4 MiB.
	Entries int
	Now     func() time.Time
}

// Table holds the buckets of its limits.
type Table struct {
	now   func() time.Time
	epoch time.Time
	// seed keeps keys that share places from being found by trying (a hash with
	// a known seed could be attacked offline).
	seed   maphash.Seed
	limits atomic.Uint64
	shards [shards]shard
	mask   uint64 // of the sets in one shard
}

const (
	shards = 64
	// ways is how many places one set has: two lines of a processor's cache. A
	// key may be in either of two sets, which fills a table to nine tenths
	// before a key finds no place.
	ways = 8
	// share is how many keys' worth those without a place have together.
	share = 100
)

// shard is the part of the table that one lock protects.
type shard struct {
	mu   sync.Mutex
	sets [][ways]bucket // guarded by mu
	_    [128 - 8 - 24]byte
}

// bucket is the state of one key under one limit.
type bucket struct {
	key  uint64 // 0 for a place that was never used
	full int64  // when it will be full again, in nanoseconds since the epoch of the table
}

// New returns an empty table.
func New(cfg Config) *Table {
	if cfg.Entries <= 0 {
		cfg.Entries = 1 << 18
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	sets := max(1, cfg.Entries/shards/ways)
	sets = 1 << (bits.Len(uint(sets)) - 1)
	t := &Table{now: cfg.Now, epoch: cfg.Now(), seed: maphash.MakeSeed(), mask: uint64(sets - 1)}
	for i := range t.shards {
		t.shards[i].sets = make([][ways]bucket, sets)
	}
	return t
}

// Entries returns how many buckets fit.
func (t *Table) Entries() int { return shards * ways * int(t.mask+1) }

// Limit adds a limit to the table. Without a rate it is nil, and a nil limit
// lets everything pass. A nil table is one of no limits.
func (t *Table) Limit(r Rate) *Limit {
	if t == nil || !r.Bounded() {
		return nil
	}
	return &Limit{table: t, rate: r, id: t.limits.Add(1), step: r.interval(), size: r.interval() * int64(r.Count)}
}

// since is the present in the time of the table. Where Now has a monotonic
// reading, a clock that is set does not change it.
func (t *Table) since() int64 { return max(0, int64(t.now().Sub(t.epoch))) }

// lock locks the shard of a key and returns it.
func (t *Table) lock(key uint64) *shard {
	s := &t.shards[key>>58]
	s.mu.Lock()
	return s
}

// find returns the bucket of a key, nil when it has none.
func (s *shard) find(key, mask uint64) *bucket {
	for _, i := range [2]uint64{key & mask, key >> 29 & mask} {
		set := &s.sets[i]
		for j := range set {
			if set[j].key == key {
				return &set[j]
			}
		}
	}
	return nil
}

// free returns a place for a key that has none, in the emptier one of its sets;
// nil when both hold nothing but buckets that are not full.
func (s *shard) free(key, mask uint64, now int64) (free *bucket) {
	most := 0
	for _, i := range [2]uint64{key & mask, key >> 29 & mask} {
		set, n := &s.sets[i], 0
		var last *bucket
		for j := range set {
			if set[j].full <= now {
				last = &set[j]
				n++
			}
		}
		if n > most {
			free, most = last, n
		}
	}
	return free
}
