package bolt

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
)

// tx is a storage.Tx. In an Update it writes into the transaction of its
// group, and remembers what it changed so that it can take it back without
// harming its neighbours.
type tx struct {
	records *bbolt.Bucket
	orders  *bbolt.Bucket
	indexes *bbolt.Bucket
	state   state

	writable bool
	ended    bool

	before  state // what state was when the update began
	undo    []undone
	changes []entryChange
}

// undone is a record as it was before the update changed it; nil when it was
// not there.
type undone struct{ key, value []byte }

func begin(btx *bbolt.Tx, s state, writable bool) *tx {
	t := &tx{records: btx.Bucket(bucketRecords), orders: btx.Bucket(bucketOrders), indexes: btx.Bucket(bucketIndexes), state: s, before: s, writable: writable}
	if writable {
		t.records.FillPercent, t.orders.FillPercent = appended, growing
	}
	return t
}

// Prefetch does nothing: a read from a local file takes microseconds.
func (t *tx) Prefetch(...storage.Key) {}

func (t *tx) mayRead() error {
	if t.ended {
		return storage.ErrClosed
	}
	return nil
}

func (t *tx) mayWrite() error {
	switch {
	case t.ended:
		return storage.ErrClosed
	case !t.writable:
		return storage.ErrReadOnly
	}
	return nil
}

// bucket returns where the records of a key are. Orders nearly double in size
// during their short life, so their pages are left room for that; pages that
// split again and again would stay half empty.
func (t *tx) bucket(key []byte) *bbolt.Bucket {
	if key[0] == orderLetter {
		return t.orders
	}
	return t.records
}

// set puts a record, or deletes it when value is nil.
func (t *tx) set(key, value []byte) error {
	// The copy outlives whatever the write does to the page it is on.
	t.undo = append(t.undo, undone{key, bytes.Clone(t.bucket(key).Get(key))})
	if value == nil {
		return t.bucket(key).Delete(key)
	}
	return t.bucket(key).Put(key, value)
}

// reindex changes the entries of a record from old to new. Most changes to a
// record change none of them.
func (t *tx) reindex(old, new []string) {
	for _, key := range old {
		if !slices.Contains(new, key) {
			t.state.remove(key)
			t.changes = append(t.changes, entryChange{key, false})
		}
	}
	for _, key := range new {
		if !slices.Contains(old, key) {
			t.state.add(key)
			t.changes = append(t.changes, entryChange{key, true})
		}
	}
}

// takeBack restores everything the update changed, latest first.
func (t *tx) takeBack() error {
	for _, u := range slices.Backward(t.undo) {
		var err error
		if u.value == nil {
			err = t.bucket(u.key).Delete(u.key)
		} else {
			err = t.bucket(u.key).Put(u.key, u.value)
		}
		if err != nil {
			return fmt.Errorf("storage/bolt: take back an update that failed: %w", err)
		}
	}
	t.state, t.undo, t.changes = t.before, nil, nil
	return nil
}
