package godaddy

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

// Purchase is what is bought.
type Purchase struct {
	CommonName string   `json:"commonName"`
	CSR        string   `json:"csr"`
	Period     int      `json:"period"` // in years
	Product    string   `json:"productType"`
	Root       string   `json:"rootType"`
	Slots      string   `json:"slotSize,omitempty"`
	Names      []string `json:"subjectAlternativeNames,omitempty"`
}

// Validate has the CA look at a purchase without making it.
func (c *Client) Validate(ctx context.Context, p Purchase) error {
	_, err := c.web.Do(ctx, caclient.Call{Op: "have an order looked at", Method: http.MethodPost, Path: "v1/certificates/validate", Body: p})
	return err
}

// Order buys a certificate, and returns the id by which it is fetched. An error of
// the outcome Unknown says that it may have been bought.
func (c *Client) Order(ctx context.Context, p Purchase) (id string, err error) {
	return c.buy(ctx, "order a certificate", "v1/certificates", p)
}

// Renewal is what follows a certificate whose end is near.
type Renewal struct {
	CommonName string   `json:"commonName"`
	CSR        string   `json:"csr"`
	Period     int      `json:"period"` // in years
	Root       string   `json:"rootType"`
	Names      []string `json:"subjectAlternativeNames,omitempty"`
}

// Renew buys what follows a certificate, and returns the id of that. Its errors are
// those of Order.
func (c *Client) Renew(ctx context.Context, id string, r Renewal) (next string, err error) {
	return c.buy(ctx, "renew certificate "+id, "v1/certificates/"+id+"/renew", r)
}

// Reissue is the same certificate for another key.
type Reissue struct {
	CommonName string   `json:"commonName"`
	CSR        string   `json:"csr"`
	Root       string   `json:"rootType"`
	Names      []string `json:"subjectAlternativeNames,omitempty"`
	// Delay is after how many hours the certificate that was there is revoked.
	Delay int `json:"delayExistingRevoke"`
}

// Reissue has a certificate issued for another key, and returns the id of the new
// one. Its errors are those of Order.
func (c *Client) Reissue(ctx context.Context, id string, r Reissue) (next string, err error) {
	return c.buy(ctx, "reissue certificate "+id, "v1/certificates/"+id+"/reissue", r)
}

// buy makes a call that makes a certificate.
func (c *Client) buy(ctx context.Context, op, path string, body any) (id string, err error) {
	reply, err := c.web.Do(ctx, caclient.Call{Op: op, Method: http.MethodPost, Path: path, Body: body, Purchase: true})
	if err != nil {
		return "", err
	}
	var got struct {
		ID string `json:"certificateId"`
	}
	if err := reply.JSON(&got); err != nil {
		return "", err
	}
	if !isID(got.ID) {
		return "", reply.Wrong(errors.New("it has no id of a certificate"))
	}
	return got.ID, nil
}

// isID wants something that can be a part of an address and leads nowhere else.
func isID(text string) bool {
	return len(text) > 0 && len(text) <= 64 && strings.Trim(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

// Certificate is an order as the CA shows it, alone or in a list.
type Certificate struct {
	ID         string   `json:"certificateId"`
	CommonName string   `json:"commonName"`
	Names      []string `json:"subjectAlternativeNames"`
	Product    string   `json:"productType"` // not everywhere
	Status     string   `json:"status"`
	Created    Moment   `json:"createdAt"`
	Serial     string   `json:"serialNumber"`
	SerialHex  string   `json:"serialNumberHex"`
	Denied     string   `json:"deniedReason"`
	Progress   int      `json:"progress"`
	CSR        string   `json:"csr"`
}

// Moment is a time; zero when the CA gives none, or one that cannot be read.
type Moment struct{ time.Time }

// UnmarshalJSON reads it. Dates may be empty.
func (m *Moment) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			m.Time = t
			return nil
		}
	}
	m.Time = time.Time{}
	return nil
}

