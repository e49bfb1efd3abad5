package caclient

import (
	"bytes"
	"context"
	"crypto/sha256"
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

// Client speaks with one CA. It may be used by several goroutines.
type Client struct {
	cfg  Config
	base *url.URL
	web  web

	mu    sync.Mutex  // guards what follows
	slots []time.Time // when requests were made, or will be
	pause time.Time   // nothing is sent before

	refusals Refusals
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

// Call is one request.
type Call struct {
	Op           string // what is attempted, for errors
	Method, Path string // Path is below the root of the API
	Query        url.Values
	Body         any // becomes JSON
	// Content is sent as it is, in place of Body. What it is stands in Header.
	Content []byte
	Header  http.Header
	// Timeout and MaxReply are those of Config unless set.
	Timeout  time.Duration
	MaxReply int64
	// Purchase is not to be repeated.
	Purchase bool
	// Secrets are in Header or Body. A gateway may repeat what it was sent, so
	// they are taken out of what the CA says.
	Secrets []secret.Secret

	credentials []secret.Secret // those of Config.Credentials
}

// Reply is an answer of success.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte

	ca, op string
}

// Do makes a call once and reads the answer.
func (c *Client) Do(ctx context.Context, call Call) (Reply, error) {
	failed := func(o Outcome, cause error) error {
		return &Error{CA: c.cfg.Name, Op: call.Op, Outcome: o, cause: cause}
	}
	if err := c.authorize(&call); err != nil {
		return Reply{}, failed(NotSent, err)
	}
	if err := c.admit(ctx, call.Op); err != nil {
		return Reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, or(call.Timeout, c.cfg.Timeout))
	defer cancel()
	// Proof that nothing was sent is that there never was a connection to send
	// it on (SC-3): what a connection has taken may have arrived.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := c.build(httptrace.WithClientTrace(ctx, trace), call)
	if err != nil {
		return Reply{}, failed(NotSent, err)
	}
	res, err := c.web.do(req, call.Purchase)
	switch {
	case err != nil && connected.Load():
		return Reply{}, failed(Unknown, bare(err))
	case err != nil:
		return Reply{}, failed(NotSent, bare(err))
	}
	defer func() { _ = res.Body.Close() }()
	if call.Purchase {
		if err := failpoint.Hit(failpoint.Sent); err != nil {
			return Reply{}, failed(Unknown, err)
		}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return Reply{}, c.failure(call, res)
	}
	if call.credentials != nil {
		c.refusals.LetIn()
	}
	r := Reply{Status: res.StatusCode, Header: res.Header, ca: c.cfg.Name, op: call.Op}
	limit := or(call.MaxReply, c.cfg.MaxReply)
	r.Body, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return Reply{}, r.Wrong(fmt.Errorf("it broke off after %d octets: %w", len(r.Body), bare(err)))
	case int64(len(r.Body)) > limit:
		return Reply{}, r.Wrong(fmt.Errorf("it has more than %d octets", limit))
	}
	return r, nil
}

