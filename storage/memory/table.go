package memory

import (
	"fmt"
	"strings"
	"time"

	"acmebridge/storage"
	"acmebridge/storage/internal/sorted"
)

// state is everything the store holds. Copying it copies a few pointers.
type state struct {
	accounts, orders, authorizations, jobs, submissions collection
	certificates, chains, externalKeys, blockedKeys     collection
	publications, meta, members                         collection

	parked int // how many of the jobs are
}

// collection is the records of one kind by their keys, and the keys by
// whatever else finds them.
type collection struct {
	records sorted.Map[[]byte]
	index   sorted.Map[[]byte]
}

// tx is a storage.Tx over its own copy of the state.
type tx struct {
	state    state
	writable bool
	ended    bool
}

func (t *tx) end() { t.ended = true }

func (t *tx) Prefetch(...storage.Key) {}

// kind says how records of one type are keyed and indexed.
type kind[R any] struct {
	name string
	key  func(R) string
	// index returns the entries that lead to a record. What it returns depends
	// on the record alone, so replacing a record finds the entries of the old.
	index func(R) []string
}

// get returns the record of a key.
func get[R any](t *tx, c *collection, k kind[R], key string) (R, error) {
	var none R
	if t.ended {
		return none, storage.ErrClosed
	}
	b, ok := c.records.Get(key)
	if !ok {
		return none, fmt.Errorf("%w: %s %q", storage.ErrNotFound, k.name, key)
	}
	return storage.Decode[R](b)
}

// put stores a record in place of the one with its key.
func put[R any](t *tx, c *collection, k kind[R], r R) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	key := k.key(r)
	if key == "" {
		return fmt.Errorf("storage: a record of %s has no key", k.name)
	}
	b, err := storage.Encode(r)
	if err != nil {
		return err
	}
	if err := unindex(c, k, key); err != nil {
		return err
	}
	c.records = c.records.With(key, b)
	if k.index != nil {
		for _, e := range k.index(r) {
			c.index = c.index.With(e, []byte(key))
		}
	}
	return nil
}

// discard drops the record of a key, if there is one.
func discard[R any](t *tx, c *collection, k kind[R], key string) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	if err := unindex(c, k, key); err != nil {
		return err
	}
	c.records = c.records.Without(key)
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

// unindex drops the entries that lead to the stored record of a key.
func unindex[R any](c *collection, k kind[R], key string) error {
	b, ok := c.records.Get(key)
	if !ok || k.index == nil {
		return nil
	}
	old, err := storage.Decode[R](b)
	if err != nil {
		return err
	}
	for _, e := range k.index(old) {
		c.index = c.index.Without(e)
	}
	return nil
}

// find returns the key that an index entry leads to.
func find(c *collection, e string) (string, bool) {
	key, ok := c.index.Get(e)
	return string(key), ok
}

// list returns a page of the records themselves.
func list[R any](t *tx, c *collection, k kind[R], p storage.Page) ([]R, string, error) {
	return walk(t, c, k, c.records, "", p, func(key string, _ []byte) string { return key })
}

// listBy returns a page of the records whose index entries begin with prefix.
// The rest of an entry is the key to go on with.
func listBy[R any](t *tx, c *collection, k kind[R], prefix string, p storage.Page) ([]R, string, error) {
	return walk(t, c, k, c.index, prefix, p, func(_ string, v []byte) string { return string(v) })
}

func walk[R any](t *tx, c *collection, k kind[R], in sorted.Map[[]byte], prefix string, p storage.Page, keyOf func(string, []byte) string) ([]R, string, error) {
	if t.ended {
		return nil, "", storage.ErrClosed
	}
	var (
		records    []R
		last, next string
		failed     error
	)
	in.Ascend(prefix+p.After, func(e string, v []byte) bool {
		rest, ok := strings.CutPrefix(e, prefix)
		switch {
		case !ok:
			return false
		case rest == p.After && p.After != "":
			return true
		case len(records) == p.Size():
			next = last
			return false
		}
		r, err := get(t, c, k, keyOf(e, v))
		if err != nil {
			failed = err
			return false
		}
		records, last = append(records, r), rest
		return true
	})
	if failed != nil {
		return nil, "", failed
	}
	return records, next, nil
}

// entry joins the parts of an index entry so that no two lists of parts make
// the same entry and that the order is that of the parts.
func entry(parts ...string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString("\x00\x01")
		}
		b.WriteString(strings.ReplaceAll(p, "\x00", "\x00\xff"))
	}
	return b.String()
}

// under is the beginning of all entries with these first parts.
func under(parts ...string) string { return entry(parts...) + "\x00\x01" }

// sortable writes a time so that text order is time order, from the year zero
// to the last day of X.509 and far beyond (nanoseconds in 64 bits end in 2262).
func sortable(t time.Time) string {
	return fmt.Sprintf("%016x%08x", uint64(t.Unix())^1<<63, t.Nanosecond())
}

// latestFirst is sortable the other way round.
func latestFirst(t time.Time) string {
	return fmt.Sprintf("%016x%08x", ^(uint64(t.Unix()) ^ 1<<63), ^uint32(t.Nanosecond()))
}
