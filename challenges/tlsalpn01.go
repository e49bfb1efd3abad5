package challenges

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/egress"
)

// alpnProtocol is what a server speaks that proves control of a name
// (RFC 8737, section 6.2).
const alpnProtocol = "acme-tls/1"

// TLSALPN01Config says how tls-alpn-01 is tried.
type TLSALPN01Config struct {
	// Dialer looks names up and connects (required).
	Dialer *egress.Dialer
	// Port is where targets listen; 0 means 443. Another one is for trials, and
	// for networks in which everybody agrees on it.
	Port uint16
	// Timeout bounds a whole validation; 0 means 30 s.
	Timeout time.Duration
}

// TLSALPN01 proves control by a certificate that a TLS server shows to those
// who ask for the protocol acme-tls/1 (RFC 8737; RFC 8738 for addresses).
type TLSALPN01 struct {
	dialer  *egress.Dialer
	port    uint16
	timeout time.Duration
}

var _ Validator = (*TLSALPN01)(nil)

// NewTLSALPN01 checks cfg and returns the validator.
func NewTLSALPN01(cfg TLSALPN01Config) (*TLSALPN01, error) {
	v := &TLSALPN01{dialer: cfg.Dialer, port: cfg.Port, timeout: cfg.Timeout}
	switch {
	case v.dialer == nil:
		return nil, errors.New("challenges: tls-alpn-01 needs a dialer")
	case v.timeout < 0:
		return nil, errors.New("challenges: the time-out of tls-alpn-01 cannot be negative")
	}
	if v.port == 0 {
		v.port = 443
	}
	if v.timeout == 0 {
		v.timeout = 30 * time.Second
	}
	return v, nil
}

// Type returns tls-alpn-01.
func (v *TLSALPN01) Type() acme.ChallengeType { return acme.TLSALPN01 }

// Validate connects and judges the certificate.
func (v *TLSALPN01) Validate(ctx context.Context, t Target) acme.Outcome {
	host, why := canonicalHost(strings.ToLower(t.Identifier.Value))
	addr, err := netip.ParseAddr(host)
	switch {
	case why != "":
	case t.Wildcard:
		why = "wildcard names need a DNS challenge" // R8737-3-10, DV-9
	case (err == nil) != (t.Identifier.Type == acme.IPIdentifier):
		why = fmt.Sprintf("it is not of type %q", t.Identifier.Type)
	default:
		why = tokenFits(t)
	}
	if why != "" {
		return unfit(acme.TLSALPN01, why)
	}
	name := host
	if err == nil {
		name = reverseName(addr) // R8738-6-1
	}
	whole, tr, done := begin(ctx, v.timeout)
	defer done()
	failed := v.attempt(whole, tr, host, name, sha256.Sum256([]byte(t.KeyAuthorization)))
	return tr.outcome(failed, func() string { return fmt.Sprintf("%s of %s%s", alpnProtocol, host, tr.addresses()) })
}

func (v *TLSALPN01) attempt(ctx context.Context, tr *trial, host, serverName string, digest [32]byte) *failure {
	addrs, failed := tr.resolve(ctx, v.dialer, host)
	if failed != nil {
		return failed
	}
	c, failed := tr.dial(ctx, v.dialer, host, v.port, addrs, true)
	if failed != nil {
		return failed
	}
	defer c.Close() // right after the handshake: no data is exchanged (R8737-3-9, SV-10)
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	ctx, cancel := context.WithTimeout(ctx, maxHandshake)
	defer cancel()
	secured := tls.Client(c, &tls.Config{
		ServerName: serverName,             // R8737-3-2
		NextProtos: []string{alpnProtocol}, // R8737-3-1
		MinVersion: tls.VersionTLS12,       // R8737-4-1
		// The certificate is judged below, by its content; nobody has issued
		// it, and its dates mean nothing (R8737-3-11).
		InsecureSkipVerify:     true, //nolint:gosec // see above
		SessionTicketsDisabled: true,
		// Nothing that is said needs to stay secret, so the cheapest exchange
		// comes first, and the costly ones against quantum computers not at
		// all: they add a third to the time of a validation.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		return tr.handshakeFailure(err)
	}
	state := secured.ConnectionState()
	if state.NegotiatedProtocol != alpnProtocol { // R8737-3-3
		return &failure{kind: acme.Unauthorized, why: "the server does not speak the protocol " + alpnProtocol + "; whatever answers the challenge is not what listens there"}
	}
	if len(state.PeerCertificates) == 0 {
		return &failure{kind: acme.Unauthorized, why: "the server shows no certificate"}
	}
	if why := judgeCertificate(state.PeerCertificates[0], host, digest); why != "" {
		return &failure{kind: acme.Unauthorized, why: why}
	}
	return nil
}

// handshakeFailure says what went wrong before there was a certificate to
// judge.
func (t *trial) handshakeFailure(err error) *failure {
	var record tls.RecordHeaderError
	broken := func(why string) *failure { return &failure{kind: acme.TLS, why: why} }
	switch {
	case errors.As(err, &record):
		return broken("what listens there does not speak TLS")
	case strings.Contains(err.Error(), "remote error: tls: "):
		if strings.Contains(err.Error(), "no application protocol") { // alert 120
			return broken("the server does not know the protocol " + alpnProtocol + "; whatever answers the challenge is not what listens there")
		}
		return broken("the server refused the TLS handshake with an alert")
	case strings.Contains(err.Error(), "failed to parse certificate"):
		// The library reads the certificate before we do, and has no error of
		// its own for what it cannot read: an extension that occurs twice among
		// them (R8737-3-7).
		return &failure{kind: acme.Unauthorized, why: "the certificate is not well formed; each extension may occur once"}
	case strings.Contains(err.Error(), "unsupported protocol version"), strings.Contains(err.Error(), "unsupported versions"):
		return broken("the server does not speak TLS 1.2 or 1.3")
	}
	if failed := t.networkFailure(err, "starting TLS"); failed != nil {
		return failed
	}
	return broken("the TLS handshake failed; TLS 1.2 or 1.3 is needed")
}

// reverseName is the name of an address in the reverse zones (R8738-6-1).
func reverseName(addr netip.Addr) string {
	b := addr.AsSlice()
	var name strings.Builder
	for i := len(b) - 1; i >= 0; i-- {
		if addr.Is4() {
			fmt.Fprintf(&name, "%d.", b[i])
		} else {
			fmt.Fprintf(&name, "%x.%x.", b[i]&15, b[i]>>4)
		}
	}
	if addr.Is4() {
		return name.String() + "in-addr.arpa"
	}
	return name.String() + "ip6.arpa"
}
