package personas

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// acmez is mholt/acmez below CertMagic, which is how Caddy orders.
func acmez() Persona {
	return Persona{Name: "acmez", Release: "3.1 with CertMagic 0.25 (Caddy)", Stories: []Story{
		{"obtain", func(t *T) { newAcmez(t, t.suite.cfg.DirectoryURL).register(nil).obtain("", t.newName(), t.newName()) }},
		{"renew", func(t *T) {
			c := newAcmez(t, t.suite.cfg.DirectoryURL).register(nil)
			name := t.newName()
			id := t.certID(c.obtain("", name)[0])
			c.obtain(id, name)
			c.obtain(id, name)
		}},
		{"revoke", func(t *T) {
			c := newAcmez(t, t.suite.cfg.DirectoryURL).register(nil)
			cert := c.obtain("", t.newName())[0]
			c.send(text(c.dir, "revokeCert"), fmt.Sprintf(`{"certificate":"%s","reason":0}`, b64(cert.Raw)))
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			newAcmez(t, directory).register(&b).obtain("", t.newName())
		}},
		{"rollover", func(t *T) {
			c := newAcmez(t, t.suite.cfg.DirectoryURL).register(nil)
			c.rollOver(t.ecKey(), func(url, payload string) { c.send(url, payload) })
			c.lookUp()
		}},
	}}
}

type acmezClient struct{ *wire }

func newAcmez(t *T, directory string) acmezClient {
	w := t.newWire("Caddy/2.10.2 CertMagic acmez (linux; amd64)", connections{follow: true, gzip: true}, nonceHabit{
		method: http.MethodHead, keep: 64, fromErrors: true, retries: 9, pause: 250 * time.Millisecond,
		refused: func(x *exchange) bool {
			return x.mediaType() == "application/problem+json" && x.problemType() == errorNamespace+"badNonce"
		},
	})
	w.accept = ""
	w.key = t.ecKey()
	w.discover(directory)
	return acmezClient{w}
}

func (c acmezClient) send(url, payload string) *exchange {
	x := c.post(url, payload)
	c.t.need(x.ok(), x, "R8555-6.7-1", "the server refused")
	return x
}

// json wants the media type to the letter; anything else it does not decode.
func (c acmezClient) json(x *exchange) map[string]any {
	c.t.need(x.mediaType() == "application/json", x, "R8555-7.4-1", "an object is %q, not application/json", x.mediaType())
	o := c.object(x)
	c.t.need(rfc3339(o, "expires"), x, "R8555-7.4-9", "expires is no RFC 3339 time, over which its JSON decoder stops")
	return o
}

func (c acmezClient) register(b *bound) acmezClient {
	payload := `{"contact":[` + quote("mailto:"+c.t.suite.cfg.Email) + `],"termsOfServiceAgreed":true`
	if b != nil {
		payload += `,"externalAccountBinding":` + binding("HS256", b.kid, b.secret, text(c.dir, "newAccount"), c.key.jwk)
	}
	x := c.send(text(c.dir, "newAccount"), payload+"}")
	c.t.need(text(c.json(x), "status") == "valid", x, "R8555-7.1.2-1", "it orders nothing for an account that is not valid")
	c.kid = x.header.Get("Location")
	c.t.need(c.kid != "", x, "R8555-7.3-7", "newAccount sent no Location")
	return c
}

// lookUp is what CertMagic does with a key that an administrator gave it.
func (c acmezClient) lookUp() {
	url := c.kid
	c.kid = ""
	x := c.send(text(c.dir, "newAccount"), `{"onlyReturnExisting":true}`)
	c.json(x)
	c.kid = x.header.Get("Location")
	c.t.need(c.kid == url, x, "R8555-7.3.1-1", "the account found by its key is %q, not %s", c.kid, url)
}

// newOrder sends the whole of its order object, with a zero time and empty members
// that only a server fills.
func (c acmezClient) newOrder(replaces string, names []string) *exchange {
	with := func(replaces string) string {
		if replaces != "" {
			replaces = `,"replaces":"` + replaces + `"`
		}
		return `{"expires":"0001-01-01T00:00:00Z","identifiers":` + identifiers(names) + replaces + `,"authorizations":null,"finalize":"","certificate":""}`
	}
	x := c.post(text(c.dir, "newOrder"), with(replaces))
	if replaces != "" && !x.ok() {
		c.t.need(x.mediaType() == "application/problem+json" && x.problemType() == errorNamespace+"alreadyReplaced", x, "R9773-5-3", "replaces was refused with something else than alreadyReplaced")
		return c.send(text(c.dir, "newOrder"), with(""))
	}
	c.t.need(x.ok(), x, "R8555-7.3-1", "the server refused an order that carries members only a server fills")
	return x
}

