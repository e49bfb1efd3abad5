package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
	"acmebridge/storage/memory"
)

// fault is what is wrong with a request, in the order in which the gates look
// (rfc8555 checklist, A.2; SP-4).
type fault int

const (
	badMethod fault = iota
	badContentType
	badSize
	badShape
	badAlg
	badKeySource
	badAccount
	badSignature
	badNonce
	badURL
	badPayload
	faults // how many there are
)

func (f fault) String() string {
	return [...]string{"method", "content type", "size", "shape", "alg", "key source", "account", "signature", "nonce", "url", "payload"}[f]
}

// verdict is what the gate says, and how far the request got.
type verdict struct {
	status int
	kind   acme.ProblemType
	detail string
	// looked: the account was looked up. burnt: the nonce is spent.
	looked, burnt bool
}

var verdicts = [faults]verdict{
	badMethod:      {405, acme.Malformed, "POST only", false, false},
	badContentType: {415, acme.Malformed, "application/jose+json", false, false},
	badSize:        {413, acme.Malformed, "larger than", false, false},
	badShape:       {400, acme.Malformed, "unprotected", false, false},
	badAlg:         {400, acme.BadSignatureAlgorithm, "HS256", false, false},
	badKeySource:   {400, acme.Malformed, "name its account in kid", false, false},
	badAccount:     {400, acme.AccountDoesNotExist, "register", true, false},
	badSignature:   {400, acme.Malformed, "signature", true, false},
	badNonce:       {400, acme.BadNonce, "nonce", true, true},
	badURL:         {403, acme.Unauthorized, "another URL", true, true},
	badPayload:     {400, acme.Malformed, "payload", true, true},
}

// spoilt is a newOrder request with the given faults, and its nonce.
func (c *client) spoilt(tb testing.TB, has func(fault) bool) (call, string) {
	tb.Helper()
	url, nonce := c.url["newOrder"], c.f.nonces.Issue()
	if has(badNonce) {
		if err := c.f.nonces.Redeem(nonce); err != nil {
			tb.Fatal(err)
		}
	}
	header := map[string]any{"alg": "ES256", "kid": c.kid, "nonce": nonce, "url": url}
	payload := orderFor("a.localhost")
	if has(badAlg) {
		header["alg"] = "HS256"
	}
	if has(badAccount) {
		header["kid"] = c.f.URL + "/acme/default/account/" + nobody
	}
	if has(badKeySource) {
		delete(header, "kid")
		header["jwk"] = jwk(tb, &c.key.PublicKey)
	}
	if has(badURL) {
		header["url"] = c.url["newAccount"]
	}
	if has(badPayload) {
		payload = `{"identifiers":`
	}
	if has(badSize) {
		payload += strings.Repeat(" ", 50<<10)
	}
	body := c.sign(tb, header, payload)
	if has(badSignature) {
		body = (&client{f: c.f, key: newKey(tb)}).sign(tb, header, payload)
	}
	if has(badShape) {
		body = append([]byte(`{"header":{},`), body[1:]...)
	}
	r := post(url, body)
	if has(badContentType) {
		r.contentType = "application/json"
	}
	if has(badMethod) {
		r.method = http.MethodPut
	}
	return r, nonce
}

// TestOrderOfGates sends requests with all faults from one on: the first is
// the one that the client hears of, so everything cheaper was looked at before
// anything dearer.
func TestOrderOfGates(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	for first := range faults {
		r, _ := c.spoilt(t, func(x fault) bool { return x >= first })
		want := verdicts[first]
		if p := wantProblem(t, f.do(t, r), want.status, want.kind); !strings.Contains(p.Detail, want.detail) {
			t.Errorf("from %s on: %s", first, p.Detail)
		}
	}
}

// TestGatesSpendNothing sends requests with one fault each. What fails before
// the key is looked up does not touch the store, nothing at all is written,
// and a nonce is spent only by who could sign (SP-4, R8555-6.5-3).
func TestGatesSpendNothing(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Store: watchedStore{memory.New()}})
	c := f.registered(t, "default")
	for only := range faults {
		var w watch
		r, nonce := c.spoilt(t, func(x fault) bool { return x == only })
		r.ctx = w.in(t.Context())
		want := verdicts[only]
		wantProblem(t, f.do(t, r), want.status, want.kind)
		if looked := w.views.Load() > 0; looked != want.looked {
			t.Errorf("%s: %d reads of the store", only, w.views.Load())
		}
		if n := w.updates.Load(); n > 0 {
			t.Errorf("%s: %d writes", only, n)
		}
		if burnt := f.nonces.Redeem(nonce) != nil; burnt != want.burnt {
			t.Errorf("%s: nonce spent: %v", only, burnt)
		}
	}
	// The same request without a fault is counted, or the above proves nothing.
	var w watch
	r, nonce := c.spoilt(t, func(fault) bool { return false })
	r.ctx = w.in(t.Context())
	if got := f.do(t, r); got.status != http.StatusCreated || w.views.Load() == 0 || w.updates.Load() != 1 || f.nonces.Redeem(nonce) == nil {
		t.Errorf("good request: %d, %d reads, %d writes", got.status, w.views.Load(), w.updates.Load())
	}
}

