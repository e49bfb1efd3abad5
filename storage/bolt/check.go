package bolt

import (
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
	if err := notEmpty(path); err != nil {
		return nil, err
	}
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
		for _, name := range [][]byte{bucketRecords, bucketOrders, bucketIndexes, bucketLog} {
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
		indexes, err := indexesOf(tx)
		if err != nil {
			return err
		}
		return r.records(ctx, begin(tx, now, false), letters[:indexes])
	})
	return r, errors.Join(err, db.Close())
}

// inspector checks the records of one table.
type inspector struct {
	name string
	// check returns the index entries that a record should have.
	check func(id string, value []byte) ([]string, error)
}

func inspect[R any](d table[R]) inspector {
	return inspector{d.name, func(id string, value []byte) ([]string, error) {
		r, err := d.decode(id, value)
		if err != nil || d.entries == nil {
			return nil, err
		}
		return d.entries(&r), nil
	}}
}

var inspectors = map[byte]inspector{
	accountTable.letter:       inspect(accountTable),
	orderTable.letter:         inspect(orderTable),
	authorizationTable.letter: inspect(authorizationTable),
	jobTable.letter:           inspect(jobTable),
	submissionTable.letter:    inspect(submissionTable),
	certificateTable.letter:   inspect(certificateTable),
	chainTable.letter:         inspect(chainTable),
	externalKeyTable.letter:   inspect(externalKeyTable),
	memberTable.letter:        inspect(memberTable),
	blockedKeyTable.letter:    inspect(blockedKeyTable),
	publicationTable.letter:   inspect(publicationTable),
	metaTable.letter:          inspect(metaTable),
}

// records checks each record, and that exactly the entries exist that should:
// each of those it expects is there, and there are no more than those.
// The file may be one of an older schema, which does not have all indexes yet.
func (r *Report) records(ctx context.Context, t *tx, letters string) error {
	sum := totals{letters: letters}
	for _, b := range []*bbolt.Bucket{t.records, t.orders} {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if t.bucket(k) != b {
				r.problem("a record of table %q is in the wrong bucket", k[0])
				continue
			}
			r.record(t, k, v, &sum)
		}
	}
	t.state.scan(t.indexes, nil, nil, func([]byte) bool { r.Entries++; return true })
	if r.Entries != sum.entries {
		r.problem("the indexes have %d entries, the records call for %d", r.Entries, sum.entries)
	}
	if t.state.jobs != sum.jobs || t.state.parked != sum.parked {
		r.problem("%d jobs and %d parked ones are counted, %d and %d are there", t.state.jobs, t.state.parked, sum.jobs, sum.parked)
	}
	return nil
}

// totals are what the records call for.
type totals struct {
	letters      string
	entries      int
	jobs, parked int64
}

func (r *Report) record(t *tx, k, v []byte, sum *totals) {
	in, ok := inspectors[k[0]]
	if !ok {
		r.problem("a record of unknown table %q", k[0])
		return
	}
	r.Records[in.name]++
	id, rest, ok := cutText(k[1:])
	if !ok || len(rest) > 0 {
		r.problem("a key of %s does not parse: %x", in.name, k)
		return
	}
	entries, err := in.check(id, v)
	if err != nil {
		r.problem("%v", err)
		return
	}
	for _, e := range entries {
		if strings.IndexByte(sum.letters, e[0]) < 0 {
			continue
		}
		sum.entries++
		if !t.state.has(t.indexes, e) {
			r.problem("%s %q is missing from index %q", in.name, id, e[0])
		}
	}
	if k[0] == jobTable.letter {
		sum.jobs++
		if strings.HasPrefix(entries[0], "w") {
			sum.parked++
		}
	}
}
