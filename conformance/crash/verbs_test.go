package crash_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// The wire forms, as far as this client reads them.
type (
	account struct {
		Status  string   `json:"status"`
		Contact []string `json:"contact"`
	}
	order struct {
		Status         string   `json:"status"`
		Authorizations []string `json:"authorizations"`
		Finalize       string   `json:"finalize"`
		Certificate    string   `json:"certificate"`
		Error          *problem `json:"error"`
	}
	authorization struct {
		Status     string      `json:"status"`
		Challenges []challenge `json:"challenges"`
	}
	challenge struct {
		Type   string   `json:"type"`
		URL    string   `json:"url"`
		Status string   `json:"status"`
		Token  string   `json:"token"`
		Error  *problem `json:"error"`
	}
)

// binding is an external account key as the operator hands it out.
type binding struct{ kid, mac string }

// register makes the account, asking again with the same key and the same
// binding when the answer is lost: the binding is good for one account, and
// must not be used up by an attempt that was not answered.
func (c *client) register(ctx context.Context, b binding) error {
	url, err := c.find(ctx, "newAccount")
	if err != nil {
		return err
	}
	payload := map[string]any{"termsOfServiceAgreed": true, "contact": []string{"mailto:first@example.org"}}
	if b.kid != "" {
		if payload["externalAccountBinding"], err = bind(b.kid, b.mac, url, c.key); err != nil {
			return err
		}
	}
	a, err := c.post(ctx, url, payload)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	c.url, c.journal.account, c.journal.contact = a.location, true, []string{"mailto:first@example.org"}
	return nil
}

// open places an order. When the answer is lost a second one is placed, as
// clients do; what became of the first is then nobody's concern.
func (c *client) open(ctx context.Context) (*orderNote, error) {
	url, err := c.find(ctx, "newOrder")
	if err != nil {
		return nil, err
	}
	of := map[string]string{"type": "ip", "value": "127.0.0.1"}
	if c.name != "" {
		of = map[string]string{"type": "dns", "value": c.name}
	}
	a, err := c.post(ctx, url, map[string]any{"identifiers": []map[string]string{of}})
	x, err := decode[order](a, err)
	if err != nil {
		return nil, fmt.Errorf("place an order: %w", err)
	}
	o := &orderNote{url: a.location, authorizations: x.Authorizations, finalize: x.Finalize, key: newKey()}
	if err := o.note(x); err != nil {
		return nil, err
	}
	c.journal.orders = append(c.journal.orders, o)
	return o, nil
}

// proveAhead proves the name that all orders are for ahead of any. When the
// answer is lost it begins anew; what became of the first is nobody's concern.
func (c *client) proveAhead(ctx context.Context) error {
	url, err := c.find(ctx, "newAuthz")
	if err != nil {
		return err
	}
	made, err := c.post(ctx, url, map[string]any{"identifier": map[string]string{"type": "ip", "value": "127.0.0.1"}})
	a, err := decode[authorization](made, err)
	if err != nil {
		return fmt.Errorf("prove ahead: %w", err)
	}
	thumb, err := thumbprint(c.key)
	if err != nil {
		return err
	}
	ch := a.Challenges[0]
	c.web.present(ch.Token, ch.Token+"."+thumb, prompt)
	if _, err := c.post(ctx, ch.URL, struct{}{}); err != nil {
		return fmt.Errorf("respond to %s: %w", ch.URL, err)
	}
	return c.until(ctx, func() (bool, error) {
		a, err := read[authorization](ctx, c, made.location)
		if err == nil && a.Status != "valid" && a.Status != "pending" {
			err = fmt.Errorf("authorization %s is %s: %w", made.location, a.Status, a.Challenges[0].Error)
		}
		return a.Status == "valid", err
	})
}

