package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/backends"
)

// Revoke implements backends.Revoker. The account that ordered a certificate may
// revoke it (RFC 8555, 7.6).
func (b *Backend) Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error {
	s, err := b.session(ctx)
	if err != nil {
		return err
	}
	err = s.RevokeCert(ctx, nil, c.Leaf, xacme.CRLReasonCode(reason))
	var p *xacme.Error
	if errors.As(err, &p) && isProblem(p, "badRevocationReason") {
		// Public CAs take a few reasons only. That it is revoked matters more.
		err = s.RevokeCert(ctx, nil, c.Leaf, xacme.CRLReasonUnspecified)
	}
	if err != nil {
		return fmt.Errorf("upstream: revoke: %w", transient(b.settle(s, err)))
	}
	return nil
}

// RenewalInfo implements backends.RenewalInformer. The page that the CA names for
// people is not passed on: it would tell our clients who is behind us (SC-17).
func (b *Backend) RenewalInfo(ctx context.Context, c acme.Certificate) (backends.RenewalInfo, error) {
	s, err := b.session(ctx)
	if err != nil {
		return backends.RenewalInfo{}, err
	}
	id := acme.CertID(c.AuthorityKeyID, c.Serial)
	if s.renewalInfo == "" || id == "" {
		return backends.RenewalInfo{}, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.renewalInfo+"/"+id, nil) // not signed (RFC 9773, 4.1)
	if err != nil {
		return backends.RenewalInfo{}, err
	}
	got, err := s.do(req)
	if err != nil {
		return backends.RenewalInfo{}, fmt.Errorf("upstream: ask for renewal information: %w", err)
	}
	var said struct {
		SuggestedWindow struct{ Start, End time.Time } `json:"suggestedWindow"`
	}
	if err := json.Unmarshal(got.body, &said); err != nil {
		return backends.RenewalInfo{}, fmt.Errorf("upstream: the renewal information is not readable: %w", err)
	}
	w := acme.Window{Start: said.SuggestedWindow.Start, End: said.SuggestedWindow.End}
	if w.Start.IsZero() || !w.End.After(w.Start) {
		return backends.RenewalInfo{}, errors.New("upstream: the window of the renewal information ends before it begins")
	}
	return backends.RenewalInfo{Window: w, After: got.wait(b.cfg.Now())}, nil
}
