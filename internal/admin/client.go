package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"time"
)

// ErrNotRunning is returned by Dial when no server runs on that data folder.
var ErrNotRunning = errors.New("no server is running on that data folder")

// Client calls a handler of this package.
type Client struct{ http *http.Client }

// Dial returns a client of the server that runs on a data folder.
func Dial(dataDir string) (*Client, error) {
	path := filepath.Join(dataDir, SocketName)
	conn, err := dialSocket(path, 2*time.Second)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("connect to %s: %w; run this as the user that runs the server", path, err)
	case err != nil:
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	_ = conn.Close()
	t := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dialSocket(path, 5*time.Second) },
		DisableKeepAlives: true,
	}
	return &Client{&http.Client{Transport: t}}, nil
}

// InProcess returns a client that calls h directly.
func InProcess(h http.Handler) *Client { return &Client{&http.Client{Transport: direct{h}}} }

// Error is what the handler had against a request.
type Error struct {
	Status int
	Text   string
}

// Error returns the handler's sentence.
func (e *Error) Error() string { return e.Text }

// Stale reports whether a change was refused because somebody else has changed
// the record since it was read: it can be made again, from what there is now.
func Stale(err error) bool {
	var answer *Error
	return errors.As(err, &answer) && answer.Status == http.StatusPreconditionFailed
}

// do makes one request; the caller closes the body.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, body)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var f failure
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(b, &f) != nil || f.Error == "" {
		f.Error = fmt.Sprintf("the server answered with status %d; its version may differ from that of this command", resp.StatusCode)
	}
	return nil, &Error{Status: resp.StatusCode, Text: f.Error}
}

func decode[T any](resp *http.Response, err error) (v T, _ error) {
	if err != nil {
		return v, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("read the server's answer: %w", err)
	}
	return v, nil
}

// Get reads one thing.
func Get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return decode[T](c.do(ctx, http.MethodGet, path, nil)) //nolint:bodyclose // decode closes it
}

// Post changes something.
func Post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return decode[T](c.do(ctx, http.MethodPost, path, in)) //nolint:bodyclose // decode closes it
}

// All calls fn for every item of a list, page by page.
func All[T any](ctx context.Context, c *Client, path string, query url.Values, fn func(T) error) error {
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	for {
		page, err := Get[Page[T]](ctx, c, path+"?"+q.Encode())
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := fn(item); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Set("after", page.Next)
	}
}

// Stream copies something long to w. An error means that w has not all of it.
func (c *Client) Stream(ctx context.Context, path string, w io.Writer) error {
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	switch outcome := resp.Trailer.Get(checkTrailer); outcome {
	case "ok":
		return nil
	case "":
		return errors.New("the server's answer broke off")
	default:
		return errors.New(outcome)
	}
}
