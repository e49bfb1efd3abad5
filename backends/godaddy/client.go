package godaddy

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	web  *caclient.Client
	root string // of the API
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
		Credentials: func() (caclient.Credentials, error) {
			login, err := cfg.Login()
			return caclient.Credentials{
				Header:  http.Header{"Authorization": {"sso-key " + string(login.Key.Reveal()) + ":" + string(login.Secret.Reveal())}},
				Secrets: []secret.Secret{login.Key, login.Secret},
			}, err
		},
		Rates: []caclient.Rate{{Requests: cfg.PerSecond, Within: time.Second}, {Requests: cfg.PerMinute, Within: time.Minute}},
	})
	if err != nil {
		return nil, err
	}
	return &Client{web: web, root: cfg.URL}, nil
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

func (c *Client) get(ctx context.Context, call caclient.Call, v any) error {
	call.Method = http.MethodGet
	reply, err := c.web.Do(ctx, call)
	if err != nil {
		return err
	}
	return reply.JSON(v)
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
