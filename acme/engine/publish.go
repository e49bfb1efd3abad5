package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// refresh is how old a list gets before it is made anew without a reason.
const refresh = 24 * time.Hour

// schedulePublications makes sure, at start, that every backend that signs
// revocation lists has a job for them.
func (e *Engine) schedulePublications(ctx context.Context) error {
	return e.commit(ctx, func(tx storage.Tx) error {
		for _, name := range sortedKeys(e.backends) {
			a := e.backends[name]
			if a.crls == nil {
				continue
			}
			due := e.now()
			j, err := tx.Jobs().Get(publishJob(name))
			if err == nil && j.Parked == "" && !j.Due.After(due) {
				continue
			}
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			// At every start, because the CA may have been rotated meanwhile.
			if err := e.publishNow(tx, a); err != nil {
				return err
			}
		}
		return nil
	}, failpoint.SchedulePublisher)
}

// publishNow asks for a backend's lists to be made.
func (e *Engine) publishNow(tx storage.Tx, a *authority) error {
	j, err := tx.Jobs().Get(publishJob(a.name))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	next := storage.Job{ID: publishJob(a.name), Kind: storage.JobPublish, Due: e.now(), Subject: a.name, Backend: a.name}
	if j.Lease.Holder != "" {
		// A step is making the list at this moment, from records that may lack
		// what the caller has just written: leave word to do it again.
		next.Lease, next.Due, next.LastError = j.Lease, j.Due, again
	}
	return tx.Jobs().Put(next)
}

// again in a leased publish job asks its step to run once more.
const again = "run again"

// stepPublish signs and publishes the revocation lists of a backend.
func (e *Engine) stepPublish(ctx context.Context, j storage.Job) error {
	a := e.backends[j.Subject]
	if a == nil || a.crls == nil {
		return e.commit(ctx, func(tx storage.Tx) error { return tx.Jobs().Delete(j.ID) }, failpoint.Reschedule)
	}
	// Told only after the lists below are stored.
	revoked, ids, err := e.revokedBy(ctx, a)
	if err != nil {
		return err
	}
	next := e.now().Add(refresh)
	if err := e.publishSigners(ctx, a, &next); err != nil {
		return err
	}
	for _, name := range a.crls.CRLNames() {
		due, err := e.publishCRL(ctx, a, name, revoked)
		if err != nil {
			return err
		}
		// Well before the list ends, however short it lives.
		if early := e.now().Add(due.Sub(e.now()) / 2); early.Before(next) {
			next = early
		}
	}
	err = e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, j)
		if err != nil {
			return err
		}
		stored.Due = next
		if stored.LastError == again {
			stored.Due = e.now()
		}
		stored.Lease, stored.Attempt, stored.LastError = storage.Lease{}, 0, ""
		return tx.Jobs().Put(stored)
	}, failpoint.Reschedule)
	if err == nil {
		for _, id := range ids {
			e.watchers.tell(string(certJob(id)))
		}
	}
	return err
}

// publishCRL makes one list.
func (e *Engine) publishCRL(ctx context.Context, a *authority, name string, revoked []backends.Revoked) (next time.Time, err error) {
	var rule backends.CRLRule
	if a.keeper != nil {
		if rule, err = a.keeper.CRLRule(name); err != nil {
			return next, fmt.Errorf("engine: prepare %s: %w", name, err)
		}
	}
	p, err := e.publish(ctx, a, name, rule.After, func(number int64) (p storage.Publication, err error) {
		if rule.Forget {
			if revoked, err = e.remembered(ctx, name, revoked); err != nil {
				return p, err
			}
		}
		p = storage.Publication{ContentType: "application/pkix-crl", At: e.now().Truncate(time.Second)}
		p.Body, p.Next, err = a.crls.SignCRL(name, number, p.At, revoked)
		return p, err
	})
	if err == nil {
		e.log.Info("revocation list published", "event", "crl.published", "backend", a.name, "name", name, "number", p.Number, "entries", len(revoked))
	}
	return p.Next, err
}

