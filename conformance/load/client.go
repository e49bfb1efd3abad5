package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer; the largest real one is a chain.
const maxAnswer = 1 << 20

const badNonce = "urn:ietf:params:acme:error:badNonce"

// directory holds the URLs this client needs.
type directory struct {
	NewNonce   string `json:"newNonce"`
	NewAccount string `json:"newAccount"`
	NewOrder   string `json:"newOrder"`
}

// account is one registration; clients may share it.
type account struct {
	key        *ecdsa.PrivateKey
	jwk        jwk
	thumbprint string
	url        string // empty until registered
}

// client sends requests one after the other over its own connection, so it needs to
// remember no more than the latest nonce.
type client struct {
	http      *http.Client
	directory directory
	accounts  []*account // that it orders for, in turn
	account   *account   // whose turn it is
	turn      int
	nonce     string
	requests  int // all requests sent, nonces included
	badNonces int // requests that were sent again because of the nonce
}

// answer is what the client keeps of a response.
type answer struct {
	status     int
	location   string
	retryAfter time.Duration // 0 when the server did not say
	body       []byte
}

// problem is an error answer of the server.
type problem struct {
	Status int    `json:"-"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", p.Status, p.kind(), p.Detail)
}

// kind is short enough for a table.
func (p *problem) kind() string {
	if p.Type == "" {
		return "HTTP " + strconv.Itoa(p.Status)
	}
	return strings.TrimPrefix(p.Type, "urn:ietf:params:acme:error:")
}

// errProtocol is an answer that is a success but not what RFC 8555 promises.
var errProtocol = errors.New("unexpected answer")

func fetchDirectory(ctx context.Context, h *http.Client, url string) (directory, error) {
	var d directory
	c := &client{http: h}
	a, err := c.send(ctx, http.MethodGet, url, nil)
	if err == nil {
		err = json.Unmarshal(a.body, &d)
	}
	if err == nil && (d.NewNonce == "" || d.NewAccount == "" || d.NewOrder == "") {
		err = fmt.Errorf("%w: newNonce, newAccount or newOrder is missing", errProtocol)
	}
	if err != nil {
		return d, fmt.Errorf("read the directory %s: %w", url, err)
	}
	return d, nil
}

// nextAccount gives the turn to the next account.
func (c *client) nextAccount() {
	c.account = c.accounts[c.turn%len(c.accounts)]
	c.turn++
}

// register creates one more account for the client, under the external account key if
// there is one.
func (c *client) register(ctx context.Context, keyID, hmacKey string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make an account key: %w", err)
	}
	public, err := publicJWK(key)
	if err != nil {
		return err
	}
	c.account = &account{key: key, jwk: public, thumbprint: public.thumbprint()}
	payload := struct {
		Agreed  bool            `json:"termsOfServiceAgreed"`
		Contact []string        `json:"contact"`
		Binding json.RawMessage `json:"externalAccountBinding,omitempty"`
	}{Agreed: true, Contact: []string{"mailto:load@acmebridge.test"}}
	if keyID != "" {
		if payload.Binding, err = bindExternalAccount(keyID, hmacKey, c.directory.NewAccount, c.account.jwk); err != nil {
			return err
		}
	}
	a, err := c.post(ctx, c.directory.NewAccount, payload)
	if err != nil {
		return fmt.Errorf("register an account: %w", err)
	}
	if a.location == "" {
		return fmt.Errorf("register an account: %w: no Location", errProtocol)
	}
	c.account.url = a.location
	c.accounts = append(c.accounts, c.account)
	return nil
}

// post signs and sends a request. A badNonce answer brings the nonce for one more try
// (R8555-6.5-5); a second one is an error, because then something is really wrong.
func (c *client) post(ctx context.Context, url string, payload any) (answer, error) {
	a, err := c.postOnce(ctx, url, payload)
	var p *problem
	if errors.As(err, &p) && p.Type == badNonce {
		c.badNonces++
		a, err = c.postOnce(ctx, url, payload)
	}
	return a, err
}

func (c *client) postOnce(ctx context.Context, url string, payload any) (answer, error) {
	if c.nonce == "" {
		if _, err := c.send(ctx, http.MethodHead, c.directory.NewNonce, nil); err != nil {
			return answer{}, fmt.Errorf("get a nonce: %w", err)
		}
		if c.nonce == "" {
			return answer{}, fmt.Errorf("get a nonce: %w: no Replay-Nonce", errProtocol)
		}
	}
	header := protected{URL: url, Nonce: c.nonce, KeyID: c.account.url}
	if c.account.url == "" {
		header.Key = &c.account.jwk
	}
	c.nonce = "" // spent, whatever becomes of the request
	body, err := signES256(c.account.key, header, payload)
	if err != nil {
		return answer{}, err
	}
	return c.send(ctx, http.MethodPost, url, body)
}

func (c *client) send(ctx context.Context, method, url string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("User-Agent", "acmebridge-load")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/jose+json")
	}
	c.requests++
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	// Read to the end, else the connection is not used again.
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if nonce := resp.Header.Get("Replay-Nonce"); nonce != "" {
		c.nonce = nonce
	}
	if resp.StatusCode >= 400 {
		p := &problem{Status: resp.StatusCode}
		if json.Unmarshal(read, p) != nil {
			p.Detail = string(read[:min(len(read), 200)])
		}
		return answer{}, p
	}
	return answer{
		status:     resp.StatusCode,
		location:   resp.Header.Get("Location"),
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		body:       read,
	}, nil
}

// parseRetryAfter reads both forms of the header; zero means that it said nothing
// usable, or a moment that has passed.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
