package caclient

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"acmebridge/internal/secret"
)

// Credentials are what a call is made with.
type Credentials struct {
	Header http.Header
	// Secrets are those in Header.
	Secrets []secret.Secret
}

// credentialsPause is how long credentials that were refused are left alone
// (SC-13).
const credentialsPause = time.Minute

// refusals remembers what was refused last.
type refusals struct {
	mu      sync.Mutex // guards what follows
	secrets []secret.Secret
	at      time.Time // zero never
}

// authorize puts credentials into a call. Those that were refused a moment ago are
// not tried again, until they are replaced.
func (c *Client) authorize(call *Call) error {
	if c.cfg.Credentials == nil {
		return nil
	}
	with, err := c.cfg.Credentials()
	if err != nil {
		return err
	}
	r := &c.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && c.cfg.Now().Before(r.at.Add(credentialsPause)) && slices.EqualFunc(with.Secrets, r.secrets, secret.Secret.Equal) {
		return ErrCredentials
	}
	header := call.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	for name, values := range with.Header {
		header[name] = values
	}
	call.Header, call.Secrets, call.credentials = header, slices.Concat(call.Secrets, with.Secrets), with.Secrets
	return nil
}

// turnedAway notes that the CA does not let in what a call was made with.
func (c *Client) turnedAway(call Call) {
	if c.cfg.Credentials == nil {
		return
	}
	c.refusals.mu.Lock()
	defer c.refusals.mu.Unlock()
	c.refusals.secrets, c.refusals.at = call.credentials, c.cfg.Now()
}
