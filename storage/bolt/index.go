package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
	"acmebridge/storage/internal/sorted"
)

// The indexes are one sorted set of keys without values, each beginning with
// the letter of its index. Most of their keys are as good as random (serials,
// hashes, names), and putting one of them into a tree on disk costs a page of
// 4 KiB, five or six times per order. So new entries are kept in memory, and
// on disk in a log that is only ever appended to, until there are enough of
// them to share pages:
//
//	indexes = bucket "indexes" + what the state added - what the state removed
//
// When the state is full, a commit folds one index into the bucket, the one
// that has waited longest: a few thousand entries at once touch each page of it
// once, and folding all of them would rewrite too much in one commit, and leave
// as many free pages for every later commit to list. The log is cut off behind
// the index that has now waited longest. Opening a store reads the log, which
// is never much longer than the state.

// foldAt is how many entries the state may hold: some 12 MiB of memory, and
// eight megabytes at most to read on opening. With a quarter of it, the pages
// written for each order double by 100,000 orders; with this they grow by a
// quarter.
const foldAt = 65536

// letters are those of all indexes. New ones come at the end, because a record
// of the log counts on their order.
const letters = "cdehklmnopqrsvwx" + "abfgj" + "tuy"

// lettersOf says how many of them each schema has, from schema 1 on.
var lettersOf = []int{16, 21, 24}

// state is what is committed but not yet in the bucket of the indexes, and the
// counts, which would otherwise be the one page that every commit writes.
// States are values: giving one up is going on with the one before.
type state struct {
	// recent has true for an entry that was added to the bucket's and false for
	// one that was removed from them.
	recent sorted.Map[bool]
	jobs   int64
	parked int64
	// folded says up to which record of the log each index is in the bucket, in
	// the order of letters.
	folded [len(letters)]uint64
	// tallies are the counts of live certificates that were asked for, kept up
	// from then on. They are in memory only.
	tallies sorted.Map[tally]
}

// add puts an entry into the set. It is not there yet.
func (s *state) add(key string) {
	s.keepUp(key, 1)
	if here, ok := s.recent.Get(key); ok && !here {
		s.recent = s.recent.Without(key)
		return
	}
	s.recent = s.recent.With(key, true)
}

// remove takes an entry out of the set. It is there.
func (s *state) remove(key string) {
	s.keepUp(key, -1)
	if here, ok := s.recent.Get(key); ok && here {
		s.recent = s.recent.Without(key)
		return
	}
	s.recent = s.recent.With(key, false)
}

// has reports whether an entry is in the set.
func (s *state) has(bucket *bbolt.Bucket, key string) bool {
	if here, ok := s.recent.Get(key); ok {
		return here
	}
	return bucket.Get([]byte(key)) != nil
}

// scan calls yield for the entries that begin with prefix, in order, from the
// first one that is not below from, until it returns false. The key is only
// good during the call.
//
// It walks over what was removed since the last fold, which is as much as there
// were jobs open then: so it goes through recent by its shape, and does not look
// each key up.
func (s *state) scan(bucket *bbolt.Bucket, prefix, from []byte, yield func(key []byte) bool) {
	cursor := bucket.Cursor()
	old, _ := cursor.Seek(from)
	within := func() bool { return old != nil && bytes.HasPrefix(old, prefix) }
	ended := false
	s.recent.Ascend(string(from), func(key string, here bool) bool {
		if !strings.HasPrefix(key, string(prefix)) {
			return false
		}
		for within() && string(old) < key {
			if ended = !yield(old); ended {
				return false
			}
			old, _ = cursor.Next()
		}
		if within() && string(old) == key {
			old, _ = cursor.Next()
		}
		ended = here && !yield([]byte(key))
		return !ended
	})
	for !ended && within() {
		ended = !yield(old)
		old, _ = cursor.Next()
	}
}

// A record of the log is the counts and folds after a commit, and what the
// commit did to the entries: for each its length with the lowest bit saying
// whether it was added, and its bytes.
type entryChange struct {
	key   string
	added bool
}

func appendLog(b []byte, s *state, changes []entryChange) []byte {
	b = binary.AppendVarint(b, s.jobs)
	b = binary.AppendVarint(b, s.parked)
	for _, seq := range s.folded {
		b = binary.AppendUvarint(b, seq)
	}
	for _, c := range changes {
		n := uint64(len(c.key)) << 1
		if c.added {
			n |= 1
		}
		b = binary.AppendUvarint(b, n)
		b = append(b, c.key...)
	}
	return b
}

