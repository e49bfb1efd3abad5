package sectigo

import (
	"context"
	"errors"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// Client is a connection to one account. It may be used by several goroutines.
type Client struct {
	cfg     Config
	origin  string
	web     *caclient.Client
	session *session
}

// New checks cfg and returns the client. It does not connect.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	web, err := caclient.New(cfg.web())
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, origin: origin(cfg.URL), web: web}
	c.session = newSession(c)
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.web.Close() }

// SetCredentials changes who logs in. It drops the tokens, and a refused login
// is forgotten.
func (c *Client) SetCredentials(ctx context.Context, username string, password secret.Secret) error {
	if username == "" || password.Empty() {
		return ErrNoCredentials
	}
	return c.session.replace(ctx, username, password)
}

// ResetLogin allows another login after one that was refused. It is for an
// operator who has put the account in order.
func (c *Client) ResetLogin(ctx context.Context) error { return c.session.reset(ctx) }

// Login makes sure that there is a valid token, and says until when. After a login
// that was refused, what is left of an earlier one is not good enough: it may be
// what the CA did not take.
func (c *Client) Login(ctx context.Context) (until time.Time, err error) {
	var t tokens
	if c.session.breaker() != nil {
		t, err = c.session.anew(ctx)
	} else {
		t, err = c.session.current(ctx)
	}
	if err != nil {
		return time.Time{}, notSent("log in", err)
	}
	return t.ExpiresAt, nil
}

// LoginRefused returns why no login is tried any more, nil when one would be.
func (c *Client) LoginRefused() error { return c.session.breaker() }

// call makes a request with a token. A reply of 401 is answered with new
// tokens and the same request, once: the CA checks tokens before all else.
func (c *Client) call(ctx context.Context, r request) (caclient.Reply, error) {
	t, err := c.session.current(ctx)
	if err != nil {
		return caclient.Reply{}, notSent(r.op, err)
	}
	got, err := c.exchange(ctx, r, t.Access)
	if !errors.Is(err, ErrNotAuthenticated) {
		return got, err
	}
	t, err = c.session.renew(ctx, t.Access)
	if err != nil {
		return caclient.Reply{}, notSent(r.op, err)
	}
	return c.exchange(ctx, r, t.Access)
}
