package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
)

// migration brings the file from one schema to the next, in the transaction
// that also raises the number.
type migration func(tx *bbolt.Tx) error

// migrations leads from schema 1 to the current one, which is one more than
// there are migrations. It only grows, and nothing in it changes once it was
// released: there is no way back (SS-18).
var migrations = []migration{
	addIndexes(16, 21), // open orders, live certificates, what is queued
	addIndexes(21, 24), // needs, attached orders, what waits for approval
}

// addIndexes makes the indexes that the letters from one on up to another one
// stand for, out of the records that are there. A record that cannot be read
// is left out: it is unavailable with an index or without (SS-9).
func addIndexes(from, upTo int) migration {
	return func(tx *bbolt.Tx) error {
		log := tx.Bucket(bucketLog)
		rewritten := map[string][]byte{} // a bucket is not changed while a cursor is on it
		c := log.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			b, err := storage.Decode[[]byte](v)
			if err != nil {
				return fmt.Errorf("the index log, record %x: %w", k, err)
			}
			var s state
			rest, err := s.head(b, from)
			if err != nil {
				return err
			}
			// None of the new indexes was ever folded.
			wider := append(bytes.Clone(b[:len(b)-len(rest)]), make([]byte, upTo-from)...)
			if rewritten[string(k)], err = storage.Encode(append(wider, rest...)); err != nil {
				return err
			}
		}
		for k, v := range rewritten {
			if err := log.Put([]byte(k), v); err != nil {
				return err
			}
		}
		indexes := tx.Bucket(bucketIndexes)
		indexes.FillPercent = scattered
		for _, name := range [][]byte{bucketRecords, bucketOrders} {
			c := tx.Bucket(name).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				for _, e := range entriesOf(k, v) {
					if strings.IndexByte(letters[from:upTo], e[0]) < 0 {
						continue
					}
					if err := indexes.Put([]byte(e), nil); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
}

// entriesOf returns the entries of a stored record, none when it cannot be read.
func entriesOf(k, v []byte) []string {
	in, ok := inspectors[k[0]]
	if !ok {
		return nil
	}
	id, rest, ok := cutText(k[1:])
	if !ok || len(rest) > 0 {
		return nil
	}
	entries, err := in.check(id, v)
	if err != nil {
		return nil
	}
	return entries
}

// migrate brings the file up to date. Before the first change it writes a
// backup beside it, named after the schema it has. A file that a newer program
// wrote is not touched.
func migrate(ctx context.Context, db *bbolt.DB, path string, to []migration) error {
	var schema uint64
	err := db.View(func(tx *bbolt.Tx) (err error) {
		schema, err = getNumber(tx.Bucket(bucketFile), nameSchema)
		return err
	})
	current := uint64(len(to) + 1)
	switch {
	case err != nil:
		return err
	case schema > current:
		return fmt.Errorf("%w: the file has schema %d, this program knows %d; use the newer program again, or restore a backup made by this one", storage.ErrNewer, schema, current)
	case schema == current:
		return nil
	case schema == 0:
		return fmt.Errorf("%w: the file says that its schema is 0", storage.ErrDamaged)
	}
	if err := backupBefore(ctx, db, fmt.Sprintf("%s.schema-%d.backup", path, schema)); err != nil {
		return fmt.Errorf("back up before migrating: %w", err)
	}
	for ; schema < current; schema++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := db.Update(func(tx *bbolt.Tx) error {
			if err := to[schema-1](tx); err != nil {
				return err
			}
			return putNumber(tx.Bucket(bucketFile), nameSchema, schema+1)
		})
		if err != nil {
			return fmt.Errorf("migrate from schema %d to %d: %w", schema, schema+1, err)
		}
	}
	return nil
}

// backupBefore writes the file as it is to name, over what an attempt that was
// cut short may have left there.
func backupBefore(ctx context.Context, db *bbolt.DB, name string) error {
	f, err := os.OpenFile(name+".partial", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(contextWriter{ctx, f})
		return err
	})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name+".partial"))
	}
	return replaceFile(name+".partial", name)
}
