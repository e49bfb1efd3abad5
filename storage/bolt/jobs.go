package bolt

import (
	"errors"
	"time"

	"acmebridge/storage"
)

func (t *tx) Jobs() storage.Jobs { return jobs{t} }

type jobs struct{ *tx }

var jobTable = table[storage.Job]{
	letter: 'J', name: "jobs", goesOn: true,
	id: func(j *storage.Job) string { return string(j.ID) },
	entries: func(j *storage.Job) []string {
		es := make([]string, 0, 3)
		if j.Parked != "" {
			es = append(es, entry([]byte{'w'}, string(j.ID)))
		} else {
			es = append(es, entry(appendTime([]byte{'d'}, j.Due), string(j.ID)))
		}
		if j.Lease.Holder != "" {
			es = append(es, entry([]byte{'l'}, string(j.ID)))
		}
		if j.Backend != "" && j.Parked == "" {
			es = append(es, entry(under(queuedJobs, j.Backend), string(j.ID)))
		}
		if j.Waits != "" {
			es = append(es, entry([]byte{'y'}, string(j.ID)))
		}
		return es
	},
}

func (c jobs) Get(id storage.JobID) (storage.Job, error) { return get(c.tx, jobTable, string(id)) }

func (c jobs) Put(j storage.Job) error {
	if err := c.mayWrite(); err != nil {
		return err
	}
	old, err := c.Get(j.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if perr := put(c.tx, jobTable, j); perr != nil {
		return perr
	}
	if err != nil {
		c.state.jobs++
	}
	c.state.parked += parked(j) - parked(old)
	return nil
}

func (c jobs) Delete(id storage.JobID) error {
	old, was, err := drop(c.tx, jobTable, string(id))
	if was {
		c.state.jobs--
		c.state.parked -= parked(old)
	}
	return err
}

func parked(j storage.Job) int64 {
	if j.Parked != "" {
		return 1
	}
	return 0
}

func (c jobs) Due(now time.Time, limit int) ([]storage.Job, error) {
	due, _, err := listBy(c.tx, jobTable, []byte{'d'}, cursor{fixed: timeLength}, storage.Page{Limit: limit},
		func(entry []byte) bool { return !keyTime(entry[1:]).After(now) }, nil)
	return due, err
}

func (c jobs) Next() (due time.Time, ok bool, err error) {
	if err := c.mayRead(); err != nil {
		return time.Time{}, false, err
	}
	c.state.scan(c.indexes, []byte{'d'}, []byte{'d'}, func(k []byte) bool {
		due, ok = keyTime(k[1:]), true
		return false
	})
	return due, ok, nil
}

func (c jobs) LeasedByOthers(holder string, p storage.Page) ([]storage.Job, string, error) {
	return listBy(c.tx, jobTable, []byte{'l'}, byID, p, nil, func(j *storage.Job) bool { return j.Lease.Holder == holder })
}

func (c jobs) Parked(p storage.Page) ([]storage.Job, string, error) {
	return listBy(c.tx, jobTable, []byte{'w'}, byID, p, nil, nil)
}

func (c jobs) Waiting(p storage.Page) ([]storage.Job, string, error) {
	return listBy(c.tx, jobTable, []byte{'y'}, byID, p, nil, nil)
}

func (c jobs) Count() (all, parked int, err error) {
	if err := c.mayRead(); err != nil {
		return 0, 0, err
	}
	return int(c.state.jobs), int(c.state.parked), nil
}
