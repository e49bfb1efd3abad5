package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/nonce"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
)

// front is a whole server whose handler is called directly, so that a request
// can be anything, and costs no network.
type front struct {
	*servertest.Server
	handler http.Handler
	nonces  *nonce.Source
}

// start runs a server in which every challenge is valid at once.
func start(tb testing.TB, o servertest.Options) *front {
	tb.Helper()
	f := &front{}
	alterServer, alterEngine := o.Server, o.Engine
	o.Server = func(c *server.Config) {
		f.nonces = c.Nonces
		if alterServer != nil {
			alterServer(c)
		}
	}
	o.Engine = func(c *engine.Config) {
		c.Validators = []challenges.Validator{believer{}}
		if alterEngine != nil {
			alterEngine(c)
		}
	}
	f.Server = servertest.Start(tb, o)
	f.handler = f.Front.Handler()
	return f
}

// believer is a validator for tests of everything but validation.
type believer struct{}

func (believer) Type() acme.ChallengeType { return acme.HTTP01 }
func (believer) Validate(context.Context, challenges.Target) acme.Outcome {
	return acme.Outcome{Valid: true}
}

// call is a request as it is written, however wrong.
type call struct {
	method, url string
	contentType string
	header      http.Header
	host        string // that of url when empty
	remote      string
	body        []byte
	ctx         context.Context // of the test when nil
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (f *front) do(tb testing.TB, c call) reply {
	tb.Helper()
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, c.request(tb))
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		tb.Fatal(err)
	}
	return reply{rec.Code, rec.Result().Header, body}
}

func (c call) request(tb testing.TB) *http.Request {
	tb.Helper()
	r := httptest.NewRequest(c.method, c.url, bytes.NewReader(c.body))
	// As over a connection: only the path is in the request line.
	r.URL.Scheme, r.URL.Host = "", ""
	maps.Copy(r.Header, c.header)
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	if c.host != "" {
		r.Host = c.host
	}
	if c.remote != "" {
		r.RemoteAddr = c.remote
	}
	if c.ctx == nil {
		c.ctx = tb.Context()
	}
	return r.WithContext(c.ctx)
}

// post is a call as a client should make it.
func post(url string, body []byte) call {
	return call{method: http.MethodPost, url: url, contentType: "application/jose+json", body: body}
}

func get(url string) call { return call{method: http.MethodGet, url: url} }

// decode reads a JSON answer.
func decode[T any](tb testing.TB, r reply) (v T) {
	tb.Helper()
	if err := json.Unmarshal(r.body, &v); err != nil {
		tb.Fatalf("answer %d is not the JSON that was expected: %v\n%s", r.status, err, r.body)
	}
	return v
}

type problemDocument struct {
	Type, Detail, Instance string
	Status                 int
	Algorithms             []string
}

// wantProblem holds an answer against what all problem documents have
// (R8555-6.7-1; lego reads the status out of the body, C-LG-1).
func wantProblem(tb testing.TB, r reply, status int, kind acme.ProblemType) problemDocument {
	tb.Helper()
	p := decode[problemDocument](tb, r)
	if r.status != status || p.Type != acme.ProblemPrefix+string(kind) {
		tb.Fatalf("got %d %s (%s), want %d %s", r.status, p.Type, p.Detail, status, kind)
	}
	checkProblem(tb, r)
	return p
}

func checkProblem(tb testing.TB, r reply) {
	tb.Helper()
	p := decode[problemDocument](tb, r)
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		tb.Errorf("Content-Type is %q", got)
	}
	if p.Status != r.status {
		tb.Errorf("the document says status %d, HTTP says %d", p.Status, r.status)
	}
	if p.Detail == "" || !strings.HasPrefix(p.Type, acme.ProblemPrefix) {
		tb.Errorf("problem without type or detail: %s", r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		tb.Errorf("Cache-Control is %q", r.header.Get("Cache-Control"))
	}
}

// client is an ACME client that does as it is told. It shares no code with
// what it tests.
type client struct {
	f   *front
	url map[string]string // the entries of its directory
	key *ecdsa.PrivateKey
	kid string
}

// client returns a client of a directory that has no account yet.
func (f *front) client(tb testing.TB, d acme.DirectoryName) *client {
	tb.Helper()
	c := &client{f: f, url: map[string]string{}, key: newKey(tb)}
	for name, v := range decode[map[string]any](tb, f.do(tb, get(f.DirectoryURL(d)))) {
		if s, ok := v.(string); ok {
			c.url[name] = s
		}
	}
	return c
}

