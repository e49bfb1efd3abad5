package acmetest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config says which server is tested and how the suite reaches it. Only
// DirectoryURL is required; every other zero field means what its comment says.
type Config struct {
	// DirectoryURL is the ACME directory of the server under test.
	DirectoryURL string

	// RootCAs, in PEM, are what the server's own TLS certificate is checked
	// against. Empty: the roots of the system.
	RootCAs []byte
	// HTTPClient replaces the client built from RootCAs.
	HTTPClient *http.Client

	// HTTP01Addr is where the suite answers http-01 validations, 127.0.0.1:5002
	// when empty. The server must send its validation requests there.
	HTTP01Addr string
	// HTTP01Listener is used instead of HTTP01Addr when the caller already holds
	// the port. Run closes it.
	HTTP01Listener net.Listener

	// NameSuffix ends every name the suite orders, "acmetest.localhost" when
	// empty: the server must resolve <anything>.<suffix> to HTTP01Addr.
	NameSuffix string
	// NewName makes one never used name when a suffix is not enough; it is called
	// from several goroutines.
	NewName func() string

	// Contact is an account contact the server accepts,
	// "mailto:hostmaster@acmetest.net" when empty.
	Contact string

	// ExternalAccountKey binds every account made at DirectoryURL; needed where
	// that directory requires external accounts.
	ExternalAccountKey *ExternalAccountKey
	// ExternalAccounts names a directory that requires external account binding.
	// Without it the cases of RFC 8555 section 7.3.4 are not applicable.
	ExternalAccounts *ExternalAccounts

	// Limited names a directory whose limits are small enough to be met. Without
	// it the cases of RFC 8555 section 6.6 are not applicable.
	Limited *Limited

	// Differences are the reviewed cases in which this server differs, full case
	// name ("R8555-6.2-5/unprotected-header") to reason. A listed case has to
	// fail: one that passes is reported as stale, so the list can only shrink by
	// being edited. A reason that starts with "sometimes:" is for a race the
	// server loses now and then; such a case may pass.
	Differences map[string]string

	// Match picks the cases to run; nil runs all.
	Match func(Case) bool

	// RequestTimeout bounds each request of the client built from RootCAs; 20 s when
	// zero. A server may hold an answer back for some seconds.
	RequestTimeout time.Duration
	// PollTimeout bounds each wait for a validation or an issuance; 30 s when zero.
	PollTimeout time.Duration
	// PollInterval is the first pause between two polls, growing to ten times
	// itself; 60 ms when zero. A Retry-After is obeyed only on rateLimited,
	// otherwise a suite of hundreds of orders would take as long as hundreds of
	// clients.
	PollInterval time.Duration
}

// ExternalAccountKey is a key the CA handed out for external account binding.
type ExternalAccountKey struct {
	KID  string
	HMAC []byte
}

// ExternalAccounts describes a directory in which every newAccount needs a binding.
type ExternalAccounts struct {
	DirectoryURL string
	// NewKey provides a key that no account has used yet.
	NewKey func() (ExternalAccountKey, error)
	// Reusable says that one key may bind several accounts there, which makes the
	// single-use cases not applicable.
	Reusable bool
}

// Limited describes a directory where an account has to wait after a few orders.
type Limited struct {
	DirectoryURL string
	// NewOrders is how many orders an account may place at once; one more each
	// few seconds, and less often than a machine needs to place one.
	NewOrders int
}

// withDefaults fills what the caller left empty and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if err := checkDirectoryURL(c.DirectoryURL); err != nil {
		return c, err
	}
	if c.ExternalAccounts != nil {
		if err := checkDirectoryURL(c.ExternalAccounts.DirectoryURL); err != nil {
			return c, fmt.Errorf("ExternalAccounts: %w", err)
		}
		if c.ExternalAccounts.NewKey == nil {
			return c, errors.New("ExternalAccounts.NewKey is nil; give a function that returns a fresh key")
		}
	}
	if c.Limited != nil {
		if err := checkDirectoryURL(c.Limited.DirectoryURL); err != nil {
			return c, fmt.Errorf("Limited: %w", err)
		}
		if c.Limited.NewOrders < 1 {
			return c, errors.New("Limited.NewOrders is not set; say how many orders an account may place at once")
		}
	}
	if c.HTTP01Addr == "" {
		c.HTTP01Addr = "127.0.0.1:5002"
	}
	if c.NameSuffix == "" {
		c.NameSuffix = "acmetest.localhost"
	}
	if c.Contact == "" {
		c.Contact = "mailto:hostmaster@acmetest.net"
	}
	if c.PollTimeout == 0 {
		c.PollTimeout = 30 * time.Second
	}
	if c.PollInterval == 0 {
		c.PollInterval = 60 * time.Millisecond
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 20 * time.Second
	}
	if c.HTTPClient == nil {
		client, err := httpClient(c.RootCAs, c.RequestTimeout)
		if err != nil {
			return c, err
		}
		c.HTTPClient = client
	}
	return c, nil
}

func checkDirectoryURL(s string) error {
	if s == "" {
		return errors.New("DirectoryURL is empty; give the https URL of the ACME directory")
	}
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("DirectoryURL: %w", err)
	}
	// R8555-6.1-1: ACME is spoken over HTTPS only.
	if u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("DirectoryURL %q is not an https URL", s)
	}
	return nil
}

func httpClient(roots []byte, timeout time.Duration) (*http.Client, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(roots) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(roots) {
			return nil, errors.New("RootCAs holds no PEM certificate")
		}
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			TLSClientConfig:     cfg,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     30 * time.Second,
		},
		// A redirect would hide what the ACME server itself answered.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
