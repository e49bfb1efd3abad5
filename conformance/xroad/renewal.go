package xroad

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"
)

// twoWeeks is how long before its end a key or a certificate is renewed, unless
// the CA has another opinion on the certificate.
const twoWeeks = 14 * 24 * time.Hour

// Renew is one certificate in one cycle of the renewal job, which comes every hour,
// and every minute after one that failed. It logs in anew for each single question:
// is the key of the account good, is there renewal information, what does it say; the
// order if it is due; and the first two again for the date that is shown. What goes
// wrong before the order is logged and nothing else, so a cycle fails by its order
// alone. It has a new key, and an agent without X-Road or profile id.
func (s *SecurityServer) Renew(ctx context.Context, old *x509.Certificate, k Key) (issued *Issued, due bool, err error) {
	s.agent = acme4j
	if _, err := s.Login(ctx, true); err == nil && time.Now().After(s.KeyEnds.Add(-twoWeeks)) {
		_ = s.RollOver(ctx) // the log has it, and the old key serves on
	}
	start, _ := s.suggested(ctx, old)
	if time.Now().Before(start) {
		s.plan(ctx, old)
		return nil, false, nil
	}
	if issued, err = s.RenewNow(ctx, old, k); err != nil {
		return nil, true, err
	}
	s.plan(ctx, issued.Leaf)
	return issued, true, nil
}

// RenewNow is the part of the job that orders.
func (s *SecurityServer) RenewNow(ctx context.Context, old *x509.Certificate, k Key) (*Issued, error) {
	s.agent = acme4j
	if _, err := s.Login(ctx, true); err != nil {
		return nil, seen("account_creation_failure", err)
	}
	if _, err := s.resource(ctx, "renewalInfo"); err != nil {
		return nil, seen("order_creation_failure", err) // acme4j refuses on its own
	}
	id, err := RenewalID(old)
	if err != nil {
		return nil, seen("order_creation_failure", err)
	}
	return s.flow(ctx, k, id, s.agent)
}

// plan notes when to renew.
func (s *SecurityServer) plan(ctx context.Context, c *x509.Certificate) {
	s.planned, s.unplanned = s.suggested(ctx, c)
}

// suggested is when the CA would have a certificate renewed: one login to see whether
// it says so at all, and one to hear it. A CA that does not say leaves two weeks
// before the end; the error is why.
func (s *SecurityServer) suggested(ctx context.Context, c *x509.Certificate) (time.Time, error) {
	otherwise := c.NotAfter.Add(-twoWeeks)
	if _, err := s.Login(ctx, true); err != nil {
		return otherwise, seen("account_creation_failure", err)
	}
	if _, err := s.resource(ctx, "renewalInfo"); err != nil {
		return otherwise, seen("fetching_renewal_info_failure", err)
	}
	if _, err := s.Login(ctx, true); err != nil {
		return otherwise, seen("account_creation_failure", err)
	}
	start, _, err := s.RenewalInfo(ctx, c)
	if err != nil {
		return otherwise, seen("fetching_renewal_info_failure", err)
	}
	return start, nil
}

// RenewalInfo asks when to renew a certificate. Nobody signs that.
func (s *SecurityServer) RenewalInfo(ctx context.Context, c *x509.Certificate) (start, end time.Time, err error) {
	url, err := s.resource(ctx, "renewalInfo")
	if err != nil {
		return start, end, err
	}
	id, err := RenewalID(c)
	if err != nil {
		return start, end, err
	}
	a, err := s.request(ctx, http.MethodGet, url+"/"+id, "application/json", nil)
	if err != nil {
		return start, end, err
	}
	if a.Status != http.StatusOK {
		return start, end, &Refusal{a}
	}
	o, err := a.object()
	if err != nil {
		return start, end, err
	}
	window, _ := o["suggestedWindow"].(map[string]any)
	if start, err = time.Parse(time.RFC3339, fmt.Sprint(window["start"])); err != nil {
		return start, end, err
	}
	if end, err = time.Parse(time.RFC3339, fmt.Sprint(window["end"])); err != nil {
		return start, end, err
	}
	if end.Before(start) {
		return start, end, fmt.Errorf("the window ends at %s, before it begins at %s", end, start)
	}
	return start, end, nil
}
