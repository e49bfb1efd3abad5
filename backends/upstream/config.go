package upstream

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/keyfile"
)

// Config says which CA there is, and who we are to it. DirectoryURL, Dir,
// Roots and Dial are required.
type Config struct {
	DirectoryURL string
	// RootCAs are what the certificate of the CA's service must lead to; nil
	// means those of the system.
	RootCAs *x509.CertPool
	// Dial makes every connection to the CA.
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	UserAgent string

	// Dir is the folder of the account key, which is made on first use and
	// encrypted unless Passphrase is nil. Whoever has the key has the account.
	Dir        string
	Passphrase func() ([]byte, error)
	// KeyIterations slows guessing of the passphrase down; 0 is the usual.
	KeyIterations int
	// Contacts are URLs, mailto:ca@example.org.
	Contacts []string
	// AgreeToTerms says that the operator agrees to the terms of the CA. A CA
	// that has some makes no account without.
	AgreeToTerms bool
	// ExternalAccount binds the account to one that the CA knows already; nil
	// without. It is used once, when the account is made.
	ExternalAccount *ExternalAccount

	// Profile is the profile to order (ACME profiles draft); empty is the CA's
	// choice.
	Profile string
	// SendNotAfter asks for certificates that end when they were ordered to.
	// Most CAs refuse such orders.
	SendNotAfter bool
	// MaxValidity is the longest validity that the CA gives, zero when unknown.
	MaxValidity time.Duration
	// Private says that the CA is not publicly trusted.
	Private bool
	// Roots are the self-signed certificates, in DER, that chains may end in,
	// and Intermediates what is worth publishing besides.
	Roots, Intermediates [][]byte

	// Solvers prove control of names to the CA, the preferred first. None is for
	// a CA that wants nothing proved.
	Solvers []Solver
	// Settle is how long a proof is given to be seen everywhere before the CA is
	// told to look.
	Settle time.Duration

	Now func() time.Time
}

// ExternalAccount is a key by which the CA knows whose account it makes (RFC
// 8555, 7.3.4).
type ExternalAccount struct {
	KeyID string
	// HMAC returns the key, decoded.
	HMAC func() ([]byte, error)
}

func (c Config) complete() (Config, *url.URL, error) {
	u, err := url.Parse(c.DirectoryURL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return c, nil, fmt.Errorf("upstream: the directory %q is no https URL", c.DirectoryURL)
	case c.Dir == "":
		return c, nil, errors.New("upstream: there is no folder for the account key")
	case len(c.Roots) == 0:
		return c, nil, errors.New("upstream: without the roots of the CA nothing that it issues can be checked")
	case c.Dial == nil:
		return c, nil, errors.New("upstream: there is no way to connect")
	case c.ExternalAccount != nil && (c.ExternalAccount.KeyID == "" || c.ExternalAccount.HMAC == nil):
		return c, nil, errors.New("upstream: an external account needs both its key id and its key")
	}
	for _, contact := range c.Contacts {
		if !strings.Contains(contact, ":") {
			return c, nil, fmt.Errorf("upstream: the contact %q is no URL; write mailto:%s", contact, contact)
		}
	}
	seen := map[string]bool{}
	for _, s := range c.Solvers {
		if t := s.Type(); seen[t] {
			return c, nil, fmt.Errorf("upstream: there are two solvers for %s", t)
		}
		seen[s.Type()] = true
	}
	if c.KeyIterations == 0 {
		c.KeyIterations = keyfile.Iterations
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, u, nil
}

// Backend is one account at one CA.
type Backend struct {
	cfg    Config
	web    *web
	random io.Reader
	login  login
	claims claims
	proofs proofs
	chains chains
}

var (
	_ backends.Continuer       = (*Backend)(nil)
	_ backends.Revoker         = (*Backend)(nil)
	_ backends.RenewalInformer = (*Backend)(nil)
	_ backends.Rooted          = (*Backend)(nil)
	_ backends.CrossSigned     = (*Backend)(nil)
	_ backends.Checker         = (*Backend)(nil)
)

// New checks cfg and returns the backend. It neither connects nor touches the
// account key: see Check.
func New(cfg Config) (*Backend, error) {
	cfg, directory, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	b := &Backend{cfg: cfg, web: newWeb(cfg, directory), random: rand.Reader}
	b.claims.now, b.claims.dir = cfg.Now, cfg.Dir
	return b, nil
}

// Traits implements backends.Backend.
func (b *Backend) Traits() backends.Traits {
	return backends.Traits{HonoursNotAfter: b.cfg.SendNotAfter, MaxValidity: b.cfg.MaxValidity, Private: b.cfg.Private}
}

// Roots implements backends.Rooted.
func (b *Backend) Roots() [][]byte { return b.cfg.Roots }

// Intermediates implements backends.Rooted.
func (b *Backend) Intermediates() [][]byte { return b.cfg.Intermediates }
