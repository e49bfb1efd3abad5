package personas

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// acmeSh is acme.sh: a shell script that calls curl for each request and searches
// the answers with regular expressions instead of parsing them.
func acmeSh() Persona {
	return Persona{Name: "acme.sh", Release: "3.1.4", Stories: []Story{
		{"obtain", func(t *T) { newAcmeSh(t, t.suite.cfg.DirectoryURL).register(nil).obtain("", t.newName(), t.newName()) }},
		{"renew", func(t *T) {
			c := newAcmeSh(t, t.suite.cfg.DirectoryURL).register(nil)
			name := t.newName()
			id, _, _ := c.renewalInfo(c.obtain("", name)[0])
			c.obtain(id, name)
			c.obtain(id, name)
			c.register(nil) // it registers again whenever its own account.json is gone
		}},
		{"revoke", func(t *T) {
			c := newAcmeSh(t, t.suite.cfg.DirectoryURL).register(nil)
			cert := c.obtain("", t.newName())[0]
			x, _ := c.send(text(c.dir, "revokeCert"), fmt.Sprintf(`{"certificate": "%s","reason":0}`, b64(cert.Raw)))
			t.need(len(x.body) == 0, x, "R8555-7.6-7", "it takes any body, also {}, for a failed revocation and tries again with the certificate's key")
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			newAcmeSh(t, directory).register(&b).obtain("", t.newName())
		}},
	}}
}

type acmeShClient struct{ *wire }

func newAcmeSh(t *T, directory string) acmeShClient {
	w := t.newWire("acme.sh/3.1.4 (https://github.com/acmesh-official/acme.sh)", connections{single: true, follow: true}, nonceHabit{
		method: http.MethodHead, kind: joseJSON, // its curl wrapper sends that with everything
		keep: 1, fromErrors: true, retries: 20, pause: time.Second, fresh: true,
		// C-SH-1: it knows a refused nonce by these sentences alone.
		refused: func(x *exchange) bool {
			return x.status >= 300 && (bytes.Contains(x.body, []byte("JWS has invalid anti-replay nonce")) ||
				bytes.Contains(x.body, []byte("JWS has an invalid anti-replay nonce")) ||
				bytes.Contains(x.body, []byte("The Replay Nonce is not recognized")))
		},
	})
	w.nonces.otherwise = func() *exchange { // C-SH-4
		x := w.do(http.MethodGet, directory, "", "", "")
		if x.line("Replay-Nonce") == "" {
			x = w.do(http.MethodGet, text(w.dir, "newNonce"), "", "", "")
		}
		return x
	}
	w.key = t.ecKey()
	w.protect = func(alg, who, nonce, url string) string {
		// Blanks in the JWK too; the thumbprint is taken without.
		who = strings.NewReplacer(`":`, `": `, `","`, `", "`).Replace(who)
		return fmt.Sprintf(`{"nonce": "%s", "url": "%s", "alg": "%s", %s}`, nonce, url, alg, who)
	}
	w.envelope = func(protected, payload, signature string) string {
		return fmt.Sprintf(`{"protected": "%s", "payload": "%s", "signature": "%s"}`, protected, payload, signature)
	}
	x := w.do(http.MethodGet, directory, "", "", "")
	w.dir = map[string]any{}
	for _, name := range []string{"newNonce", "newAccount", "newOrder", "revokeCert", "renewalInfo"} {
		w.dir[name] = between(x.body, name)
	}
	t.need(text(w.dir, "newAccount") != "" && text(w.dir, "newOrder") != "", x, "R8555-7.1-1", "it finds no newAccount or newOrder in the directory's text")
	return acmeShClient{w}
}

