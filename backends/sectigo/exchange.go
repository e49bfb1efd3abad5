package sectigo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"acmebridge/internal/failpoint"
	"acmebridge/internal/secret"
)

const jsonType = "application/json;charset=UTF-8"

// request is one call. Its body is kept whole, so that it can be sent anew
// after a 401, by us and by nobody else.
type request struct {
	op           string // what is attempted, for errors
	method, path string
	query        url.Values
	contentType  string // the JSON type unless set
	accept       string // the same as contentType unless set
	body         []byte
	limit        int64         // of the reply; MaxReply unless set
	timeout      time.Duration // CallTimeout unless set
	purchase     bool          // costs money
}

// reply is an answer of success.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends r once and reads the answer. With an empty token there is no
// Authorization header.
func (c *Client) exchange(ctx context.Context, r request, token secret.Secret) (reply, error) {
	if err := c.gate.pass(ctx); err != nil {
		return reply{}, notSent(r.op, fmt.Errorf("wait for a turn to ask the CA: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, or(r.timeout, c.cfg.CallTimeout))
	defer cancel()
	// Proof that nothing was sent is that there never was a connection to send
	// it on (SC-3): what a connection has taken may have arrived.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), r.method, c.address(r), nil)
	if err != nil {
		return reply{}, notSent(r.op, err)
	}
	if r.body != nil {
		// Without GetBody the transport has nothing to send a second time.
		req.Body, req.ContentLength, req.GetBody = io.NopCloser(bytes.NewReader(r.body)), int64(len(r.body)), nil
	}
	contentType := or(r.contentType, jsonType)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", or(r.accept, contentType))
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if !token.Empty() {
		req.Header.Set("Authorization", "Bearer "+string(token.Reveal()))
	}
	res, err := c.web.do(req, r.purchase)
	if err != nil {
		if !connected.Load() {
			return reply{}, notSent(r.op, bare(err))
		}
		return reply{}, &Error{Op: r.op, cause: bare(err)}
	}
	defer func() { _ = res.Body.Close() }()
	if r.purchase {
		if err := failpoint.Hit(failpoint.Sent); err != nil {
			return reply{}, &Error{Op: r.op, cause: err}
		}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return reply{header: res.Header, status: res.StatusCode}, c.failure(r, res, token)
	}
	limit := or(r.limit, c.cfg.MaxReply)
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return reply{}, &Error{Op: r.op, Status: res.StatusCode, cause: fmt.Errorf("the answer broke off after %d octets: %w", len(body), bare(err))}
	case int64(len(body)) > limit:
		return reply{}, &Error{Op: r.op, Status: res.StatusCode, cause: fmt.Errorf("%w: it has more than %d octets", ErrUndecodable, limit)}
	}
	return reply{status: res.StatusCode, header: res.Header, body: body}, nil
}

func (c *Client) address(r request) string {
	u := *c.base
	u.Path, u.RawQuery = r.path, r.query.Encode()
	return u.String()
}

// bare takes off the address that package net/http puts around an error: Op
// says what was attempted.
func bare(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // only the outermost layer is taken off
		return u.Err
	}
	return err
}

// maxMessage bounds what is read of an answer that is no success, and
// maxMessageText what is kept of it.
const (
	maxMessage     = 64 << 10
	maxMessageText = 500
)

// failure makes an error of an answer. The status is that of the wire; what
// the body claims about it does not count.
func (c *Client) failure(r request, res *http.Response, token secret.Secret) error {
	e := &Error{Op: r.op, Status: res.StatusCode, RetryAfter: c.retryAfter(res.Header.Get("Retry-After"))}
	e.Outcome, e.cause = judge(res.StatusCode)
	body, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err != nil {
		return e // the status is what counts
	}
	e.Code, e.Message = complaint(res.Header.Get("Content-Type"), body)
	e.Message = printable(c.session.redact(e.Message, token))
	return e
}

// complaint reads the body of an error: JSON of either shape that is known, or
// plain text. Of a page made for people only that it is one is of use.
func complaint(contentType string, body []byte) (code int64, message string) {
	var shape struct {
		Message string `json:"message"`
		Error   string `json:"error"`
		Code    int64  `json:"errorCode"`
	}
	// A damaged field leaves the others readable.
	if looksLikeJSON(body) && json.Valid(body) {
		_ = decode(body, &shape)
		return shape.Code, or(shape.Message, shape.Error)
	}
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && kind == "text/plain":
		return 0, string(body)
	case len(body) > 0:
		return 0, fmt.Sprintf("(%d octets of something else than JSON or plain text)", len(body))
	}
	return 0, ""
}

func looksLikeJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
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
	if runes := []rune(text); len(runes) > maxMessageText {
		return string(runes[:maxMessageText]) + "..."
	}
	return text
}

// maxRetryAfter caps what a CA may ask for (SC-15).
const maxRetryAfter = time.Hour

func (c *Client) retryAfter(header string) time.Duration {
	if header == "" {
		return 0
	}
	if n, err := strconv.ParseInt(header, 10, 64); err == nil {
		if n <= 0 {
			return 0
		}
		return time.Duration(min(n, int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(c.cfg.Now()), 0), maxRetryAfter)
	}
	return 0
}

// into decodes the JSON of a reply. Whether the body is labelled as JSON does
// not matter when it is JSON of the right shape: after a purchase what it says
// is worth more than its label.
func (r reply) into(op string, v any) error {
	if len(bytes.TrimSpace(r.body)) == 0 {
		return &Error{Op: op, Status: r.status, cause: fmt.Errorf("%w: it is empty", ErrUndecodable)}
	}
	if err := decode(r.body, v); err != nil {
		return &Error{Op: op, Status: r.status, cause: fmt.Errorf("%w: %w", ErrUndecodable, err)}
	}
	return nil
}
