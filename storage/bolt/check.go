package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"acmebridge/storage"
)

// Report is what a full check found.
type Report struct {
	Schema uint64
	// Records counts the records by table.
	Records map[string]int
	// Entries counts the index entries.
	Entries int
	// Problems has a sentence for each thing that is wrong, up to a hundred.
	Problems []string
}

const maxProblems = 100

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// openForCheck opens a file that is not to be changed.
func openForCheck(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true, PreLoadFreelist: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, openError(path, err)
	}
	return db, nil
}

// quickCheck opens a file and reads what every start needs: the head of the
// file, the list of free pages, the index log, and both ends of each bucket.
func quickCheck(path string) error {
	db, err := openForCheck(path)
	if err != nil {
		return err
	}
	return errors.Join(db.View(func(tx *bbolt.Tx) error {
		schema, err := getNumber(tx.Bucket(bucketFile), nameSchema)
		if err != nil {
			return err
		}
		if current := uint64(len(migrations) + 1); schema > current {
			return fmt.Errorf("%w: schema %d, this program knows %d", storage.ErrNewer, schema, current)
		}
		for _, name := range [][]byte{bucketRecords, bucketIndexes, bucketLog} {
			b := tx.Bucket(name)
			if b == nil {
				return fmt.Errorf("%w: the file has no bucket %q", storage.ErrDamaged, name)
			}
			c := b.Cursor()
			c.First()
			c.Last()
		}
		_, err = readState(tx)
		return err
	}), db.Close())
}

// fullCheck walks everything: bbolt's own structure, the checksum of every
// record, and whether records and index entries lead to each other.
func fullCheck(ctx context.Context, path string) (Report, error) {
	r := Report{Records: map[string]int{}}
	if err := quickCheck(path); err != nil {
		return r, err
	}
	db, err := openForCheck(path)
	if err != nil {
		return r, err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			r.problem("the structure of the file: %v", err)
		}
		if len(r.Problems) > 0 {
			return nil // what is in the pages cannot be trusted
		}
		r.Schema, _ = getNumber(tx.Bucket(bucketFile), nameSchema)
		now, err := readState(tx)
		if err != nil {
			return err
		}
		return r.records(ctx, begin(tx, now, false))
	})
	return r, errors.Join(err, db.Close())
}

// inspector checks the records of one table.
type inspector struct {
	name string
	// check returns the index entries that a record should have.
	check func(id string, value []byte) ([]string, error)
	// indexes are the letters of the entries that lead to the table.
	indexes string
}

func inspect[R any](d table[R], indexes string) inspector {
	return inspector{d.name, func(id string, value []byte) ([]string, error) {
		r, err := d.decode(id, value)
		if err != nil || d.entries == nil {
			return nil, err
		}
		return d.entries(&r), nil
	}, indexes}
}

var inspectors = map[byte]inspector{
	accountTable.letter:       inspect(accountTable, "km"),
	orderTable.letter:         inspect(orderTable, "op"),
	authorizationTable.letter: inspect(authorizationTable, "v"),
	jobTable.letter:           inspect(jobTable, "dlw"),
	submissionTable.letter:    inspect(submissionTable, "s"),
	certificateTable.letter:   inspect(certificateTable, "nhceqr"),
	chainTable.letter:         inspect(chainTable, ""),
	externalKeyTable.letter:   inspect(externalKeyTable, "x"),
	blockedKeyTable.letter:    inspect(blockedKeyTable, ""),
	publicationTable.letter:   inspect(publicationTable, ""),
	metaTable.letter:          inspect(metaTable, ""),
}

// records checks each record, and that exactly the entries exist that should:
// each of those it expects is there, and there are no more than those.
func (r *Report) records(ctx context.Context, t *tx) error {
	expected, jobs, parked := 0, 0, 0
	c := t.records.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, ok := inspectors[k[0]]
		if !ok {
			r.problem("a record of unknown table %q", k[0])
			continue
		}
		r.Records[in.name]++
		id, rest, ok := cutText(k[1:])
		if !ok || len(rest) > 0 {
			r.problem("a key of %s does not parse: %x", in.name, k)
			continue
		}
		entries, err := in.check(id, v)
		if err != nil {
			r.problem("%v", err)
			continue
		}
		expected += len(entries)
		for _, e := range entries {
			found := false
			t.state.scan(t.indexes, []byte(e), []byte(e), func(k []byte) bool {
				found = bytes.Equal(k, []byte(e))
				return false
			})
			if !found {
				r.problem("%s %q is missing from index %q", in.name, id, e[0])
			}
		}
		if k[0] == jobTable.letter {
			jobs++
			if strings.HasPrefix(entries[0], "w") {
				parked++
			}
		}
	}
	t.state.scan(t.indexes, nil, nil, func([]byte) bool { r.Entries++; return true })
	if r.Entries != expected {
		r.problem("the indexes have %d entries, the records call for %d", r.Entries, expected)
	}
	if t.state.jobs != int64(jobs) || t.state.parked != int64(parked) {
		r.problem("%d jobs and %d parked ones are counted, %d and %d are there", t.state.jobs, t.state.parked, jobs, parked)
	}
	return nil
}
