package bolt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"acmebridge/storage"
	"acmebridge/storage/internal/compact"
)

// table says how records of one type are keyed and indexed. The letters are
// permanent, like the numbers of fields.
type table[R any] struct {
	letter byte
	name   string
	// id returns the record's own key, appended to a record key as text.
	id func(*R) string
	// entries returns the index entries that lead to the record. They depend on
	// the record alone, and end with its id.
	entries func(*R) []string
	// part says that R has some of the fields of the record, and is never stored.
	part bool
	// goesOn leaves damaged records out of lists, which then return them as an
	// error beside the others.
	goesOn bool
}

// recordKey is where a record is.
func (d table[R]) recordKey(id string) []byte {
	return appendText(append(make([]byte, 0, 2+compact.IDBytes), d.letter), id)
}

func get[R any](t *tx, d table[R], id string) (R, error) {
	var none R
	if err := t.mayRead(); err != nil {
		return none, err
	}
	key := d.recordKey(id)
	v := t.bucket(key).Get(key)
	if v == nil {
		return none, fmt.Errorf("%w: %s %q", storage.ErrNotFound, d.name, id)
	}
	return d.decode(id, v)
}

// decode reads a stored record. That it names itself as it was asked for makes
// sure that a damaged key serves nobody another's record (SS-9).
func (d table[R]) decode(id string, v []byte) (R, error) {
	var none R
	decode := storage.Decode[R]
	if d.part {
		decode = storage.DecodePart[R]
	}
	r, err := decode(v)
	if err != nil {
		return none, fmt.Errorf("%s %q: %w", d.name, id, err)
	}
	if d.id(&r) != id {
		return none, fmt.Errorf("%w: under the key of %s %q is %q; restore a backup", storage.ErrDamaged, d.name, id, d.id(&r))
	}
	return r, nil
}

func put[R any](t *tx, d table[R], r R) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	id := d.id(&r)
	if id == "" {
		return fmt.Errorf("storage/bolt: a record of %s has no key", d.name)
	}
	value, err := storage.Encode(r)
	if err != nil {
		return err
	}
	old, _, err := d.indexed(t, id)
	if err != nil {
		return err
	}
	if err := t.set(d.recordKey(id), value); err != nil {
		return fmt.Errorf("storage/bolt: put %s %q: %w", d.name, id, err)
	}
	if d.entries != nil {
		t.reindex(old, d.entries(&r))
	}
	return nil
}

// drop removes a record, if it is there, and returns what it was.
func drop[R any](t *tx, d table[R], id string) (R, bool, error) {
	var none R
	if err := t.mayWrite(); err != nil {
		return none, false, err
	}
	r, err := get(t, d, id)
	if errors.Is(err, storage.ErrNotFound) {
		return none, false, nil
	}
	if err != nil {
		return none, false, err
	}
	if err := t.set(d.recordKey(id), nil); err != nil {
		return none, false, fmt.Errorf("storage/bolt: delete %s %q: %w", d.name, id, err)
	}
	if d.entries != nil {
		t.reindex(d.entries(&r), nil)
	}
	return r, true, nil
}

// indexed returns the entries that lead to the stored record of an id.
func (d table[R]) indexed(t *tx, id string) (entries []string, found bool, err error) {
	key := d.recordKey(id)
	v := t.bucket(key).Get(key)
	if v == nil || d.entries == nil {
		return nil, v != nil, nil
	}
	r, err := d.decode(id, v)
	if err != nil {
		return nil, true, err
	}
	return d.entries(&r), true, nil
}

// list returns a page of a whole table.
func list[R any](t *tx, d table[R], p storage.Page) ([]R, string, error) {
	if err := t.mayRead(); err != nil {
		return nil, "", err
	}
	var (
		records []R
		last    string
		after   []byte
		prefix  = []byte{d.letter}
		from    = prefix
	)
	if p.After != "" {
		after = d.recordKey(p.After)
		from = after
	}
	c := t.bucket(prefix).Cursor()
	for k, v := c.Seek(from); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if after != nil && bytes.Equal(k, after) {
			continue
		}
		if len(records) == p.Size() {
			return records, last, nil
		}
		id, _, ok := cutText(k[1:])
		if !ok {
			return nil, "", fmt.Errorf("%w: a key of %s does not parse; restore a backup", storage.ErrDamaged, d.name)
		}
		r, err := d.decode(id, v)
		if err != nil {
			return nil, "", err
		}
		records, last = append(records, r), id
	}
	return records, "", nil
}

