package sectigo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"acmebridge/internal/caclient"
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

func (cfg Config) complete() (Config, error) {
	cfg.URL = or(cfg.URL, Production)
	switch {
	case origin(cfg.URL) == "":
		return cfg, fmt.Errorf("sectigo: the URL of the service should be a scheme and a host, like %s", Production)
	case cfg.Username == "" && !cfg.Password.Empty():
		return cfg, errors.New("sectigo: there is a password and no username: give both or none")
	case cfg.Username != "" && cfg.Password.Empty() && cfg.Reload == nil && cfg.Cache == nil:
		return cfg, errors.New("sectigo: there is a username and no password: give both or none")
	case cfg.Username == "" && cfg.Cache == nil:
		return cfg, ErrNoCredentials
	case cfg.CallTimeout < 0 || cfg.Pace < 0 || cfg.TransferTimeout < 0 || cfg.MaxReply < 0 || cfg.MaxDownload < 0:
		return cfg, errors.New("sectigo: times and sizes cannot be negative")
	}
	cfg.CallTimeout = or(cfg.CallTimeout, 30*time.Second)
	cfg.TransferTimeout = or(cfg.TransferTimeout, 120*time.Second)
	cfg.MaxDownload = or(cfg.MaxDownload, 16<<20)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, nil
}

const (
	// atOnce is how many requests may come without a pause after a quiet time.
	atOnce = 10
	// patience is for how long a request waits for its turn.
	patience = time.Minute
)

// web is how requests are carried (SC-5, SC-10, SC-11, SC-14, SC-15).
func (cfg Config) web() caclient.Config {
	web := caclient.Config{
		Name: caName, Like: Production, URL: cfg.URL, Dial: cfg.Dial, RootCAs: cfg.RootCAs, UserAgent: cfg.UserAgent,
		Timeout: cfg.CallTimeout, MaxReply: cfg.MaxReply, Complaint: complaint, Verdicts: verdicts(), Now: cfg.Now, Patience: patience,
	}
	if cfg.Pace > 0 {
		web.Rates = []caclient.Rate{{Requests: atOnce, Within: atOnce * cfg.Pace}}
	}
	return web
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// origin is the scheme and the host of a URL, empty when there is a path: that
// would be a mistake that shows up late.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
