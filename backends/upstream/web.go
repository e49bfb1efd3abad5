package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxReply bounds what is read of one reply (SC-10).
const maxReply = 4 << 20

// errOrigin says that the CA named a URL outside of where its directory is.
var errOrigin = errors.New("the CA names a URL outside of the origin of its directory")

// web is the way to the CA: to its origin and nowhere else, whatever URL it
// hands out (SC-11), without redirects, and with bounded replies.
type web struct {
	origin *url.URL
	base   *http.Transport
	client *http.Client
}

func newWeb(cfg Config, directory *url.URL) *web {
	w := &web{origin: directory, base: transport(cfg.Dial, cfg.RootCAs)}
	w.client = &http.Client{Transport: w, CheckRedirect: stay}
	return w
}

// NewDoer returns a client for solvers. It connects by dial, and does not follow
// redirects: what it sends is worth something to whoever gets it.
func NewDoer(dial func(ctx context.Context, network, address string) (net.Conn, error), roots *x509.CertPool) Doer {
	return &http.Client{Transport: transport(dial, roots), CheckRedirect: stay}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func transport(dial func(ctx context.Context, network, address string) (net.Conn, error), roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        60 * time.Second,
		// A compressed body would make a nonsense of the limits.
		DisableCompression: true,
		// HTTP/2 repeats a request when the server closes a stream.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
}

// ours reports whether a URL lies where the directory is.
func (w *web) ours(u *url.URL) bool { return u.Scheme == w.origin.Scheme && u.Host == w.origin.Host }

// oursText is ours for a URL that is still text.
func (w *web) oursText(text string) bool {
	u, err := url.Parse(text)
	return err == nil && w.ours(u) && len(u.Path) > 1
}

// RoundTrip implements http.RoundTripper.
func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	if !w.ours(r.URL) {
		if r.Body != nil {
			_ = r.Body.Close() // the contract of a RoundTripper
		}
		return nil, fmt.Errorf("%w: %s", errOrigin, r.URL.Redacted())
	}
	resp, err := w.base.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxReply)
	}
	return resp, err
}
