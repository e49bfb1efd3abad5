package digicert

import (
	"context"
	"crypto/x509"
	"net"
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

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