// between finds "name": "value" in the text of an answer, wherever it is.
func between(body []byte, name string) string {
	m := regexp.MustCompile(name + `" *: *"([^"]*)"`).FindSubmatch(body)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// send posts; the text of a JSON answer loses its blanks after colons and its line
// ends, so that words can be searched.
func (c acmeShClient) send(url, payload string) (*exchange, string) {
	x := c.post(url, payload)
	body := string(x.body)
	if c.typeIsJSON(x) {
		body = regexp.MustCompile(`" *: *(["{\[])`).ReplaceAllString(body, `":$1`)
		body = strings.NewReplacer("\r", "", "\n", "").Replace(body)
	}
	c.t.need(x.status < 300, x, "R8555-6.7-1", "the server refused with %d", x.status)
	return x, body
}

func (c acmeShClient) typeIsJSON(x *exchange) bool {
	return strings.HasPrefix(x.line("Content-Type"), "application/json")
}

func (c acmeShClient) register(b *bound) acmeShClient {
	payload := fmt.Sprintf(`{"contact": ["mailto:%s"], "termsOfServiceAgreed": true`, c.t.suite.cfg.Email)
	if b != nil {
		spaced := strings.NewReplacer(`":`, `": `, `","`, `", "`).Replace(c.key.jwk)
		payload += `,"externalAccountBinding":` + binding("HS256", b.kid, b.secret, text(c.dir, "newAccount"), spaced)
	}
	c.kid = ""
	x := c.post(text(c.dir, "newAccount"), payload+"}")
	c.t.need(slices.Contains([]int{200, 201, 409}, x.status), x, "R8555-7.3-7", "registration answered %d", x.status) // C-SH-5
	c.kid = x.line("Location")
	c.t.need(c.kid != "", x, "R8555-7.3.1-1", "it finds no Location and so no account URL")
	return c
}

var (
	shAuthorizations = regexp.MustCompile(`"authorizations" *: *\[([^\[\]]*)\]`)
	shHTTP01         = regexp.MustCompile(`[^{]*"type":"http-01"[^}]*`)
	shStatus         = regexp.MustCompile(`"status":"([^"]*)`)
)

func (c acmeShClient) newOrder(replaces string, names []string) (*exchange, string) {
	payload := `{"identifiers": ` + identifiers(names)
	if replaces == "" {
		return c.send(text(c.dir, "newOrder"), payload+"}")
	}
	x := c.post(text(c.dir, "newOrder"), payload+`,"replaces": "`+replaces+`"}`)
	if x.status >= 300 {
		for _, word := range []string{"alreadyReplaced", errorNamespace + "malformed", "'replaces'", "ARI"} {
			if bytes.Contains(x.body, []byte(word)) {
				return c.send(text(c.dir, "newOrder"), payload+"}")
			}
		}
		c.t.need(false, x, "R9773-5-3", "nothing in the refusal tells it to go on without replaces")
	}
	return x, string(x.body)
}

func (c acmeShClient) obtain(replaces string, names ...string) []*x509.Certificate {
	t := c.t
	x, body := c.newOrder(replaces, names)
	t.need(!strings.Contains(body, `"status":"invalid"`), x, "R8555-7.1.6-1", "the new order is invalid")
	orderURL, finalize := x.line("Location"), between(x.body, "finalize")
	t.need(finalize != "", x, "R8555-7.4-1", "it finds no finalize in the order's text")
	m := shAuthorizations.FindStringSubmatch(body)
	t.need(m != nil, x, "R8555-7.4-8", "it finds no list of authorizations in the order's text")
	for url := range strings.SplitSeq(strings.ReplaceAll(m[1], `"`, ""), ",") {
		c.authorize(strings.TrimSpace(url), names)
	}

	certKey := t.ecKey().signer
	x, body = c.send(finalize, t.csr(certKey, names[0], names))
	t.need(x.status == http.StatusOK, x, "R8555-7.4F-13", "finalize has to answer exactly 200, not %d", x.status)
	if orderURL == "" {
		orderURL = x.line("Location")
	}
	// C-SH-6: thirty looks, two seconds or Retry-After apart.
	for looks := 0; !strings.Contains(body, `"status":"valid"`); looks++ {
		t.need(strings.Contains(body, `"ready"`) || strings.Contains(body, `"processing"`), x, "R8555-7.1.6-1", "the order is neither valid nor ready nor processing")
		t.need(looks < 30, x, "R8555-7.4F-14", "it gave up after polling the order 30 times")
		c.pause(x, false)
		t.need(orderURL != "", x, "R8555-7.4F-13", "neither newOrder nor finalize sent a Location to poll")
		x, body = c.send(orderURL, "")
	}
	url := between(x.body, "certificate")
	t.need(url != "", x, "R8555-7.1.6-1", "it finds no certificate in the order's text")
	x, _ = c.send(url, "")
	t.need(!c.typeIsJSON(x), x, "R8555-7.4.2-1", "it would tear a chain that calls itself JSON apart")
	// The file is cut after the first line that holds the end mark.
	t.need(wholeLines(x.body), x, "R8555-9.1-1", "it cuts the chain by lines, and a mark does not have one of its own")
	chain := c.chain(x)
	c.fits(x, chain, certKey, names)
	return chain
}

// pause is its way with Retry-After (C-SH-2): what is not whole seconds is passed
// over.
func (c acmeShClient) pause(x *exchange, bounded bool) {
	seconds, err := strconv.Atoi(x.line("Retry-After"))
	if err != nil {
		seconds = 0
	}
	c.t.need(!bounded || seconds <= 600, x, "R8555-6.6-2", "it gives up over a Retry-After of %d, more than 600", seconds)
	if seconds > 0 {
		c.t.sleep(time.Duration(seconds) * time.Second)
		return
	}
	c.t.sleep(2 * time.Second)
}

func (c acmeShClient) authorize(url string, names []string) {
	t := c.t
	x, body := c.send(url, "")
	t.need(!strings.Contains(body, `"status":"invalid"`), x, "R8555-7.5-1", "something in a new authorization is invalid")
	name := between([]byte(body), "value")
	t.need(slices.Contains(names, name), x, "R8555-7.5-1", "the first value in the authorization is %q and none of its names", name)
	if strings.Contains(body, `"status":"valid"`) {
		return // also when it is only a challenge that is valid
	}
	entry := shHTTP01.FindString(strings.ReplaceAll(body, `"error":{}`, `"error":null`))
	if entry == "" {
		t.notApplicable("no http-01 challenge is offered")
	}
	challengeURL, token := between([]byte(entry), "url"), between([]byte(entry), "token")
	t.need(challengeURL != "" && base64url(token), x, "R8555-8-1", "the braces of the http-01 challenge hold no url and token: it cannot read nested objects")
	t.suite.http01.put(token, token+"."+c.key.thumbprint())
	defer t.suite.http01.remove(token)
	x, body = c.send(challengeURL, "{}")
	t.need(x.status == http.StatusOK || x.status == http.StatusAccepted, x, "R8555-7.5.1-3", "a challenge was answered with %d", x.status)
	for looks := 1; ; looks++ {
		var all []string
		for _, m := range shStatus.FindAllStringSubmatch(body, -1) {
			all = append(all, m[1])
		}
		words := strings.Join(all, "\n")
		t.need(!strings.Contains(words, "invalid"), x, "R8555-7.5-5", "a status in the answer is invalid")
		if strings.Contains(words, "valid") {
			return
		}
		t.need(strings.Contains(words, "pending") || strings.Contains(words, "processing"), x, "R8555-7.5-5", "it knows none of the statuses %q", words)
		t.need(looks < 30, x, "R8555-7.5-5", "it gave up after polling the authorization 30 times")
		t.sleep(2 * time.Second)
		x, body = c.send(url, "")
		if x.line("Retry-After") != "" {
			c.pause(x, true)
		}
	}
}
