package backendtest

import (
	"context"

	"acmebridge/backends"
)

// watch puts the backend behind something that counts what is sent, and bends
// what is delivered when the front says so. The engine asks a backend for its
// abilities once, so each combination is a type of its own.
func (f *front) watch(b backends.Backend) backends.Backend {
	w := &watched{Backend: b, front: f}
	finder, finds := b.(backends.Finder)
	issuer, issues := b.(backends.Issuer)
	switch issues = issues && !f.hide; {
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

func (w *watched) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	r, err := w.Backend.Poll(ctx, t)
	if bend := w.front.bend; bend != nil && len(r.Chain) > 0 {
		r.Chain = bend(r.Chain)
	}
	return r, err
}
