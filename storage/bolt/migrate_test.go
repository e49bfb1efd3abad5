//go:build linux

package bolt

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"acmebridge/acme"
	"acmebridge/storage"
)

// TestAddIndexes: a file of schema 1, its indexes half in the bucket and half
// in the log, has those of today after the next start, and the counts and lists
// that rest on them are right (SS-18).
func TestAddIndexes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := open(t, dir, unsynced, func(c *Config) { c.foldAt = 9 })
	lives := fill(t, s, 7)
	waiting := newLife(lives[0].order.Account, "DEV/GOV/1")
	waiting.issue()
	if err := s.Update(t.Context(), func(tx storage.Tx) error {
		o := waiting.order
		o.ID, o.Status = mint[acme.OrderID](time.Now()), acme.OrderProcessing
		o.AttachedTo = lives[0].order.ID
		return firstError(waiting.newOrder(tx), tx.Orders().Put(o),
			tx.Submissions().Put(storage.Submission{ID: mint[acme.SubmissionID](time.Now()), Key: "needed", CreatedAt: time.Now(), Need: acme.NeedOf(o)}),
			tx.Jobs().Put(storage.Job{ID: "ca", Due: time.Now(), Backend: "local", Waits: storage.ApproverAtCA}))
	}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	before := checked(t, path).Entries
	toSchema1(t, path)
	if r := checked(t, path); r.Schema != 1 || r.Entries >= before {
		t.Fatalf("the file to migrate has schema %d and %d of %d entries", r.Schema, r.Entries, before)
	}

	s = open(t, dir)
	now := time.Now()
	if err := s.View(t.Context(), func(tx storage.Tx) error {
		account, member := lives[0].order.Account, acme.MemberID("DEV/GOV/1")
		open, err := tx.Orders().OpenByAccount(account, now, 10)
		byMember, err2 := tx.Orders().OpenByMember(member, now, 10)
		live, _, err3 := tx.Certificates().Live(member, now, 100)
		queued, err4 := tx.Jobs().Queued("local", 10)
		issued, err5 := tx.Certificates().IssuedFor(acme.NameSetOf(lives[3].order.Identifiers), now.Add(-time.Hour), 10)
		attached, _, err6 := tx.Orders().Attached(lives[0].order.ID, storage.Page{})
		toApprove, _, err7 := tx.Jobs().Waiting(storage.Page{})
		if len(attached) != 1 || len(toApprove) != 1 {
			t.Errorf("%d attached, %d to approve", len(attached), len(toApprove))
			return errors.Join(err6, err7)
		}
		if asked, _, err := tx.Submissions().ByNeed(acme.NeedOf(attached[0]), storage.Page{}); err != nil || len(asked) != 1 {
			t.Errorf("asked for the need: %d, %v", len(asked), err)
		}
		if open.Waiting != 1 || open.Processing != 1 || byMember != open || live != len(lives) || queued != 1 || len(issued) != 0 {
			t.Errorf("open %+v and %+v, %d live, %d queued, %d issued", open, byMember, live, queued, len(issued))
		}
		return errors.Join(err, err2, err3, err4, err5)
	}); err != nil {
		t.Fatal(err)
	}
	if n := present(t, s, lives); n != len(lives) {
		t.Errorf("%d of %d orders are there", n, len(lives))
	}
	fill(t, s, 3)
	shut(t, s)
	if r := checked(t, path); r.Schema != uint64(len(lettersOf)) || r.Entries <= before {
		t.Errorf("schema %d with %d entries, of %d before", r.Schema, r.Entries, before)
	}
}

// toSchema1 takes out of a file what later schemas have added.
func toSchema1(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		t.Fatal(err)
	}
	isNew := func(key string) bool { return strings.IndexByte(letters[lettersOf[0]:], key[0]) >= 0 }
	err = db.Update(func(tx *bbolt.Tx) error {
		log, indexes := tx.Bucket(bucketLog), tx.Bucket(bucketIndexes)
		logged, gone := map[string][]byte{}, 0
		err := log.ForEach(func(k, v []byte) error {
			b, err := storage.Decode[[]byte](v)
			if err != nil {
				return err
			}
			var s state
			rest, err := s.head(b, len(letters))
			if err != nil {
				return err
			}
			changes := parsed(t, rest)
			kept := changes[:0]
			for _, c := range changes {
				if !isNew(c.key) {
					kept = append(kept, c)
				}
			}
			wide := appendLog(nil, &s, nil)
			// The folds of the new indexes are the last ones of the head.
			narrow := bytes.Clone(wide)
			for range len(letters) - lettersOf[0] {
				narrow = narrow[:len(narrow)-1]
				for len(narrow) > 0 && narrow[len(narrow)-1]&0x80 != 0 {
					narrow = narrow[:len(narrow)-1]
				}
			}
			var none state
			logged[string(k)], err = storage.Encode(append(narrow, appendLog(nil, &none, kept)[len(appendLog(nil, &none, nil)):]...))
			return err
		})
		if err != nil {
			return err
		}
		for k, v := range logged {
			if err := log.Put([]byte(k), v); err != nil {
				return err
			}
		}
		c := indexes.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if isNew(string(k)) {
				gone++
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		if gone == 0 || len(logged) == 0 {
			t.Errorf("%d new entries in the bucket and %d records in the log; the test wants both", gone, len(logged))
		}
		return putNumber(tx.Bucket(bucketFile), nameSchema, 1)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// parsed reads the changes of a log record.
func parsed(t *testing.T, b []byte) (all []entryChange) {
	t.Helper()
	for len(b) > 0 {
		n, size := uvarint(t, b)
		all = append(all, entryChange{key: string(b[size : size+int(n>>1)]), added: n&1 == 1})
		b = b[size+int(n>>1):]
	}
	return all
}

func uvarint(t *testing.T, b []byte) (n uint64, size int) {
	t.Helper()
	for shift := 0; ; shift += 7 {
		n |= uint64(b[size]&0x7f) << shift
		size++
		if b[size-1]&0x80 == 0 {
			return n, size
		}
	}
}
