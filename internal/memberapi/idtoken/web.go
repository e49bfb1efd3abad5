package idtoken

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// web is the way to the provider. It connects by Config.Dial and by nothing else
// (SV-1), and counts what failed, because a bad token and a provider that is
// away have two answers.
type web struct{ client *http.Client }

func newWeb(cfg Config, broken *atomic.Int64) web {
	return web{&http.Client{
		Timeout: patience,
		Transport: watched{broken, &http.Transport{
			DialContext: cfg.Dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs}, TLSHandshakeTimeout: 5 * time.Second,
			MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 60 * time.Second, DisableCompression: true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// in makes it the way that the library takes.
func (w web) in(ctx context.Context) context.Context { return oidc.ClientContext(ctx, w.client) }

// watched bounds what the provider may send, too.
type watched struct {
	broken *atomic.Int64
	next   *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.broken.Add(1)
		return resp, err
	}
	resp.Body = limited{io.LimitReader(resp.Body, 1<<20), resp.Body, w.broken}
	return resp, nil
}

// limited is an answer that does not go on for ever, and counts as failed when
// it breaks off.
type limited struct {
	io.Reader
	io.Closer
	broken *atomic.Int64
}

// Read implements io.Reader.
func (l limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		l.broken.Add(1)
	}
	return n, err
}
