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
	// Lifetime is what orders ask for: 365 days when zero. 7.5 asked for one.
	Lifetime time.Duration
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
	// Key is the key of its account, as the keystore on its disk has it, and KeyEnds
	// the end of the certificate that it is wrapped in there. In the two weeks before,
	// each cycle of the renewal job changes it.
	Key     *rsa.PrivateKey
	KeyEnds time.Time

	cfg         Config
	credential  Credential
	account     string
	agent       string
	session     session
	directories int // how often the directory was asked for
	requests    int
	planned     time.Time
	unplanned   error
}

// New makes a Security Server with an account key of its own.
func New(cfg Config) (*SecurityServer, error) {
	if cfg.DirectoryURL == "" || cfg.Challenges == nil {
		return nil, errors.New("xroad: DirectoryURL and Challenges are required")
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 365 * 24 * time.Hour
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
	return &SecurityServer{
		Key: key, KeyEnds: time.Now().AddDate(0, 0, 365), cfg: cfg, agent: acme4j, session: session{url: cfg.DirectoryURL},
	}, err
}

// Use changes the credential that accounts are bound by.
func (s *SecurityServer) Use(c Credential) { s.credential = c }

// Account is the URL of the account of the last login.
func (s *SecurityServer) Account() string { return s.account }

// Requests counts what was sent, and how much of it asked for the directory.
func (s *SecurityServer) Requests() (all, directories int) { return s.requests, s.directories }

// UseNonce makes the next request use that nonce.
func (s *SecurityServer) UseNonce(nonce string) { s.session.nonce = nonce }

// Planned is when the last certificate is to be renewed, as the Security Server
// shows it: when the CA says, and otherwise two weeks before its end, with why.
func (s *SecurityServer) Planned() (time.Time, error) { return s.planned, s.unplanned }

// Login sends newAccount, which comes before everything, in a session of its own. An
// order agrees to terms and is bound if the directory requires it; the renewal job
// does not agree, and is bound always.
func (s *SecurityServer) Login(ctx context.Context, renewal bool) (*Answer, error) {
	s.session = session{url: s.cfg.DirectoryURL}
	if renewal && s.credential.KID == "" {
		return nil, errNoCredential
	}
	var members []string
	if !renewal {
		// The scheme was another one until here, and what is put together again has
		// host, port and path.
		s.session.url, _, _ = strings.Cut(s.cfg.DirectoryURL, "?")
		if err := s.discover(ctx); err != nil {
			return nil, err
		}
		members = append(members, `"termsOfServiceAgreed":true`)
	}
	if s.cfg.Contact != "" {
		members = append(members, fmt.Sprintf(`"contact":[%q]`, s.cfg.Contact))
	}
	url, err := s.resource(ctx, "newAccount")
	if err != nil {
		return nil, err
	}
	if (renewal || s.bound()) && s.credential.KID != "" {
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

// errNoCredential is a member without an entry in acme.yml.
var errNoCredential = errors.New("acme.yml has no credential for the member at this CA")

// bound says whether the directory wants accounts bound.
func (s *SecurityServer) bound() bool {
	meta, _ := s.session.directory["meta"].(map[string]any)
	required, _ := meta["externalAccountRequired"].(bool)
	return required
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
// it. The zero value answers where its ServeHTTP is called.
type Challenges struct {
	server  *http.Server
	mu      sync.Mutex
	answers map[string]string // by token
	garbled map[string]bool   // by host
	hosts   map[string]bool
}

// Listen answers challenges at ln until Close.
func Listen(ln net.Listener) *Challenges {
	c := &Challenges{}
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.server.Serve(ln) }() // ends with Close
	return c
}

// Close stops listening.
func (c *Challenges) Close() error { return c.server.Close() }

// Garble shows another text than the one that is asked for at a host, or stops doing
// so.
func (c *Challenges) Garble(host string, garbled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.garbled == nil {
		c.garbled = map[string]bool{}
	}
	c.garbled[host] = garbled
}

// Asked says whether anybody has asked with that Host field. One with a port, even
// the usual one, is not served where another port leads to the Security Server.
func (c *Challenges) Asked(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hosts[host]
}

// ServeHTTP shows what stands in acme-challenge/, and an error for anything else
// there, which is what the Security Server does.
func (c *Challenges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, found := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	c.mu.Lock()
	text, known := c.answers[token]
	host, _, _ := strings.Cut(r.Host, ":")
	if c.garbled[host] {
		text = "something else"
	}
	if c.hosts == nil {
		c.hosts = map[string]bool{}
	}
	c.hosts[r.Host] = true
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
	if c.answers == nil {
		c.answers = map[string]string{}
	}
	c.answers[token] = token + "." + b64(sum[:])
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.answers, token)
	}
}