// Certificate looks at an order.
func (c *Client) Certificate(ctx context.Context, id string) (got Certificate, err error) {
	err = c.get(ctx, caclient.Call{Op: "look at certificate " + id, Path: "v1/certificates/" + id}, &got)
	return got, err
}

// Download fetches the certificate of an order, and what certifies it.
func (c *Client) Download(ctx context.Context, id string) (leaf *x509.Certificate, upper []*x509.Certificate, err error) {
	reply, err := c.web.Do(ctx, caclient.Call{Op: "download certificate " + id, Method: http.MethodGet, Path: "v1/certificates/" + id + "/download"})
	if err != nil {
		return nil, nil, err
	}
	var got struct {
		PEMs struct{ Certificate, Intermediate, Cross, Root string }
	}
	if err := reply.JSON(&got); err != nil {
		return nil, nil, err
	}
	certs, err := caclient.ReadPEM([]byte(got.PEMs.Certificate))
	if err != nil {
		return nil, nil, reply.Wrong(err)
	}
	for _, text := range []string{got.PEMs.Intermediate, got.PEMs.Cross, got.PEMs.Root} {
		if strings.TrimSpace(text) == "" {
			continue
		}
		more, err := caclient.ReadPEM([]byte(text))
		if err != nil {
			return nil, nil, reply.Wrong(err)
		}
		upper = append(upper, more...)
	}
	return certs[0], append(upper, certs[1:]...), nil
}

// Revoke revokes the certificate of an order.
func (c *Client) Revoke(ctx context.Context, id, reason string) error {
	_, err := c.web.Do(ctx, caclient.Call{
		Op: "revoke certificate " + id, Method: http.MethodPost, Path: "v1/certificates/" + id + "/revoke", Body: map[string]string{"reason": reason},
	})
	return err
}

// Cancel ends an order that is not issued.
func (c *Client) Cancel(ctx context.Context, id string) error {
	_, err := c.web.Do(ctx, caclient.Call{Op: "cancel certificate " + id, Method: http.MethodPost, Path: "v1/certificates/" + id + "/cancel"})
	return err
}

// Customer finds out by which id the account of a shopper has its certificates.
func (c *Client) Customer(ctx context.Context, shopper int64) (string, error) {
	var got struct {
		ID string `json:"customerId"`
	}
	const op = "look at the account"
	err := c.get(ctx, caclient.Call{Op: op, Path: "v1/shoppers/" + strconv.FormatInt(shopper, 10), Query: url.Values{"includes": {"customerId"}}}, &got)
	if err == nil && !isID(got.ID) {
		err = &caclient.Error{CA: "godaddy", Op: op, Code: "(none)", Message: "the answer has no customerId"}
	}
	return got.ID, err
}

const (
	perPage = 100
	// maxPages bounds a list, so that one without end is not walked through.
	maxPages = 40
)

// Walk shows the orders of a customer, until look says that it has seen enough.
// complete is false when there are more than may be read.
func (c *Client) Walk(ctx context.Context, customer string, look func(Certificate) (enough bool, err error)) (complete bool, err error) {
	return c.walk(ctx, customer, maxPages, look)
}

func (c *Client) walk(ctx context.Context, customer string, pages int, look func(Certificate) (enough bool, err error)) (complete bool, err error) {
	for page := range pages {
		var got struct{ Certificates []Certificate }
		if err := c.get(ctx, caclient.Call{Op: "list the certificates", Path: "v2/customers/" + customer + "/certificates", Query: url.Values{
			"limit": {strconv.Itoa(perPage)}, "offset": {strconv.Itoa(page)}, // which counts pages
		}}, &got); err != nil {
			return false, err
		}
		for _, row := range got.Certificates {
			if !isID(row.ID) {
				return false, fmt.Errorf("godaddy: the list of certificates has %q where an id should be", caclient.Printable(row.ID))
			}
			if enough, err := look(row); enough || err != nil {
				return true, err
			}
		}
		if len(got.Certificates) < perPage {
			return true, nil
		}
	}
	return false, nil
}
