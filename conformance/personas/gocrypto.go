package personas

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/acme"
)

// goCrypto is golang.org/x/crypto/acme, on which autocert and many programs stand.
// It needs no imitation: the library itself is what plays.
func goCrypto() Persona {
	return Persona{Name: "x-crypto", Release: "0.58.0", Stories: []Story{
		{"obtain", func(t *T) {
			c := newGoCrypto(t, t.suite.cfg.DirectoryURL)
			c.register(nil)
			c.obtain(t.newName(), t.newName())
		}},
		{"revoke", func(t *T) {
			c := newGoCrypto(t, t.suite.cfg.DirectoryURL)
			c.register(nil)
			key, chain := c.obtain(t.newName())
			c.check(c.client.RevokeCert(t.ctx, key, chain[0].Raw, acme.CRLReasonKeyCompromise), "R8555-7.6-2", "revoke with the certificate's key")
			c.check(c.client.RevokeCert(t.ctx, nil, chain[0].Raw, acme.CRLReasonUnspecified), "R8555-7.6-6", "revoke again, which it takes for done when the answer is alreadyRevoked")
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			c := newGoCrypto(t, directory)
			c.register(&b)
			c.obtain(t.newName())
		}},
		{"rollover", func(t *T) {
			c := newGoCrypto(t, t.suite.cfg.DirectoryURL)
			c.register(nil)
			url := c.client.KID
			c.check(c.client.AccountKeyRollover(t.ctx, t.ecKey().signer), "R8555-7.3.5-12", "roll over")
			account, err := c.client.GetReg(t.ctx, "")
			c.check(err, "R8555-7.3.1-1", "find the account by its new key")
			t.need(account.URI == string(url), c.last.x, "R8555-7.3.1-1", "the account of the new key is %q, not %s", account.URI, url)
		}},
		{"account", func(t *T) {
			c := newGoCrypto(t, t.suite.cfg.DirectoryURL)
			c.register(nil)
			_, err := c.client.Register(t.ctx, &acme.Account{}, acme.AcceptTOS)
			t.need(errors.Is(err, acme.ErrAccountAlreadyExists), c.last.x, "R8555-7.3.1-1", "registering again gave %v instead of 200", err)
			c.check(c.client.DeactivateReg(t.ctx), "R8555-7.3.6-1", "deactivate the account")
		}},
	}}
}

type goCryptoClient struct {
	t      *T
	client *acme.Client
	last   *recorder
}

// recorder remembers the last exchange, for reports.
type recorder struct {
	next http.RoundTripper
	x    *exchange
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err == nil {
		r.x = &exchange{sent: req.Method + " " + req.URL.String(), proto: resp.Proto, status: resp.StatusCode, header: resp.Header}
		resp.Body = &teeBody{resp.Body, r.x}
	}
	return resp, err
}

type teeBody struct {
	io.ReadCloser
	x *exchange
}

func (b *teeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.x.body = append(b.x.body, p[:n]...)
	return n, err
}

func newGoCrypto(t *T, directory string) *goCryptoClient {
	h, err := t.suite.cfg.httpClient(connections{follow: true, gzip: true})
	if err != nil {
		t.broken("%v", err)
	}
	// It tries again for as long as its caller's context lives, also after a status
	// that it did not expect; five times are enough to know.
	ctx, cancel := context.WithTimeout(t.ctx, t.suite.cfg.Patience)
	t.atEnd = append(t.atEnd, cancel)
	t.ctx = ctx
	c := &goCryptoClient{t: t, last: &recorder{next: h.Transport}}
	h.Transport = c.last
	c.client = &acme.Client{Key: t.ecKey().signer, HTTPClient: h, DirectoryURL: directory, UserAgent: "autocert",
		RetryBackoff: func(n int, _ *http.Request, _ *http.Response) time.Duration {
			if n > 5 {
				return -1
			}
			return 100 * time.Millisecond
		}}
	return c
}

func (c *goCryptoClient) check(err error, id, doing string) {
	c.t.need(err == nil, c.last.x, id, "it could not %s: %v", doing, err)
}

func (c *goCryptoClient) register(b *bound) {
	request := &acme.Account{Contact: []string{"mailto:" + c.t.suite.cfg.Email}}
	if b != nil {
		request.ExternalAccountBinding = &acme.ExternalAccountBinding{KID: b.kid, Key: b.secret}
	}
	account, err := c.client.Register(c.t.ctx, request, acme.AcceptTOS)
	if errors.Is(err, acme.ErrAccountAlreadyExists) {
		return // which programs take for good
	}
	c.check(err, "R8555-7.3-7", "register")
	c.t.need(account.URI != "", c.last.x, "R8555-7.3-7", "newAccount sent no Location")
}

func (c *goCryptoClient) obtain(names ...string) (crypto.Signer, []*x509.Certificate) {
	t := c.t
	order, err := c.client.AuthorizeOrder(t.ctx, acme.DomainIDs(names...))
	c.check(err, "R8555-7.4-1", "order, which has to answer exactly 201")
	t.need(order.URI != "", c.last.x, "R8555-7.4-1", "newOrder sent no Location")
	for _, url := range order.AuthzURLs {
		authz, err := c.client.GetAuthorization(t.ctx, url)
		c.check(err, "R8555-7.5-1", "read an authorization")
		i := slices.IndexFunc(authz.Challenges, func(ch *acme.Challenge) bool { return ch.Type == "http-01" })
		if i < 0 {
			t.notApplicable("no http-01 challenge is offered")
		}
		ch := authz.Challenges[i]
		body, err := c.client.HTTP01ChallengeResponse(ch.Token)
		if err != nil {
			t.broken("key authorization: %v", err)
		}
		t.suite.http01.put(ch.Token, body)
		defer t.suite.http01.remove(ch.Token)
		_, err = c.client.Accept(t.ctx, ch)
		c.check(err, "R8555-7.5.1-3", "answer a challenge, which has to answer 200 or 202")
		_, err = c.client.WaitAuthorization(t.ctx, url)
		c.check(err, "R8555-7.5-5", "wait for the authorization")
	}
	order, err = c.client.WaitOrder(t.ctx, order.URI)
	c.check(err, "R8555-7.1.6-1", "wait for the order to become ready")
	key := t.ecKey().signer
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.broken("make a CSR: %v", err)
	}
	// While the order is processing it polls what Location of this answer names, and
	// nothing else.
	raw, certURL, err := c.client.CreateOrderCert(t.ctx, order.FinalizeURL, der, true)
	c.check(err, "R8555-7.4F-13", "finalize, poll Location of that answer and download")
	var chain []*x509.Certificate
	for _, b := range raw {
		cert, err := x509.ParseCertificate(b)
		c.check(err, "R8555-9.1-1", "parse the chain")
		chain = append(chain, cert)
	}
	_, err = c.client.ListCertAlternates(t.ctx, certURL)
	c.check(err, "R8555-7.4.2-2", "list alternate chains")
	return key, chain
}
