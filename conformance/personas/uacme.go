package personas

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// uacme is ndilieto/uacme: C and libcurl, a GET for nonces, and one exact status
// for every request.
func uacme() Persona {
	return Persona{Name: "uacme", Release: "1.7.6", Stories: []Story{
		{"obtain", func(t *T) { newUacme(t, t.suite.cfg.DirectoryURL).register(nil).obtain(t.newName(), t.newName()) }},
		{"renew", func(t *T) {
			c := newUacme(t, t.suite.cfg.DirectoryURL).register(nil)
			name := t.newName()
			c.renewalInfo(c.obtain(name)[0])
			c.retrieve()
			c.obtain(name)
		}},
		{"revoke", func(t *T) {
			c := newUacme(t, t.suite.cfg.DirectoryURL).register(nil)
			cert := c.obtain(t.newName())[0]
			c.send(text(c.dir, "revokeCert"), fmt.Sprintf(`{"certificate":"%s","reason":0}`, b64(cert.Raw)), http.StatusOK, "R8555-7.6-7")
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			newUacme(t, directory).register(&b).obtain(t.newName())
		}},
		{"rollover", func(t *T) {
			c := newUacme(t, t.suite.cfg.DirectoryURL).register(nil)
			c.rollOver(t.rsaKey(2048), func(url, payload string) { c.send(url, payload, http.StatusOK, "R8555-7.3.5-12") })
			c.retrieve()
		}},
		{"account", func(t *T) {
			c := newUacme(t, t.suite.cfg.DirectoryURL).register(nil)
			c.retrieve()
			c.send(c.kid, `{"contact": []}`, http.StatusOK, "R8555-7.3.2-3")
			c.send(c.kid, `{"status": "deactivated"}`, http.StatusOK, "R8555-7.3.6-1")
		}},
	}}
}

type uacmeClient struct{ *wire }

func newUacme(t *T, directory string) uacmeClient {
	w := t.newWire("uacme/1.7.6 (https://github.com/ndilieto/uacme)", connections{single: true}, nonceHabit{
		method: http.MethodGet, status: http.StatusNoContent,
		keep: 1, fromErrors: true, retries: 2,
		refused: func(x *exchange) bool {
			return x.status == http.StatusBadRequest && x.mediaType() == "application/problem+json" && x.problemType() == errorNamespace+"badNonce"
		},
	})
	w.key = t.rsaKey(2048)
	w.discover(directory)
	return uacmeClient{w}
}

// send posts and wants one status. A body with a member error that is an object is
// an error to it whatever the status.
func (c uacmeClient) send(url, payload string, status int, id string) *exchange {
	x := c.post(url, payload)
	c.t.need(x.status == status, x, id, "it accepts %d alone here, not %d", status, x.status)
	if c.isJSON(x) {
		_, failed := c.object(x)["error"].(map[string]any)
		c.t.need(!failed, x, "R8555-8-2", "an answer that has an error object counts as failed")
	}
	return x
}

// isJSON looks for the word in Content-Type; without it nothing is parsed.
func (c uacmeClient) isJSON(x *exchange) bool {
	return strings.Contains(strings.ToLower(x.line("Content-Type")), "json")
}

func (c uacmeClient) json(x *exchange) map[string]any {
	c.t.need(c.isJSON(x), x, "R8555-7.3-7", "an object whose Content-Type %q does not say json is not parsed", x.line("Content-Type"))
	return c.object(x)
}

// register asks first whether the key has an account, and makes one only after this
// very answer.
func (c uacmeClient) register(b *bound) uacmeClient {
	url := text(c.dir, "newAccount")
	x := c.post(url, `{"onlyReturnExisting":true}`)
	c.t.need(x.status == http.StatusBadRequest && strings.Contains(x.line("Content-Type"), "application/problem+json") &&
		x.problemType() == errorNamespace+"accountDoesNotExist", x, "R8555-7.3.1-2",
		"it makes an account only after 400 accountDoesNotExist")
	payload := `{"termsOfServiceAgreed":true,"contact": ["mailto:` + c.t.suite.cfg.Email + `"]`
	if b != nil {
		// Its default is meant to be HS256 and comes out as HS512.
		payload += `,"externalAccountBinding": ` + binding("HS512", b.kid, b.secret, url, c.key.jwk)
	}
	x = c.send(url, payload+"}", http.StatusCreated, "R8555-7.3-7")
	c.t.need(text(c.json(x), "status") == "valid", x, "R8555-7.1.2-1", "the new account is not valid")
	c.kid = x.line("Location")
	c.t.need(c.kid != "", x, "R8555-7.3-7", "newAccount sent no Location")
	return c
}

