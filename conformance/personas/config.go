package personas

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config says which server is visited and how it reaches the personas. Only
// DirectoryURL is required.
type Config struct {
	// DirectoryURL is the ACME directory of the server under test.
	DirectoryURL string
	// RootCAs, in PEM, are what the server's own TLS certificate is checked
	// against. Empty: the roots of the system.
	RootCAs []byte

	// HTTP01Addr is where http-01 validations are answered, 127.0.0.1:5002 when
	// empty; HTTP01Listener replaces it when the caller already holds the port.
	// Run closes it.
	HTTP01Addr     string
	HTTP01Listener net.Listener
	// NameSuffix ends every name that is ordered, "personas.localhost" when empty:
	// the server has to resolve <anything>.<suffix> to HTTP01Addr.
	NameSuffix string

	// Email is the address of every account, "hostmaster@acmetest.net" when empty.
	// Each persona writes it as its client does.
	Email string
	// ExternalAccounts names a directory that requires external account binding.
	// Without it the stories called bind are not applicable.
	ExternalAccounts *ExternalAccounts

	// Differences are reviewed failures, "uacme/obtain" to reason. A listed story
	// has to fail: one that passes is reported as stale, unless its reason begins
	// with "sometimes:".
	Differences map[string]string
	// Match picks the stories to play; nil plays all.
	Match func(persona, story string) bool

	// NewClock makes the clock that one story sleeps by; nil is real time. A test
	// whose server is quick need not wait out the pauses of real clients.
	NewClock func() Clock
	// RSAKey makes the RSA keys of accounts and certificates; nil makes fresh ones
	// of the size that the client uses, which for the 4096 bits of dehydrated takes
	// seconds. No two of one run may be the same. It is called from several
	// goroutines.
	RSAKey func(bits int) (*rsa.PrivateKey, error)
	// Patience bounds, in real time, what a client without a limit of its own would
	// wait for; 5 minutes when zero.
	Patience time.Duration
	// RequestTimeout bounds every request unless its client gives up earlier; 45 s
	// when zero.
	RequestTimeout time.Duration
}

// ExternalAccounts describes a directory in which every newAccount needs a binding.
type ExternalAccounts struct {
	DirectoryURL string
	// NewKey provides a key that no account has used yet.
	NewKey func() (kid string, hmac []byte, err error)
	// NewXRoadKey provides one of the member EX:COM:5550001 of an X-Road instance
	// whose subjects are those of BasicACME, for usage "auth" or "sign", at the
	// directory XRoadDirectoryURL. When nil, NewKey has to do.
	NewXRoadKey       func(usage string) (kid string, hmac []byte, err error)
	XRoadDirectoryURL string
}

func (c Config) withDefaults() (Config, error) {
	urls := []string{c.DirectoryURL}
	if c.ExternalAccounts != nil {
		urls = append(urls, c.ExternalAccounts.DirectoryURL)
		if c.ExternalAccounts.NewKey == nil {
			return c, errors.New("ExternalAccounts.NewKey is nil; give a function that returns a fresh key")
		}
	}
	for _, s := range urls {
		// R8555-6.1-1: lego refuses anything but https before it has sent a byte.
		if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" {
			return c, fmt.Errorf("the directory URL %q is not an https URL", s)
		}
	}
	if c.HTTP01Addr == "" {
		c.HTTP01Addr = "127.0.0.1:5002"
	}
	if c.NameSuffix == "" {
		c.NameSuffix = "personas.localhost"
	}
	if c.Email == "" {
		c.Email = "hostmaster@acmetest.net"
	}
	if c.NewClock == nil {
		c.NewClock = func() Clock { return realTime{} }
	}
	if c.RSAKey == nil {
		c.RSAKey = func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) }
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Minute
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 45 * time.Second
	}
	return c, nil
}

// connections is what a client's HTTP library does on the wire.
type connections struct {
	http1   bool          // HTTP/1.1 only, as Python's requests
	single  bool          // a connection for each request, as a script that calls curl
	timeout time.Duration // of one request; zero leaves it to Config
	follow  bool          // follows redirects
	gzip    bool          // asks for gzip and unpacks it unseen, as Go's library does
}

func (c Config) httpClient(habit connections) (*http.Client, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.RootCAs) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(c.RootCAs) {
			return nil, errors.New("RootCAs holds no PEM certificate")
		}
	}
	transport := &http.Transport{
		TLSClientConfig: cfg, ForceAttemptHTTP2: !habit.http1, DisableKeepAlives: habit.single,
		IdleConnTimeout:    30 * time.Second,
		DisableCompression: !habit.gzip,
	}
	if habit.http1 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport, Timeout: c.RequestTimeout}
	if habit.timeout != 0 && habit.timeout < client.Timeout {
		client.Timeout = habit.timeout
	}
	if !habit.follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return client, nil
}
