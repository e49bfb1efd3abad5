package xroad

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Global is what the global configuration of an instance says of OCSP.
type Global struct {
	// Responders are those that the Central Server lists for the CA. They are
	// asked first, and what the certificate names after them.
	Responders []string
	// Freshness is how old an answer may be, an hour when zero.
	Freshness time.Duration
}

// Activate asks for the state of a certificate as the Security Server does when
// it has imported one, and again every 20 minutes. Only a certificate that is
// good is activated; the error says why this one is not.
func (s *SecurityServer) Activate(ctx context.Context, leaf, issuer *x509.Certificate, g Global) (*ocsp.Response, error) {
	if g.Freshness == 0 {
		g.Freshness = time.Hour
	}
	request, err := ocsp.CreateRequest(leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		return nil, err
	}
	responders := slices.Concat(g.Responders, leaf.OCSPServer)
	if len(responders) == 0 {
		return nil, errors.New("nobody says where to ask for the certificate's state")
	}
	var all error
	for _, url := range responders {
		answer, err := s.state(ctx, url, request)
		if err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", url, err))
			continue
		}
		r, err := believe(answer, request, issuer, g.Freshness, time.Now())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		if r.Status != ocsp.Good {
			return r, fmt.Errorf("the certificate is %s", map[int]string{ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}[r.Status])
		}
		return r, nil
	}
	return nil, all
}

// state posts the request: unsigned, about one certificate, without a nonce.
func (s *SecurityServer) state(ctx context.Context, url string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/ocsp-request")
	q.Header.Set("Accept", "application/ocsp-response")
	resp, err := s.cfg.HTTP.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

// believe checks an answer: the same CertID, signed by the CA or by whom the CA
// has certified for that, and fresh.
func believe(answer, request []byte, issuer *x509.Certificate, freshness time.Duration, now time.Time) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponse(answer, issuer)
	if err != nil {
		return nil, err
	}
	var asked struct {
		TBS struct {
			List []struct{ ID asn1.RawValue }
		}
	}
	if _, err := asn1.Unmarshal(request, &asked); err != nil {
		return nil, err
	}
	if id := asked.TBS.List[0].ID.FullBytes; !bytes.Contains(answer, id) {
		return nil, fmt.Errorf("the answer is about another certificate than %x", id)
	}
	if c := r.Certificate; c != nil && !c.Equal(issuer) {
		if !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return nil, fmt.Errorf("%q may not sign OCSP answers", c.Subject)
		}
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return nil, fmt.Errorf("the signer is valid from %s to %s", c.NotBefore, c.NotAfter)
		}
	}
	if oldest := now.Add(-freshness); r.ThisUpdate.Before(oldest) {
		return nil, fmt.Errorf("the answer is of %s, which is too old", r.ThisUpdate)
	}
	if !r.NextUpdate.IsZero() && r.NextUpdate.Before(now) {
		return nil, fmt.Errorf("there is a newer answer since %s", r.NextUpdate)
	}
	return r, nil
}