// prove has the challenge of each authorization tried, and waits for the order
// to be ready.
func (c *client) prove(ctx context.Context, o *orderNote, m manner) error {
	thumb, err := thumbprint(c.key)
	if err != nil {
		return err
	}
	for _, url := range o.authorizations {
		a, err := read[authorization](ctx, c, url)
		if err != nil {
			return err
		}
		if len(a.Challenges) != 1 {
			return fmt.Errorf("%s has %d challenges", url, len(a.Challenges))
		}
		ch := a.Challenges[0]
		c.web.present(ch.Token, ch.Token+"."+thumb, m)
		answered, err := decode[challenge](c.post(ctx, ch.URL, struct{}{}))
		if err != nil {
			return fmt.Errorf("respond to %s: %w", ch.URL, err)
		}
		if answered.Status == "valid" { // D4: and with it the authorization
			o.valid = append(o.valid, url)
		}
		if err := c.until(ctx, func() (bool, error) {
			a, err := read[authorization](ctx, c, url)
			switch {
			case err != nil:
			case a.Status == "invalid":
				err = fmt.Errorf("authorization %s is invalid: %w", url, a.Challenges[0].Error)
			case a.Status != "valid" && slices.Contains(o.valid, url):
				err = missing("the challenge of authorization %s was valid, and it is %s", url, a.Status)
			}
			return a.Status == "valid", err
		}); err != nil {
			return fmt.Errorf("prove %s: %w", url, err)
		}
		if !slices.Contains(o.valid, url) {
			o.valid = append(o.valid, url)
		}
	}
	x, err := read[order](ctx, c, o.url)
	if err != nil {
		return err
	}
	// D4: with the last authorization the order is ready, in one commit.
	if x.Status != "ready" {
		return missing("all authorizations of %s are valid, and it is %s", o.url, x.Status)
	}
	return o.note(x)
}

// until asks until the answer is good.
func (c *client) until(ctx context.Context, good func() (bool, error)) error {
	for {
		ok, err := good()
		if ok || err != nil {
			return err
		}
		if err := pause(ctx, 30*time.Millisecond); err != nil {
			return err
		}
	}
}

// errFailed is an order that ended badly by itself.
var errFailed = errors.New("the order failed")

// conclude finalizes, with the same CSR as often as it takes, and downloads.
func (c *client) conclude(ctx context.Context, o *orderNote) error {
	if err := c.close(ctx, o); err != nil {
		return err
	}
	return c.fetch(ctx, o)
}

// close finalizes.
func (c *client) close(ctx context.Context, o *orderNote) error {
	wanted := &x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	if c.name != "" {
		wanted = &x509.CertificateRequest{DNSNames: []string{c.name}}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, wanted, o.key)
	if err != nil {
		return err
	}
	x, err := decode[order](c.post(ctx, o.finalize, map[string]string{"csr": b64(csr)}))
	if is(err, "orderNotReady") { // it may have been closed by a request whose answer was lost
		x, err = read[order](ctx, c, o.url)
	}
	if err != nil {
		return fmt.Errorf("finalize %s: %w", o.url, err)
	}
	return o.note(x)
}

// fetch waits for the certificate of an order and downloads it.
func (c *client) fetch(ctx context.Context, o *orderNote) error {
	err := c.until(ctx, func() (bool, error) {
		x, err := read[order](ctx, c, o.url)
		if err != nil {
			return false, err
		}
		if err := o.note(x); err != nil {
			return false, err
		}
		if x.Status == "invalid" {
			return false, fmt.Errorf("%w: %w", errFailed, x.Error)
		}
		return x.Status == "valid", nil
	})
	if err != nil {
		return fmt.Errorf("wait for order %s, which is %s: %w", o.url, o.status, err)
	}
	a, err := c.post(ctx, o.certificateURL, nil)
	if err != nil {
		return fmt.Errorf("download %s: %w", o.certificateURL, err)
	}
	leaf, err := leafOf(a.body)
	if err != nil {
		return err
	}
	if !o.key.PublicKey.Equal(leaf.PublicKey) {
		return fmt.Errorf("the certificate of %s has another key than was asked for", o.url)
	}
	o.chain = a.body
	return nil
}

