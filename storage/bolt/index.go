package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
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
// One commit folds a full state into the bucket and empties the log. Opening a
// store reads the log, which is never long.

// foldAt is how many entries the state may hold: some 2 MiB of memory, and half
// of a megabyte to read on opening.
const foldAt = 16384

// state is what is committed but not yet in the bucket of the indexes, and the
// counts, which would otherwise be the one page that every commit writes.
// States are values: giving one up is going on with the one before.
type state struct {
	// recent has true for an entry that was added to the bucket's and false for
	// one that was removed from them.
	recent sorted.Map[bool]
	jobs   int64
	parked int64
}

// add puts an entry into the set. It is not there yet.
func (s *state) add(key string) {
	if here, ok := s.recent.Get(key); ok && !here {
		s.recent = s.recent.Without(key)
		return
	}
	s.recent = s.recent.With(key, true)
}

// remove takes an entry out of the set. It is there.
func (s *state) remove(key string) {
	if here, ok := s.recent.Get(key); ok && here {
		s.recent = s.recent.Without(key)
		return
	}
	s.recent = s.recent.With(key, false)
}

// scan calls yield for the entries that begin with prefix, in order, from the
// first one that is not below from, until it returns false. The key is only
// good during the call.
func (s *state) scan(bucket *bbolt.Bucket, prefix, from []byte, yield func(key []byte) bool) {
	cursor := bucket.Cursor()
	old, _ := cursor.Seek(from)
	key, here, ok := s.recent.From(string(from))
	for {
		if !bytes.HasPrefix(old, prefix) {
			old = nil
		}
		ok = ok && strings.HasPrefix(key, string(prefix))
		order := 0
		switch {
		case old == nil && !ok:
			return
		case old == nil:
			order = 1
		case !ok:
			order = -1
		default:
			order = bytes.Compare(old, []byte(key))
		}
		switch {
		case order < 0 && !yield(old):
			return
		case order >= 0 && here && !yield([]byte(key)):
			return
		}
		if order <= 0 {
			old, _ = cursor.Next()
		}
		if order >= 0 {
			key, here, ok = s.recent.Above(key)
		}
	}
}

// A record of the log is the counts after a commit and what the commit did to
// the entries: for each its length with the lowest bit saying whether it was
// added, and its bytes.
type entryChange struct {
	key   string
	added bool
}

func appendLog(b []byte, s state, changes []entryChange) []byte {
	b = binary.AppendVarint(b, s.jobs)
	b = binary.AppendVarint(b, s.parked)
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

// replay makes s what it was after the commit that wrote a log record.
func (s *state) replay(b []byte) error {
	var ok bool
	if s.jobs, b, ok = cutVarint(b); !ok {
		return errLog
	}
	if s.parked, b, ok = cutVarint(b); !ok {
		return errLog
	}
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n>>1 > uint64(len(b)-size) {
			return errLog
		}
		key := string(b[size : size+int(n>>1)])
		b = b[size+int(n>>1):]
		if n&1 == 1 {
			s.add(key)
		} else {
			s.remove(key)
		}
	}
	return nil
}

var errLog = fmt.Errorf("%w: a record of the index log does not parse; restore a backup", storage.ErrDamaged)

func cutVarint(b []byte) (int64, []byte, bool) {
	n, size := binary.Varint(b)
	if size <= 0 {
		return 0, b, false
	}
	return n, b[size:], true
}

// readState reads the log.
func readState(tx *bbolt.Tx) (s state, err error) {
	err = tx.Bucket(bucketLog).ForEach(func(k, v []byte) error {
		b, err := storage.Decode[[]byte](v)
		if err != nil {
			return fmt.Errorf("the index log, record %x: %w", k, err)
		}
		return s.replay(b)
	})
	return s, err
}

// writeState stores what a commit did to the state: appends to the log, or
// folds everything into the bucket when there is too much of it.
func writeState(tx *bbolt.Tx, s *state, changes []entryChange, foldAt int) error {
	log := tx.Bucket(bucketLog)
	log.FillPercent = appended
	if s.recent.Len() >= foldAt {
		if err := fold(tx, s); err != nil {
			return err
		}
		if err := tx.DeleteBucket(bucketLog); err != nil {
			return err
		}
		var err error
		if log, err = tx.CreateBucket(bucketLog); err != nil {
			return err
		}
		changes = nil
	}
	value, err := storage.Encode(appendLog(nil, *s, changes))
	if err != nil {
		return err
	}
	seq, err := log.NextSequence()
	if err != nil {
		return err
	}
	return log.Put(binary.BigEndian.AppendUint64(nil, seq), value)
}

// fold applies the state's entries to the bucket, in order.
func fold(tx *bbolt.Tx, s *state) (err error) {
	indexes := tx.Bucket(bucketIndexes)
	indexes.FillPercent = scattered
	s.recent.Ascend("", func(key string, here bool) bool {
		if here {
			err = indexes.Put([]byte(key), nil)
		} else {
			err = indexes.Delete([]byte(key))
		}
		return err == nil
	})
	s.recent = sorted.Map[bool]{}
	return err
}
