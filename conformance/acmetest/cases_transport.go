package acmetest

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func transportCases() []Case {
	return []Case{
		{"R8555-6.1-1", "every-url-is-https", everyURLIsHTTPS},
		{"R8555-6.1-2", "tls-1.1-is-refused", oldTLSIsRefused},
		{"R8555-6.2-16", "json-content-type-is-refused", wrongContentType("application/json")},
		{"R8555-6.2-16", "form-content-type-is-refused", wrongContentType("application/x-www-form-urlencoded")},
		{"R8555-6.2-16", "missing-content-type-is-refused", wrongContentType("")},
		{"R8555-6.2-16", "media-type-parameter-is-tolerated", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.http = func(r *http.Request) { r.Header.Set("Content-Type", contentType+"; charset=utf-8") }
			t.send(a.ep, m).want(200)
		}},
		{"R8555-6.2-19", "oversized-body-is-refused", func(t *T) {
			a := t.newAccount()
			padding := strings.Repeat("a", 256<<10)
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"padding", padding}}).
				refused(413, "malformed")
		}},
		{"R8555-6.2-20", "replay-nonce-request-header-is-refused", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.http = func(r *http.Request) { r.Header.Set("Replay-Nonce", t.newNonce(a.ep)) }
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.7-1", "unknown-path-get", func(t *T) {
			t.request(http.MethodGet, t.elsewhere()).refused(404, "malformed")
		}},
		{"R8555-6.7-1", "unknown-path-post", func(t *T) {
			a := t.newAccount()
			a.post(t.elsewhere(), object{}).refused(404, "malformed")
		}},
		{"R8555-6.3-5", "head-directory-has-no-body", func(t *T) {
			resp := t.request(http.MethodHead, t.suite.main.url).want(200)
			if len(resp.body) != 0 {
				resp.fail("HEAD answered with a body")
			}
		}},
	}
}

// elsewhere is a URL on the server that nobody was ever told about.
func (t *T) elsewhere() string {
	u, err := url.Parse(t.suite.main.url)
	if err != nil {
		t.Fatalf("directory URL: %v", err)
	}
	return u.ResolveReference(&url.URL{Path: "/acmetest/no/such/resource"}).String()
}

func everyURLIsHTTPS(t *T) {
	c := t.sharedCertificate()
	d := t.suite.main.dir
	urls := []string{d.NewNonce, d.NewAccount, d.NewOrder, d.RevokeCert, d.KeyChange, c.order.acct.url, c.order.url, c.order.obj.Finalize, c.order.obj.Certificate}
	urls = append(urls, c.order.obj.Authorizations...)
	for _, ch := range c.order.acct.authorization(c.order.obj.Authorizations[0]).Challenges {
		urls = append(urls, ch.URL)
	}
	for _, rel := range []string{"index", "up", "alternate"} {
		urls = append(urls, c.response.links(rel)...)
	}
	for _, u := range urls {
		if !strings.HasPrefix(u, "https://") {
			t.Errorf("the server minted %q, which is no https URL", u)
		}
	}
}

func oldTLSIsRefused(t *T) {
	u, err := url.Parse(t.suite.main.url)
	if err != nil {
		t.Fatalf("directory URL: %v", err)
	}
	host := u.Host
	if u.Port() == "" {
		host += ":443"
	}
	ctx, cancel := context.WithTimeout(t.ctx, 10*time.Second)
	defer cancel()
	// The certificate is not what this case is about, and nothing is sent.
	dialer := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err == nil {
		_ = conn.Close()
		t.Errorf("a TLS 1.1 handshake with %s succeeded", host)
	}
}

func wrongContentType(value string) func(*T) {
	return func(t *T) {
		a := t.newAccount()
		m := a.message(a.url, nil)
		m.http = func(r *http.Request) {
			r.Header.Del("Content-Type")
			if value != "" {
				r.Header.Set("Content-Type", value)
			}
		}
		t.send(a.ep, m).refused(415, "malformed")
	}
}