func leafOf(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, errors.New("the certificate is not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// issue takes an order from its begin to its certificate.
func (c *client) issue(ctx context.Context, m manner) (*orderNote, error) {
	o, err := c.open(ctx)
	if err == nil {
		err = c.prove(ctx, o, m)
	}
	if err == nil {
		err = c.conclude(ctx, o)
	}
	return o, err
}

// changeContact replaces the contact.
func (c *client) changeContact(ctx context.Context, contact string) error {
	c.journal.wantedContact = []string{contact}
	a, err := decode[account](c.post(ctx, c.url, map[string]any{"contact": c.journal.wantedContact}))
	if err != nil {
		return fmt.Errorf("change the contact: %w", err)
	}
	c.journal.contact, c.journal.wantedContact = a.Contact, nil
	return nil
}

// changeKey replaces the account key. When the answer is lost, the client
// finds out which of its keys is the one: it asks with the new one whether it
// has an account.
func (c *client) changeKey(ctx context.Context) error {
	url, err := c.find(ctx, "keyChange")
	if err != nil {
		return err
	}
	next := newKey()
	nextJWK, err := jwkOf(next)
	if err != nil {
		return err
	}
	present, err := jwkOf(c.key)
	if err != nil {
		return err
	}
	inner, err := sign(next, header{URL: url, Key: &nextJWK}, map[string]any{"account": c.url, "oldKey": present})
	if err != nil {
		return err
	}
	c.unsure = true
	for {
		_, err := c.ask(ctx, url, inner)
		if errors.Is(err, errLost) {
			var changed bool
			if changed, err = c.knows(ctx, next); err == nil && !changed {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("change the key: %w", err)
		}
		break
	}
	c.key, c.unsure = next, false
	return c.verify(ctx)
}

// knows says whether a key is the account's.
func (c *client) knows(ctx context.Context, key *ecdsa.PrivateKey) (bool, error) {
	stranger := &client{server: c.server, web: c.web, directory: c.directory, key: key}
	url, err := stranger.find(ctx, "newAccount")
	if err != nil {
		return false, err
	}
	a, err := stranger.post(ctx, url, map[string]any{"onlyReturnExisting": true})
	if is(err, "accountDoesNotExist") {
		return false, nil
	}
	if err == nil && a.location != c.url {
		err = missing("the key of %s has account %s", c.url, a.location)
	}
	return err == nil, err
}

// revoke revokes the certificate of an order.
func (c *client) revoke(ctx context.Context, o *orderNote) error {
	url, err := c.find(ctx, "revokeCert")
	if err != nil {
		return err
	}
	block, _ := pem.Decode(o.chain)
	lost := false
	for {
		_, err := c.ask(ctx, url, map[string]any{"certificate": b64(block.Bytes), "reason": 4})
		switch {
		case errors.Is(err, errLost):
			lost = true
		case err == nil, lost && is(err, "alreadyRevoked"):
			o.revoked = true
			return nil
		default:
			return fmt.Errorf("revoke the certificate of %s: %w", o.url, err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// withdraw deactivates an authorization of an open order, which ends it.
func (c *client) withdraw(ctx context.Context, o *orderNote) error {
	o.ending = true
	a, err := decode[authorization](c.post(ctx, o.authorizations[0], map[string]string{"status": "deactivated"}))
	if err != nil {
		return fmt.Errorf("deactivate %s: %w", o.authorizations[0], err)
	}
	if a.Status != "deactivated" {
		return missing("authorization %s was deactivated and is %s", o.authorizations[0], a.Status)
	}
	x, err := read[order](ctx, c, o.url)
	if err == nil && x.Status != "invalid" {
		return missing("order %s is %s though its authorization is deactivated", o.url, x.Status)
	}
	if err == nil {
		err = o.note(x)
	}
	return err
}

// leave deactivates the account. Nothing can be read in its name afterwards.
func (c *client) leave(ctx context.Context) error {
	c.unsure = true
	for _, o := range c.journal.orders {
		o.ending = o.ending || o.status == "pending" || o.status == "ready"
	}
	lost := false
	for {
		_, err := c.ask(ctx, c.url, map[string]string{"status": "deactivated"})
		switch {
		case errors.Is(err, errLost):
			lost = true
		case err == nil, lost && is(err, "unauthorized"):
			return nil
		default:
			return fmt.Errorf("deactivate the account: %w", err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
