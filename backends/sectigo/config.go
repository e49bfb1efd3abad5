package sectigo

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

// Production is where the service is.
const Production = "https://iot.sectigo.com"

// Config says which account a client works for, and how.
type Config struct {
	// URL is the origin of the service; empty means Production. Only a
	// stand-in on this machine may be spoken with in the clear.
	URL string
	// Username and Password log in. Either may be missing when Cache holds
	// tokens; a Username alone takes none but those of that user. The Password
	// may be missing, too, where Reload gets it.
	Username string
	Password secret.Secret
	// Reload, when set, is asked for the password before each login, so that
	// one that was corrected in its file is tried without a restart.
	Reload func() (secret.Secret, error)
	// Cache keeps the tokens between runs of a command; nil keeps them in
	// memory only, as a server should (SK-3).
	Cache *Cache
	// Dial connects, and is needed: that of an egress dialer, which judges
	// every address (SV-1). Environment proxies are not used (SV-9).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs are what the server's certificate must lead to; nil means those
	// of the system.
	RootCAs *x509.CertPool
	// UserAgent is sent with each request; empty means "acmebridge".
	UserAgent string
	// CallTimeout bounds one call, zero means 30 s; TransferTimeout bounds an
	// upload or a download, zero means 120 s.
	CallTimeout, TransferTimeout time.Duration
	// MaxReply bounds a JSON body, zero means 4 MiB; MaxDownload bounds an
	// archive, zero means 16 MiB (SC-10, SC-12).
	MaxReply, MaxDownload int64
	// Pace is the least time between two requests in the long run, a few at
	// once aside; zero sets no bound (SC-14).
	Pace time.Duration
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

func (cfg Config) complete() (Config, *url.URL, error) {
	if cfg.URL == "" {
		cfg.URL = Production
	}
	base, err := origin(cfg.URL)
	if err != nil {
		return cfg, nil, err
	}
	switch {
	case cfg.Username == "" && !cfg.Password.Empty():
		return cfg, nil, errors.New("sectigo: there is a password and no username: give both or none")
	case cfg.Username != "" && cfg.Password.Empty() && cfg.Reload == nil && cfg.Cache == nil:
		return cfg, nil, errors.New("sectigo: there is a username and no password: give both or none")
	case cfg.Username == "" && cfg.Cache == nil:
		return cfg, nil, ErrNoCredentials
	case cfg.Dial == nil:
		return cfg, nil, errors.New("sectigo: the client has no way to connect: Dial is missing")
	case cfg.CallTimeout < 0 || cfg.Pace < 0 || cfg.TransferTimeout < 0 || cfg.MaxReply < 0 || cfg.MaxDownload < 0:
		return cfg, nil, errors.New("sectigo: times and sizes cannot be negative")
	}
	cfg.UserAgent = or(cfg.UserAgent, "acmebridge")
	cfg.CallTimeout = or(cfg.CallTimeout, 30*time.Second)
	cfg.TransferTimeout = or(cfg.TransferTimeout, 120*time.Second)
	cfg.MaxReply = or(cfg.MaxReply, 4<<20)
	cfg.MaxDownload = or(cfg.MaxDownload, 16<<20)
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

// origin wants a scheme and a host and nothing else. A path, a query or a user
// in it would be a mistake that shows up late, or a password in a place that
// is printed.
func origin(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("sectigo: the URL of the service cannot be read; it should look like " + Production)
	}
	switch {
	case u.User != nil:
		return nil, errors.New("sectigo: take the user out of the URL of the service; it belongs to username and password")
	case u.Host == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return nil, fmt.Errorf("sectigo: the URL of the service is %q; it should be a scheme and a host, like %s", text, Production)
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("sectigo: the URL of the service is %q; it must begin with https:// (http:// is for a stand-in on this machine)", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
