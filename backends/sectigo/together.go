package sectigo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// What may go in one upload. The CA's own limits are not documented; these keep
// the archive of a batch within [ArchiveLimits] also where the profile has each
// certificate put into it in several formats, and the upload within MaxUpload.
const (
	MaxBatch     = 25
	MaxBatchWait = 5 * time.Second
	maxJoining   = MaxUpload / 2 / MaxBatch // of octets of a CSR
)

// Batching implements backends.Batcher.
func (b *Backend) Batching() (size int, wait time.Duration) { return b.cfg.Batch, b.cfg.BatchWait }

// MayJoin implements backends.Batcher: a CSR that the CA is known to call broken
// would take the whole batch with it, and the parameters of an upload are those of
// all that is in it, so one with values of its own member goes alone.
func (b *Backend) MayJoin(r backends.Request) bool {
	csr, err := x509.ParseCertificateRequest(r.CSR)
	params, paramsErr := b.params(r.Contract)
	return err == nil && paramsErr == nil && maps.Equal(params, b.cfg.Params) && len(csr.DNSNames) > 0 && len(r.CSR) <= maxJoining && csr.CheckSignature() == nil
}

// SubmitBatch implements backends.Batcher.
func (b *Backend) SubmitBatch(ctx context.Context, rs []backends.Request) ([]backends.Ticket, error) {
	if len(rs) == 0 || rs[0].Batch == "" {
		return nil, backends.NotSent(errors.New("sectigo: requests that go together need a name"))
	}
	floor := int64(0)
	u := Upload{BatchName: b.batchName(rs[0]), Params: b.cfg.Params}
	for _, r := range rs {
		if !b.MayJoin(r) {
			return nil, fmt.Errorf("sectigo: one of the CSRs has to go alone: %w", backends.ErrTogether)
		}
		floor = max(floor, b.floor(r))
		u.CSRs = append(u.CSRs, r.CSR)
	}
	authority, err := b.authority(ctx)
	if err != nil {
		return nil, backends.NotSent(err)
	}
	u.ProfileID = authority.ProfileID
	taken, err := b.reserve(ctx, authority.ID, floor, int64(len(rs)))
	switch {
	case errors.Is(err, errFew):
		return nil, fmt.Errorf("%w: %w", err, backends.ErrTogether)
	case err != nil:
		return nil, backends.NotSent(err)
	}
	batch, err := b.client.Upload(ctx, u)
	b.purse.settle(taken, b.cfg.Now(), err)
	if err != nil {
		if err = b.classify(ctx, authority.ID, floor, err); isRefused(err) {
			return nil, fmt.Errorf("%w: %w", err, backends.ErrTogether)
		}
		return nil, err
	}
	tickets := make([]backends.Ticket, len(rs))
	for i, r := range rs {
		t, err := ticketFor(batch.ID, r)
		if err != nil {
			return nil, err
		}
		tickets[i] = t.String()
	}
	return tickets, nil
}

func isRefused(err error) bool {
	_, refused := backends.RefusalDetail(err)
	return refused
}

// broken finds out whether anything of a broken batch was issued. If not, its
// requests may be sent one by one: one of them is the one at fault.
func (b *Backend) broken(ctx context.Context, t ticket, size int64, cause error) (backends.Result, error) {
	counts, err := b.client.Processing(ctx, t.batch)
	switch {
	case err != nil:
		return backends.Result{}, err
	case counts.Success > 0:
		return b.fetch(ctx, t, StatusPartial)
	case counts.Active > 0, counts.Failed < size && b.crowd.swapped(t.batch, t.since, b.cfg.Now()) < partialPatience:
		// All counts are zero in the beginning, and each of these is paid for when
		// it is sent again.
		return backends.Result{After: b.pause(t), Note: fmt.Sprintf("batch %d at the CA: broken, and not over", t.batch)}, nil
	}
	return backends.Result{}, backends.RefusedAs(acme.BadCSR, refusedCSR, fmt.Errorf("%w: %w", cause, backends.ErrTogether))
}

// named is the certificate that has exactly those names, nil without one.
func (a Archive) named(names [32]byte) *x509.Certificate {
	i := slices.IndexFunc(a.Certificates, func(c *x509.Certificate) bool { return !c.IsCA && hashNames(c.DNSNames) == names })
	if i < 0 {
		return nil
	}
	return a.Certificates[i]
}

// shared remembers for a moment what was seen of batches of several requests, so
// that each round of polls costs one look and one download, not one for each
// request. Another instance has its own, and misses nothing without it.
type shared struct {
	mu   sync.Mutex
	seen map[int64]look
}

// look is what a batch was like.
type look struct {
	at      time.Time
	batch   Batch
	status  Status
	ended   bool
	archive *Archive // nil unless somebody has found a certificate in it
}

const (
	// sharedAtMost is how many batches are remembered.
	sharedAtMost = 64
	// sharedFor is for how long one that is done is remembered.
	sharedFor = 15 * time.Minute
)

func (s *shared) get(batch int64) (look, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.seen[batch]
	return l, ok
}

func (s *shared) put(l look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[int64]look{}
	}
	s.seen[l.batch.ID] = l
	if len(s.seen) <= sharedAtMost {
		return
	}
	oldest := l
	for _, other := range s.seen {
		if other.at.Before(oldest.at) {
			oldest = other
		}
	}
	delete(s.seen, oldest.batch.ID)
}

// look asks the CA about a batch, unless that was done a moment ago for another
// request in it.
func (b *Backend) look(ctx context.Context, t ticket) (look, error) {
	now := b.cfg.Now()
	if l, ok := b.shared.get(t.batch); ok && t.together {
		age := b.pause(t) / 2
		if l.status.Downloadable() {
			age = sharedFor
		}
		if now.Sub(l.at) < age {
			return l, nil
		}
	}
	l := look{at: now}
	var err error
	if l.batch, err = b.client.Batch(ctx, t.batch); err != nil {
		return l, err
	}
	if l.status, l.ended, err = b.client.StatusOf(ctx, l.batch); err != nil {
		return l, err
	}
	if t.together {
		b.shared.put(l)
	}
	return l, nil
}

// archive downloads and reads the archive of a batch, unless that was done a
// moment ago and has what the ticket is for.
func (b *Backend) archive(ctx context.Context, t ticket) (Archive, error) {
	l, ok := b.shared.get(t.batch)
	if ok && t.together && l.archive != nil && b.cfg.Now().Sub(l.at) < sharedFor && l.archive.leafFor(t.key, t.names) != nil {
		return *l.archive, nil
	}
	a, err := b.open(ctx, t.batch)
	if err == nil && ok && t.together && a.leafFor(t.key, t.names) != nil {
		a.Members = nil // what they hold has been read
		l.archive = &a
		b.shared.put(l)
	}
	return a, err
}
