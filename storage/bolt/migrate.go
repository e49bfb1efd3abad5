package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
)

// migration brings the file from one schema to the next, in the transaction
// that also raises the number.
type migration func(tx *bbolt.Tx) error

// migrations leads from schema 1 to the current one, which is one more than
// there are migrations. It only grows, and nothing in it changes once it was
// released: there is no way back (SS-18).
var migrations = []migration{}

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
