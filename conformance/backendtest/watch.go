package backendtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"acmebridge/backends"
)

// watch puts the backend behind something that counts what is sent, and bends
// what is delivered when the front says so. The engine asks a backend for its
// abilities once, so each combination is a type of its own.
func (f *front) watch(b backends.Backend) backends.Backend {
	w := &watched{Backend: b, front: f}
	finder, finds := b.(backends.Finder)
	issuer, issues := b.(backends.Issuer)
	continuer, continues := b.(backends.Continuer)
	reissuer, reissues := b.(backends.Reissuer)
	again := watchedReissuer{f, reissuer}
	issues, reissues = issues && !f.hide, reissues && !f.plain
	switch {
	case continues && reissues:
		return struct {
			watchedContinuer
			watchedReissuer
		}{watchedContinuer{w, continuer}, again}
	case finds && f.subject.together() > 1 && reissues:
		return struct {
			watchedBatcher
			watchedReissuer
		}{watchedBatcher{w, finder, b.(backends.Batcher)}, again}
	case finds && reissues: // nothing that costs nothing is issued again, so it is no Issuer
		return struct {
			*watched
			backends.Finder
			watchedReissuer
		}{w, finder, again}
	case reissues:
		return struct {
			*watched
			watchedReissuer
		}{w, again}
	case continues: // whose Submit may simply be repeated, so there is nothing to find
		return watchedContinuer{w, continuer}
	case finds && f.subject.together() > 1:
		return watchedBatcher{w, finder, b.(backends.Batcher)}
	case finds && issues:
		return struct {
			*watched
			backends.Finder
			backends.Issuer
		}{w, finder, issuer}
	case finds:
		return struct {
			*watched
			backends.Finder
		}{w, finder}
	case issues:
		return struct {
			*watched
			backends.Issuer
		}{w, issuer}
	}
	return w
}

type watched struct {
	backends.Backend
	front *front
}

// Roots are those of the subject, which need not be Rooted itself.
func (w *watched) Roots() [][]byte         { return w.front.subject.Roots }
func (w *watched) Intermediates() [][]byte { return nil }

func (w *watched) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	t, err := w.Backend.Submit(ctx, r)
	if _, refused := backends.RefusalDetail(err); !refused && !backends.IsNotSent(err) {
		w.front.sends.Add(1)
	}
	return t, err
}

// watchedBatcher counts each of what goes together.
type watchedBatcher struct {
	*watched
	backends.Finder
	batcher backends.Batcher
}

func (w watchedBatcher) Batching() (int, time.Duration)  { return w.batcher.Batching() }
func (w watchedBatcher) MayJoin(r backends.Request) bool { return w.batcher.MayJoin(r) }

func (w watchedBatcher) SubmitBatch(ctx context.Context, rs []backends.Request) ([]backends.Ticket, error) {
	t, err := w.batcher.SubmitBatch(ctx, rs)
	if _, refused := backends.RefusalDetail(err); !refused && !backends.IsNotSent(err) && !errors.Is(err, backends.ErrTogether) {
		w.front.sends.Add(int64(len(rs)))
		w.front.calls.Add(1)
	}
	return t, err
}

// watchedReissuer counts what may have been issued again.
type watchedReissuer struct {
	f        *front
	reissuer backends.Reissuer
}

func (w watchedReissuer) Reissue(ctx context.Context, r backends.Request, t backends.Ticket, wrong []byte) (backends.Ticket, error) {
	again, err := w.reissuer.Reissue(ctx, r, t, wrong)
	if _, refused := backends.RefusalDetail(err); !refused && !backends.IsNotSent(err) {
		w.f.again.Add(1)
	}
	return again, err
}

func (w watchedReissuer) FindReissue(ctx context.Context, r backends.Request, t backends.Ticket, wrong []byte) (backends.Ticket, bool, error) {
	return w.reissuer.FindReissue(ctx, r, t, wrong)
}

// watchedContinuer counts what was bought by what is delivered: nothing is by
// Submit.
type watchedContinuer struct {
	*watched
	continuer backends.Continuer
}

func (w watchedContinuer) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	return w.Backend.Submit(ctx, r)
}

func (w watchedContinuer) Continue(ctx context.Context, r backends.Request, t backends.Ticket) (backends.Result, error) {
	got, err := w.continuer.Continue(ctx, r, t)
	if len(got.Chain) == 0 {
		return got, err
	}
	if _, again := w.front.delivered.LoadOrStore(sha256.Sum256(got.Chain[0]), true); !again {
		w.front.sends.Add(1)
	}
	if bend := w.front.bend; bend != nil {
		got.Chain = bend(got.Chain)
	}
	return got, err
}

func (w *watched) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	r, err := w.Backend.Poll(ctx, t)
	if bend := w.front.bend; bend != nil && len(r.Chain) > 0 {
		r.Chain = bend(r.Chain)
	}
	return r, err
}
