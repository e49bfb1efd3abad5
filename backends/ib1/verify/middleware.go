package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
)

// Source is where the certificate of a request is. The zero value is the TLS
// connection itself.
type Source struct {
	// Header has the certificate, when a proxy ends TLS: HeaderALBLeaf,
	// HeaderALBChain, or what nginx was told to set from
	// $ssl_client_escaped_cert.
	Header string
	// VerifyHeader, when it is set, must say SUCCESS (nginx: $ssl_client_verify).
	// The certificate is verified here all the same, since "optional" in nginx
	// passes on certificates that failed.
	VerifyHeader string
	// FromProxy says whether a request comes from the proxy and from nobody else.
	// It is needed with Header: anybody could send one.
	FromProxy func(*http.Request) bool
}

func (s Source) certificates(r *http.Request) ([]*x509.Certificate, error) {
	if s.Header == "" {
		if r.TLS == nil {
			return nil, CertificateMissing.becausef("the request did not come over TLS")
		}
		return r.TLS.PeerCertificates, nil
	}
	if !s.FromProxy(r) {
		return nil, CertificateMissing.becausef("the request did not come through the proxy")
	}
	if s.VerifyHeader != "" {
		if said := r.Header.Values(s.VerifyHeader); len(said) != 1 || said[0] != "SUCCESS" {
			return nil, UntrustedIssuer.becausef("the proxy says %q of the client's certificate", said)
		}
	}
	return FromHeader(r.Header, s.Header, http.CanonicalHeaderKey(s.Header) != HeaderALBLeaf)
}

// MiddlewareConfig says how a handler is protected.
type MiddlewareConfig struct {
	Source Source
	// AnyRole are roles of which one is needed. Without them every member is let
	// in; handlers may ask the Identity themselves.
	AnyRole []string
	// Refused is told why a request was refused, for a log. The client learns
	// the name of the failure only.
	Refused func(r *http.Request, err error)
}

// Middleware lets requests through that come with a good certificate, and puts
// its Identity where IdentityOf finds it. A connection may outlive a
// certificate, so every request is checked.
func (c *Client) Middleware(cfg MiddlewareConfig, next http.Handler) (http.Handler, error) {
	if cfg.Source.Header != "" && cfg.Source.FromProxy == nil {
		return nil, errors.New("protect a handler: say with FromProxy who may send the certificate in a header")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := c.request(r, cfg)
		if err != nil {
			if cfg.Refused != nil {
				cfg.Refused(r, err)
			}
			f := FailureOf(err)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(f.Status())
			_, _ = fmt.Fprintf(w, "{\"error\":%q}\n", string(f))
			return
		}
		r = r.Clone(context.WithValue(r.Context(), identityKey{}, id))
		// Whatever comes later must not believe what it can no longer tell from
		// the words of a client.
		strip(r.Header, cfg.Source.Header, cfg.Source.VerifyHeader)
		next.ServeHTTP(w, r)
	}), nil
}

func (c *Client) request(r *http.Request, cfg MiddlewareConfig) (Identity, error) {
	presented, err := cfg.Source.certificates(r)
	if err != nil {
		return Identity{}, err
	}
	id, err := c.Verify(r.Context(), presented)
	if err == nil && len(cfg.AnyRole) > 0 {
		err = id.RequireRole(cfg.AnyRole...)
	}
	return id, err
}

type identityKey struct{}

// IdentityOf returns who sent a request that came through Middleware.
func IdentityOf(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}
