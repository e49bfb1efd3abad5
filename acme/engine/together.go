package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Where a CA takes several requests with one call, an order waits a moment with
// its job before it is sent. The step that is due first takes others along:
// whoever is with it, and the key that all of them go under, is stored by the
// commit of the intention, before the CA hears of any of them. From then on each
// is by itself again: it is looked for by the key of the batch, polled, judged and
// ended like any other, and none of that needs the others to be there.

// company are the requests to one CA that may be sent together. It is a hint:
// what is stored decides, and a request that is missing here goes alone.
type company struct {
	size int
	wait time.Duration

	mu sync.Mutex
	// waiting has the profile of each, by which they go; "" is not known yet.
	// Guarded by mu.
	waiting map[storage.JobID]acme.ProfileName
}

// meet makes a job known to those that go to the same CA. Its profile is "" where
// nobody has looked.
func (e *Engine) meet(j storage.Job, profile acme.ProfileName) {
	a := e.backends[j.Backend]
	if j.Kind != storage.JobSubmit || a == nil || a.batcher == nil {
		return
	}
	a.company.mu.Lock()
	defer a.company.mu.Unlock()
	if a.company.waiting == nil {
		a.company.waiting = map[storage.JobID]acme.ProfileName{}
	}
	if profile != "" || a.company.waiting[j.ID] == "" {
		a.company.waiting[j.ID] = profile
	}
}

// know takes in the profile of a job that is still waiting.
func (c *company) know(id storage.JobID, profile acme.ProfileName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.waiting[id]; waits {
		c.waiting[id] = profile
	}
}

// leave forgets jobs. They are known again when they are taken the next time.
func (c *company) leave(ids []storage.JobID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.waiting, id)
	}
}

// others are the jobs but one that may be of that profile, those first whose
// orders are oldest.
func (c *company) others(than storage.JobID, profile acme.ProfileName) []storage.JobID {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Sorted(maps.Keys(c.waiting))
	return slices.DeleteFunc(all, func(id storage.JobID) bool {
		return id == than || c.waiting[id] != "" && c.waiting[id] != profile
	})
}

// batchKey is what all go under that are sent along with sub. No two are equal,
// and a request that is found under it at the CA is known by its beginning.
func batchKey(sub storage.Submission) string { return sub.Key + "-" + strconv.Itoa(sub.Attempts+1) }

// companyOf returns what is to be sent along with a request, as it is stored:
// whatever would keep one of them from being sent alone keeps it from being sent
// here. out are jobs that do not wait for company.
func (e *Engine) companyOf(tx storage.Tx, l loaded) (with []loaded, out []storage.JobID, err error) {
	if l.authority.batcher == nil {
		return nil, nil, nil
	}
	if ok, err := l.sociable(); err != nil || !ok {
		return nil, nil, err
	}
	all := []loaded{l}
	for _, id := range l.authority.company.others(l.job.ID, l.order.Profile) {
		if len(all) == l.authority.company.size {
			break
		}
		m, ok, err := e.joins(tx, l, id)
		switch {
		case err != nil:
			return nil, nil, err
		case !ok && m.order.Profile != "" && m.order.Profile != l.order.Profile:
			l.authority.company.know(id, m.order.Profile) // it waits for others of its own
		case !ok:
			out = append(out, id)
		case !slices.ContainsFunc(all, m.resembles):
			all = append(all, m)
		}
	}
	return all[1:], out, nil
}

// sociable says whether a request may be sent with others at all.
func (l loaded) sociable() (bool, error) {
	if l.sub.Alone || l.sub.TakesOver != "" {
		return false, nil
	}
	r, err := l.request()
	return err == nil && l.authority.batcher.MayJoin(r), err
}

// resembles says that the certificates for two requests might be mistaken for
// each other: the CA tells them apart by nothing but their keys and names.
func (l loaded) resembles(other loaded) bool {
	return l.sub.Contract.KeyHash == other.sub.Contract.KeyHash || slices.ContainsFunc(l.order.Identifiers, func(i acme.Identifier) bool {
		return slices.ContainsFunc(other.order.Identifiers, func(j acme.Identifier) bool { return i.Type == j.Type && i.Value == j.Value })
	})
}

