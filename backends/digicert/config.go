package digicert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"acmebridge/internal/secret"
)

// Config says which account a client works for, and how.
type Config struct {
	// URL is the root of the API, with its path: https://HOST/services/v2. Accounts
	// of different regions have different hosts, so there is no default. Only a
	// stand-in on this machine may be spoken with in the clear.
	URL string
	// Key gets the API key, before each call, so that one that was replaced in
	// its file is used without a restart. Required.
	Key func() (secret.Secret, error)
	// Dial connects, and is needed: that of an egress dialer, which judges
	// every address (SV-1). Environment proxies are not used (SV-9).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs are what the server's certificate must lead to; nil means those
	// of the system.
	RootCAs *x509.CertPool
	// UserAgent is sent with each request; empty means "acmebridge".
	UserAgent string
	// Timeout bounds one call, zero means 30 s.
	Timeout time.Duration
	// MaxReply bounds a body, zero means 4 MiB (SC-10).
	MaxReply int64
	// Short and Long are how many requests are made in 5 seconds and in 3
	// minutes; zero means 90 and 900, a little less than a key is granted.
	Short, Long int
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

func (cfg Config) complete() (Config, *url.URL, error) {
	base, err := root(cfg.URL)
	switch {
	case err != nil:
		return cfg, nil, err
	case cfg.Key == nil:
		return cfg, nil, errors.New("digicert: there is no API key")
	case cfg.Dial == nil:
		return cfg, nil, errors.New("digicert: the client has no way to connect: Dial is missing")
	case cfg.Timeout < 0 || cfg.MaxReply < 0 || cfg.Short < 0 || cfg.Long < 0:
		return cfg, nil, errors.New("digicert: times and sizes cannot be negative")
	}
	cfg.UserAgent = or(cfg.UserAgent, "acmebridge")
	cfg.Timeout = or(cfg.Timeout, 30*time.Second)
	cfg.MaxReply = or(cfg.MaxReply, 4<<20)
	cfg.Short, cfg.Long = or(cfg.Short, 90), or(cfg.Long, 900)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, base, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// root wants a scheme, a host and a path.
func root(text string) (*url.URL, error) {
	const like = "https://HOST/services/v2"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("digicert: the URL of the service cannot be read; it should look like " + like)
	case u.User != nil:
		return nil, errors.New("digicert: take the user out of the URL of the service; it wants an API key and nothing else")
	case u.Host == "", u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return nil, fmt.Errorf("digicert: the URL of the service is %q; it should look like %s", text, like)
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("digicert: the URL of the service is %q; it must begin with https:// (http:// is for a stand-in on this machine)", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/") + "/"}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