// registered returns a client with an account.
func (f *front) registered(tb testing.TB, d acme.DirectoryName) *client {
	tb.Helper()
	c := f.client(tb, d)
	if r := c.register(tb, `{}`); r.status != http.StatusCreated {
		tb.Fatalf("register: %d %s", r.status, r.body)
	}
	return c
}

func (c *client) register(tb testing.TB, payload string) reply {
	tb.Helper()
	r := c.f.do(tb, post(c.url["newAccount"], c.withKey(tb, c.url["newAccount"], payload)))
	c.kid = r.header.Get("Location")
	return r
}

// post sends a request signed by the account.
func (c *client) post(tb testing.TB, url, payload string) reply {
	tb.Helper()
	return c.f.do(tb, post(url, c.withAccount(tb, url, payload)))
}

// withAccount and withKey sign a request; the payload of a read is empty.
func (c *client) withAccount(tb testing.TB, url, payload string) []byte {
	return c.sign(tb, map[string]any{"alg": "ES256", "kid": c.kid, "nonce": c.f.nonces.Issue(), "url": url}, payload)
}

func (c *client) withKey(tb testing.TB, url, payload string) []byte {
	return c.sign(tb, map[string]any{"alg": "ES256", "jwk": jwk(tb, &c.key.PublicKey), "nonce": c.f.nonces.Issue(), "url": url}, payload)
}

func (c *client) sign(tb testing.TB, header map[string]any, payload string) []byte {
	tb.Helper()
	protected, encoded := encode(marshal(tb, header)), encode([]byte(payload))
	digest := sha256.Sum256([]byte(protected + "." + encoded))
	r, s, err := ecdsa.Sign(rand.Reader, c.key, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return marshal(tb, map[string]string{"protected": protected, "payload": encoded, "signature": encode(signature)})
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func jwk(tb testing.TB, k *ecdsa.PublicKey) map[string]string {
	tb.Helper()
	point, err := k.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// order is an order as its client sees it.
type order struct {
	Status, Finalize, Certificate string
	Authorizations                []string
	url                           string
}

func (c *client) newOrder(tb testing.TB, name string) order {
	tb.Helper()
	return wantOrder(tb, c.post(tb, c.url["newOrder"], orderFor(name)), http.StatusCreated)
}

func orderFor(name string) string { return `{"identifiers":[{"type":"dns","value":"` + name + `"}]}` }

func wantOrder(tb testing.TB, r reply, status int) order {
	tb.Helper()
	if r.status != status {
		tb.Fatalf("got %d, want %d: %s", r.status, status, r.body)
	}
	o := decode[order](tb, r)
	o.url = r.header.Get("Location")
	return o
}

// challengeOf returns the URL of the one challenge of an authorization.
func challengeOf(tb testing.TB, r reply) string {
	tb.Helper()
	a := decode[struct{ Challenges []struct{ URL string } }](tb, r)
	if len(a.Challenges) != 1 {
		tb.Fatalf("want one challenge: %s", r.body)
	}
	return a.Challenges[0].URL
}

// issue takes an order to its certificate.
func (c *client) issue(tb testing.TB, name string) order {
	tb.Helper()
	return c.issueWith(tb, name, newKey(tb))
}

// issueWith is issue for a certificate with that key.
func (c *client) issueWith(tb testing.TB, name string, key *ecdsa.PrivateKey) order {
	tb.Helper()
	o := c.newOrder(tb, name)
	url := challengeOf(tb, c.post(tb, o.Authorizations[0], ""))
	if r := c.post(tb, url, "{}"); r.status != http.StatusOK {
		tb.Fatalf("challenge: %d %s", r.status, r.body)
	}
	o = wantOrder(tb, c.post(tb, o.Finalize, csrWith(tb, key, name)), http.StatusOK)
	if o.Status != "valid" {
		tb.Fatalf("the order is %s", o.Status)
	}
	return o
}

// csrFor returns the payload of a finalize request with a new key.
func csrFor(tb testing.TB, names ...string) string {
	tb.Helper()
	return csrWith(tb, newKey(tb), names...)
}

func csrWith(tb testing.TB, key *ecdsa.PrivateKey, names ...string) string {
	tb.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
	}, key)
	if err != nil {
		tb.Fatal(err)
	}
	return `{"csr":"` + encode(der) + `"}`
}
