package sectigo

import (
	"crypto/tls"
	"net/http"
	"time"
)

// web is the two ways to the CA. Both connect by Config.Dial and by nothing
// else (SV-1).
type web struct {
	// calls may be repeated, and share connections.
	calls *http.Client
	// purchases must not be: each gets a fresh connection, because the
	// transport sends again by itself when a used one turns out to be closed
	// (SC-5).
	purchases *http.Client
}

func newWeb(cfg Config) web {
	return web{calls: withoutRedirects(transport(cfg, false)), purchases: withoutRedirects(transport(cfg, true))}
}

func (w web) do(req *http.Request, purchase bool) (*http.Response, error) {
	if purchase {
		return w.purchases.Do(req)
	}
	return w.calls.Do(req)
}

func (w web) close() {
	w.calls.CloseIdleConnections()
	w.purchases.CloseIdleConnections()
}

func transport(cfg Config, fresh bool) *http.Transport {
	return &http.Transport{
		DialContext:            cfg.Dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        60 * time.Second,
		DisableKeepAlives:      fresh,
		// A compressed body would make a nonsense of the limits.
		DisableCompression: true,
		// HTTP/2 repeats a request when the server closes a stream; HTTP/1.1
		// on a fresh connection has no such reason.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
}

func withoutRedirects(t *http.Transport) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
