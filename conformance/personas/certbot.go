package personas

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// certbot is Certbot with its own acme library on Python requests: HTTP/1.1, one
// connection for all, an RSA account key, JSON indented by two.
func certbot() Persona {
	return Persona{Name: "certbot", Release: "5.7", Stories: []Story{
		{"obtain", func(t *T) { newCertbot(t, t.suite.cfg.DirectoryURL).register(nil).obtain(t.newName(), t.newName()) }},
		{"renew", func(t *T) {
			c := newCertbot(t, t.suite.cfg.DirectoryURL).register(nil)
			name := t.newName()
			c.renewalInfo(c.obtain(name)[0])
			c.obtain(name) // it has the account's URL on disk and sends no replaces
		}},
		{"revoke", func(t *T) {
			c := newCertbot(t, t.suite.cfg.DirectoryURL).register(nil)
			c.revoke(c.obtain(t.newName())[0])
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			c := newCertbot(t, directory)
			t.need(c.meta()["externalAccountRequired"] == true, nil, "R8555-7.1.1-5", "meta does not say externalAccountRequired, so it asks nobody for the key")
			c.register(&b).obtain(t.newName())
		}},
		{"account", func(t *T) { newCertbot(t, t.suite.cfg.DirectoryURL).register(nil).keep() }},
	}}
}

type certbotClient struct{ *wire }

