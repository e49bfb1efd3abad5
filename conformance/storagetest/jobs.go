package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"acmebridge/storage"
)

var jobCases = []testCase{
	{"jobs/due and next", jobsDue},
	{"jobs/delete", jobsDelete},
	{"jobs/leased by others", jobsLeased},
	{"jobs/parked", jobsParked},
	{"jobs/count", jobsCount},
	{"jobs/waiting for approval", jobsWaiting},
}

// due checks what is due at a time and when the next one is.
func due(t *testing.T, s storage.Store, now time.Time, limit int, want ...storage.Job) {
	t.Helper()
	view(t, s, func(tx storage.Tx) error {
		got, err := tx.Jobs().Due(now, limit)
		same(t, fmt.Sprintf("due at %s", now.Format(time.TimeOnly)), got, want)
		return err
	})
}

func next(t *testing.T, s storage.Store, want time.Time) {
	t.Helper()
	view(t, s, func(tx storage.Tx) error {
		got, ok, err := tx.Jobs().Next()
		if err != nil || ok == want.IsZero() || !got.Equal(want) {
			t.Errorf("Next: %s, %t, %v; want %s", got, ok, err, want)
		}
		return nil
	})
}

func jobsDue(t *testing.T, s storage.Store) {
	due(t, s, at(1000), 10)
	next(t, s, time.Time{})
	a, b, c, parked := dueJob(3), dueJob(2), dueJob(1), job(0)
	a.Due, b.Due, c.Due = at(10), at(20), at(30) // against the order of ids
	put(t, s, b, a, c, parked)
	next(t, s, at(10))
	due(t, s, at(10).Add(-1), 10)
	due(t, s, at(10), 10, a)
	due(t, s, at(30), 10, a, b, c)
	due(t, s, at(30), 2, a, b)
	due(t, s, farFuture, 10, a, b, c)

	// A lease moves the job to its end, and a crash needs nothing else.
	a.Lease, a.Due = storage.Lease{Holder: "run-1", Until: at(25)}, at(25)
	put(t, s, a)
	next(t, s, at(20))
	due(t, s, at(24), 10, b)
	due(t, s, at(25), 10, b, a)

	a.Parked = "no answer" // parked jobs are never due
	put(t, s, a)
	due(t, s, at(1000), 10, b, c)
	a.Parked = ""
	b.Due = at(25).Add(1)
	put(t, s, a, b)
	due(t, s, at(25), 10, a)
	next(t, s, at(25))

	now := dueJob(50)
	now.Due = time.Time{} // no time at all is long ago
	put(t, s, now)
	due(t, s, at(0), 10, now)
	view(t, s, func(tx storage.Tx) error {
		if due, ok, err := tx.Jobs().Next(); err != nil || !ok || !due.IsZero() {
			t.Errorf("Next: %s, %t, %v; want the zero time", due, ok, err)
		}
		return nil
	})
}

func jobsDelete(t *testing.T, s storage.Store) {
	a, b := dueJob(1), job(2)
	put(t, s, a, b)
	view(t, s, func(tx storage.Tx) error {
		if err := tx.Jobs().Delete(a.ID); !errors.Is(err, storage.ErrReadOnly) {
			t.Errorf("Delete in a View: %v, want ErrReadOnly", err)
		}
		return nil
	})
	update(t, s, func(tx storage.Tx) error {
		if err := errors.Join(tx.Jobs().Delete(a.ID), tx.Jobs().Delete(a.ID), tx.Jobs().Delete("never was")); err != nil {
			return err
		}
		if _, err := tx.Jobs().Get(a.ID); !isNotFound(err) {
			t.Errorf("Get after Delete, same transaction: %v", err)
		}
		return nil
	})
	due(t, s, at(1000), 10)
	next(t, s, time.Time{})
	update(t, s, func(tx storage.Tx) error { return tx.Jobs().Delete(b.ID) })
	view(t, s, func(tx storage.Tx) error {
		for _, id := range []storage.JobID{a.ID, b.ID} {
			if _, err := tx.Jobs().Get(id); !isNotFound(err) {
				t.Errorf("Get after Delete: %v, want ErrNotFound", err)
			}
		}
		parked, _, err := tx.Jobs().Parked(storage.Page{})
		same(t, "parked after Delete", parked, nil)
		leased, _, err2 := tx.Jobs().LeasedByOthers("run-2", storage.Page{})
		same(t, "leased after Delete", leased, nil)
		return errors.Join(err, err2)
	})
	put(t, s, a) // there again, once
	due(t, s, at(1000), 10, a)
}

