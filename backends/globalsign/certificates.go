package globalsign

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/caclient"
)

// Wish is what a certificate is asked to be. The CA reads nothing of a CSR but
// its key.
type Wish struct {
	Validity  Validity  `json:"validity"`
	Subject   *Subject  `json:"subject_dn,omitempty"`
	SAN       SAN       `json:"san"`
	Usages    []string  `json:"extended_key_usages,omitempty"` // OIDs
	Signature Signature `json:"signature"`
	PublicKey string    `json:"public_key"` // in PEM, bare or as a CSR
}

// Validity is in seconds of Unix time.
type Validity struct {
	NotBefore int64 `json:"not_before"`
	NotAfter  int64 `json:"not_after"`
}

// Subject is what is asked to be in the subject.
type Subject struct {
	CommonName string `json:"common_name,omitempty"`
}

// SAN are the names.
type SAN struct {
	Names     []string `json:"dns_names,omitempty"`
	Addresses []string `json:"ip_addresses,omitempty"`
}

// Signature is how the CA signs.
type Signature struct {
	Hash string `json:"hash_algorithm"`
}

// Order buys a certificate, and returns its serial number, by which it is
// fetched. An error of the outcome Unknown says that it may have been bought.
func (c *Client) Order(ctx context.Context, w Wish) (serial string, err error) {
	reply, err := c.do(ctx, caclient.Call{Op: "order a certificate", Method: http.MethodPost, Path: "certificates", Body: w, Purchase: true})
	if err != nil {
		return "", err
	}
	if reply.Status != http.StatusCreated {
		return "", reply.Wrong(errors.New("it does not say that something was made"))
	}
	path, err := c.web.Below(reply.Header.Get("Location"))
	if err != nil {
		return "", reply.Wrong(err)
	}
	serial, ok := strings.CutPrefix(path, "certificates/")
	if serial = strings.ToUpper(serial); !ok || !isSerial(serial) {
		return "", reply.Wrong(errors.New("it names no serial number"))
	}
	return serial, nil
}

// isSerial wants whole octets in upper-case hexadecimal, up to the 20 that a
// serial number may have.
func isSerial(text string) bool {
	return len(text) > 0 && len(text) <= 40 && len(text)%2 == 0 && strings.Trim(text, "0123456789ABCDEF") == ""
}

// Certificate is one as the CA has it.
type Certificate struct {
	Leaf *x509.Certificate
	// Status is ISSUED or REVOKED.
	Status string
}

// ErrNotYet: the CA works on it.
var ErrNotYet = errors.New("the certificate is not there yet")

// Certificate fetches one by its serial number.
func (c *Client) Certificate(ctx context.Context, serial string) (Certificate, error) {
	reply, err := c.do(ctx, caclient.Call{Op: "fetch certificate " + serial, Method: http.MethodGet, Path: "certificates/" + serial})
	if err != nil {
		return Certificate{}, err
	}
	if reply.Status == http.StatusAccepted {
		return Certificate{}, ErrNotYet
	}
	var got struct{ Certificate, Status string }
	if err := reply.JSON(&got); err != nil {
		return Certificate{}, err
	}
	certs, err := caclient.ReadPEM([]byte(got.Certificate))
	if err != nil {
		return Certificate{}, reply.Wrong(err)
	}
	return Certificate{Leaf: certs[0], Status: got.Status}, nil
}

// TrustChain is what certifies the certificates of the account.
func (c *Client) TrustChain(ctx context.Context) ([]*x509.Certificate, error) {
	var texts []string
	reply, err := c.get(ctx, caclient.Call{Op: "fetch the chain", Path: "trustchain"}, &texts)
	if err != nil {
		return nil, err
	}
	certs, err := caclient.ReadPEM([]byte(strings.Join(texts, "\n")))
	if err != nil {
		return nil, reply.Wrong(err)
	}
	return certs, nil
}

// Revoke revokes a certificate, by its serial number.
func (c *Client) Revoke(ctx context.Context, serial, reason string, at time.Time) error {
	_, err := c.do(ctx, caclient.Call{
		Op: "revoke certificate " + serial, Method: http.MethodPatch, Path: "certificates/" + serial,
		Body: struct {
			Reason string `json:"revocation_reason"`
			Time   int64  `json:"revocation_time"`
		}{reason, at.Unix()},
	})
	return err
}

// Issued is a line of what the CA counts.
type Issued struct {
	Serial    string `json:"serial_number"`
	NotBefore int64  `json:"not_before"`
	NotAfter  int64  `json:"not_after"`
}

const (
	perPage = 100
	// maxPages bounds a list, so that one without end is not walked through.
	maxPages = 100
)

// Issued lists what was issued within a time. complete is false when there is
// more than may be read.
func (c *Client) Issued(ctx context.Context, from, to time.Time) (all []Issued, complete bool, err error) {
	for page := 1; page <= maxPages; page++ {
		var rows []Issued
		reply, err := c.get(ctx, caclient.Call{Op: "list what was issued", Path: "stats/issued", Query: url.Values{
			"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(perPage)},
			"from": {strconv.FormatInt(from.Unix(), 10)}, "to": {strconv.FormatInt(to.Unix(), 10)},
		}}, &rows)
		if err != nil {
			return nil, false, err
		}
		for _, row := range rows {
			if row.Serial = strings.ToUpper(row.Serial); !isSerial(row.Serial) {
				return nil, false, reply.Wrong(fmt.Errorf("%q is no serial number", caclient.Printable(row.Serial)))
			}
			all = append(all, row)
		}
		total, err := strconv.Atoi(reply.Header.Get("Total-Count"))
		switch {
		case err == nil && len(all) >= total, err != nil && len(rows) < perPage:
			return all, true, nil
		case len(rows) == 0:
			return all, false, nil
		}
	}
	return all, false, nil
}

// Quota is how many certificates may still be issued; none where the account is
// not counted.
func (c *Client) Quota(ctx context.Context) (*int64, error) {
	var got struct{ Value *int64 }
	_, err := c.get(ctx, caclient.Call{Op: "ask for the quota", Path: "quotas/issuance"}, &got)
	return got.Value, err
}

// Claim is a domain that an account has claimed.
type Claim struct {
	Domain string `json:"domain"`
	Status string `json:"status"`
	// AssertBy is when the proof has to be made again, in seconds of Unix time.
	AssertBy int64 `json:"assert_by"`
}

// Claims are those of the account.
func (c *Client) Claims(ctx context.Context) (all []Claim, err error) {
	for page := 1; page <= maxPages; page++ {
		var rows []Claim
		reply, err := c.get(ctx, caclient.Call{Op: "list the domains", Path: "claims/domains", Query: url.Values{
			"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(perPage)},
		}}, &rows)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if total, err := strconv.Atoi(reply.Header.Get("Total-Count")); len(rows) == 0 || err == nil && len(all) >= total || err != nil && len(rows) < perPage {
			break
		}
	}
	return all, nil
}
