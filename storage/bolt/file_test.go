//go:build linux

package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"acmebridge/acme"
	"acmebridge/storage"
)

// fill makes n orders, whole lives of them.
func fill(t testing.TB, s *Store, n int) []*life {
	t.Helper()
	account := mint[acme.AccountID](time.Now())
	lives := make([]*life, n)
	for i := range lives {
		l := newLife(account, "DEV/GOV/1")
		l.issue()
		lives[i] = l
		if err := s.Update(t.Context(), func(tx storage.Tx) error { return firstError(l.newOrder(tx), l.settle(tx), l.deliver(tx)) }); err != nil {
			t.Fatal(err)
		}
	}
	return lives
}

// present counts the lives that are there, each whole.
func present(t testing.TB, s *Store, lives []*life) (n int) {
	t.Helper()
	err := s.View(t.Context(), func(tx storage.Tx) error {
		for _, l := range lives {
			o, err := tx.Orders().Get(l.order.ID)
			if errors.Is(err, storage.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			found, err := tx.Certificates().BySerial(l.cert.Serial)
			if err != nil {
				return err
			}
			if len(found) != 1 || found[0].ID != o.Certificate {
				t.Errorf("order %s has no certificate under its serial", o.ID)
			}
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return n
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func checked(t testing.TB, path string) Report {
	t.Helper()
	r, err := Check(t.Context(), path)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	for _, p := range r.Problems {
		t.Errorf("Check: %s", p)
	}
	return r
}

// TestCreate: SS-5, SS-6. The file gets its name when it is one, and what a
// creation cut short has left is swept.
func TestCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"test.db.creating-0011", "test.db.restoring-22"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "test.db.creating")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer shut(t, s)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(names, []string{filepath.Join(dir, "test.db"), other}) {
		t.Errorf("the directory holds %q, %v", names, err)
	}
	info, err := os.Stat(filepath.Join(dir, "test.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	if s.db.NoSync || s.db.NoFreelistSync || s.db.NoGrowSync || s.db.FreelistType != bbolt.FreelistMapType || s.db.MaxSize <= 0 {
		t.Errorf("settings of SS-5: %+v", s.db)
	}
}

func TestBoots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var id string
	for n := uint64(1); n <= 3; n++ {
		s := open(t, dir)
		i := s.Instance()
		if i.Boots != n || len(i.ID) != 32 || id != "" && id != i.ID {
			t.Errorf("start %d: %+v, the id was %q before", n, i, id)
		}
		id = i.ID
		shut(t, s)
	}
	other := open(t, t.TempDir())
	defer shut(t, other)
	if other.Instance().ID == id {
		t.Error("two files have the same id")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		is      error
		says    string
	}{
		{"an empty file", func(t *testing.T, path string) { write(t, path, nil) }, storage.ErrDamaged, "empty"},
		{"some other file", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("text "), 10000)) }, storage.ErrDamaged, "restore a backup"},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil, "directory"},
		{"a database of something else", func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, storage.ErrDamaged, "no database of acmebridge"},
		{"a database of a newer program", func(t *testing.T, path string) {
			shut(t, open(t, filepath.Dir(path)))
			setSchema(t, path, uint64(len(migrations)+2))
		}, storage.ErrNewer, "use the newer program"},
		{"an open database", func(t *testing.T, path string) {
			s := open(t, filepath.Dir(path))
			t.Cleanup(func() { shut(t, s) })
		}, storage.ErrLocked, "stop it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "test.db")
			c.prepare(t, path)
			before, _ := os.ReadFile(path)
			s, err := Open(t.Context(), Config{Path: path})
			if err == nil {
				shut(t, s)
			}
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Open: %v; want %v that says %q", err, c.is, c.says)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("Open changed a file that it refused")
			}
			if c.name == "a directory" {
				return
			}
			if err := Probe(t.Context(), path); err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("Probe: %v; want %v", err, c.is)
			}
		})
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("Open took a config without a path")
	}
	if _, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "no", "such.db")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open in a directory that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{Path: filepath.Join(t.TempDir(), "x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that is done: %v", err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func setSchema(t *testing.T, path string, n uint64) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return putNumber(tx.Bucket(bucketFile), nameSchema, n) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestMigrate: SS-18. An older file is backed up, then brought up to date; a
// step that fails leaves what the steps before it did, and can be gone on from.
func TestMigrate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := open(t, dir, unsynced)
	lives := fill(t, s, 3)
	shut(t, s)

	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	broken := errors.New("the disk of the fake is full")
	var fail error = broken
	had := len(migrations) + 1 // the schema of a new file
	steps := append(slices.Clone(migrations),
		func(tx *bbolt.Tx) error { return tx.Bucket(bucketFile).Put([]byte("first"), []byte("done")) },
		func(tx *bbolt.Tx) error {
			return errors.Join(tx.Bucket(bucketFile).Put([]byte("second"), []byte("done")), fail)
		},
	)
	if err := migrate(t.Context(), db, path, steps); !errors.Is(err, broken) {
		t.Fatalf("migrate: %v, want the error of the second step", err)
	}
	state := func() (schema int, first, second bool) {
		err := db.View(func(tx *bbolt.Tx) (err error) {
			file := tx.Bucket(bucketFile)
			first, second = file.Get([]byte("first")) != nil, file.Get([]byte("second")) != nil
			n, err := getNumber(file, nameSchema)
			schema = int(n)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return schema, first, second
	}
	if schema, first, second := state(); schema != had+1 || !first || second {
		t.Errorf("after a step failed: schema %d, first %t, second %t", schema, first, second)
	}
	fail = nil
	if err := migrate(t.Context(), db, path, steps); err != nil {
		t.Fatal(err)
	}
	if schema, first, second := state(); schema != had+2 || !first || !second {
		t.Errorf("after all steps: schema %d, first %t, second %t", schema, first, second)
	}
	if err := migrate(t.Context(), db, path, migrations); !errors.Is(err, storage.ErrNewer) {
		t.Errorf("the older program: %v, want ErrNewer", err)
	}

	// The backup is the file as it was, and this program still takes it.
	backup, err := os.Open(fmt.Sprintf("%s.schema-%d.backup", path, had))
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Close()
	again := t.TempDir()
	if err := Restore(t.Context(), filepath.Join(again, "test.db"), backup); err != nil {
		t.Fatal(err)
	}
	s = open(t, again)
	defer shut(t, s)
	if n := present(t, s, lives); n != len(lives) {
		t.Errorf("%d of %d orders are in the backup", n, len(lives))
	}
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	s := open(t, dir, unsynced, func(c *Config) { c.foldAt = 100 })
	lives := fill(t, s, 40)
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 5) // not in it
	shut(t, s)

	path := filepath.Join(elsewhere, "test.db")
	// All of them: one may be on a page that is free, where it means nothing.
	damaged := bytes.ReplaceAll(backup.Bytes(), []byte("host-"), []byte("hosu-"))
	if err := Restore(t.Context(), path, bytes.NewReader(damaged)); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("Restore of a damaged backup: %v, want ErrDamaged", err)
	}
	if err := Restore(t.Context(), path, bytes.NewReader(backup.Bytes()[:9000])); err == nil {
		t.Error("Restore took half of a backup")
	}
	if left, _ := filepath.Glob(filepath.Join(elsewhere, "*")); len(left) > 0 {
		t.Errorf("a Restore that failed left %q", left)
	}
	if err := Restore(t.Context(), path, bytes.NewReader(backup.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), path, bytes.NewReader(backup.Bytes())); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Restore over a file: %v, want a refusal", err)
	}
	if r := checked(t, path); r.Records["orders"] != 40 || r.Records["certificates"] != 40 || int(r.Schema) != len(migrations)+1 || r.Entries == 0 {
		t.Errorf("the restored file: %+v", r)
	}
	s = open(t, elsewhere)
	defer shut(t, s)
	if n := present(t, s, lives); n != 40 {
		t.Errorf("%d of 40 orders were restored", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, &backup); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup with a context that is done: %v", err)
	}
}

