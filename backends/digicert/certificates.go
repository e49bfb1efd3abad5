package digicert

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"strconv"

	"acmebridge/internal/caclient"
)

// Download fetches a certificate and what certifies it, in the order in which
// the CA sends it, which means nothing.
func (c *Client) Download(ctx context.Context, certificate int64) ([]*x509.Certificate, error) {
	id := strconv.FormatInt(certificate, 10)
	r, err := c.web.Do(ctx, caclient.Call{
		Op: "download certificate " + id, Method: http.MethodGet, Path: "certificate/" + id + "/download/format/pem_all",
		Header: http.Header{"Accept": {"*/*"}},
	})
	if err != nil {
		return nil, err
	}
	certs, err := caclient.ReadPEM(r.Body)
	if err != nil {
		return nil, r.Wrong(err)
	}
	return certs, nil
}

// leafFor is the certificate for the key of a request, and never one that is known
// to be wrong; nil when there is none.
func leafFor(certs []*x509.Certificate, t ticket) *x509.Certificate {
	for _, cert := range certs {
		if !cert.IsCA && caclient.KeyOf(cert) == t.key && !t.isWrong(cert.SerialNumber) {
			return cert
		}
	}
	return nil
}

// onlyLeaf is the certificate that is no CA's, when there is one such.
func onlyLeaf(certs []*x509.Certificate) (leaf *x509.Certificate) {
	for _, cert := range certs {
		switch {
		case cert.IsCA:
		case leaf != nil:
			return nil
		default:
			leaf = cert
		}
	}
	return leaf
}

// Revoke revokes one certificate, by its number or its serial number, and
// leaves the others of its order. waits is the number of a request when an
// administrator has to approve it, zero when it is done.
func (c *Client) Revoke(ctx context.Context, certificate, reason string) (waits int64, err error) {
	r, err := c.web.Do(ctx, caclient.Call{
		Op: "revoke certificate " + certificate, Method: http.MethodPut, Path: "certificate/" + url.PathEscape(certificate) + "/revoke",
		Body: struct {
			SkipApproval bool   `json:"skip_approval"`
			Reason       string `json:"revocation_reason"`
			Comments     string `json:"comments"`
		}{true, reason, "by acmebridge"},
	})
	if err != nil || r.Status != http.StatusCreated {
		return 0, err
	}
	var asked Request
	if err := r.JSON(&asked); err != nil {
		return 0, err
	}
	if asked.Status == "approved" {
		return 0, nil
	}
	return int64(asked.ID), nil
}
