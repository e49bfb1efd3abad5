package personas

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// lego is go-acme/lego: HTTP/2, EC keys, a stack of nonces that takes those of
// errors too.
func lego() Persona {
	return Persona{Name: "lego", Release: "5.2.2", Stories: []Story{
		{"obtain", func(t *T) { newLego(t, t.suite.cfg.DirectoryURL).register(nil).obtain("", t.newName(), t.newName()) }},
		{"renew", func(t *T) {
			c := newLego(t, t.suite.cfg.DirectoryURL).register(nil)
			name := t.newName()
			id, _, _ := c.renewalInfo(c.obtain("", name)[0])
			c.obtain(id, name)
			c.obtain(id, name) // replaced by now: 409, and again without
		}},
		{"revoke", func(t *T) {
			c := newLego(t, t.suite.cfg.DirectoryURL).register(nil)
			cert := c.obtain("", t.newName())[0]
			c.send(text(c.dir, "revokeCert"), fmt.Sprintf(`{"certificate":"%s"}`, b64(cert.Raw))) // no reason
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			newLego(t, directory).register(&b).obtain("", t.newName())
		}},
		{"rollover", func(t *T) {
			c := newLego(t, t.suite.cfg.DirectoryURL).register(nil)
			c.rollOver(t.ecKey(), func(url, payload string) { c.send(url, payload) })
			c.resolve()
		}},
	}}
}

type legoClient struct{ *wire }

func newLego(t *T, directory string) legoClient {
	w := t.newWire("lego-cli/5.2.2 xenolf-acme/5.2.2 (release; linux; amd64)", connections{follow: true, gzip: true}, nonceHabit{
		method: http.MethodHead, keep: 1 << 10, fromErrors: true, retries: 12, pause: 500 * time.Millisecond,
		refused: func(x *exchange) bool {
			return x.status >= 400 && legoStatus(x) == http.StatusBadRequest && x.problemType() == errorNamespace+"badNonce"
		},
	})
	w.accept = ""
	w.envelope = func(protected, payload, signature string) string {
		return fmt.Sprintf(`{"payload":"%s","protected":"%s","signature":"%s"}`, payload, protected, signature)
	}
	w.key = t.ecKey()
	w.discover(directory)
	w.held = nil
	return legoClient{w}
}

// legoStatus is the status it acts on: the body's, else the answer's (C-LG-1).
func legoStatus(x *exchange) int {
	var p struct{ Status int }
	if json.Unmarshal(x.body, &p) == nil && p.Status != 0 {
		return p.Status
	}
	return x.status
}

func (c legoClient) send(url, payload string) *exchange {
	x := c.post(url, payload)
	c.t.need(x.status < 400, x, "R8555-6.7-1", "the server refused with %d", legoStatus(x))
	return x
}

func (c legoClient) register(b *bound) legoClient {
	payload := `{"contact":[` + quote("mailto:"+c.t.suite.cfg.Email) + `],"termsOfServiceAgreed":true`
	if b != nil {
		payload += `,"externalAccountBinding":` + binding("HS256", b.kid, b.secret, text(c.dir, "newAccount"), c.key.jwk)
	}
	x := c.send(text(c.dir, "newAccount"), payload+"}")
	c.object(x)
	c.kid = x.header.Get("Location")
	c.t.need(c.kid != "", x, "R8555-7.3-7", "without Location it goes on without kid")
	return c
}

// resolve finds the account by its key, as a machine that lost its files does.
func (c legoClient) resolve() {
	url := c.kid
	c.kid = ""
	x := c.send(text(c.dir, "newAccount"), `{"onlyReturnExisting":true}`)
	c.t.need(x.header.Get("Location") == url, x, "R8555-7.3.1-1", "the account found by its key is %q, not %s", x.header.Get("Location"), url)
	c.kid = url
}

func (c legoClient) newOrder(replaces string, names []string) *exchange {
	payload := `{"identifiers":` + identifiers(names)
	if replaces == "" {
		return c.send(text(c.dir, "newOrder"), payload+"}")
	}
	x := c.post(text(c.dir, "newOrder"), payload+`,"replaces":"`+replaces+`"}`)
	if x.status >= 400 {
		// R9773-5-3: only this type under this status makes it go on without.
		c.t.need(legoStatus(x) == http.StatusConflict && x.problemType() == errorNamespace+"alreadyReplaced", x, "R9773-5-3",
			"replaces was refused with something else than alreadyReplaced under 409")
		return c.send(text(c.dir, "newOrder"), payload+"}")
	}
	return x
}

