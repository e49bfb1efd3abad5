package xroad

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config says which server is ordered from. DirectoryURL and Challenges are
// required.
type Config struct {
	DirectoryURL string
	HTTP         *http.Client // with the roots of the server; http.DefaultClient when nil
	Challenges   *Challenges
	// Contact is what mail.yml has for the member: an address, sent as it is.
	Contact string
	// ProfileIDs are the certificate profile ids of the Central Server.
	AuthProfileID, SignProfileID string
	// Sleep replaces the pauses between two looks.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Credential is an entry of acme.yml.
type Credential struct {
	KID string
	MAC []byte
}

// SecurityServer is one member at one Security Server. It is not safe for
// concurrent use.
type SecurityServer struct {
	// Key is the key of its account, as the keystore on its disk has it.
	Key *rsa.PrivateKey

	cfg         Config
	credential  Credential
	account     string
	agent       string
	nonce       string
	directory   map[string]any
	keepUntil   time.Time
	directories int // how often the directory was read
	requests    int
}

// New makes a Security Server with an account key of its own.
func New(cfg Config) (*SecurityServer, error) {
	if cfg.DirectoryURL == "" || cfg.Challenges == nil {
		return nil, errors.New("xroad: DirectoryURL and Challenges are required")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Sleep == nil {
		cfg.Sleep = func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return &SecurityServer{Key: key, cfg: cfg, agent: acme4j}, err
}

// Use changes the credential that accounts are bound by.
func (s *SecurityServer) Use(c Credential) { s.credential = c }

// Account is the URL of the account of the last login.
func (s *SecurityServer) Account() string { return s.account }

// Requests counts what was sent, and how much of it asked for the directory.
func (s *SecurityServer) Requests() (all, directories int) { return s.requests, s.directories }

// UseNonce makes the next request use that nonce.
func (s *SecurityServer) UseNonce(nonce string) { s.nonce = nonce }

// Login sends newAccount, which comes before everything. An order agrees to terms
// and is bound if the directory requires it; the renewal job does not agree, and is
// bound always.
func (s *SecurityServer) Login(ctx context.Context, renewal bool) (*Answer, error) {
	url, err := s.resource(ctx, "newAccount")
	if err != nil {
		return nil, err
	}
	var members []string
	if !renewal {
		members = append(members, `"termsOfServiceAgreed":true`)
	}
	if s.cfg.Contact != "" {
		members = append(members, fmt.Sprintf(`"contact":[%q]`, s.cfg.Contact))
	}
	meta, _ := s.directory["meta"].(map[string]any)
	if required, _ := meta["externalAccountRequired"].(bool); (required || renewal) && s.credential.KID != "" {
		members = append(members, `"externalAccountBinding":`+binding(s.credential, url, &s.Key.PublicKey))
	}
	s.account = ""
	a, _, err := s.post(ctx, url, "{"+strings.Join(members, ",")+"}")
	if err != nil {
		return nil, err
	}
	if s.account = a.Header.Get("Location"); s.account == "" {
		return nil, errors.New("newAccount: no Location")
	}
	return a, nil
}

// RollOver changes the key of the account. The new key lives in memory alone, and
// is lost with the next login, which reads the keystore; so Key stays as it was.
func (s *SecurityServer) RollOver(ctx context.Context) error {
	url, err := s.resource(ctx, "keyChange")
	if err != nil {
		return err
	}
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	inner, err := s.sign(next, fmt.Sprintf(`{"url":%q,"alg":"RS256","jwk":%s}`, url, jwk(&next.PublicKey)),
		fmt.Sprintf(`{"account":%q,"oldKey":%s}`, s.account, jwk(&s.Key.PublicKey)))
	if err != nil {
		return err
	}
	_, err = s.Post(ctx, url, inner, "application/json")
	return err
}

// Challenges is the listener of the acme-challenge port. Members on one host share
// it.
type Challenges struct {
	server  *http.Server
	mu      sync.Mutex
	answers map[string]string
	garbled bool
}

// Listen answers challenges at ln until Close.
func Listen(ln net.Listener) *Challenges {
	c := &Challenges{answers: map[string]string{}}
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.server.Serve(ln) }() // ends with Close
	return c
}

// Close stops listening.
func (c *Challenges) Close() error { return c.server.Close() }

// Garble shows another text than the one that is asked for, or stops doing so.
func (c *Challenges) Garble(garbled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.garbled = garbled
}

// ServeHTTP shows what stands in acme-challenge/, and an error for anything else
// there, which is what the Security Server does.
func (c *Challenges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, found := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	c.mu.Lock()
	text, known := c.answers[token]
	if c.garbled {
		text = "something else"
	}
	c.mu.Unlock()
	switch {
	case !found:
		http.NotFound(w, r)
	case !known:
		http.Error(w, "", http.StatusInternalServerError)
	default:
		_, _ = w.Write([]byte(text)) // a validator that hung up has its reasons
	}
}

// put shows the key authorization of a token; the function takes it away.
func (c *Challenges) put(token string, k *rsa.PublicKey) (remove func()) {
	sum := sha256.Sum256([]byte(jwk(k)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[token] = token + "." + b64(sum[:])
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.answers, token)
	}
}