func newCertbot(t *T, directory string) certbotClient {
	w := t.newWire("CertbotACMEClient/5.7.0 (certbot; Debian GNU/Linux 13 (trixie)) Authenticator/standalone Installer/None (certonly; flags: n) Py/3.13.5",
		connections{http1: true, follow: true},
		// C-CB-1: one retry, and by a HEAD, because nonces of errors are thrown away.
		nonceHabit{method: http.MethodHead, keep: 1 << 10, retries: 1, refused: func(x *exchange) bool {
			return x.status >= 400 && strings.HasSuffix(x.problemType(), "badNonce")
		}})
	w.header = map[string]string{"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
	w.envelope = func(protected, payload, signature string) string {
		return fmt.Sprintf("{\n  \"protected\": \"%s\",\n  \"signature\": \"%s\",\n  \"payload\": \"%s\"\n}", protected, signature, payload)
	}
	w.key = t.rsaKey(2048)
	w.http.Timeout = min(w.http.Timeout, 45*time.Second)
	w.discover(directory)
	w.held = nil // only what answers a POST is kept
	return certbotClient{w}
}

// send is a POST whose answer certbot looks at.
func (c certbotClient) send(url, payload string) *exchange {
	x := c.post(url, payload)
	c.t.need(x.status != http.StatusConflict, x, "R9773-5-3", "any 409 ends it, whatever its type")
	c.t.need(x.status < 400, x, "R8555-6.7-1", "the server refused")
	nonce := x.header.Get("Replay-Nonce")
	c.t.need(nonce != "", x, "R8555-6.5-1", "a success without Replay-Nonce raises MissingNonce")
	// It keeps the octets and encodes them again.
	c.t.need(canonical(nonce), x, "R8555-6.5-7", "the nonce %q is another one after decoding and encoding", nonce)
	return x
}

func (c certbotClient) register(b *bound) certbotClient {
	payload := fmt.Sprintf("{\n  \"contact\": [\n    %s\n  ],\n  \"termsOfServiceAgreed\": true", quote("mailto:"+c.t.suite.cfg.Email))
	if b != nil {
		payload += ",\n  \"externalAccountBinding\": " + binding("HS256", b.kid, b.secret, text(c.dir, "newAccount"), c.key.jwk)
	}
	x := c.send(text(c.dir, "newAccount"), payload+"\n}")
	location := x.header.Get("Location")
	c.t.need(x.status != http.StatusOK || location == "", x, "R8555-7.3-7", "200 with Location means to it that the key has an account already")
	c.t.need(location != "", x, "R8555-7.3-7", "without Location it has no kid")
	account := c.object(x)
	c.t.need(known(text(account, "status")), x, "R8555-7.1.2-1", "the account's status %q is none it knows", text(account, "status"))
	c.kid = location
	return c
}

func (c certbotClient) order(x *exchange) map[string]any {
	o := c.object(x)
	c.t.need(known(text(o, "status")), x, "R8555-7.1.6-1", "the order's status %q is none it knows", text(o, "status"))
	c.t.need(rfc3339(o, "expires"), x, "R8555-7.4-9", "expires of the order is no RFC 3339 time")
	return o
}

func (c certbotClient) authorization(x *exchange) map[string]any {
	a := c.object(x)
	c.t.need(known(text(a, "status")), x, "R8555-7.5-1", "the authorization's status %q is none it knows", text(a, "status"))
	c.t.need(rfc3339(a, "expires"), x, "R8555-7.5-1", "expires of the authorization is no RFC 3339 time")
	for _, ch := range objects(a, "challenges") {
		// An unknown type is skipped whole; a known one without a good token is not.
		if kind := text(ch, "type"); kind == "http-01" || kind == "dns-01" || kind == "tls-alpn-01" {
			c.t.need(canonical(text(ch, "token")) && len(text(ch, "token")) >= 22, x, "R8555-8-3", "the token of %s is not 128 bits of base64url", kind)
		}
		c.t.need(rfc3339(ch, "validated"), x, "R8555-8-1", "validated of a challenge is no RFC 3339 time")
	}
	return a
}

// looseUp is a link to the authorization; requests takes rel without quotes too.
var looseUp = regexp.MustCompile(`<[^>]+>\s*;[^<]*rel="?up\b`)

func (c certbotClient) obtain(names ...string) []*x509.Certificate {
	t := c.t
	x := c.send(text(c.dir, "newOrder"), "{\n  \"identifiers\": "+identifiers(names)+"\n}")
	order := c.order(x)
	orderURL := x.header.Get("Location")
	t.need(orderURL != "", x, "R8555-7.4-1", "the order's URL comes from Location of newOrder alone") // C-CB-4
	// All authorizations are read before the first is answered.
	var pending []string
	for _, url := range list(order, "authorizations") {
		x := c.send(url, "")
		authz := c.authorization(x)
		if text(authz, "status") == "valid" {
			continue
		}
		ch := c.challenge(x, authz, "http-01")
		defer c.present(ch)()
		x = c.send(text(ch, "url"), "{}")
		t.need(looseUp.MatchString(strings.Join(x.header.Values("Link"), ",")), x, "R8555-7.1-3", `the answer to a challenge has no Link rel="up"`) // C-CB-2
		answered := c.object(x)
		t.need(text(answered, "url") == text(ch, "url"), x, "R8555-7.5.1-3", "the challenge came back with another url")
		pending = append(pending, url)
	}
	c.awaitAuthorizations(pending)
	return c.finalize(order, orderURL, names)
}

// awaitAuthorizations polls all together: one second at first, then Retry-After or
// three, thirty times or half an hour.
func (c certbotClient) awaitAuthorizations(urls []string) {
	t := c.t
	end := t.clock.Now().Add(30 * time.Minute)
	pause := time.Second
	for range 30 {
		t.sleep(pause)
		var open []string
		pause = 0
		for _, url := range urls {
			x := c.send(url, "")
			status := text(c.authorization(x), "status")
			t.need(status != "invalid", x, "R8555-7.5-5", "the authorization is invalid")
			if status == "pending" {
				open = append(open, url)
				pause = max(pause, c.after(x, 3*time.Second))
			}
		}
		if urls = open; len(urls) == 0 {
			return
		}
		pause = min(pause, end.Sub(t.clock.Now()))
	}
	t.need(false, nil, "R8555-7.5-5", "it gave up after polling the authorizations 30 times")
}

// after reads Retry-After; what it cannot read counts as absent.
func (c certbotClient) after(x *exchange, usual time.Duration) time.Duration {
	d, present, err := x.retryAfter(c.t.clock.Now())
	if !present || err != nil {
		return usual
	}
	return d
}

// finalize polls until 90 seconds are over (--issuance-timeout raises that).
func (c certbotClient) finalize(order map[string]any, orderURL string, names []string) []*x509.Certificate {
	t := c.t
	certKey := t.ecSigner(elliptic.P256())
	end := t.clock.Now().Add(90 * time.Second)
	x := c.send(text(order, "finalize"), t.csr(certKey, "", names)) // no common name
	c.order(x)
	for pause := time.Second; t.clock.Now().Before(end); {
		t.sleep(pause)
		x := c.send(orderURL, "")
		o := c.order(x)
		switch url := text(o, "certificate"); {
		case text(o, "status") == "invalid":
			t.need(false, x, "R8555-7.4F-16", "the order became invalid")
		case text(o, "status") == "valid" && url != "":
			return c.download(url, certKey, names)
		}
		pause = time.Second
		if text(o, "status") == "processing" {
			pause = min(c.after(x, time.Second), end.Sub(t.clock.Now()))
		}
	}
	t.need(false, nil, "R8555-7.4F-14", "it gave up after 90 seconds of polling the order")
	return nil
}

var certbotPEM = regexp.MustCompile(`(?s)-----BEGIN CERTIFICATE-----\r?\n.+?\r?\n-----END CERTIFICATE-----\r?\n`)

func (c certbotClient) download(url string, key crypto.Signer, names []string) []*x509.Certificate {
	x := c.send(url, "")
	found := certbotPEM.FindAll(x.body, -1)
	c.t.need(len(found) >= 2, x, "R8555-9.1-2", "it splits cert.pem from chain.pem and finds %d certificates, not two or more each ended by a line end", len(found))
	chain := c.chain(x)
	c.fits(x, chain, key, names)
	return chain
}

func (c certbotClient) revoke(cert *x509.Certificate) {
	x := c.send(text(c.dir, "revokeCert"), fmt.Sprintf("{\n  \"certificate\": \"%s\",\n  \"reason\": 0\n}", b64(cert.Raw)))
	c.t.need(x.status == http.StatusOK, x, "R8555-7.6-7", "revocation has to answer exactly 200, not %d", x.status)
}

// keep is show_account, update_account and unregister: the account is looked up by
// its key each time.
func (c certbotClient) keep() {
	url := c.kid
	contact := quote("mailto:" + c.t.suite.cfg.Email)
	c.kid = ""
	x := c.send(text(c.dir, "newAccount"), "{\n  \"contact\": [\n    "+contact+"\n  ],\n  \"onlyReturnExisting\": true\n}")
	c.t.need(x.header.Get("Location") == url, x, "R8555-7.3.1-1", "Location of an existing account is %q and not its URL %s", x.header.Get("Location"), url)
	c.kid = url
	x = c.send(url, "{\n  \"contact\": [\n    "+contact+"\n  ]\n}")
	c.t.need(known(text(c.object(x), "status")), x, "R8555-7.3.2-3", "the updated account has no status it knows")
	x = c.send(url, "{\n  \"status\": \"deactivated\"\n}")
	c.t.need(text(c.object(x), "status") == "deactivated", x, "R8555-7.3.6-1", "the account is not deactivated")
}