// retrieve is how every run but the first begins.
func (c uacmeClient) retrieve() {
	url := c.kid
	c.kid = ""
	x := c.send(text(c.dir, "newAccount"), `{"onlyReturnExisting":true}`, http.StatusOK, "R8555-7.3.1-1")
	status := text(c.json(x), "status")
	c.t.need(status == "" || status == "valid", x, "R8555-7.1.2-1", "its account is %q", status)
	c.kid = x.line("Location")
	c.t.need(c.kid == url, x, "R8555-7.3.1-1", "the account found by its key is %q, not %s", c.kid, url)
	// An e-mail address is compared with what the account lists.
	for _, contact := range list(c.json(x), "contact") {
		c.t.need(strings.HasPrefix(strings.ToLower(contact), "mailto:"), x, "R8555-7.3.2-3", "it cannot parse the contact %q", contact)
	}
}

func (c uacmeClient) obtain(names ...string) []*x509.Certificate {
	t := c.t
	x := c.send(text(c.dir, "newOrder"), `{"identifiers":`+identifiers(names)+`}`, http.StatusCreated, "R8555-7.4-1")
	order := c.json(x)
	status, location := text(order, "status"), x.line("Location")
	t.need(status == "pending" || status == "ready", x, "R8555-7.1.6-1", "a new order is %q", status)
	t.need(location != "", x, "R8555-7.4-1", "newOrder sent no Location")
	if status == "pending" {
		for _, url := range list(order, "authorizations") {
			c.authorize(url)
		}
		order = c.await("order", location, "pending", "ready")
	}
	certKey := t.rsaSigner(2048)
	c.send(text(order, "finalize"), t.csr(certKey, names[0], names), http.StatusOK, "R8555-7.4F-13")
	order = c.await("order", location, "processing", "valid")
	x = c.send(text(order, "certificate"), "", http.StatusOK, "R8555-7.4.2-1")
	chain := c.chain(x)
	c.fits(x, chain, certKey, names)
	return chain
}

func (c uacmeClient) authorize(url string) {
	t := c.t
	x := c.send(url, "", http.StatusOK, "R8555-7.5-1")
	authz := c.json(x)
	status := text(authz, "status")
	if status == "valid" {
		return
	}
	t.need(status == "pending", x, "R8555-7.5-1", "a new authorization is %q", status)
	id, _ := authz["identifier"].(map[string]any)
	t.need(text(id, "type") == "dns" && text(id, "value") != "", x, "R8555-7.5-1", "the authorization has no identifier it knows")
	t.need(len(objects(authz, "challenges")) > 0, x, "R8555-7.5-1", "the authorization lists no challenges")
	// It asks the person or the hook about each challenge in turn, so one that it
	// cannot read ends the order before the right one comes.
	for _, ch := range objects(authz, "challenges") {
		if s := text(ch, "status"); s != "pending" && s != "processing" {
			continue
		}
		t.need(text(ch, "type") != "" && text(ch, "url") != "" && text(ch, "token") != "", x, "R8555-8-1",
			"the challenge %q lacks type, url or token, and it goes no further", text(ch, "type"))
		t.need(base64url(text(ch, "token")), x, "R8555-8-3", "the token %q has other characters than base64url", text(ch, "token"))
		if text(ch, "type") != "http-01" {
			continue // declined by the hook
		}
		remove := c.present(ch)
		c.send(text(ch, "url"), "{}", http.StatusOK, "R8555-7.5.1-3")
		c.await("challenge", text(ch, "url"), "pending", "valid")
		remove()
		return
	}
	t.notApplicable("no http-01 challenge is offered")
}

// await polls until the status is wanted: five seconds, doubled each time, unless
// Retry-After says otherwise; ten times in all. A status that is neither waiting nor
// wanted ends it.
func (c uacmeClient) await(what, url, waiting, wanted string) map[string]any {
	t := c.t
	for pause := 5 * time.Second; ; pause *= 2 {
		x := c.send(url, "", http.StatusOK, "R8555-7.5-5")
		o := c.json(x)
		status := text(o, "status")
		if status == wanted {
			return o
		}
		t.need(status == waiting || (what == "challenge" && status == "processing"), x, "R8555-7.1.6-1", "the %s is %q", what, status)
		t.need(pause < 5*512*time.Second, x, "R8555-7.4F-14", "it gave up polling the %s", what)
		d, present, err := x.retryAfter(t.clock.Now())
		if !present || err != nil || d <= 0 {
			d = pause
		}
		t.sleep(d)
	}
}
