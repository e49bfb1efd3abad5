package digicert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"acmebridge/internal/failpoint"
	"acmebridge/internal/secret"
)

// Client speaks with one account. It may be used by several goroutines.
type Client struct {
	cfg  Config
	base *url.URL
	web  web

	mu      sync.Mutex // guards what follows
	made    []time.Time
	pause   time.Time     // nothing is sent before
	refused secret.Secret // the key that was refused last,
	at      time.Time     // and when
}

// New checks cfg. It does not connect.
func New(cfg Config) (*Client, error) {
	cfg, base, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, base: base, web: newWeb(cfg)}, nil
}

// Close lets go of connections that wait for use.
func (c *Client) Close() {
	c.web.calls.CloseIdleConnections()
	c.web.purchases.CloseIdleConnections()
}

// request is one call.
type request struct {
	op           string // what is attempted, for errors
	method, path string
	query        url.Values
	body         any    // becomes JSON
	accept       string // JSON unless set
	purchase     bool   // not to be repeated
}

// reply is an answer of success.
type reply struct {
	op     string
	status int
	body   []byte
}

// call sends r once and reads the answer.
func (c *Client) call(ctx context.Context, r request) (reply, error) {
	key, err := c.admit(r.op)
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	// Proof that nothing was sent is that there never was a connection to send
	// it on (SC-3): what a connection has taken may have arrived.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := c.build(httptrace.WithClientTrace(ctx, trace), r, key)
	if err != nil {
		return reply{}, &Error{Op: r.op, Outcome: NotSent, cause: err}
	}
	res, err := c.web.do(req, r.purchase)
	if err != nil {
		e := &Error{Op: r.op, cause: bare(err)}
		if !connected.Load() {
			e.Outcome = NotSent
		}
		return reply{}, e
	}
	defer func() { _ = res.Body.Close() }()
	if r.purchase {
		if err := failpoint.Hit(failpoint.Sent); err != nil {
			return reply{}, &Error{Op: r.op, cause: err}
		}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return reply{}, c.failure(r, res, key)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxReply+1))
	switch {
	case err != nil:
		return reply{}, &Error{Op: r.op, Status: res.StatusCode, cause: fmt.Errorf("the answer broke off after %d octets: %w", len(body), bare(err))}
	case int64(len(body)) > c.cfg.MaxReply:
		return reply{}, &Error{Op: r.op, Status: res.StatusCode, cause: fmt.Errorf("%w: it has more than %d octets", ErrUndecodable, c.cfg.MaxReply)}
	}
	return reply{op: r.op, status: res.StatusCode, body: body}, nil
}

func (c *Client) build(ctx context.Context, r request, key secret.Secret) (*http.Request, error) {
	u := c.base.JoinPath(r.path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		content, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		// Without GetBody the transport has nothing to send a second time.
		req.Body, req.ContentLength, req.GetBody = io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", or(r.accept, "application/json"))
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("X-Dc-Devkey", string(key.Reveal()))
	return req, nil
}

// The windows in which the CA counts the requests of a key, and how long a key
// that was refused is not tried again (SC-13).
const (
	shortWindow = 5 * time.Second
	longWindow  = 3 * time.Minute
	keyPause    = time.Minute
)

// admit gets the key, and counts the request. A request that the CA would turn
// away is not sent at all.
func (c *Client) admit(op string) (secret.Secret, error) {
	key, err := c.cfg.Key()
	if err != nil {
		return key, &Error{Op: op, Outcome: NotSent, cause: err}
	}
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && now.Before(c.at.Add(keyPause)) && key.Equal(c.refused) {
		return key, &Error{Op: op, Outcome: NotSent, cause: ErrKey}
	}
	if now.Before(c.pause) {
		return key, &Error{Op: op, Outcome: NotSent, RetryAfter: c.pause.Sub(now), cause: ErrThrottled}
	}
	for len(c.made) > 0 && !c.made[0].After(now.Add(-longWindow)) {
		c.made = c.made[1:]
	}
	wait := time.Duration(0)
	if n := len(c.made); n >= c.cfg.Long {
		wait = c.made[n-c.cfg.Long].Add(longWindow).Sub(now)
	}
	if n := len(c.made); n >= c.cfg.Short {
		wait = max(wait, c.made[n-c.cfg.Short].Add(shortWindow).Sub(now))
	}
	if wait > 0 {
		return key, &Error{Op: op, Outcome: NotSent, RetryAfter: wait, cause: ErrThrottled}
	}
	c.made = append(c.made, now)
	return key, nil
}

// bare takes off the address that package net/http puts around an error: Op
// says what was attempted.
func bare(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // only the outermost layer is taken off
		return u.Err
	}
	return err
}

const (
	// maxMessage bounds what is read of an answer that is no success, and
	// maxText what is kept of it.
	maxMessage = 64 << 10
	maxText    = 500
	// maxRetryAfter caps what a CA may ask for (SC-15).
	maxRetryAfter = time.Hour
	// throttled is how long the CA is left alone when it does not say.
	throttled = 5 * time.Second
)

// failure makes an error of an answer. The status is that of the wire; what
// the body claims about it does not count.
func (c *Client) failure(r request, res *http.Response, key secret.Secret) error {
	e := &Error{Op: r.op, Status: res.StatusCode, RetryAfter: c.retryAfter(res.Header.Get("Retry-After"))}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err == nil {
		// A gateway may repeat what it was sent.
		e.Code, e.Message = complaint([]byte(strings.ReplaceAll(string(body), string(key.Reveal()), "[key]")))
	}
	e.Outcome, e.cause = judge(res.StatusCode, e.Code)
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(e.cause, ErrThrottled):
		e.RetryAfter = or(e.RetryAfter, throttled)
		c.pause = now.Add(e.RetryAfter)
	case res.StatusCode == http.StatusUnauthorized:
		c.refused, c.at = key, now
	}
	return e
}

// complaint reads the body of an error. Of a page made for people only that it
// is one is of use.
func complaint(body []byte) (code, message string) {
	var shape struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(body, &shape); err == nil && len(shape.Errors) > 0 {
		return printable(shape.Errors[0].Code), printable(shape.Errors[0].Message)
	}
	if len(body) > 0 {
		return "", fmt.Sprintf("(%d octets of something else than an error in JSON)", len(body))
	}
	return "", ""
}

// printable makes one short line of a text from outside (SA-5, LG-1).
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "..."
	}
	return text
}

func (c *Client) retryAfter(header string) time.Duration {
	if n, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(c.cfg.Now()), 0), maxRetryAfter)
	}
	return 0
}

// into decodes the JSON of a reply. How the body is labelled does not matter:
// after a purchase what it says is worth more than its label.
func (r reply) into(v any) error {
	if err := json.Unmarshal(r.body, v); err != nil {
		return r.wrong(err)
	}
	return nil
}

func (r reply) wrong(cause error) error {
	return &Error{Op: r.op, Status: r.status, cause: fmt.Errorf("%w: %w", ErrUndecodable, cause)}
}

// get asks for JSON.
func (c *Client) get(ctx context.Context, op, path string, query url.Values, v any) error {
	r, err := c.call(ctx, request{op: op, method: http.MethodGet, path: path, query: query})
	if err != nil {
		return err
	}
	return r.into(v)
}