// TestFlippedBits: SS-9. Of 500 bits flipped in stored records, bbolt notices
// none; we serve none, and Check finds each.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := open(t, dir, unsynced)
	lives := fill(t, s, 20)
	shut(t, s)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		err := db.Update(func(btx *bbolt.Tx) error {
			l := lives[r.IntN(len(lives))]
			bucket, key := btx.Bucket(bucketOrders), orderTable.recordKey(string(l.order.ID))
			if r.IntN(2) == 0 {
				bucket, key = btx.Bucket(bucketRecords), certificateTable.recordKey(string(l.cert.ID))
			}
			value := bytes.Clone(bucket.Get(key))
			bit := r.IntN(8 * len(value))
			value[bit/8] ^= 1 << (bit % 8)
			if err := bucket.Put(key, value); err != nil {
				return err
			}
			now, err := readState(btx)
			if err != nil {
				return err
			}
			t2 := begin(btx, now, false)
			_, err = t2.Orders().Get(l.order.ID)
			_, err2 := t2.Certificates().Get(l.cert.ID)
			report := Report{Records: map[string]int{}}
			if err := report.records(t.Context(), t2, letters); err != nil {
				return err
			}
			if !errors.Is(errors.Join(err, err2), storage.ErrDamaged) || len(report.Problems) == 0 {
				t.Errorf("bit %d of %x: Get says %v, %v; Check says %q", bit, key, err, err2, report.Problems)
			}
			return errTakeBack
		})
		if !errors.Is(err, errTakeBack) {
			t.Fatal(err)
		}
	}
}

var errTakeBack = errors.New("take it back")

