package idtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"acmebridge/acme"
	"acmebridge/internal/memberapi"
	"acmebridge/internal/memberapi/idtoken"
)

// login is an OpenID Connect provider of our own.
type login struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	server *httptest.Server
	away   atomic.Bool
	asked  atomic.Int64
	offset atomic.Int64 // of the clock, in seconds
}

func newLogin(t *testing.T) *login {
	t.Helper()
	l := &login{t: t, key: newKey(t)}
	behaves := &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: l.key.Public(), KeyID: "k1", Algorithm: oidc.ES256}},
		Algorithms: []string{oidc.ES256, "HS256", "none"},
	}
	l.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked.Add(1)
		if l.away.Load() {
			http.Error(w, "back soon", http.StatusBadGateway)
			return
		}
		behaves.ServeHTTP(w, r)
	}))
	t.Cleanup(l.server.Close)
	behaves.SetIssuer(l.server.URL)
	return l
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (l *login) now() time.Time { return time.Now().Add(time.Duration(l.offset.Load()) * time.Second) }

func (l *login) provider() *idtoken.Provider {
	l.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(l.server.Certificate())
	p, err := idtoken.New(idtoken.Config{
		Issuer: l.server.URL, Audience: "directory-cli", MemberClaim: "organization", NameClaim: "email",
		Dial: (&net.Dialer{}).DialContext, RootCAs: roots, Now: l.now,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// token signs claims; change replaces some, and takes those away that are nil.
func (l *login) token(key crypto.PrivateKey, change map[string]any) string {
	l.t.Helper()
	claims := map[string]any{
		"iss": l.server.URL, "aud": "directory-cli", "sub": "u1", "email": "alice@m1.example", "organization": "m1",
		"iat": l.now().Unix(), "exp": l.now().Add(time.Hour).Unix(),
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		l.t.Fatal(err)
	}
	return oidctest.SignIDToken(key, "k1", oidc.ES256, string(text))
}

// TestIdentify: who a token says its bearer is, and for whom that one may act.
func TestIdentify(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	p := l.provider()
	for name, x := range map[string]struct {
		change  map[string]any
		who     string
		members []acme.MemberID
	}{
		"one member":    {nil, "alice@m1.example", []acme.MemberID{"m1"}},
		"several":       {map[string]any{"organization": []string{"m1", "m2"}}, "alice@m1.example", []acme.MemberID{"m1", "m2"}},
		"no name":       {map[string]any{"email": nil}, "u1", []acme.MemberID{"m1"}},
		"an evil name":  {map[string]any{"email": "a\nb\x1b[31m"}, "ab[31m", []acme.MemberID{"m1"}},
		"two audiences": {map[string]any{"aud": []string{"other", "directory-cli"}}, "alice@m1.example", []acme.MemberID{"m1"}},
	} {
		id, err := p.Identify(t.Context(), l.token(l.key, x.change))
		if err != nil || id.Name != x.who || len(id.Members) != len(x.members) || id.Members[len(id.Members)-1] != x.members[len(x.members)-1] {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

// TestStrangers: tokens of others, for others, of another time, and those that
// nobody signed (SA-8).
func TestStrangers(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	p := l.provider()
	good := l.token(l.key, nil)
	parts := strings.Split(good, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	for name, token := range map[string]string{
		"of another issuer": l.token(l.key, map[string]any{"iss": "https://login.example"}),
		"of a near issuer":  l.token(l.key, map[string]any{"iss": l.server.URL + "/"}),
		"for another":       l.token(l.key, map[string]any{"aud": "other"}),
		"for nobody":        l.token(l.key, map[string]any{"aud": nil}),
		"that is over":      l.token(l.key, map[string]any{"exp": l.now().Add(-time.Minute).Unix()}),
		"without an end":    l.token(l.key, map[string]any{"exp": nil}),
		"of another key":    l.token(newKey(t), nil),
		"that is unsigned":  unsigned,
		"of no member":      l.token(l.key, map[string]any{"organization": nil}),
		"of an empty one":   l.token(l.key, map[string]any{"organization": ""}),
		"of an empty list":  l.token(l.key, map[string]any{"organization": []string{}}),
		"of a number":       l.token(l.key, map[string]any{"organization": 7}),
		"changed":           parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+l.server.URL+`","aud":"directory-cli","organization":"m2","exp":99999999999}`)) + "." + parts[2],
		"text":              "hello",
		"long":              strings.Repeat("a", 20<<10) + ".b.c",
	} {
		if id, err := p.Identify(t.Context(), token); !errors.Is(err, memberapi.ErrUnknown) {
			t.Errorf("a token %s is %+v, %v", name, id, err)
		}
	}
	if _, err := p.Identify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestAway: a provider that is away is told from a bad token, is not asked with
// every request, and is found again.
func TestAway(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	l.away.Store(true)
	p := l.provider()
	for range 5 {
		var problem *acme.Problem
		if _, err := p.Identify(t.Context(), l.token(l.key, nil)); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable || problem.RetryAfter == 0 || errors.Is(err, memberapi.ErrUnknown) {
			t.Fatalf("while it is away: %v", err)
		}
	}
	if n := l.asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	l.away.Store(false)
	l.offset.Add(60)
	if _, err := p.Identify(t.Context(), l.token(l.key, nil)); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	// Its keys are known, so it may go away again.
	l.away.Store(true)
	if _, err := p.Identify(t.Context(), l.token(l.key, nil)); err != nil {
		t.Errorf("with its keys at hand: %v", err)
	}
	// The request that fetched them is over, and others come at once.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = p.Identify(ctx, l.token(l.key, nil))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := p.Identify(t.Context(), l.token(l.key, nil)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestNew: what would accept too much is no configuration.
func TestNew(t *testing.T) {
	t.Parallel()
	whole := idtoken.Config{Issuer: "https://login.example", Audience: "a", MemberClaim: "m", NameClaim: "n", Dial: (&net.Dialer{}).DialContext}
	if _, err := idtoken.New(whole); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*idtoken.Config){
		"issuer": func(c *idtoken.Config) { c.Issuer = "" }, "audience": func(c *idtoken.Config) { c.Audience = "" },
		"member claim": func(c *idtoken.Config) { c.MemberClaim = "" }, "name claim": func(c *idtoken.Config) { c.NameClaim = "" },
		"dialer": func(c *idtoken.Config) { c.Dial = nil },
	} {
		c := whole
		change(&c)
		if _, err := idtoken.New(c); err == nil {
			t.Errorf("without %s there is a provider", name)
		}
	}
}
