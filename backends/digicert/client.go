package digicert

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// Client speaks with one account. It may be used by several goroutines.
type Client struct{ web *caclient.Client }

// The windows in which the CA counts the requests of a key.
const (
	shortWindow = 5 * time.Second
	longWindow  = 3 * time.Minute
)

// New checks cfg. It does not connect.
func New(cfg Config) (*Client, error) {
	if cfg.Key == nil {
		return nil, errors.New("digicert: there is no API key")
	}
	web, err := caclient.New(caclient.Config{
		Name: "digicert", Like: "https://HOST/services/v2", URL: cfg.URL, Dial: cfg.Dial, RootCAs: cfg.RootCAs, UserAgent: cfg.UserAgent,
		Timeout: cfg.Timeout, MaxReply: cfg.MaxReply, Complaint: complaint, Now: cfg.Now,
		Rates: []caclient.Rate{{Requests: or(cfg.Short, 90), Within: shortWindow}, {Requests: or(cfg.Long, 900), Within: longWindow}},
		Credentials: func() (caclient.Credentials, error) {
			key, err := cfg.Key()
			if err != nil {
				return caclient.Credentials{}, err
			}
			return caclient.Credentials{Header: http.Header{"X-Dc-Devkey": {string(key.Reveal())}}, Secrets: []secret.Secret{key}}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &Client{web: web}, nil
}

// Close lets go of connections that wait for use.
func (c *Client) Close() { c.web.Close() }

// complaint reads the shape of errors. All of the CA have a code.
func complaint(body []byte) (code, message string) {
	var shape struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &shape) != nil || len(shape.Errors) == 0 || shape.Errors[0].Code == "" {
		return "", ""
	}
	return shape.Errors[0].Code, shape.Errors[0].Message
}

// hasCode reports whether the CA gave that code, as a whole or as the family
// before the bar.
func hasCode(err error, code string) bool {
	given := caclient.CodeOf(err)
	family, _, _ := strings.Cut(given, "|")
	return given == code || family == code
}

// get asks for JSON.
func (c *Client) get(ctx context.Context, op, path string, query url.Values, v any) error {
	return c.web.Get(ctx, caclient.Call{Op: op, Path: path, Query: query}, v)
}