// TestNoStoreForStrangers goes through everything that can be known to be
// wrong from the bytes of a request alone.
func TestNoStoreForStrangers(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Store: watchedStore{memory.New()}})
	c := f.registered(t, "default")
	url := c.url["newOrder"]
	header := func(change map[string]any) []byte {
		h := map[string]any{"alg": "ES256", "kid": c.kid, "nonce": f.nonces.Issue(), "url": url}
		for name, v := range change {
			if h[name] = v; v == nil {
				delete(h, name)
			}
		}
		return c.sign(t, h, "{}")
	}
	good := string(header(nil))
	for name, body := range map[string]string{
		"nothing":              "",
		"no JSON":              "hello",
		"cut off":              good[:len(good)/2],
		"compact":              "a.b.c",
		"two signatures":       strings.Replace(good, "{", `{"signatures":[],`, 1),
		"no payload":           strings.Replace(good, `"payload"`, `"cargo"`, 1),
		"duplicate":            strings.Replace(good, "{", `{"payload":"",`, 1),
		"no alg":               string(header(map[string]any{"alg": nil})),
		"alg none":             string(header(map[string]any{"alg": "none"})),
		"b64":                  string(header(map[string]any{"b64": false, "crit": []string{"b64"}})),
		"jwk and kid":          string(header(map[string]any{"jwk": jwk(t, &c.key.PublicKey)})),
		"neither":              string(header(map[string]any{"kid": nil})),
		"no nonce":             string(header(map[string]any{"nonce": nil})),
		"nonce of other bytes": string(header(map[string]any{"nonce": "?"})),
		"no url":               string(header(map[string]any{"url": nil})),
		"kid elsewhere":        string(header(map[string]any{"kid": "https://example.org/acme/default/account/" + nobody})),
		"kid of another dir":   string(header(map[string]any{"kid": f.URL + "/acme/eab/account/" + nobody})),
		"kid of no account":    string(header(map[string]any{"kid": f.URL + "/acme/default/account/1"})),
		"kid and more":         string(header(map[string]any{"kid": c.kid + "/"})),
		"kid and a query":      string(header(map[string]any{"kid": c.kid + "?"})),
	} {
		t.Run(name, func(t *testing.T) {
			var w watch
			r := post(url, []byte(body))
			r.ctx = w.in(t.Context())
			got := f.do(t, r)
			if got.status < 400 || got.status > 499 {
				t.Errorf("status %d", got.status)
			}
			checkProblem(t, got)
			if w.views.Load()+w.updates.Load() > 0 {
				t.Errorf("%d reads and %d writes for\n%s", w.views.Load(), w.updates.Load(), got.body)
			}
		})
	}
	// A key that was brought is known without the store, and its signature is
	// checked before anything is looked up.
	stranger := f.client(t, "default")
	forged := (&client{f: f, key: newKey(t)}).sign(t, map[string]any{
		"alg": "ES256", "jwk": jwk(t, &stranger.key.PublicKey), "nonce": f.nonces.Issue(), "url": stranger.url["newAccount"],
	}, "{}")
	var w watch
	r := post(stranger.url["newAccount"], forged)
	r.ctx = w.in(t.Context())
	wantProblem(t, f.do(t, r), http.StatusBadRequest, acme.Malformed)
	if w.views.Load()+w.updates.Load() > 0 {
		t.Error("a forged newAccount reached the store")
	}
}

// TestNonceHeader: a nonce in a request header is refused, for it is a sign of
// a client that mistakes where nonces go (R8555-6.2-20).
func TestNonceHeader(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	r := post(c.kid, c.withAccount(t, c.kid, ""))
	r.header = http.Header{"Replay-Nonce": {"abc"}}
	wantProblem(t, f.do(t, r), http.StatusBadRequest, acme.Malformed)
}

// TestDeactivated: an account that has ended is told so, on every route, and
// before its signature is looked at (R8555-7.3.6-2).
func TestDeactivated(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	o := c.newOrder(t, "a.localhost")
	if r := c.post(t, c.kid, `{"status":"deactivated"}`); r.status != http.StatusOK || !strings.Contains(string(r.body), `"deactivated"`) {
		t.Fatalf("deactivate: %d %s", r.status, r.body)
	}
	for _, url := range []string{c.kid, c.kid + "/orders", c.url["newOrder"], c.url["keyChange"], c.url["revokeCert"], o.url, o.Finalize, o.Authorizations[0]} {
		wantProblem(t, c.post(t, url, ""), http.StatusUnauthorized, acme.Unauthorized)
	}
	again := c.f.do(t, post(c.url["newAccount"], c.withKey(t, c.url["newAccount"], `{}`)))
	wantProblem(t, again, http.StatusUnauthorized, acme.Unauthorized)
	if again.header.Get("Location") != "" {
		t.Error("newAccount with the key of an ended account has a Location")
	}
}

// Example_gates shows what a stranger's request costs; see the package comment
// for the order.
func Example_gates() {
	for f := range faults {
		fmt.Println(f, verdicts[f].status, verdicts[f].kind)
	}
	// Output:
	// method 405 malformed
	// content type 415 malformed
	// size 413 malformed
	// shape 400 malformed
	// alg 400 badSignatureAlgorithm
	// key source 400 malformed
	// account 400 accountDoesNotExist
	// signature 400 malformed
	// nonce 400 badNonce
	// url 403 unauthorized
	// payload 400 malformed
}