// resource is a URL that only answers POST, found through the shared certificate.
type resource struct {
	name string
	url  func(c *certificate) string
}

func resources() []resource {
	return []resource{
		{"newAccount", func(c *certificate) string { return c.order.acct.ep.dir.NewAccount }},
		{"newOrder", func(c *certificate) string { return c.order.acct.ep.dir.NewOrder }},
		{"revokeCert", func(c *certificate) string { return c.order.acct.ep.dir.RevokeCert }},
		{"keyChange", func(c *certificate) string { return c.order.acct.ep.dir.KeyChange }},
		{"account", func(c *certificate) string { return c.order.acct.url }},
		{"orders", func(c *certificate) string { return c.order.acct.ordersURL() }},
		{"order", func(c *certificate) string { return c.order.url }},
		{"authorization", func(c *certificate) string { return c.order.obj.Authorizations[0] }},
		{"challenge", func(c *certificate) string {
			return c.order.acct.authorization(c.order.obj.Authorizations[0]).Challenges[0].URL
		}},
		{"finalize", func(c *certificate) string { return c.order.obj.Finalize }},
		{"certificate", func(c *certificate) string { return c.order.obj.Certificate }},
	}
}

// ordersURL is the account's list of orders, where the server keeps one.
func (a *account) ordersURL() string {
	if a.obj.Orders == "" {
		a.t.NotApplicable("the account object has no orders URL")
	}
	return a.obj.Orders
}

// methodCases is R8555-6.3: what is not public is read by POST-as-GET only.
func methodCases() (cases []Case) {
	for _, r := range resources() {
		cases = append(cases, Case{"R8555-6.3-1", "get-on-" + r.name + "-is-refused", func(t *T) {
			wantNotAllowed(t.request(http.MethodGet, r.url(t.sharedCertificate())))
		}})
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
		cases = append(cases, Case{"R8555-6.3-1", strings.ToLower(method) + "-on-account-is-refused", func(t *T) {
			wantNotAllowed(t.request(method, t.sharedCertificate().order.acct.url))
		}})
	}
	cases = append(cases, Case{"R8555-6.3-1", "delete-on-new-nonce-is-refused", func(t *T) {
		resp := t.request(http.MethodDelete, t.suite.main.dir.NewNonce)
		resp.refused(405, "malformed")
	}})
	for _, name := range []string{"order", "certificate", "orders"} {
		for _, payload := range []string{"{}", `{"x":1}`, "null"} {
			cases = append(cases, Case{"R8555-6.3-4", fmt.Sprintf("%s-with-payload-%s-is-refused", name, slug(payload)), func(t *T) {
				c := t.sharedCertificate()
				i := slices.IndexFunc(resources(), func(r resource) bool { return r.name == name })
				c.order.acct.post(resources()[i].url(c), []byte(payload)).refused(400, "malformed")
			}})
		}
	}
	return append(cases, []Case{
		{"R8555-6.3-4", "account-with-empty-object-is-read", func(t *T) {
			a := t.newAccount()
			a.post(a.url, object{}).want(200)
		}},
		{"R8555-6.3-3", "directory-by-post-as-get", func(t *T) {
			a := t.newAccount()
			var d directory
			a.read(a.ep.url).must(200).wantNonce().decode(&d)
			if d.NewOrder != a.ep.dir.NewOrder {
				t.Errorf("POST-as-GET of the directory shows newOrder %q, GET shows %q", d.NewOrder, a.ep.dir.NewOrder)
			}
		}},
		{"R8555-6.3-3", "directory-post-with-payload-is-refused", func(t *T) {
			a := t.newAccount()
			a.post(a.ep.url, object{{"x", 1}}).refused(400, "malformed")
		}},
	}...)
}

func slug(payload string) string {
	switch payload {
	case "{}":
		return "empty-object"
	case "null":
		return "null"
	}
	return "object"
}

