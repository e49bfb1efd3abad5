package caclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config says where a CA is, and how it is spoken with.
type Config struct {
	// Name begins each error, "globalsign". Like is an example of URL.
	Name, Like string
	// URL is the root of the API, with its path. Only a stand-in on this machine
	// may be spoken with in the clear.
	URL string
	// Dial connects, and is needed: that of an egress dialer, which judges
	// every address (SV-1). Environment proxies are not used (SV-9).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs are what the server's certificate must lead to; nil means those
	// of the system.
	RootCAs *x509.CertPool
	// Certificate gets the certificate to log in with, for each connection, so
	// that one that was replaced in its file is used without a restart. Nil:
	// there is none.
	Certificate func() (*tls.Certificate, error)
	// Credentials gets what each call is made with, right before it, so that what
	// was replaced in its file is used without a restart. What was refused with
	// status 401 is left alone for a while (SC-13): see Refusals. Nil: each call says
	// by itself.
	Credentials func() (Credentials, error)
	// UserAgent is sent with each request; empty means "acmebridge".
	UserAgent string
	// ContentType is that of what is sent, "application/json" unless set.
	ContentType string
	// Timeout bounds one call, zero means 30 s.
	Timeout time.Duration
	// MaxReply bounds a body, zero means 4 MiB (SC-10).
	MaxReply int64
	// Rates are what the CA takes. A request is put off by up to Patience to keep
	// to them, and beyond that it is not sent.
	Rates    []Rate
	Patience time.Duration
	// Complaint reads the body of an error. What it does not understand it leaves
	// empty; when nothing is left, the error is none of the CA, and refuses nothing.
	Complaint func(body []byte) (code, message string)
	// Verdicts are what statuses mean at this CA, where that is not the usual.
	Verdicts map[int]Verdict
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Verdict is what a status proves about a request, and the error that it is.
type Verdict struct {
	Outcome Outcome
	Error   error
}

// Rate is how many requests are made within a time.
type Rate struct {
	Requests int
	Within   time.Duration
}

func (cfg Config) complete() (Config, *url.URL, error) {
	base, err := cfg.root()
	switch {
	case err != nil:
		return cfg, nil, err
	case cfg.Dial == nil:
		return cfg, nil, fmt.Errorf("%s: the client has no way to connect: Dial is missing", cfg.Name)
	case cfg.Timeout < 0 || cfg.MaxReply < 0 || cfg.Patience < 0:
		return cfg, nil, fmt.Errorf("%s: times and sizes cannot be negative", cfg.Name)
	}
	for _, r := range cfg.Rates {
		if r.Requests <= 0 || r.Within <= 0 {
			return cfg, nil, fmt.Errorf("%s: a rate needs a number of requests and a time", cfg.Name)
		}
	}
	cfg.UserAgent, cfg.ContentType = or(cfg.UserAgent, "acmebridge"), or(cfg.ContentType, "application/json")
	cfg.Timeout, cfg.MaxReply = or(cfg.Timeout, 30*time.Second), or(cfg.MaxReply, 4<<20)
	if cfg.Complaint == nil {
		cfg.Complaint = func([]byte) (string, string) { return "", "" }
	}
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

// root wants a scheme, a host, and whatever path the CA has.
func (cfg Config) root() (*url.URL, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, errors.New(cfg.Name + ": the URL of the service cannot be read; it should look like " + cfg.Like)
	case u.User != nil:
		return nil, errors.New(cfg.Name + ": take the user out of the URL of the service; credentials have fields of their own")
	case u.Host == "", u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return nil, fmt.Errorf("%s: the URL of the service is %q; it should look like %s", cfg.Name, cfg.URL, cfg.Like)
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("%s: the URL of the service is %q; it must begin with https:// (http:// is for a stand-in on this machine)", cfg.Name, cfg.URL)
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
