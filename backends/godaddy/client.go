package godaddy

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// Login is what an account is known by.
type Login struct{ Key, Secret secret.Secret }

// Config says which account a client works for, and how.
type Config struct {
	// URL is the root of the API, https://HOST. Test and production have hosts of
	// their own, so there is no default. Only a stand-in on this machine may be
	// spoken with in the clear.
	URL string
	// Login gets the API key and its secret, before each call, so that those that
	// were replaced in their files are used without a restart. Required.
	Login func() (Login, error)
	// Dial connects, and is needed: that of an egress dialer (SV-1).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs are what the server's certificate must lead to; nil means those
	// of the system.
	RootCAs *x509.CertPool
	// UserAgent is sent with each request; empty means "acmebridge".
	UserAgent string
	// Timeout bounds one call, zero means 30 s.
	Timeout time.Duration
	// MaxReply bounds a body, zero means 4 MiB (SC-10).
	MaxReply int64
	// PerMinute is how many requests are made in a minute, and PerSecond in a
	// second; zero means 60 and 1, as much as a key is granted.
	PerMinute, PerSecond int
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Client speaks with one account. It may be used by several goroutines.
type Client struct {
	web   *caclient.Client
	login func() (Login, error)
	now   func() time.Time

	mu      sync.Mutex // guards what follows
	refused Login      // what was refused last,
	at      time.Time  // and when
}

// New checks cfg. It does not connect.
func New(cfg Config) (*Client, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.PerMinute, cfg.PerSecond = or(cfg.PerMinute, 60), or(cfg.PerSecond, 1)
	if cfg.Login == nil {
		return nil, errors.New("godaddy: there is nothing to log in with: Login is missing")
	}
	web, err := caclient.New(caclient.Config{
		Name: "godaddy", Like: "https://HOST", URL: cfg.URL, Dial: cfg.Dial, RootCAs: cfg.RootCAs, UserAgent: cfg.UserAgent,
		Timeout: cfg.Timeout, MaxReply: cfg.MaxReply, Patience: 10 * time.Second, Complaint: complaint, Now: cfg.Now,
		Rates: []caclient.Rate{{Requests: cfg.PerSecond, Within: time.Second}, {Requests: cfg.PerMinute, Within: time.Minute}},
	})
	if err != nil {
		return nil, err
	}
	return &Client{web: web, login: cfg.Login, now: cfg.Now}, nil
}

// Close lets go of connections that wait for use.
func (c *Client) Close() { c.web.Close() }

// complaint reads the shape of errors, with the field that one is about. All of the
// CA have a code.
func complaint(body []byte) (code, message string) {
	var shape struct {
		Code, Message string
		Fields        []struct{ Code, Message, Path string }
	}
	if json.Unmarshal(body, &shape) != nil || shape.Code == "" {
		return "", ""
	}
	for _, f := range shape.Fields {
		shape.Message += fmt.Sprintf("; %s: %s (%s)", f.Path, f.Message, f.Code)
	}
	return shape.Code, shape.Message
}

// keyPause is how long credentials that were refused are left alone (SC-13).
const keyPause = time.Minute

// loginError is one from before a call was made.
type loginError struct{ cause error }

func (e *loginError) Error() string { return "godaddy: log in: " + e.cause.Error() }
func (e *loginError) Unwrap() error { return e.cause }

// OutcomeOf returns what an error of a client proves about the call that was
// made (SC-3).
func OutcomeOf(err error) caclient.Outcome {
	if e := (*loginError)(nil); errors.As(err, &e) {
		return caclient.NotSent
	}
	return caclient.OutcomeOf(err)
}

func (c *Client) do(ctx context.Context, call caclient.Call) (caclient.Reply, error) {
	login, err := c.login()
	if err != nil {
		return caclient.Reply{}, &loginError{err}
	}
	c.mu.Lock()
	again := !c.at.IsZero() && c.now().Before(c.at.Add(keyPause)) && login.Key.Equal(c.refused.Key) && login.Secret.Equal(c.refused.Secret)
	c.mu.Unlock()
	if again {
		return caclient.Reply{}, &loginError{caclient.ErrCredentials}
	}
	call.Header = http.Header{"Authorization": {"sso-key " + string(login.Key.Reveal()) + ":" + string(login.Secret.Reveal())}}
	call.Secrets = []secret.Secret{login.Key, login.Secret}
	reply, err := c.web.Do(ctx, call)
	if caclient.StatusOf(err) == http.StatusUnauthorized {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refused, c.at = login, c.now()
	}
	return reply, err
}

func (c *Client) get(ctx context.Context, call caclient.Call, v any) error {
	call.Method = http.MethodGet
	reply, err := c.do(ctx, call)
	if err != nil {
		return err
	}
	return reply.JSON(v)
}

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
	_, err := c.do(ctx, caclient.Call{Op: "have an order looked at", Method: http.MethodPost, Path: "v1/certificates/validate", Body: p})
	return err
}

// Order buys a certificate, and returns the id by which it is fetched. An error of
// the outcome Unknown says that it may have been bought.
func (c *Client) Order(ctx context.Context, p Purchase) (id string, err error) {
	reply, err := c.do(ctx, caclient.Call{Op: "order a certificate", Method: http.MethodPost, Path: "v1/certificates", Body: p, Purchase: true})
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
	reply, err := c.do(ctx, caclient.Call{Op: "download certificate " + id, Method: http.MethodGet, Path: "v1/certificates/" + id + "/download"})
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
	_, err := c.do(ctx, caclient.Call{
		Op: "revoke certificate " + id, Method: http.MethodPost, Path: "v1/certificates/" + id + "/revoke", Body: map[string]string{"reason": reason},
	})
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
	for page := range maxPages {
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

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
