package sectigo

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Client is a connection to one account. It may be used by several goroutines.
type Client struct {
	cfg  Config
	base *url.URL
	// calls may be repeated, and share connections.
	calls *http.Client
	// purchases must not be: each gets a fresh connection, because the
	// transport sends again by itself when a used one turns out to be closed
	// (SC-5).
	purchases *http.Client
	session   *session
}

// New checks cfg and returns the client. It does not connect.
func New(cfg Config) (*Client, error) {
	cfg, base, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, base: base}
	c.calls = withoutRedirects(c.transport(false))
	c.purchases = withoutRedirects(c.transport(true))
	c.session = newSession(c)
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() {
	c.calls.CloseIdleConnections()
	c.purchases.CloseIdleConnections()
}

// SetCredentials changes who logs in. It drops the tokens, and a refused login
// is forgotten.
func (c *Client) SetCredentials(ctx context.Context, cfg Config) error {
	if cfg.Username == "" || cfg.Password.Empty() {
		return ErrNoCredentials
	}
	return c.session.replace(ctx, cfg.Username, cfg.Password)
}

// ResetLogin allows another login after one that was refused. It is for an
// operator who has put the account in order.
func (c *Client) ResetLogin(ctx context.Context) error { return c.session.reset(ctx) }

// Login makes sure that there is a valid token, and says until when.
func (c *Client) Login(ctx context.Context) (until time.Time, err error) {
	t, err := c.session.current(ctx)
	if err != nil {
		return time.Time{}, notSent("log in", err)
	}
	return t.ExpiresAt, nil
}

// LoginRefused returns why no login is tried any more, nil when one would be.
func (c *Client) LoginRefused(ctx context.Context) error { return c.session.breaker(ctx) }

func (c *Client) transport(fresh bool) *http.Transport {
	return &http.Transport{
		DialContext:            c.cfg.Dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.cfg.RootCAs},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        60 * time.Second,
		DisableKeepAlives:      fresh,
		// A compressed body would make a nonsense of the limits.
		DisableCompression: true,
		// HTTP/2 repeats a request when the server closes a stream; HTTP/1.1
		// on a fresh connection has no such reason.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
}

func withoutRedirects(t *http.Transport) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// call makes a request with a token. A reply of 401 is answered with new
// tokens and the same request, once: the CA checks tokens before all else.
func (c *Client) call(ctx context.Context, r request) (reply, error) {
	t, err := c.session.current(ctx)
	if err != nil {
		return reply{}, notSent(r.op, err)
	}
	got, err := c.exchange(ctx, r, t.Access)
	if !errors.Is(err, ErrNotAuthenticated) {
		return got, err
	}
	t, err = c.session.renew(ctx, t.Access)
	if err != nil {
		return reply{}, notSent(r.op, err)
	}
	return c.exchange(ctx, r, t.Access)
}
