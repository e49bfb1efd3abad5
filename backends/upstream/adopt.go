package upstream

import (
	"context"
	"fmt"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/backends"
)

// adopt claims a new order. inherited says that the CA has given it a proof
// that was made for something else, which is taken back now.
func (b *Backend) adopt(ctx context.Context, s *session, url string, authorizations []string, expires time.Time, r backends.Request) (inherited bool, err error) {
	authorizations = b.provable(authorizations)
	shared, err := b.claims.hold(url, authorizations, expires, r)
	if err != nil {
		return false, err
	}
	defer func() {
		if inherited || err != nil {
			b.claims.release(url)
		}
	}()
	for _, a := range authorizations {
		if shared[a] {
			continue
		}
		status, err := b.authorizationStatus(ctx, s, a)
		if err != nil {
			return inherited, err
		}
		if status != xacme.StatusValid {
			continue
		}
		if err := b.deactivate(ctx, s, a); err != nil {
			return inherited, fmt.Errorf("take back a proof that was made earlier: %w", transient(b.settle(s, err)))
		}
		inherited = true
	}
	return inherited, nil
}

func (b *Backend) authorizationStatus(ctx context.Context, s *session, url string) (string, error) {
	a, err := s.GetAuthorization(ctx, url)
	if err != nil {
		return "", fmt.Errorf("look at an authorization: %w", transient(b.settle(s, err)))
	}
	return a.Status, nil
}

// deactivate takes a proof back (RFC 8555, 7.5.2).
func (b *Backend) deactivate(ctx context.Context, s *session, url string) error {
	if !b.web.oursText(url) {
		return fmt.Errorf("%w: an authorization", errOrigin)
	}
	_, err := s.post(ctx, url, struct {
		Status string `json:"status"`
	}{xacme.StatusDeactivated})
	return err
}