var legoLink = regexp.MustCompile(`<(.+?)>(?:;[^;]+)*?;\s*rel="(.+?)"`)

// up is the target of Link rel="up", quotes and all (C-LG-7).
func legoUp(x *exchange) string {
	for _, value := range x.header.Values("Link") {
		for _, m := range legoLink.FindAllStringSubmatch(value, -1) {
			if m[2] == "up" {
				return m[1]
			}
		}
	}
	return ""
}

func (c legoClient) obtain(replaces string, names ...string) []*x509.Certificate {
	t := c.t
	x := c.newOrder(replaces, names)
	order := c.object(x)
	location := x.header.Get("Location")
	var got []string
	for _, id := range objects(order, "identifiers") {
		got = append(got, text(id, "type")+" "+text(id, "value"))
	}
	want := slices.Clone(names)
	for i := range want {
		want[i] = "dns " + want[i]
	}
	slices.Sort(got)
	slices.Sort(want)
	t.need(slices.Equal(got, want), x, "R8555-7.4-13", "the order's identifiers are %q, not those it asked for, %q", got, want) // C-LG-3
	urls := list(order, "authorizations")
	t.need(len(urls) <= len(got), x, "R8555-7.4-8", "it logs an identifier for each authorization and panics when there are more of these")
	for _, url := range urls {
		c.authorize(url)
	}

	certKey := t.ecSigner(elliptic.P256())
	x = c.send(text(order, "finalize"), t.csr(certKey, "", names))
	o := c.object(x)
	t.need(text(o, "status") != "invalid", x, "R8555-7.4F-16", "the order became invalid")
	// 60 polls in 30 seconds, whatever Retry-After says (C-LG-5).
	for polls := 0; text(o, "status") != "valid"; polls++ {
		t.need(polls < 60, x, "R8555-7.4F-14", "it gave up after 30 seconds of polling the order; --cert.timeout raises that")
		t.need(location != "", x, "R8555-7.4-1", "it has no order URL to poll: newOrder sent no Location")
		x = c.send(location, "")
		o = c.object(x)
		t.need(text(o, "status") != "invalid", x, "R8555-7.4F-16", "the order became invalid")
		t.sleep(500 * time.Millisecond)
	}
	t.need(text(o, "certificate") != "", x, "R8555-7.1.6-1", "a valid order has no certificate URL")
	x = c.send(text(o, "certificate"), "")
	t.need(len(x.body) <= 1<<20, x, "R8555-9.1-1", "the chain is larger than the 1 MiB it reads")
	chain := c.chain(x)
	c.fits(x, chain, certKey, names)
	for _, alternate := range x.links("alternate") {
		c.send(alternate, "")
	}
	return chain
}

func (c legoClient) authorize(url string) {
	t := c.t
	x := c.send(url, "")
	authz := c.object(x)
	if text(authz, "status") == "valid" {
		return
	}
	ch := c.challenge(x, authz, "http-01")
	defer c.present(ch)()
	x = c.send(text(ch, "url"), "{}")
	answered := c.object(x)
	switch s := text(answered, "status"); s {
	case "valid":
		return
	case "pending", "processing":
	default:
		t.need(false, x, "R8555-8-1", "the challenge is %q", s)
	}
	// C-LG-6: the challenge's Retry-After is the first pause, and all pauses
	// together are at most a hundred of it.
	pause, present, err := x.retryAfter(t.clock.Now())
	if !present || err != nil || pause == 0 {
		pause = 5 * time.Second
	}
	up := legoUp(x)
	t.need(up != "", x, "R8555-7.1-3", `the answer to a challenge has no Link rel="up" to the authorization it polls`)
	end := t.clock.Now().Add(100 * pause)
	for longest := 10 * pause; ; pause = min(pause*3/2, longest) {
		x = c.send(up, "")
		switch s := text(c.object(x), "status"); s {
		case "valid":
			return
		case "pending", "processing":
		default:
			t.need(false, x, "R8555-7.5-5", "the authorization is %q", s)
		}
		t.need(t.clock.Now().Before(end), x, "R8555-7.5-5", "it gave up polling the authorization")
		t.sleep(pause)
	}
}

// rollOver is RFC 8555 section 7.3.5, as lego, acmez and uacme do it alike.
func (w *wire) rollOver(next *key, send func(url, payload string)) {
	url := text(w.dir, "keyChange")
	w.t.need(url != "", nil, "R8555-7.1.1-8", "the directory has no keyChange")
	send(url, nested(next, url, `{"account":"`+w.kid+`","oldKey":`+w.key.jwk+`}`))
	w.key = next
}
