package caclient

import (
	"net/http"
	"slices"

	"acmebridge/internal/secret"
)

// Credentials are what a call is made with.
type Credentials struct {
	Header http.Header
	// Secrets are those in Header.
	Secrets []secret.Secret
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
	if c.refusals.Hold(c.cfg.Now(), with.Secrets...) {
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
	if c.cfg.Credentials != nil {
		c.refusals.Refused(c.cfg.Now(), call.credentials...)
	}
}