func wantNotAllowed(resp *response) {
	resp.refused(405, "malformed")
	if !strings.Contains(resp.header.Get("Allow"), http.MethodPost) {
		resp.fail("Allow is %q, want it to name POST", resp.header.Get("Allow"))
	}
}

// linkCases is R8555-7.1-2 and R8555-6.5-1, -2: headers every answer carries.
func linkCases() (cases []Case) {
	for _, name := range []string{"account", "order", "authorization", "challenge", "certificate", "orders"} {
		i := slices.IndexFunc(resources(), func(r resource) bool { return r.name == name })
		r := resources()[i]
		cases = append(cases, Case{"R8555-7.1-2", "link-index-on-" + name, func(t *T) {
			c := t.sharedCertificate()
			c.order.acct.read(r.url(c)).must(200).wantIndex(c.order.acct.ep.url)
		}}, Case{"R8555-6.5-1", "nonce-on-" + name, func(t *T) {
			c := t.sharedCertificate()
			c.order.acct.read(r.url(c)).must(200).wantNonce()
		}})
	}
	wrong := map[string]func(a *account) *response{
		"bad-signature": func(a *account) *response {
			m := a.message(a.url, nil)
			m.signature = flip
			return a.t.send(a.ep, m)
		},
		"unknown-account": func(a *account) *response {
			m := a.message(a.url, nil)
			m.kid = unknownSibling(a.url)
			return a.t.send(a.ep, m)
		},
		"bad-payload": func(a *account) *response { return a.post(a.ep.dir.NewOrder, []byte("{")) },
		"unknown-order": func(a *account) *response {
			return a.read(unknownSibling(a.newOrder().url))
		},
		"wrong-content-type": func(a *account) *response {
			m := a.message(a.url, nil)
			m.http = func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
			return a.t.send(a.ep, m)
		},
		"order-not-ready": func(a *account) *response { return a.newOrder().finalize([]byte("x")) },
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		cases = append(cases, Case{"R8555-7.1-2", "link-index-on-error-" + name, func(t *T) {
			a := t.newAccount()
			wantError(wrong[name](a)).wantIndex(a.ep.url)
		}}, Case{"R8555-6.5-2", "nonce-on-error-" + name, func(t *T) {
			wantError(wrong[name](t.newAccount())).wantNonce()
		}})
	}
	return append(cases,
		Case{"R8555-7.1-2", "no-link-index-on-directory", func(t *T) {
			resp := t.request(http.MethodGet, t.suite.main.url).want(200)
			if len(resp.links("index")) > 0 {
				resp.fail("the directory links to itself as index")
			}
		}},
		Case{"R8555-7.1-2", "link-index-on-new-nonce", func(t *T) {
			t.request(http.MethodHead, t.suite.main.dir.NewNonce).wantIndex(t.suite.main.url)
		}},
	)
}

func wantError(resp *response) *response {
	if resp.status < 400 {
		resp.fail("status %d, want an error", resp.status)
	}
	return resp
}

// unknownSibling is a URL of the same shape that was never handed out. It uses only
// the letters the server used itself, and keeps the last two in place: they may hold
// fewer bits than the others, and the case is not about malformed ids.
func unknownSibling(u string) string {
	start := strings.LastIndex(u, "/") + 1
	id := u[start:]
	if len(id) < 8 {
		return u[:start] + strings.Repeat(id, 8) // short ids count up; be far ahead
	}
	cut := max(0, len(id)-14)
	head, middle, end := id[:cut], id[cut:len(id)-2], id[len(id)-2:]
	for i := 1; i < len(middle); i++ {
		if turned := middle[i:] + middle[:i]; turned != middle {
			return u[:start] + head + turned + end
		}
	}
	return u[:start] + id + id // one letter throughout
}

// flip changes one bit in the middle.
func flip(b []byte) []byte {
	out := slices.Clone(b)
	out[len(out)/2] ^= 1
	return out
}