// head reads the counts and folds off a record of the log that has those of
// so many indexes.
func (s *state) head(b []byte, indexes int) (rest []byte, err error) {
	var n int
	if s.jobs, n = binary.Varint(b); n <= 0 {
		return nil, errLog
	}
	b = b[n:]
	if s.parked, n = binary.Varint(b); n <= 0 {
		return nil, errLog
	}
	b = b[n:]
	for i := range s.folded[:indexes] {
		if s.folded[i], n = binary.Uvarint(b); n <= 0 {
			return nil, errLog
		}
		b = b[n:]
	}
	return b, nil
}

// replay does to s what the commit did that wrote record seq of the log, but
// for what has gone into the bucket since.
func (s *state) replay(seq uint64, changes []byte) error {
	for len(changes) > 0 {
		n, size := binary.Uvarint(changes)
		if size <= 0 || n>>1 > uint64(len(changes)-size) || n>>1 == 0 {
			return errLog
		}
		key := string(changes[size : size+int(n>>1)])
		changes = changes[size+int(n>>1):]
		i := strings.IndexByte(letters, key[0])
		switch {
		case i < 0:
			return errLog
		case seq <= s.folded[i]:
		case n&1 == 1:
			s.add(key)
		default:
			s.remove(key)
		}
	}
	return nil
}

var errLog = fmt.Errorf("%w: a record of the index log does not parse; restore a backup", storage.ErrDamaged)

// indexesOf returns how many indexes the file has.
func indexesOf(tx *bbolt.Tx) (int, error) {
	schema, err := getNumber(tx.Bucket(bucketFile), nameSchema)
	if err != nil {
		return 0, err
	}
	return lettersOf[max(1, min(int(schema), len(lettersOf)))-1], nil
}

// readState reads the log. Its last record says what to skip in the others.
func readState(tx *bbolt.Tx) (s state, err error) {
	indexes, err := indexesOf(tx)
	if err != nil {
		return s, err
	}
	log := tx.Bucket(bucketLog).Cursor()
	_, last := log.Last()
	if last == nil {
		return s, nil
	}
	b, err := storage.Decode[[]byte](last)
	if err != nil {
		return s, fmt.Errorf("the last record of the index log: %w", err)
	}
	if _, err := s.head(b, indexes); err != nil {
		return s, err
	}
	for k, v := log.First(); k != nil; k, v = log.Next() {
		if len(k) != 8 {
			return s, errLog
		}
		b, err := storage.Decode[[]byte](v)
		if err != nil {
			return s, fmt.Errorf("the index log, record %x: %w", k, err)
		}
		var then state
		changes, err := then.head(b, indexes)
		if err != nil {
			return s, err
		}
		if err := s.replay(binary.BigEndian.Uint64(k), changes); err != nil {
			return s, err
		}
	}
	return s, nil
}

// writeState appends to the log what a commit did to the state. When the state
// is full, it folds until it is not.
func writeState(tx *bbolt.Tx, s *state, changes []entryChange, foldAt int) error {
	log := tx.Bucket(bucketLog)
	log.FillPercent = appended
	seq, err := log.NextSequence()
	if err != nil {
		return err
	}
	folding := s.recent.Len() >= foldAt
	for s.recent.Len() >= foldAt {
		if err := s.fold(tx.Bucket(bucketIndexes), seq); err != nil {
			return err
		}
	}
	if folding {
		if err := cutLog(log, slices.Min(s.folded[:])); err != nil {
			return err
		}
	}
	value, err := storage.Encode(appendLog(nil, s, changes))
	if err != nil {
		return err
	}
	return log.Put(binary.BigEndian.AppendUint64(nil, seq), value)
}

// fold applies the entries of the index that has waited longest to the bucket.
// Those without any entries have nothing to wait for.
func (s *state) fold(indexes *bbolt.Bucket, seq uint64) error {
	oldest := -1
	for i := range letters {
		if k, _, ok := s.recent.From(letters[i : i+1]); !ok || k[0] != letters[i] {
			s.folded[i] = seq
		} else if oldest < 0 || s.folded[i] < s.folded[oldest] {
			oldest = i
		}
	}
	if oldest < 0 {
		return nil
	}
	s.folded[oldest] = seq
	indexes.FillPercent = scattered
	rest := s.recent
	var err error
	s.recent.Ascend(letters[oldest:oldest+1], func(key string, here bool) bool {
		if key[0] != letters[oldest] {
			return false
		}
		rest = rest.Without(key)
		if here {
			err = indexes.Put([]byte(key), nil)
		} else {
			err = indexes.Delete([]byte(key))
		}
		return err == nil
	})
	s.recent = rest
	return err
}

// cutLog removes the records of the log up to one of them.
func cutLog(log *bbolt.Bucket, upTo uint64) error {
	var keys [][]byte // a bucket is not changed while a cursor is on it
	c := log.Cursor()
	for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= upTo; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := log.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
