package acmetest

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strconv"
	"time"
)

// certificate is an issued certificate with all that led to it.
type certificate struct {
	order    *order
	key      *key
	csr      []byte
	response *response // the download
	chain    []*x509.Certificate
}

func (c *certificate) leaf() *x509.Certificate { return c.chain[0] }

// csr makes a request for names with the given key; change may bend the template.
func (t *T) csr(k *key, names []string, change func(*x509.CertificateRequest)) []byte {
	template := &x509.CertificateRequest{DNSNames: names}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, k.signer)
	if err != nil {
		t.Fatalf("make a CSR: %v", err)
	}
	return der
}

// issued runs the whole way to a certificate.
func (t *T) issued(names ...string) *certificate {
	return t.ready(names...).issue(t.newKey())
}

// issue finalizes a ready order and downloads what came of it.
func (o *order) issue(k *key) *certificate {
	t := o.acct.t
	csr := t.csr(k, o.names(), nil)
	o.finish(csr)
	if o.obj.Status != "valid" || o.obj.Certificate == "" {
		t.Fatalf("the order is %q with certificate %q after finalize, want valid\n%s", o.obj.Status, o.obj.Certificate, o.acct.read(o.url))
	}
	return o.download(k, csr)
}

func (o *order) download(k *key, csr []byte) *certificate {
	c := &certificate{order: o, key: k, csr: csr}
	c.response = o.acct.read(o.obj.Certificate).must(http.StatusOK)
	c.chain = c.response.chain()
	return c
}

// chain parses a PEM chain.
func (r *response) chain() (chain []*x509.Certificate) {
	rest := r.body
	for len(bytes.TrimSpace(rest)) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			r.t.Fatalf("the chain is not PEM\n%s", r)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.t.Fatalf("the chain holds a %s that is no certificate: %v\n%s", block.Type, err, r)
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		r.t.Fatalf("the chain is empty\n%s", r)
	}
	return chain
}

// sharedCertificate is one issued certificate for all cases that only look at it.
func (t *T) sharedCertificate() *certificate {
	c := *t.suite.certificate.get(t, func(t *T) *certificate { return t.issued() })
	o := *c.order
	o.acct = o.acct.as(t)
	c.order = &o
	return &c
}

// sharedRSAKey is one RSA key for the run, because they take long to make.
func (t *T) sharedRSAKey() *key {
	return t.suite.rsaKey.get(t, func(t *T) *key { return t.newRSAKey(2048) })
}

// offers says which challenge types the server offers for an ordinary name. Cases
// ask this, never which product they talk to.
func (t *T) offers(kind string) bool {
	return t.suite.offer.get(t, func(t *T) map[string]bool {
		a := t.newAccount()
		kinds := map[string]bool{}
		for _, c := range a.authorization(a.newOrder().obj.Authorizations[0]).Challenges {
			kinds[c.Type] = true
		}
		return kinds
	})[kind]
}

// limited reports whether resp is a rate limit, after having waited as it asks: a
// server may allow one poll in a second.
func (t *T) limited(resp *response) bool {
	if resp.status != http.StatusTooManyRequests {
		return false
	}
	seconds, err := strconv.Atoi(resp.header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		t.Fatalf("a rate limit needs Retry-After in whole seconds (R8555-6.6-2)\n%s", resp)
	}
	t.pause(time.Duration(seconds) * time.Second)
	return true
}

// failedOrder is an order with one name per way in which http-01 can fail.
type failedOrder struct {
	order   *order
	results map[string]failedValidation
}

type failedValidation struct {
	authzURL  string
	authz     authorizationObject
	challenge challengeObject
}

// sharedFailures lets every failing validation happen once and at the same time:
// a server may retry for a good while before it gives up.
func (t *T) sharedFailures() *failedOrder {
	f := t.suite.failures.get(t, func(t *T) *failedOrder {
		stranger := t.newKey()
		ways := map[string]func(k *key, token string) http.HandlerFunc{
			"wrong-body": func(_ *key, token string) http.HandlerFunc { return text(200, token+".wrong") },
			"not-found":  func(*key, string) http.HandlerFunc { return http.NotFound },
			"other-key": func(_ *key, token string) http.HandlerFunc {
				return text(200, stranger.keyAuthorization(token))
			},
			"leading-space": func(k *key, token string) http.HandlerFunc {
				return text(200, " "+k.keyAuthorization(token))
			},
			"too-long": func(k *key, token string) http.HandlerFunc {
				return text(200, k.keyAuthorization(token)+string(bytes.Repeat([]byte("x"), 1<<16)))
			},
		}
		a := t.newAccount()
		f := &failedOrder{results: map[string]failedValidation{}}
		// One order per way: a server may stop at the first failure of an order.
		for way, answer := range ways {
			o := a.newOrder()
			c := a.pick(o.obj.Authorizations[0], "http-01")
			t.suite.http01.answer(c.Token, answer(a.key, c.Token))
			a.post(c.URL, object{}).must(http.StatusOK)
			f.results[way] = failedValidation{authzURL: o.obj.Authorizations[0], challenge: c}
			if way == "wrong-body" {
				f.order = o
			}
		}
		for way, r := range f.results {
			t.poll("the "+way+" validation to end", func() (bool, string) {
				r.authz = a.authorization(r.authzURL)
				return r.authz.Status != "pending", "authorization is " + r.authz.Status
			})
			a.read(r.challenge.URL).must(http.StatusOK).decode(&r.challenge)
			f.results[way] = r
		}
		return f
	})
	o := *f.order
	o.acct = o.acct.as(t)
	return &failedOrder{order: &o, results: f.results}
}