// joins says whether the request of a job may be sent along with that of another,
// and loads it.
func (e *Engine) joins(tx storage.Tx, l loaded, id storage.JobID) (m loaded, ok bool, err error) {
	now := e.now()
	switch m.job, err = tx.Jobs().Get(id); {
	case errors.Is(err, storage.ErrNotFound):
		return m, false, nil
	case err != nil:
		return m, false, err
	case m.job.Kind != storage.JobSubmit, m.job.Backend != l.job.Backend, m.job.Parked != "", m.job.Lease.Batch != "",
		m.job.Lease.Holder == "" && m.job.Due.After(now.Add(l.authority.company.wait)), // it was put off
		m.job.Lease.Holder != "" && m.job.Lease.Holder != e.cfg.Holder:
		return m, false, nil
	}
	if m.order, err = tx.Orders().Get(acme.OrderID(m.job.Subject)); err != nil {
		return m, false, err
	}
	if m.sub, err = tx.Submissions().Get(m.order.Submission); err != nil {
		return m, false, err
	}
	m.profile, m.authority = l.profile, l.authority
	if m.order.Status != acme.OrderProcessing || m.order.Profile != l.order.Profile || m.sub.Backend != l.sub.Backend ||
		!m.sub.SentAt.IsZero() || !now.Before(m.sub.Deadline) {
		return m, false, nil
	}
	// What lookBeforeSending and mayStillBuy look at, as far as that goes without
	// asking anybody; where it does not, the step of its own job asks.
	var p *acme.Problem
	if _, err := e.withdrawn(tx, m); err != nil {
		if errors.As(err, &p) {
			err = nil
		}
		return m, false, err
	}
	if stale, err := e.staleCAA(tx, m.order, m.profile); err != nil || len(stale) > 0 {
		return m, false, err
	}
	if m.renewal, err = e.renewal(tx, m.order); err != nil {
		return m, false, err
	}
	if _, stopped := m.authority.stopped(m.renewal, backends.FindingLogin); stopped {
		return m, false, nil
	}
	ok, err = m.sociable()
	return m, ok, err
}

// sendTogether asks the CA for all that the intention of the first names.
func (e *Engine) sendTogether(ctx context.Context, all []loaded) error {
	defer e.hold(all[1:])()
	rs := make([]backends.Request, len(all))
	for i, l := range all {
		var err error
		if rs[i], err = l.request(); err != nil {
			return err
		}
	}
	l := all[0]
	call, cancel := context.WithTimeout(ctx, e.callTime(l.authority))
	defer cancel()
	tickets, err := l.authority.batcher.SubmitBatch(call, rs)
	if hit := failpoint.Hit(failpoint.Sent); hit != nil {
		return hit
	}
	if _, refused := backends.RefusalDetail(err); refused || errors.Is(err, backends.ErrTogether) {
		return e.apart(ctx, all, err)
	}
	l.authority.learn(err)
	if err == nil && len(tickets) != len(all) {
		err = fmt.Errorf("engine: backend %s gave %d tickets for %d requests", l.authority.name, len(tickets), len(all))
	}
	switch {
	case err == nil:
		return e.ticketed(ctx, all, tickets, failpoint.Ticket)
	case backends.IsNotSent(err):
		return e.notSent(ctx, all, err)
	default:
		return e.doubt(ctx, all, fmt.Sprintf("submitted with %d others at %s, then: %v", len(all)-1, l.sub.SentAt.Format(time.RFC3339), err), err)
	}
}

// hold keeps the jobs of others from being taken while this step has them, also
// when that lasts for longer than a lease.
func (e *Engine) hold(all []loaded) (release func()) {
	var taken []string
	for _, l := range all {
		if id := string(l.job.ID); e.inflight.take(id) {
			taken = append(taken, id)
		}
	}
	return func() {
		for _, id := range taken {
			e.inflight.release(id)
		}
		e.nudge()
	}
}

// apart has requests that came to nothing together sent one by one. Each gets an
// intention, and a key at the CA, of its own.
func (e *Engine) apart(ctx context.Context, all []loaded, cause error) error {
	l := all[0]
	e.log.Warn("the CA did not serve requests that were sent together; they are sent one by one", "event", "submission.apart",
		"order", l.order.ID, "backend", l.authority.name, "key", l.sub.Batch, "requests", len(all), "cause", cause)
	return e.commit(ctx, func(tx storage.Tx) error {
		for _, l := range all {
			stored, err := e.ours(tx, l.job)
			if len(all) > 1 && errors.Is(err, errLeaseLost) {
				continue
			}
			if err != nil {
				return err
			}
			sub := l.sub
			sub.SentAt, sub.Ticket, sub.Batch, sub.Alone = time.Time{}, "", "", true
			o, err := tx.Orders().Get(l.order.ID)
			if err != nil {
				return err
			}
			o.Note(e.now(), "to be sent alone: the CA did not serve it together with others")
			stored.Kind, stored.Lease, stored.Due, stored.Attempt = storage.JobSubmit, storage.Lease{}, e.now(), 0
			if err := errors.Join(tx.Submissions().Put(sub), putOrder(tx, o), tx.Jobs().Put(stored)); err != nil {
				return err
			}
		}
		return nil
	}, failpoint.Apart)
}
