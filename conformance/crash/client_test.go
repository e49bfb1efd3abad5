package crash_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client is one account's ACME client. Like a real one it asks again when an
// answer is lost, and unlike a real one it looks, after each restart of the
// server, whether everything is there that it was ever told of.
type client struct {
	server    *server
	web       *responder
	directory string // path
	name      string // what all orders are for, the address of this machine if empty
	key       *ecdsa.PrivateKey
	url       string // of the account
	journal   journal

	urls  map[string]string // of the directory
	nonce string
	seen  int // number of the process that answered last
	// unsure is set while nobody can know whether the account still has its
	// key, because an answer is missing.
	unsure bool
	// answered, if any, is called after every answer to a request that changed
	// something, before the client does anything else.
	answered func(ctx context.Context) error
	// refused counts answers with status 500 and above.
	refused int
}

type answer struct {
	status   int
	location string
	body     []byte
}

// problem is an error answer.
type problem struct {
	Status int    `json:"-"`
	URL    string `json:"-"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s", p.URL, p.Status, p.kind(), p.Detail)
}

func (p *problem) kind() string { return strings.TrimPrefix(p.Type, "urn:ietf:params:acme:error:") }

// is says whether err is a problem of that type.
func is(err error, kind string) bool {
	var p *problem
	return errors.As(err, &p) && p.kind() == kind
}

// errLost is the outcome of a request whose answer did not come, or was that
// the server failed: nobody can tell whether it took effect.
var errLost = errors.New("the answer is lost")

// post asks until there is an answer.
func (c *client) post(ctx context.Context, url string, payload any) (answer, error) {
	for {
		a, err := c.ask(ctx, url, payload)
		if !errors.Is(err, errLost) {
			return a, err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return a, fmt.Errorf("%s: %w", url, err)
		}
	}
}

// pause waits before a question is repeated.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// ask asks once. It first waits for a server, and when that is another process
// than before, looks for what was acknowledged earlier.
func (c *client) ask(ctx context.Context, url string, payload any) (answer, error) {
	p, err := c.server.running(ctx)
	if err != nil {
		return answer{}, err
	}
	if c.seen != p.number {
		c.seen, c.nonce = p.number, ""
		if !c.unsure && c.url != "" {
			if err := c.verify(ctx); err != nil {
				return answer{}, fmt.Errorf("after the start of process %d: %w", p.number, err)
			}
		}
	}
	a, err := c.signed(ctx, p, c.key, url, payload)
	if is(err, "badNonce") { // R8555-6.5-5
		a, err = c.signed(ctx, p, c.key, url, payload)
	}
	if err == nil && payload != nil && c.answered != nil {
		err = c.answered(ctx)
	}
	return a, err
}

// signed sends one request to one process.
func (c *client) signed(ctx context.Context, p *process, key *ecdsa.PrivateKey, url string, payload any) (answer, error) {
	h := header{URL: url, KeyID: c.url}
	if c.url == "" {
		k, err := jwkOf(key)
		if err != nil {
			return answer{}, err
		}
		h.Key = &k
	}
	return c.signedWith(ctx, p, key, h, payload)
}

func (c *client) signedWith(ctx context.Context, p *process, key *ecdsa.PrivateKey, h header, payload any) (answer, error) {
	if c.nonce == "" {
		newNonce, err := c.entry(ctx, p, "newNonce")
		if err != nil {
			return answer{}, err
		}
		if _, err := c.send(ctx, p, http.MethodHead, newNonce, nil); err != nil {
			return answer{}, err
		}
	}
	h.Nonce, c.nonce = c.nonce, ""
	m, err := sign(key, h, payload)
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return answer{}, err
	}
	return c.send(ctx, p, http.MethodPost, h.URL, body)
}

// entry returns a URL of the directory.
func (c *client) entry(ctx context.Context, p *process, name string) (string, error) {
	if c.urls == nil {
		a, err := c.send(ctx, p, http.MethodGet, c.server.base()+c.directory, nil)
		if err != nil {
			return "", err
		}
		var members map[string]any
		if err := json.Unmarshal(a.body, &members); err != nil {
			return "", err
		}
		c.urls = map[string]string{}
		for k, v := range members {
			c.urls[k], _ = v.(string)
		}
	}
	return c.urls[name], nil
}

// find returns a URL of the directory, asking for as long as it takes.
func (c *client) find(ctx context.Context, name string) (string, error) {
	for {
		p, err := c.server.running(ctx)
		if err != nil {
			return "", err
		}
		url, err := c.entry(ctx, p, name)
		if !errors.Is(err, errLost) {
			return url, err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", err
		}
	}
}

func (c *client) send(ctx context.Context, p *process, method, url string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/jose+json")
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errLost, err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errLost, err)
	}
	if nonce := resp.Header.Get("Replay-Nonce"); nonce != "" {
		c.nonce = nonce
	}
	if resp.StatusCode < 400 {
		return answer{resp.StatusCode, resp.Header.Get("Location"), read}, nil
	}
	x := &problem{Status: resp.StatusCode, URL: url}
	if json.Unmarshal(read, x) != nil {
		x.Detail = string(read[:min(len(read), 200)])
	}
	if x.Status >= 500 {
		c.refused++
		return answer{}, fmt.Errorf("%w: %w", errLost, x)
	}
	return answer{}, x
}

// read asks for the object at a URL.
func read[T any](ctx context.Context, c *client, url string) (T, error) {
	return decode[T](c.post(ctx, url, nil))
}

func decode[T any](a answer, err error) (v T, _ error) {
	if err == nil {
		err = json.Unmarshal(a.body, &v)
	}
	return v, err
}
