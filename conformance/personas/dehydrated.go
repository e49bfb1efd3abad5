package personas

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// dehydrated is a shell script like acme.sh, but with a JSON parser of its own: a
// fresh nonce by HEAD for every request, and no limit to its patience.
func dehydrated() Persona {
	return Persona{Name: "dehydrated", Release: "0.7.3", Stories: []Story{
		{"obtain", func(t *T) { newDehydrated(t, t.suite.cfg.DirectoryURL).register(nil).obtain(t.newName(), t.newName()) }},
		{"revoke", func(t *T) {
			c := newDehydrated(t, t.suite.cfg.DirectoryURL).register(nil)
			cert := c.obtain(t.newName())[0]
			c.send(text(c.dir, "revokeCert"), fmt.Sprintf(`{"certificate": "%s"}`, b64(cert.Raw)))
			x := c.post(text(c.dir, "revokeCert"), fmt.Sprintf(`{"certificate": "%s"}`, b64(cert.Raw)))
			t.need(x.status >= 400, x, "R8555-7.6-6", "a second revocation was taken for the first")
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			c := newDehydrated(t, directory)
			t.need(c.meta()["externalAccountRequired"] == true, nil, "R8555-7.1.1-5", "meta does not say externalAccountRequired")
			c.register(&b).obtain(t.newName())
		}},
		{"account", func(t *T) {
			c := newDehydrated(t, t.suite.cfg.DirectoryURL).register(nil)
			c.object(c.send(c.kid, `{}`)) // how it fetches the account
			c.object(c.send(c.kid, `{"contact":[]}`))
			x := c.send(c.kid, `{"status": "deactivated"}`)
			t.need(text(c.object(x), "status") == "deactivated", x, "R8555-7.3.6-1", "the answer does not say deactivated")
		}},
	}}
}

type dehydratedClient struct{ *wire }

func newDehydrated(t *T, directory string) dehydratedClient {
	w := t.newWire("dehydrated/0.7.3 curl/8.14.1", connections{single: true}, nonceHabit{
		method: http.MethodHead, keep: 0, retries: 20,
		refused: func(x *exchange) bool {
			return !x.ok() && bytes.Contains(x.body, []byte(errorNamespace+"badNonce"))
		},
	})
	w.header = map[string]string{"Cache-Control": "no-cache"}
	w.protect = func(alg, who, nonce, url string) string {
		return fmt.Sprintf(`{"alg": "%s", %s, "url": "%s", "nonce": "%s"}`, alg, strings.Replace(who, `":`, `": `, 1), url, nonce)
	}
	w.envelope = func(protected, payload, signature string) string {
		return fmt.Sprintf(`{"protected": "%s", "payload": "%s", "signature": "%s"}`, protected, payload, signature)
	}
	w.key = t.rsaKey(4096)
	w.discover(directory)
	t.need(text(w.dir, "revokeCert") != "", nil, "R8555-7.1.1-8", "the directory has no revokeCert, without which it stops at the start")
	return dehydratedClient{w}
}

func (c dehydratedClient) send(url, payload string) *exchange {
	x := c.post(url, payload)
	c.t.need(x.ok(), x, "R8555-6.7-1", "the server refused")
	return x
}

// register keeps the answer and asks for the account's URL in a second request.
func (c dehydratedClient) register(b *bound) dehydratedClient {
	url := text(c.dir, "newAccount")
	payload := `{"contact":["mailto:` + c.t.suite.cfg.Email + `"], "termsOfServiceAgreed": true`
	if b != nil {
		payload += `, "externalAccountBinding": ` + binding("HS256", b.kid, b.secret, url, c.key.jwk)
	}
	c.send(url, payload+"}")
	x := c.send(url, `{"onlyReturnExisting": true}`)
	c.kid = x.line("Location")
	c.t.need(c.kid != "", x, "R8555-7.3.1-1", "the account found by its key has no Location")
	return c
}

func (c dehydratedClient) obtain(names ...string) []*x509.Certificate {
	t, begun := c.t, time.Now()
	x := c.send(text(c.dir, "newOrder"), `{"identifiers": `+identifiers(names)+`}`)
	location := x.line("Location")
	t.need(location != "", x, "R8555-7.4-1", "newOrder sent no Location, and it takes nothing else from that answer")
	x = c.send(location, "")
	order := c.object(x)
	var pending []map[string]any
	for _, url := range list(order, "authorizations") {
		x := c.send(url, "")
		authz := c.object(x)
		if text(authz, "status") == "valid" {
			continue
		}
		ch := c.challenge(x, authz, "http-01")
		defer c.present(ch)()
		pending = append(pending, ch)
	}
	for _, ch := range pending {
		// It polls the challenge, not the authorization, every second for ever.
		x := c.send(text(ch, "url"), "{}")
		status := text(c.object(x), "status")
		for status == "pending" || status == "processing" {
			t.need(time.Since(begun) < t.suite.cfg.Patience, x, "R8555-7.5-5", "it would poll the challenge for ever")
			t.sleep(time.Second)
			x = c.send(text(ch, "url"), "")
			status = text(c.object(x), "status")
		}
		t.need(status == "valid", x, "R8555-8-1", "the challenge is %q", status)
	}

	certKey := t.ecSigner(elliptic.P384())
	x = c.send(text(order, "finalize"), t.csr(certKey, names[0], names))
	order = c.object(x)
	for text(order, "status") != "valid" {
		s := text(order, "status")
		t.need(s == "processing" || s == "pending", x, "R8555-7.1.6-1", "the order is %q after finalize", s)
		t.need(time.Since(begun) < t.suite.cfg.Patience, x, "R8555-7.4F-14", "it would poll the order for ever")
		t.sleep(2 * time.Second)
		x = c.send(location, "")
		order = c.object(x)
	}
	x = c.send(text(order, "certificate"), "")
	// awk prints everything up to the first end mark into cert.pem.
	t.need(wholeLines(x.body), x, "R8555-9.1-1", "it cuts the chain by lines, and a mark does not have one of its own")
	chain := c.chain(x)
	c.fits(x, chain, certKey, names)
	return chain
}
