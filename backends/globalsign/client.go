package globalsign

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// Login is what an account logs in with, besides a certificate.
type Login struct{ Key, Secret secret.Secret }

// Config says which account a client works for, and how.
type Config struct {
	// URL is the root of the API, with its path: https://HOST/v2. There is no
	// default. Only a stand-in on this machine may be spoken with in the clear.
	URL string
	// Login gets the API key and its secret, before each login, so that those
	// that were replaced in their files are used without a restart. Required.
	Login func() (Login, error)
	// Certificate gets the client certificate of the account and its key, for
	// each connection. Required, but for a stand-in in the clear.
	Certificate func() (*tls.Certificate, error)
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
	// PerSecond is how many requests are made in a second, zero means 8.
	PerSecond int
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Client speaks with one account. It may be used by several goroutines.
type Client struct {
	web   *caclient.Client
	root  string // of the API
	login func() (Login, error)
	now   func() time.Time

	entry sync.Mutex // held while somebody logs in

	refused caclient.Refusals

	mu    sync.Mutex // guards what follows
	token secret.Secret
	until time.Time // when it is renewed
}

// New checks cfg. It does not connect.
func New(cfg Config) (*Client, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PerSecond == 0 {
		cfg.PerSecond = 8
	}
	if cfg.Login == nil {
		return nil, errors.New("globalsign: there is nothing to log in with: Login is missing")
	}
	web, err := caclient.New(caclient.Config{
		Name: "globalsign", Like: "https://HOST/v2", URL: cfg.URL, Dial: cfg.Dial, RootCAs: cfg.RootCAs, Certificate: cfg.Certificate,
		UserAgent: cfg.UserAgent, ContentType: "application/json; charset=utf-8", Timeout: cfg.Timeout, MaxReply: cfg.MaxReply,
		Rates: []caclient.Rate{{Requests: cfg.PerSecond, Within: time.Second}}, Patience: 5 * time.Second,
		Complaint: complaint, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	return &Client{web: web, root: cfg.URL, login: cfg.Login, now: cfg.Now}, nil
}

// Close lets go of connections that wait for use.
func (c *Client) Close() { c.web.Close() }

// complaint reads problem documents. One that says only what its status says, as
// gateways write them too, is not of the CA.
func complaint(body []byte) (code, message string) {
	var shape struct{ Description, Title, Detail, Type string }
	if json.Unmarshal(body, &shape) != nil || shape.Description == "" && (shape.Type == "" || shape.Type == "about:blank") {
		return "", ""
	}
	for _, text := range []string{shape.Description, shape.Detail, shape.Title} {
		if text != "" {
			return shape.Type, text
		}
	}
	return shape.Type, ""
}

// tokenAge is how long an access token is used; it is good for a minute more.
const tokenAge = 9 * time.Minute

// access gets a token, by logging in if need be. spent is one that was refused.
func (c *Client) access(ctx context.Context, spent secret.Secret) (secret.Secret, error) {
	if token, ok := c.held(spent); ok {
		return token, nil
	}
	c.entry.Lock()
	defer c.entry.Unlock()
	if token, ok := c.held(spent); ok { // somebody else's
		return token, nil
	}
	const op = "log in"
	login, err := c.login()
	if err != nil {
		return secret.Secret{}, notSent(op, err)
	}
	if c.refused.Hold(c.now(), login.Key, login.Secret) {
		return secret.Secret{}, notSent(op, caclient.ErrCredentials)
	}
	reply, err := c.web.Do(ctx, caclient.Call{
		Op: op, Method: http.MethodPost, Path: "login", Secrets: []secret.Secret{login.Key, login.Secret},
		Body: map[string]string{"api_key": string(login.Key.Reveal()), "api_secret": string(login.Secret.Reveal())},
	})
	if remote := (*net.OpError)(nil); errors.As(err, &remote) && remote.Op == "remote error" {
		return secret.Secret{}, notSent(op, fmt.Errorf("%w: the CA does not take the client certificate: %w", caclient.ErrCredentials, remote.Err))
	}
	var got struct {
		Token string `json:"access_token"`
	}
	if err == nil {
		err = reply.JSON(&got)
	}
	if err == nil && got.Token == "" {
		err = reply.Wrong(errors.New("it has no access token"))
	}
	if err != nil {
		if errors.Is(err, caclient.ErrCredentials) {
			c.refused.Refused(c.now(), login.Key, login.Secret)
		}
		// Whatever was wanted was not even begun.
		return secret.Secret{}, notSent(op, err)
	}
	c.refused.LetIn()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.until = secret.New([]byte(got.Token)), c.now().Add(tokenAge)
	return c.token, nil
}

// held is the token that is there, unless it is that one.
func (c *Client) held(spent secret.Secret) (secret.Secret, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := !c.token.Empty() && c.now().Before(c.until) && (spent.Empty() || !c.token.Equal(spent))
	return c.token, ok
}

// loginError is one from before a call was made: nothing of that was sent.
type loginError struct {
	op    string
	cause error
}

func notSent(op string, cause error) error {
	if e := (*loginError)(nil); errors.As(cause, &e) {
		return cause
	}
	return &loginError{op: op, cause: cause}
}

func (e *loginError) Error() string {
	if c := (*caclient.Error)(nil); errors.As(e.cause, &c) {
		return e.cause.Error()
	}
	return "globalsign: " + e.op + ": " + e.cause.Error()
}

func (e *loginError) Unwrap() error { return e.cause }

// PauseAsked implements backends.Pausing.
func (e *loginError) PauseAsked() time.Duration {
	if c := (*caclient.Error)(nil); errors.As(e.cause, &c) {
		return c.RetryAfter
	}
	return 0
}

// OutcomeOf returns what an error of a client proves about the call that was
// made (SC-3). A login that failed proves that it was not.
func OutcomeOf(err error) caclient.Outcome {
	if e := (*loginError)(nil); errors.As(err, &e) {
		return caclient.NotSent
	}
	return caclient.OutcomeOf(err)
}

// do makes a call with a token. A token that is refused is renewed once, and
// the call made again, but for a purchase, which is left to the engine (SC-5).
func (c *Client) do(ctx context.Context, call caclient.Call) (caclient.Reply, error) {
	var spent secret.Secret
	for {
		token, err := c.access(ctx, spent)
		if err != nil {
			return caclient.Reply{}, err
		}
		call.Header = http.Header{"Authorization": {"Bearer " + string(token.Reveal())}}
		call.Secrets = []secret.Secret{token}
		reply, err := c.web.Do(ctx, call)
		if caclient.StatusOf(err) != http.StatusUnauthorized {
			return reply, err
		}
		c.drop(token)
		if call.Purchase || !spent.Empty() {
			return reply, err
		}
		spent = token
	}
}

// drop forgets a token that was refused.
func (c *Client) drop(token secret.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token.Equal(token) {
		c.token, c.until = secret.Secret{}, time.Time{}
	}
}

// get asks for JSON.
func (c *Client) get(ctx context.Context, call caclient.Call, v any) (caclient.Reply, error) {
	call.Method = http.MethodGet
	reply, err := c.do(ctx, call)
	if err != nil {
		return reply, err
	}
	return reply, reply.JSON(v)
}