func (c *Client) build(ctx context.Context, call Call) (*http.Request, error) {
	u := c.base.JoinPath(call.Path)
	u.RawQuery = call.Query.Encode()
	req, err := http.NewRequestWithContext(ctx, call.Method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	content := call.Content
	if call.Body != nil {
		if content, err = json.Marshal(call.Body); err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", c.cfg.ContentType)
	}
	if content != nil {
		// Without GetBody the transport has nothing to send a second time.
		req.Body, req.ContentLength, req.GetBody = io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	return req, nil
}

// admit waits for the turn of a request, where that is soon. A request that the
// CA would turn away is not sent at all.
func (c *Client) admit(ctx context.Context, op string) error {
	now := c.cfg.Now()
	wait, err := c.slot(now)
	if err != nil {
		return &Error{CA: c.cfg.Name, Op: op, Outcome: NotSent, RetryAfter: wait, cause: err}
	}
	if wait <= 0 {
		return nil
	}
	turn := time.NewTimer(wait)
	defer turn.Stop()
	select {
	case <-turn.C:
		return nil
	case <-ctx.Done():
		return &Error{CA: c.cfg.Name, Op: op, Outcome: NotSent, cause: ctx.Err()}
	}
}

// slot takes the next turn, and says how far off it is.
func (c *Client) slot(now time.Time) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.pause) {
		return c.pause.Sub(now), ErrThrottled
	}
	if len(c.cfg.Rates) == 0 {
		return 0, nil
	}
	at, longest, most := now, time.Duration(0), 0
	for _, r := range c.cfg.Rates {
		longest, most = max(longest, r.Within), max(most, r.Requests)
		if n := len(c.slots); n >= r.Requests {
			if free := c.slots[n-r.Requests].Add(r.Within); free.After(at) {
				at = free
			}
		}
	}
	wait := at.Sub(now)
	if wait > c.cfg.Patience {
		return wait, ErrThrottled
	}
	for len(c.slots) > most && !c.slots[0].After(now.Add(-longest)) {
		c.slots = c.slots[1:]
	}
	c.slots = append(c.slots, at)
	return wait, nil
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
func (c *Client) failure(call Call, res *http.Response) error {
	e := &Error{CA: c.cfg.Name, Op: call.Op, Status: res.StatusCode, RetryAfter: c.retryAfter(res.Header.Get("Retry-After"))}
	ofService := false
	if body, err := io.ReadAll(io.LimitReader(res.Body, maxMessage)); err == nil {
		e.Code, e.Message = c.cfg.Complaint(body)
		ofService = e.Code != "" || e.Message != ""
		if !ofService && len(body) > 0 {
			// Of a page made for people only that it is one is of use.
			e.Message = fmt.Sprintf("(%d octets of something else than an error in JSON)", len(body))
		}
		e.Code, e.Message = Printable(Redact(e.Code, call.Secrets)), Printable(Redact(e.Message, call.Secrets))
	}
	e.Outcome, e.cause = c.judge(res.StatusCode, ofService)
	if res.StatusCode == http.StatusUnauthorized {
		c.turnedAway(call)
	}
	if errors.Is(e.cause, ErrThrottled) {
		e.RetryAfter = or(e.RetryAfter, throttled)
		c.mu.Lock()
		defer c.mu.Unlock()
		if until := c.cfg.Now().Add(e.RetryAfter); until.After(c.pause) {
			c.pause = until
		}
	}
	return e
}

// Redact takes secrets out of a text that may repeat them (SK-10).
func Redact(text string, secrets []secret.Secret) string {
	for _, s := range secrets {
		if !s.Empty() {
			text = strings.ReplaceAll(text, string(s.Reveal()), "[redacted]")
		}
	}
	return text
}

// Printable makes one short line of a text from outside (SA-5, LG-1).
func Printable(text string) string {
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

// Fact bounds what is kept of a value that is compared with what it was; what is
// cut off still counts.
func Fact(text string) string {
	const most = 200
	if len(text) <= most {
		return Printable(text)
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s... (%x)", Printable(strings.ToValidUTF8(text[:most], "")), sum[:8])
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

// JSON decodes a reply. How the body is labelled does not matter: after a
// purchase what it says is worth more than its label.
func (r Reply) JSON(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return r.Wrong(err)
	}
	return nil
}

// Wrong is the error of a reply of success that cannot be what was asked for.
func (r Reply) Wrong(cause error) error {
	return &Error{CA: r.ca, Op: r.op, Status: r.Status, cause: fmt.Errorf("%w: %w", ErrUndecodable, cause)}
}

// Get asks for JSON.
func (c *Client) Get(ctx context.Context, call Call, v any) error {
	call.Method = http.MethodGet
	r, err := c.Do(ctx, call)
	if err != nil {
		return err
	}
	return r.JSON(v)
}

// Below returns what an address that the CA has named is below the root of the
// API. An address of another origin or of another place there is an error
// (SC-11).
func (c *Client) Below(location string) (string, error) {
	u, err := c.base.Parse(location)
	if err != nil || location == "" {
		return "", fmt.Errorf("%s: %q is no address", c.cfg.Name, Printable(location))
	}
	path, below := strings.CutPrefix(u.Path, c.base.Path)
	if u.Scheme != c.base.Scheme || u.Host != c.base.Host || !below || path == "" || strings.Contains(path, "..") {
		return "", fmt.Errorf("%s: the CA names an address that is not below its own: %q", c.cfg.Name, Printable(location))
	}
	return path, nil
}
