package memberapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/internal/memberapi"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

// world is a server of the API over an engine with a CA that signs at once, and
// one that takes a while.
type world struct {
	t      *testing.T
	engine *engine.Engine
	store  storage.Store
	url    string
	log    *logged

	mu     sync.Mutex
	offset time.Duration // guarded by mu
}

// logged keeps the lines of the log.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.offset)
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offset += d
}

type plainSealer struct{}

func (plainSealer) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (plainSealer) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }

func newWorld(t *testing.T, change ...func(*memberapi.Config)) *world {
	t.Helper()
	w := &world{t: t, store: memory.New(), log: &logged{}}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	cas := map[string]backends.Backend{}
	for name, queued := range map[string]bool{"at-once": false, "slow": true} {
		ca, err := localca.Open(localca.Config{Dir: t.TempDir(), Name: name, Queued: queued, Now: w.now, LeafValidity: 90 * 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		cas[name] = ca.Backend()
	}
	base := acme.Profile{
		Name: "members", Backend: "at-once", Authorization: acme.AuthorizeByRegistry, Usages: []acme.Usage{acme.ClientAuth},
		Identifiers: acme.IdentifierPolicy{Max: 100}, Subject: acme.SubjectCommonName, Validity: 90 * 24 * time.Hour, OrderLifetime: 24 * time.Hour,
		AuthorizationLifetime: time.Hour, IssuanceDeadline: 24 * time.Hour,
	}
	watched, proved, dotted := base, base, base
	dotted.Name = "members.v2.pem"
	watched.Name, watched.Backend, watched.Approval = "watched", "slow", acme.ApprovalPolicy{Required: true, Within: time.Hour}
	proved.Name, proved.Authorization = "proved", acme.AuthorizeByChallenge
	var err error
	w.engine, err = engine.New(engine.Config{
		Store: w.store, Backends: cas, Sealer: plainSealer{}, Holder: rand.Text(), Log: log, Now: w.now,
		Directories: []acme.Directory{{Name: "default", Path: "/directory", Profiles: []acme.ProfileName{"members", "watched", "proved", "members.v2.pem"}}},
		Profiles:    map[acme.ProfileName]acme.Profile{"members": base, "watched": watched, "proved": proved, "members.v2.pem": dotted},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.engine.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
	cfg := memberapi.Config{Engine: w.engine, Path: "/member-api", Log: log, Now: w.now}
	for _, c := range change {
		c(&cfg)
	}
	var api http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { api.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	cfg.BaseURL = server.URL
	a, err := memberapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	api = a.Beside(http.NotFoundHandler())
	w.url = server.URL
	return w
}

// enrol puts a member into the registry and returns a token of it.
func (w *world) enrol(id acme.MemberID, scopes ...acme.TokenScope) (token string) {
	w.t.Helper()
	if _, err := w.engine.Operator().CreateMember(w.t.Context(), acme.Member{ID: id, Identifiers: []string{"." + string(id) + ".example"}}); err != nil {
		w.t.Fatal(err)
	}
	return w.token(id, "ci", 24*time.Hour, scopes...)
}

func (w *world) token(id acme.MemberID, name string, life time.Duration, scopes ...acme.TokenScope) string {
	w.t.Helper()
	_, text, err := w.engine.Operator().CreateMemberToken(w.t.Context(), engine.NewMemberToken{
		Member: id, Name: name, Scopes: scopes, Expires: w.now().Add(life), By: "alice",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// answer is what came back, decoded when it is JSON.
type answer struct {
	status int
	header http.Header
	body   []byte
	object struct {
		Status                                                                                      any // a number in problems
		Order, ID, Serial, SerialHex, Certificate, DownloadName, Next, Detail, Type, State, Revoked string
		Known                                                                                       bool
		Certificates                                                                                []struct{ ID, State string }
	}
}

// ask makes a request. A status that is not wanted fails the test.
func (w *world) ask(want int, token, method, path string, body any, header ...string) answer {
	w.t.Helper()
	var content io.Reader
	if body != nil {
		text, ok := body.(string)
		if !ok {
			b, err := json.Marshal(body)
			if err != nil {
				w.t.Fatal(err)
			}
			text = string(b)
		}
		content = strings.NewReader(text)
	}
	if !strings.HasPrefix(path, "http") {
		path = w.url + "/member-api" + path
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		w.t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); kind == "application/problem+json" || kind == "application/json" && !strings.HasSuffix(path, "openapi.json") {
		if err := json.Unmarshal(a.body, &a.object); err != nil && kind == "application/problem+json" {
			w.t.Fatalf("%s: %v", a.body, err)
		}
	}
	if a.status != want {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, want, a.body)
	}
	if a.status >= 400 && (resp.Header.Get("Content-Type") != "application/problem+json" || a.object.Detail == "") {
		w.t.Fatalf("%s %s: no problem document: %s", method, path, a.body)
	}
	return a
}

type signRequest struct {
	CSR      string `json:"csr"`
	Profile  string `json:"profile,omitempty"`
	Name     string `json:"name,omitempty"`
	Replaces string `json:"replaces,omitempty"`
}

func newCSR(t *testing.T, names ...string) (string, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), key
}

func leafOf(t *testing.T, chain string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(chain))
	if block == nil || len(rest) == 0 {
		t.Fatalf("no chain: %q", chain)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