func (c acmezClient) obtain(replaces string, names ...string) []*x509.Certificate {
	t := c.t
	x := c.newOrder(replaces, names)
	order := c.json(x)
	location := x.header.Get("Location")
	type open struct {
		url string
		ch  map[string]any
	}
	var pending []open
	for _, url := range list(order, "authorizations") {
		x := c.send(url, "")
		authz := c.json(x)
		switch s := text(authz, "status"); s {
		case "valid":
			continue
		case "pending":
		default:
			t.need(false, x, "R8555-7.5-1", "a new authorization is %q", s)
		}
		ch := c.challenge(x, authz, "http-01")
		defer c.present(ch)()
		pending = append(pending, open{url, ch})
	}
	for _, p := range pending {
		c.json(c.send(text(p.ch, "url"), "{}"))
	}
	for _, p := range pending {
		c.await("authorization", p.url, "pending")
	}

	var got []string
	for _, id := range objects(order, "identifiers") {
		got = append(got, text(id, "value"))
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(names))
	t.need(slices.Equal(got, want), x, "R8555-7.4-13", "the order's identifiers %q are not those of its CSR, %q", got, want)

	certKey := t.ecKey().signer
	x = c.send(text(order, "finalize"), t.csr(certKey, "", names))
	o := c.json(x)
	// It polls whatever Location says from now on.
	if l := x.header.Get("Location"); l != "" {
		location = l
	}
	if s := text(o, "status"); s == "processing" {
		t.need(location != "", x, "R8555-7.4-1", "no Location says where to poll the order")
		c.sleepAfter(x)
		o = c.await("order", location, "processing")
	} else {
		t.need(s == "valid", x, "R8555-7.1.6-1", "the order is %q after finalize; pending and ready are errors to it", s)
	}
	return c.download(text(o, "certificate"), certKey, names)
}

// sleepAfter is Retry-After or a quarter of a second (C-AZ-1); a header that it
// cannot read ends it.
func (c acmezClient) sleepAfter(x *exchange) {
	d, present, err := x.retryAfter(c.t.clock.Now())
	c.t.need(err == nil, x, "R8555-6.6-2", "it cannot read the Retry-After %q", x.header.Get("Retry-After"))
	if !present {
		d = 250 * time.Millisecond
	}
	c.t.sleep(d)
}

// await polls for five minutes until the status is another one than waiting, which
// then has to be valid.
func (c acmezClient) await(what, url, waiting string) map[string]any {
	end := c.t.clock.Now().Add(5 * time.Minute)
	for {
		x := c.send(url, "")
		o := c.json(x)
		if s := text(o, "status"); s != waiting {
			c.t.need(s == "valid", x, "R8555-7.5-5", "the %s became %q", what, s)
			return o
		}
		c.t.need(c.t.clock.Now().Before(end), x, "R8555-7.4F-14", "it gave up polling the %s after 5 minutes", what)
		c.sleepAfter(x)
	}
}

func (c acmezClient) download(url string, key crypto.Signer, names []string) []*x509.Certificate {
	x := c.send(url, "")
	c.t.need(x.mediaType() == "application/pem-certificate-chain", x, "R8555-7.4.2-1", "the chain is %q", x.mediaType())
	chain := c.chain(x)
	c.fits(x, chain, key, names)
	if text(c.dir, "renewalInfo") != "" {
		c.renewalInfo(chain[0]) // at once, within the download
	}
	// It appends the chains behind rel="up" to this one.
	up := x.links("up")
	for _, next := range up {
		more := c.send(next, "")
		c.t.need(more.mediaType() == "application/pem-certificate-chain", more, "R8555-7.4.2-3", `Link rel="up" of a chain leads to %q`, more.mediaType())
	}
	for _, alternate := range x.links("alternate") {
		more := c.send(alternate, "")
		c.t.need(more.mediaType() == "application/pem-certificate-chain", more, "R8555-7.4.2-2", "an alternate chain is %q", more.mediaType())
	}
	return chain
}
