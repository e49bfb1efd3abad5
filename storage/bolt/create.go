package bolt

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
)

// The names in the bucket "file": what concerns the file rather than the
// records in it.
var (
	nameSchema   = []byte("schema")
	nameInstance = []byte("instance")
	nameBoots    = []byte("boots")
)

// creatingSuffix marks a file that is not yet one.
const creatingSuffix = ".creating-"

// create makes the file when there is none. A power cut during bbolt's own
// first writes leaves files that it cannot open, or that end the process that
// tries (SS-6). So the file is made under another name, up to its first
// commit, and only then gets its own.
func create(cfg Config) error {
	if _, err := os.Stat(cfg.Path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	name := fmt.Sprintf("%s%s%x", cfg.Path, creatingSuffix, random)
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoSync: cfg.noSync, NoGrowSync: cfg.noSync, OpenFile: cfg.openFile})
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(name) }() // gone already when all went well
	err = errors.Join(db.Update(initialize), db.Sync(), db.Close())
	if err != nil {
		return err
	}
	return publish(name, cfg.Path)
}

// initialize is the first commit.
func initialize(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketRecords, bucketOrders, bucketIndexes, bucketLog, bucketFile} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	file := tx.Bucket(bucketFile)
	return errors.Join(
		putNumber(file, nameSchema, uint64(len(migrations)+1)),
		putNumber(file, nameBoots, 0),
		putFile(file, nameInstance, fmt.Appendf(nil, "%x", id)),
	)
}

// publish gives a finished file its name, unless another has it by now, and
// makes the name durable.
func publish(temporary, path string) error {
	switch err := os.Link(temporary, path); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: somebody else made %s just now", storage.ErrLocked, path)
	case err != nil:
		// A file system without links: the small window is the lesser evil.
		if err := os.Rename(temporary, path); err != nil {
			return err
		}
	default:
		if err := os.Remove(temporary); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

// sweep removes what earlier crashes left of files that never were one. The
// caller has the file itself open, so nobody is making it.
func sweep(path string) error {
	for _, suffix := range []string{creatingSuffix, restoringSuffix} {
		// The name may hold characters that mean something in a pattern, so the
		// directory is read instead.
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			return err
		}
		begins := filepath.Base(path) + suffix
		for _, e := range entries {
			if len(e.Name()) > len(begins) && e.Name()[:len(begins)] == begins {
				if err := os.Remove(filepath.Join(filepath.Dir(path), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// boot counts the start of a run, and returns it with the id of the file.
func boot(db *bbolt.DB) (Instance, error) {
	var i Instance
	err := db.Update(func(tx *bbolt.Tx) error {
		file := tx.Bucket(bucketFile)
		id, err := getFile(file, nameInstance)
		if err != nil {
			return err
		}
		boots, err := getNumber(file, nameBoots)
		if err != nil {
			return err
		}
		i = Instance{ID: string(id), Boots: boots + 1}
		return putNumber(file, nameBoots, i.Boots)
	})
	return i, err
}

func putFile(file *bbolt.Bucket, name, value []byte) error {
	b, err := storage.Encode(value)
	if err != nil {
		return err
	}
	return file.Put(name, b)
}

func getFile(file *bbolt.Bucket, name []byte) ([]byte, error) {
	if file == nil {
		return nil, fmt.Errorf("%w: the file has no bucket %q, so it is no database of acmebridge", storage.ErrDamaged, bucketFile)
	}
	b := file.Get(name)
	if b == nil {
		return nil, fmt.Errorf("%w: the file does not say its %s", storage.ErrDamaged, name)
	}
	return storage.Decode[[]byte](b)
}

func putNumber(file *bbolt.Bucket, name []byte, n uint64) error {
	return putFile(file, name, binary.BigEndian.AppendUint64(nil, n))
}

func getNumber(file *bbolt.Bucket, name []byte) (uint64, error) {
	b, err := getFile(file, name)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: the %s of the file is no number", storage.ErrDamaged, name)
	}
	return binary.BigEndian.Uint64(b), nil
}
