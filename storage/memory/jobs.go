package memory

import (
	"time"

	"acmebridge/storage"
)

func (t *tx) Jobs() storage.Jobs { return jobs{t, &t.state.jobs} }

type jobs struct {
	*tx
	*collection
}

var jobKind = kind[storage.Job]{
	name: "jobs",
	key:  func(j storage.Job) string { return string(j.ID) },
	index: func(j storage.Job) (es []string) {
		if j.Parked != "" {
			es = append(es, entry("parked", string(j.ID)))
		} else {
			es = append(es, entry("due", sortable(j.Due), string(j.ID)))
		}
		if j.Lease.Holder != "" {
			es = append(es, entry("leased", string(j.ID)))
		}
		if j.Backend != "" && j.Parked == "" {
			es = append(es, entry("queued", j.Backend, string(j.ID)))
		}
		if j.Waits != "" {
			es = append(es, entry("waiting", string(j.ID)))
		}
		return es
	},
}

func (c jobs) Get(id storage.JobID) (storage.Job, error) {
	return get(c.tx, c.collection, jobKind, string(id))
}

func (c jobs) Put(j storage.Job) error {
	was := c.isParked(j.ID)
	if err := put(c.tx, c.collection, jobKind, j); err != nil {
		return err
	}
	c.count(was, c.isParked(j.ID))
	return nil
}

func (c jobs) Delete(id storage.JobID) error {
	was := c.isParked(id)
	if err := discard(c.tx, c.collection, jobKind, string(id)); err != nil {
		return err
	}
	c.count(was, false)
	return nil
}

func (c jobs) isParked(id storage.JobID) bool {
	_, ok := find(c.collection, entry("parked", string(id)))
	return ok
}

func (c jobs) count(was, is bool) {
	if was {
		c.state.parked--
	}
	if is {
		c.state.parked++
	}
}

func (c jobs) Due(now time.Time, limit int) ([]storage.Job, error) {
	var due []storage.Job
	p := storage.Page{Limit: limit}
	found, _, err := listBy(c.tx, c.collection, jobKind, under("due"), p)
	if err != nil {
		return nil, err
	}
	for _, j := range found {
		if j.Due.After(now) {
			break
		}
		due = append(due, j)
	}
	return due, nil
}

func (c jobs) Next() (time.Time, bool, error) {
	first, _, err := listBy(c.tx, c.collection, jobKind, under("due"), storage.Page{Limit: 1})
	if err != nil || len(first) == 0 {
		return time.Time{}, false, err
	}
	return first[0].Due, true, nil
}

func (c jobs) LeasedByOthers(holder string, p storage.Page) ([]storage.Job, string, error) {
	var others []storage.Job
	// Our own leases are among them, so a page may take more than one look.
	for look := (storage.Page{After: p.After}); ; {
		found, next, err := listBy(c.tx, c.collection, jobKind, under("leased"), look)
		if err != nil {
			return nil, "", err
		}
		for _, j := range found {
			if j.Lease.Holder == holder {
				continue
			}
			if len(others) == p.Size() {
				return others, string(others[len(others)-1].ID), nil
			}
			others = append(others, j)
		}
		if look.After = next; next == "" {
			return others, "", nil
		}
	}
}

func (c jobs) Parked(p storage.Page) ([]storage.Job, string, error) {
	return listBy(c.tx, c.collection, jobKind, under("parked"), p)
}

func (c jobs) Waiting(p storage.Page) ([]storage.Job, string, error) {
	return listBy(c.tx, c.collection, jobKind, under("waiting"), p)
}

func (c jobs) Count() (all, parked int, err error) {
	if c.ended {
		return 0, 0, storage.ErrClosed
	}
	return c.records.Len(), c.state.parked, nil
}