// cursor says how the place in a list is told to the caller.
type cursor struct {
	// fixed is how many bytes come before the id in the rest of an entry. With
	// none the place is the id itself; otherwise all of it, in hexadecimal.
	fixed int
}

var byID cursor

// listBy returns a page of the records whose entries begin with prefix, as
// long as keep, when there is one, says yes; skip leaves records out.
func listBy[R any](t *tx, d table[R], prefix []byte, c cursor, p storage.Page, keep func(entry []byte) bool, skip func(*R) bool) ([]R, string, error) {
	if err := t.mayRead(); err != nil {
		return nil, "", err
	}
	from, err := c.from(prefix, p.After)
	if err != nil {
		return nil, "", err
	}
	var (
		records    []R
		last, next string
		failed     error
	)
	if p.After != "" { // there was a full page before, so this is likely to be one
		records = make([]R, 0, min(p.Size(), 1000))
	}
	t.state.scan(t.indexes, prefix, from, func(k []byte) bool {
		if p.After != "" && bytes.Equal(k, from) {
			return true
		}
		if keep != nil && !keep(k) {
			return false
		}
		r, err := follow(t, d, k, len(prefix)+c.fixed)
		if err != nil {
			failed = errors.Join(failed, err)
			return d.goesOn
		}
		if skip != nil && skip(&r) {
			return true
		}
		if len(records) == p.Size() {
			next = last
			return false
		}
		records, last = append(records, r), c.place(d.id(&r), k[len(prefix):])
		return true
	})
	if failed != nil && !d.goesOn {
		return nil, "", failed
	}
	return records, next, failed
}

// follow returns the record that an entry leads to. It checks that the record
// leads back: a flipped bit in an entry would otherwise put a record on
// somebody else's list.
func follow[R any](t *tx, d table[R], entry []byte, idAt int) (R, error) {
	var none R
	id, rest, ok := cutText(entry[min(idAt, len(entry)):])
	if !ok || len(rest) > 0 {
		return none, fmt.Errorf("%w: an index entry of %s does not parse; restore a backup", storage.ErrDamaged, d.name)
	}
	r, err := get(t, d, id)
	if err != nil {
		return none, fmt.Errorf("%w: an index entry of %s leads nowhere: %v", storage.ErrDamaged, d.name, err) //nolint:errorlint // damaged, and not ErrNotFound
	}
	if !slices.Contains(d.entries(&r), string(entry)) {
		return none, fmt.Errorf("%w: an index entry leads to %s %q, which does not lead back; restore a backup", storage.ErrDamaged, d.name, id)
	}
	return r, nil
}

// first returns the first record whose entry begins with prefix.
func first[R any](t *tx, d table[R], prefix []byte, c cursor) (R, error) {
	found, _, err := listBy(t, d, prefix, c, storage.Page{Limit: 1}, nil, nil)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", storage.ErrNotFound, d.name)
	}
	if err != nil {
		var none R
		return none, err
	}
	return found[0], nil
}

// exists reports whether any entry begins with prefix.
func exists(t *tx, prefix []byte) (found bool, err error) {
	if err := t.mayRead(); err != nil {
		return false, err
	}
	t.state.scan(t.indexes, prefix, prefix, func([]byte) bool {
		found = true
		return false
	})
	return found, nil
}

func (c cursor) from(prefix []byte, after string) ([]byte, error) {
	from := slices.Clip(slices.Clone(prefix))
	switch {
	case after == "":
		return from, nil
	case c.fixed == 0:
		return appendText(from, after), nil
	}
	rest, err := hex.DecodeString(after)
	if err != nil {
		return nil, fmt.Errorf("storage/bolt: %q is no key to go on with in this list: %w", after, err)
	}
	return append(from, rest...), nil
}

func (c cursor) place(id string, rest []byte) string {
	if c.fixed == 0 {
		return id
	}
	return hex.EncodeToString(rest)
}
