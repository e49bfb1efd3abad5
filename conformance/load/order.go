package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Without Retry-After a poll starts at the floor and doubles up to the ceiling, so a
// fast server is not measured by our impatience and a slow one is not hammered.
const (
	pollFloor   = 5 * time.Millisecond
	pollCeiling = 500 * time.Millisecond
)

// errInvalid is an order or authorization that the server refused in the end.
var errInvalid = errors.New("became invalid")

// errWrongCertificate is an issued certificate that is not the ordered one.
var errWrongCertificate = errors.New("wrong certificate")

// resource has the members that this client reads of orders, authorizations and challenges.
type resource struct {
	Status         string      `json:"status"`
	Authorizations []string    `json:"authorizations"`
	Finalize       string      `json:"finalize"`
	Certificate    string      `json:"certificate"`
	Challenges     []challenge `json:"challenges"`
	Error          *problem    `json:"error"`
}

type challenge struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Token string `json:"token"`
}

// csrFor makes the certificate request before any clock runs: keys are the client's
// cost, not the server's.
func csrFor(name string, key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return "", fmt.Errorf("make a certificate request for %s: %w", name, err)
	}
	return base64.RawURLEncoding.EncodeToString(der), nil
}

// keyPool hands out certificate keys: a new one each time, or the same few in turn.
type keyPool struct{ keys []*ecdsa.PrivateKey }

func newKeyPool(size int) (*keyPool, error) {
	p := &keyPool{}
	for range size {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a certificate key: %w", err)
		}
		p.keys = append(p.keys, key)
	}
	return p, nil
}

func (p *keyPool) key(n int) (*ecdsa.PrivateKey, error) {
	if len(p.keys) > 0 {
		return p.keys[n%len(p.keys)], nil
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// randomName gives a name that no other order has.
func randomName(suffix string) string {
	var label [8]byte
	rand.Read(label[:])
	return hex.EncodeToString(label[:]) + "." + suffix
}

// order takes one certificate from newOrder to download, timing each step. The step it
// was at is returned with the error.
func (c *client) order(ctx context.Context, name string, key *ecdsa.PrivateKey, web *responder, times *recorder) (step, error) {
	csr, err := csrFor(name, key)
	if err != nil {
		return stepOrder, err
	}
	begin := time.Now()

	a, order, err := c.timed(ctx, times, stepNewOrder, c.directory.NewOrder, map[string]any{
		"identifiers": []map[string]string{{"type": "dns", "value": name}},
	})
	if err == nil && a.location == "" {
		err = fmt.Errorf("%w: order without Location", errProtocol)
	}
	if err != nil {
		return stepNewOrder, err
	}
	orderURL := a.location

	var waited time.Duration
	if order.Status == "pending" { // an order may be born ready, R8555-7.4.1-5
		for _, url := range order.Authorizations {
			w, at, err := c.authorize(ctx, url, web, times)
			waited += w
			if err != nil {
				return at, err
			}
		}
	}
	a, order, err = c.timed(ctx, times, stepFinalize, order.Finalize, map[string]string{"csr": csr})
	if err != nil {
		return stepFinalize, err
	}
	order, w, err := c.poll(ctx, orderURL, a, order)
	times.add(stepPoll, waited+w)
	if err != nil {
		return stepPoll, err
	}
	at := time.Now()
	a, err = c.post(ctx, order.Certificate, nil)
	times.add(stepCertificate, time.Since(at))
	if err != nil {
		return stepCertificate, err
	}
	times.add(stepOrder, time.Since(begin))
	if err := checkCertificate(a.body, name, &key.PublicKey); err != nil {
		return stepCertificate, err
	}
	return stepOrder, nil
}

// authorize proves control of one name over http-01 and says how long it waited.
func (c *client) authorize(ctx context.Context, url string, web *responder, times *recorder) (time.Duration, step, error) {
	_, authz, err := c.timed(ctx, times, stepAuthorization, url, nil)
	if err != nil {
		return 0, stepAuthorization, err
	}
	if authz.Status == "valid" {
		return 0, stepAuthorization, nil
	}
	var chosen challenge
	for _, offered := range authz.Challenges {
		if offered.Type == "http-01" {
			chosen = offered
		}
	}
	if chosen.URL == "" || chosen.Token == "" {
		return 0, stepAuthorization, fmt.Errorf("%w: %s authorization without an http-01 challenge", errProtocol, authz.Status)
	}
	web.present(chosen.Token, chosen.Token+"."+c.account.thumbprint)
	defer web.remove(chosen.Token)

	a, answered, err := c.timed(ctx, times, stepChallenge, chosen.URL, struct{}{})
	if err != nil {
		return 0, stepChallenge, err
	}
	_, waited, err := c.poll(ctx, url, a, answered)
	return waited, stepPoll, err
}

// timed is a post that answers with an object and whose time is recorded.
func (c *client) timed(ctx context.Context, times *recorder, s step, url string, payload any) (answer, resource, error) {
	begin := time.Now()
	a, err := c.post(ctx, url, payload)
	times.add(s, time.Since(begin))
	if err != nil {
		return a, resource{}, err
	}
	r, err := decode(a)
	return a, r, err
}

// poll reads the object at url until it is final. The first answer is the one that
// brought us here; when it is final already, nothing is sent and the time is zero.
func (c *client) poll(ctx context.Context, url string, a answer, r resource) (resource, time.Duration, error) {
	if done, err := final(url, r); done || err != nil {
		return r, 0, err
	}
	begin, pause := time.Now(), pollFloor
	for {
		wait := a.retryAfter
		if wait == 0 {
			wait, pause = pause, min(2*pause, pollCeiling)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return r, time.Since(begin), ctx.Err()
		case <-timer.C:
		}
		var err error
		if a, err = c.post(ctx, url, nil); err != nil {
			return r, time.Since(begin), err
		}
		if r, err = decode(a); err != nil {
			return r, time.Since(begin), err
		}
		if done, err := final(url, r); done || err != nil {
			return r, time.Since(begin), err
		}
	}
}

// final says whether nothing is left to wait for. "ready" is not final: a server may
// answer finalize before it has moved the order on.
func final(url string, r resource) (bool, error) {
	switch r.Status {
	case "pending", "processing", "ready":
		return false, nil
	case "valid":
		if r.Finalize != "" && r.Certificate == "" {
			return true, fmt.Errorf("%w: valid order without a certificate", errProtocol)
		}
		return true, nil
	}
	err := fmt.Errorf("%s %w (%s)", url, errInvalid, r.Status)
	if r.Error != nil {
		err = fmt.Errorf("%w: %s %s", err, r.Error.kind(), r.Error.Detail)
	}
	return true, err
}

func decode(a answer) (resource, error) {
	var r resource
	if err := json.Unmarshal(a.body, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return r, nil
}

// checkCertificate makes sure that under load nobody gets another one's certificate.
func checkCertificate(chain []byte, name string, key *ecdsa.PublicKey) error {
	block, _ := pem.Decode(bytes.TrimSpace(chain))
	if block == nil || block.Type != "CERTIFICATE" {
		return fmt.Errorf("%w: the download is not a PEM certificate", errWrongCertificate)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrongCertificate, err)
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return fmt.Errorf("%w: %w", errWrongCertificate, err)
	}
	if !key.Equal(leaf.PublicKey) {
		return fmt.Errorf("%w: %s has another key", errWrongCertificate, name)
	}
	return nil
}