func jobsLeased(t *testing.T, s storage.Store) {
	var others []storage.Job
	for n := range 9 {
		j := dueJob(n)
		j.Lease = storage.Lease{Holder: fmt.Sprintf("run-%d", n%3), Until: at(n)}
		if n%3 != 1 {
			others = append(others, j)
		}
		put(t, s, j)
	}
	put(t, s, dueJob(100)) // leased by nobody
	view(t, s, func(tx storage.Tx) error {
		for limit := range 8 {
			got, err := pages(limit, func(p storage.Page) ([]storage.Job, string, error) { return tx.Jobs().LeasedByOthers("run-1", p) })
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("leased by others, pages of %d", limit), got, others)
		}
		return nil
	})
	freed := others[0]
	freed.Lease = storage.Lease{}
	put(t, s, freed)
	view(t, s, func(tx storage.Tx) error {
		got, _, err := tx.Jobs().LeasedByOthers("run-1", storage.Page{})
		same(t, "after a lease was given up", got, others[1:])
		return err
	})
}

func jobsParked(t *testing.T, s storage.Store) {
	var parked []storage.Job
	for n := range 6 {
		parked = append(parked, job(n))
		put(t, s, job(n), dueJob(100+n))
	}
	view(t, s, func(tx storage.Tx) error {
		for limit := range 8 {
			got, err := pages(limit, tx.Jobs().Parked)
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("parked, pages of %d", limit), got, parked)
		}
		return nil
	})
	put(t, s, dueJob(0))
	view(t, s, func(tx storage.Tx) error {
		got, err := pages(0, tx.Jobs().Parked)
		same(t, "after one was released", got, parked[1:])
		return err
	})
}

func jobsCount(t *testing.T, s storage.Store) {
	count := func(wantAll, wantParked int) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			if all, parked, err := tx.Jobs().Count(); err != nil || all != wantAll || parked != wantParked {
				t.Errorf("Count: %d, %d, %v; want %d, %d", all, parked, err, wantAll, wantParked)
			}
			return nil
		})
	}
	count(0, 0)
	put(t, s, dueJob(1), dueJob(2), job(3))
	count(3, 1)
	put(t, s, job(1), dueJob(1), job(1), job(2), dueJob(3)) // replaced, not added
	count(3, 2)
	update(t, s, func(tx storage.Tx) error {
		return errors.Join(tx.Jobs().Delete(jobID(1)), tx.Jobs().Delete(jobID(1)), tx.Jobs().Delete(jobID(3)), tx.Jobs().Put(dueJob(4)), tx.Jobs().Put(job(4)))
	})
	count(2, 2)
	fails := errors.New("no")
	if err := s.Update(t.Context(), func(tx storage.Tx) error {
		return errors.Join(tx.Jobs().Put(job(9)), tx.Jobs().Delete(jobID(2)), tx.Jobs().Delete(jobID(4)), fails)
	}); !errors.Is(err, fails) {
		t.Errorf("Update: %v, want the error of its function", err)
	}
	count(2, 2)
}

func jobsWaiting(t *testing.T, s storage.Store) {
	with := func(n int, approver storage.Approver) storage.Job {
		j := dueJob(n)
		j.Waits = approver
		return j
	}
	waiting := func(want ...storage.Job) {
		t.Helper()
		view(t, s, func(tx storage.Tx) error {
			for limit := range 5 {
				got, err := pages(limit, tx.Jobs().Waiting)
				if err != nil {
					return err
				}
				same(t, fmt.Sprintf("waiting, in pages of %d", limit), got, want)
			}
			return nil
		})
	}
	waiting()
	here, atCA, parked := with(1, storage.ApproverHere), with(2, storage.ApproverAtCA), with(3, storage.ApproverAtCA)
	parked.Parked = "why" // waiting and parked are two things
	put(t, s, atCA, with(4, ""), parked, here)
	waiting(here, atCA, parked)
	here.Waits = ""
	put(t, s, here)
	update(t, s, func(tx storage.Tx) error { return tx.Jobs().Delete(atCA.ID) })
	waiting(parked)
}
