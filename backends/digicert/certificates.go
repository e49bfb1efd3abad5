package digicert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Download fetches a certificate and what certifies it, in the order in which
// the CA sends it, which means nothing.
func (c *Client) Download(ctx context.Context, certificate int64) ([]*x509.Certificate, error) {
	id := strconv.FormatInt(certificate, 10)
	r, err := c.call(ctx, request{
		op: "download certificate " + id, method: http.MethodGet, path: "certificate/" + id + "/download/format/pem_all", accept: "*/*",
	})
	if err != nil {
		return nil, err
	}
	certs, err := readPEM(r.body)
	if err != nil {
		return nil, r.wrong(err)
	}
	return certs, nil
}

// maxCertificates bounds what one download may have.
const maxCertificates = 20

func readPEM(content []byte) (certs []*x509.Certificate, err error) {
	for len(bytes.TrimSpace(content)) > 0 {
		block, rest := pem.Decode(content)
		switch {
		case block == nil:
			return nil, errors.New("something that is no PEM, or its end is missing")
		case block.Type != "CERTIFICATE":
			return nil, errors.New("a block that is no certificate")
		case len(certs) == maxCertificates:
			return nil, errors.New("too many certificates")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs, content = append(certs, cert), rest
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate")
	}
	return certs, nil
}

// leafFor is the certificate for the key of a request, and never one that is known
// to be wrong; nil when there is none.
func leafFor(certs []*x509.Certificate, t ticket) *x509.Certificate {
	for _, cert := range certs {
		if !cert.IsCA && sha256.Sum256(cert.RawSubjectPublicKeyInfo) == t.key && !t.isWrong(cert.SerialNumber) {
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

// chainOf is leaf and what certifies it out of certs, without the root.
func chainOf(leaf *x509.Certificate, certs []*x509.Certificate) [][]byte {
	chain := []*x509.Certificate{leaf}
	const longest = 10
	for len(chain) < longest {
		last := chain[len(chain)-1]
		i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
			return c.IsCA && bytes.Equal(c.RawSubject, last.RawIssuer) && !bytes.Equal(c.RawSubject, c.RawIssuer) &&
				!slices.Contains(chain, c) && last.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		chain = append(chain, certs[i])
	}
	var der [][]byte
	for _, cert := range chain {
		der = append(der, cert.Raw)
	}
	return der
}

// Revoke revokes one certificate, by its number or its serial number, and
// leaves the others of its order. waits is the number of a request when an
// administrator has to approve it, zero when it is done.
func (c *Client) Revoke(ctx context.Context, certificate, reason string) (waits int64, err error) {
	r, err := c.call(ctx, request{
		op: "revoke certificate " + certificate, method: http.MethodPut, path: "certificate/" + url.PathEscape(certificate) + "/revoke",
		body: struct {
			SkipApproval bool   `json:"skip_approval"`
			Reason       string `json:"revocation_reason"`
			Comments     string `json:"comments"`
		}{true, reason, "by acmebridge"},
	})
	if err != nil || r.status != http.StatusCreated {
		return 0, err
	}
	var asked Request
	if err := r.into(&asked); err != nil {
		return 0, err
	}
	if asked.Status == "approved" {
		return 0, nil
	}
	return int64(asked.ID), nil
}
