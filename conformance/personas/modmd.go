package personas

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// modMD is Apache's mod_md: RSA 3072, one nonce at a time, its own backoff in place
// of Retry-After.
func modMD() Persona {
	return Persona{Name: "mod_md", Release: "2.6.11", Stories: []Story{
		{"obtain", func(t *T) { newModMD(t, t.suite.cfg.DirectoryURL).register(nil).obtain("", t.newName(), t.newName()) }},
		{"renew", func(t *T) {
			c := newModMD(t, t.suite.cfg.DirectoryURL).register(nil)
			name := t.newName()
			id, _, _ := c.renewalInfo(c.obtain("", name)[0])
			c.validate()
			c.obtain(id, name)
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			newModMD(t, directory).register(&b).obtain("", t.newName())
		}},
	}}
}

type modMDClient struct{ *wire }

func newModMD(t *T, directory string) modMDClient {
	w := t.newWire("Apache/2.4.66 (Debian) mod_md/2.6.11", connections{}, nonceHabit{
		method: http.MethodHead, keep: 1, fromErrors: true, retries: 9,
		refused: func(x *exchange) bool {
			return x.mediaType() == "application/problem+json" && strings.EqualFold(x.problemType(), errorNamespace+"badNonce")
		},
	})
	w.envelope = func(protected, payload, signature string) string {
		return fmt.Sprintf("{\n  \"payload\": \"%s\",\n  \"protected\": \"%s\",\n  \"signature\": \"%s\"\n}", payload, protected, signature)
	}
	w.key = t.rsaKey(3072)
	w.discover(directory)
	return modMDClient{w}
}

func (c modMDClient) send(url, payload string) *exchange {
	x := c.post(url, payload)
	c.t.need(x.ok(), x, "R8555-6.7-1", "the server refused")
	return x
}

func (c modMDClient) json(x *exchange) map[string]any {
	kind := x.mediaType()
	c.t.need(strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json") || kind == "text/plain", x, "R8555-7.4-1", "it does not parse an object that is %q", kind)
	return c.object(x)
}

func (c modMDClient) register(b *bound) modMDClient {
	payload := `{"contact":[` + quote("mailto:"+c.t.suite.cfg.Email) + `]`
	if text(c.meta(), "termsOfService") != "" {
		payload += `,"termsOfServiceAgreed":true` // only where there are terms
	}
	url := text(c.dir, "newAccount")
	if b != nil {
		payload += `,"externalAccountBinding":` + binding("HS256", b.kid, b.secret, url, c.key.jwk)
	}
	x := c.send(url, payload+"}")
	c.json(x)
	c.kid = x.header.Get("Location")
	c.t.need(c.kid != "", x, "R8555-7.3-7", "newAccount sent no Location")
	return c
}

// validate is POST-as-GET of the account, by which it learns whether it may go on
// with what it has on disk.
func (c modMDClient) validate() {
	x := c.post(c.kid, "")
	c.t.need(x.ok(), x, "R8555-6.3-2", "its account cannot be read by POST-as-GET and is thrown away")
	c.t.need(text(c.json(x), "status") == "valid", x, "R8555-7.1.2-1", "its account is not valid")
}

func (c modMDClient) obtain(replaces string, names ...string) []*x509.Certificate {
	t := c.t
	payload := `{"identifiers":` + identifiers(names)
	if replaces != "" {
		payload += `,"replaces":"` + replaces + `"`
	}
	x := c.send(text(c.dir, "newOrder"), payload+"}")
	c.json(x)
	location := x.header.Get("Location")
	t.need(location != "", x, "R8555-7.4-1", "newOrder sent no Location")
	x = c.send(location, "") // it reads the new order again before it starts
	order := c.json(x)
	var urls []string
	for _, url := range list(order, "authorizations") {
		urls = append(urls, url)
		x := c.send(url, "")
		authz := c.json(x)
		switch s := text(authz, "status"); s {
		case "valid":
			continue
		case "pending":
		default:
			t.need(false, x, "R8555-7.5-1", "the authorization is %q", s)
		}
		ch := c.challenge(x, authz, "http-01")
		t.need(text(ch, "token") != "", x, "R8555-8-1", "http-01 has no token, over which an assertion stops the server")
		defer c.present(ch)()
		c.json(c.send(text(ch, "url"), "{}"))
	}
	for _, url := range urls {
		c.await("authorization", url, "pending", "valid")
	}
	order = c.await("order", location, "pending", "ready", "processing", "valid")
	certKey := t.rsaSigner(2048)
	certificate := ""
	if text(order, "status") == "ready" {
		x = c.send(text(order, "finalize"), t.csr(certKey, names[0], names))
		// A Location is the certificate to it, until the order names another one.
		certificate = x.header.Get("Location")
	}
	order = c.await("order", location, "processing", "valid")
	if url := text(order, "certificate"); url != "" {
		certificate = url
	}
	t.need(certificate != "" && certificate != location, nil, "R8555-7.1.6-1", "the valid order has no certificate URL")
	x = c.send(certificate, "")
	chain := c.chain(x) // of whatever media type
	up := x.links("up")
	t.need(len(chain) > 1 || len(up) > 0, x, "R8555-9.1-2", `a chain of one certificate without Link rel="up" is not a whole one to it`)
	for _, next := range up {
		more := c.send(next, "")
		t.need(more.mediaType() == "application/pem-certificate-chain" || more.mediaType() == "application/x-pkcs7-mime", more, "R8555-7.4.2-3", `Link rel="up" of a chain leads to %q`, more.mediaType())
	}
	c.fits(x, chain, certKey, names)
	return chain
}

// await polls for five minutes, first after a tenth of a second, doubled up to ten
// seconds; Retry-After is not read. Any status that is neither waiting nor wanted
// ends it.
func (c modMDClient) await(what, url, waiting string, wanted ...string) map[string]any {
	t := c.t
	end := t.clock.Now().Add(5 * time.Minute)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		x := c.send(url, "")
		o := c.json(x)
		status := text(o, "status")
		for _, w := range wanted {
			if status == w {
				return o
			}
		}
		t.need(status == waiting, x, "R8555-7.1.6-1", "the %s is %q", what, status)
		t.need(t.clock.Now().Before(end), x, "R8555-7.4F-14", "it gave up polling the %s after 5 minutes", what)
		t.sleep(pause)
	}
}