// TestDamagedIndex: an entry that a flipped bit sends elsewhere puts no record
// on somebody else's list.
func TestDamagedIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, unsynced, func(c *Config) { c.foldAt = 1 })
	defer shut(t, s)
	l := fill(t, s, 1)[0]
	other := mint[acme.AccountID](time.Now())
	err := s.db.Update(func(btx *bbolt.Tx) error {
		return btx.Bucket(bucketIndexes).Put([]byte(entry(under('o', string(other)), string(l.order.ID))), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.durable.txid++ // the transaction above went past the store
	s.upcoming = s.durable
	s.mu.Unlock()
	if err := s.View(t.Context(), func(tx storage.Tx) error {
		got, _, err := tx.Orders().ByAccount(other, storage.Page{})
		if len(got) > 0 {
			t.Errorf("the orders of %s: %v", other, got)
		}
		return err
	}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("View: %v, want ErrDamaged", err)
	}
}

// TestProbeSurvives: SS-6. Whatever is wrong with a file, looking at it gives a
// sentence and not the end of this process.
func TestProbeSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := open(t, dir, unsynced)
	fill(t, s, 30)
	shut(t, s)
	if err := Probe(t.Context(), path); err != nil {
		t.Fatalf("Probe of a good file: %v", err)
	}
	if r := checked(t, path); r.Records["orders"] != 30 {
		t.Errorf("Check of a good file: %+v", r)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00"))
	good = good[:used+os.Getpagesize()-used%os.Getpagesize()] // the rest was never written
	r := rand.New(rand.NewPCG(5, 6))
	died := 0
	for i := range 12 {
		bad := bytes.Clone(good)
		for range 1 + i*40 {
			bad[2*os.Getpagesize()+r.IntN(len(bad)-2*os.Getpagesize())] = byte(r.IntN(256))
		}
		if i%5 == 4 {
			bad = bad[:os.Getpagesize()*(2+r.IntN(4))]
		}
		write(t, path, bad)
		report, err := Check(t.Context(), path)
		switch {
		case err == nil && len(report.Problems) == 0 && i > 3:
			t.Errorf("file %d: nothing found wrong with %d bytes replaced", i, 1+i*40)
		case err != nil && strings.Contains(err.Error(), "died of it"):
			died++
		}
		if err := Probe(t.Context(), path); err != nil && !strings.Contains(err.Error(), " ") {
			t.Errorf("file %d: Probe says %q, which is no sentence", i, err)
		}
	}
	t.Logf("of 12 damaged files %d ended the process that looked at them", died)
	if err := Probe(t.Context(), filepath.Join(dir, "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Probe of a file that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Probe(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("Probe with a context that is done: %v", err)
	}
}

// TestPagesInACircle: SS-6. A page that leads back to itself ends the check,
// and takes neither all memory nor all time before.
func TestPagesInACircle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := open(t, dir, unsynced)
	fill(t, s, 300)
	shut(t, s)
	bad, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A page is its number, flags (1: branch), how many entries, how many pages
	// more; an entry of a branch is where its key is, how long, and the page.
	page, circles := os.Getpagesize(), 0
	for at := 2 * page; at+page <= len(bad); at += page {
		if binary.NativeEndian.Uint16(bad[at+8:]) != 1 {
			continue
		}
		entries := int(binary.NativeEndian.Uint16(bad[at+10:]))
		for i := range entries {
			copy(bad[at+16+16*i+8:], bad[at:at+8])
			circles++
		}
	}
	if circles == 0 {
		t.Fatal("the file has no branch page to make a circle of")
	}
	write(t, path, bad)
	if err := Probe(t.Context(), path); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("Probe: %v, want %v", err, storage.ErrDamaged)
	}
	if _, err := Check(t.Context(), path); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("Check: %v, want %v", err, storage.ErrDamaged)
	}
}

// TestDamagedJob: SS-9, SS-15. A job that cannot be read holds up no other one.
func TestDamagedJob(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), unsynced)
	defer shut(t, s)
	now := time.Now()
	job := func(id storage.JobID) storage.Job {
		return storage.Job{ID: id, Kind: storage.JobExpire, Due: now, Subject: string(id), Lease: storage.Lease{Holder: "dead", Until: now}}
	}
	if err := s.Update(t.Context(), func(tx storage.Tx) error {
		return errors.Join(tx.Jobs().Put(job("order/a")), tx.Jobs().Put(job("order/b")), tx.Jobs().Put(job("order/c")))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(func(btx *bbolt.Tx) error {
		key := jobTable.recordKey("order/a")
		bucket := btx.Bucket(bucketRecords)
		value := bytes.Clone(bucket.Get(key))
		value[len(value)-1] ^= 1
		return bucket.Put(key, value)
	}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.durable.txid++ // the transaction above went past the store
	s.upcoming = s.durable
	s.mu.Unlock()
	for name, list := range map[string]func(storage.Tx) ([]storage.Job, error){
		"due": func(tx storage.Tx) ([]storage.Job, error) { return tx.Jobs().Due(now.Add(time.Second), 2) },
		"leased": func(tx storage.Tx) ([]storage.Job, error) {
			jobs, _, err := tx.Jobs().LeasedByOthers("us", storage.Page{})
			return jobs, err
		},
	} {
		if err := s.View(t.Context(), func(tx storage.Tx) error {
			jobs, err := list(tx)
			if len(jobs) != 2 || jobs[0].ID != "order/b" || jobs[1].ID != "order/c" {
				t.Errorf("%s: %v", name, jobs)
			}
			return err
		}); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged beside the jobs", name, err)
		}
	}
}
