package caclient

import (
	"crypto/tls"
	"net/http"
	"time"
)

// web is the two ways to a CA. Both connect by Config.Dial and by nothing else
// (SV-1). Calls may be repeated, and share connections. Purchases must not be,
// and each gets a fresh one, because the transport sends again by itself when a
// used one turns out to be closed (SC-5).
type web struct{ calls, purchases *http.Client }

func newWeb(cfg Config) web { return web{plainClient(cfg, false), plainClient(cfg, true)} }

func (w web) do(req *http.Request, purchase bool) (*http.Response, error) {
	if purchase {
		return w.purchases.Do(req)
	}
	return w.calls.Do(req)
}

func plainClient(cfg Config, fresh bool) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs, Time: cfg.Now}
	if cfg.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cfg.Certificate() }
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            cfg.Dial,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        60 * time.Second,
			DisableKeepAlives:      fresh,
			// A compressed body would make a nonsense of the limits.
			DisableCompression: true,
			// HTTP/2 repeats a request when the server closes a stream.
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