// publish makes one publication with a number above after. The number is stored
// before anything is signed, so that none is ever used twice, whatever crashes.
func (e *Engine) publish(ctx context.Context, a *authority, name string, after int64, sign func(number int64) (storage.Publication, error)) (p storage.Publication, err error) {
	var number int64
	err = e.commit(ctx, func(tx storage.Tx) error {
		key := "crl_number/" + name // lists were the first to be numbered
		stored, err := tx.Meta().Get(key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		number = after + 1
		if len(stored) == 8 {
			number = max(number, int64(binary.BigEndian.Uint64(stored))+1)
		}
		return tx.Meta().Put(key, binary.BigEndian.AppendUint64(nil, uint64(number)))
	}, failpoint.PublishNumber)
	if err != nil {
		return p, err
	}
	if p, err = sign(number); err != nil {
		return p, fmt.Errorf("engine: sign %s: %w", name, err)
	}
	p.Name, p.Backend, p.Number = name, a.name, number
	return p, e.commit(ctx, func(tx storage.Tx) error { return tx.Publications().Put(p) }, failpoint.Publish)
}

// remembered leaves out what the list has had, after the end of its certificate:
// nobody asks about a certificate that has ended.
func (e *Engine) remembered(ctx context.Context, name string, revoked []backends.Revoked) ([]backends.Revoked, error) {
	var before storage.Publication
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		before, err = tx.Publications().Get(name)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return revoked, nil
	}
	if err != nil {
		return nil, err
	}
	kept := make([]backends.Revoked, 0, len(revoked))
	for _, r := range revoked {
		// One that was revoked in the second of the list may not be in it.
		if r.NotAfter.IsZero() || !before.At.After(r.NotAfter) || !before.At.After(r.At) {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// bundle puts the lists of a bundle together, as they are now.
func (e *Engine) bundle(ctx context.Context, b backends.CRLBundle) (p storage.Publication, ok bool, err error) {
	p = storage.Publication{Name: b.Name, ContentType: "application/x-pem-file"}
	var text bytes.Buffer
	for _, name := range b.Lists {
		list, there, err := e.Publication(ctx, name)
		if err != nil {
			return p, false, err
		}
		if !there {
			continue
		}
		_ = pem.Encode(&text, &pem.Block{Type: "X509 CRL", Bytes: list.Body}) // a buffer takes everything
		if list.At.After(p.At) {
			p.At = list.At
		}
		if p.Next.IsZero() || !list.Next.IsZero() && list.Next.Before(p.Next) {
			p.Next = list.Next
		}
	}
	p.Body = text.Bytes()
	return p, text.Len() > 0, nil
}

// Publication reads what the public may fetch under a name. ok is false when
// there is nothing.
func (e *Engine) Publication(ctx context.Context, name string) (p storage.Publication, ok bool, err error) {
	for _, backend := range sortedKeys(e.backends) {
		b, isPublisher := e.backends[backend].backend.(backends.Publisher)
		if !isPublisher {
			continue
		}
		for _, x := range b.Publications() {
			if x.Name == name {
				p = storage.Publication{Name: name, Backend: backend, ContentType: x.ContentType, Body: x.DER, At: x.At, Next: x.Next}
				if p.ContentType == "" {
					p.ContentType = "application/pkix-cert"
				}
				return p, true, nil
			}
		}
	}
	for _, backend := range sortedKeys(e.backends) {
		if e.backends[backend].keeper == nil {
			continue
		}
		for _, b := range e.backends[backend].keeper.CRLBundles() {
			if b.Name == name {
				p, ok, err := e.bundle(ctx, b)
				p.Backend = backend
				return p, ok, err
			}
		}
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		p, err = tx.Publications().Get(name)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return p, false, nil
	}
	return p, err == nil, err
}
