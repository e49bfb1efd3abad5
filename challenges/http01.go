package challenges

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"acmebridge/acme"
	"acmebridge/internal/egress"
)

// HTTP01Config says how http-01 is tried.
type HTTP01Config struct {
	// Dialer looks names up and connects (required). Which addresses may be
	// reached is its policy's business.
	Dialer *egress.Dialer
	// Port is where targets listen for plain HTTP; 0 means 80. Another one is
	// for trials, and for networks in which everybody agrees on it.
	Port uint16
	// TLSPort is the port that https:// means in a redirect; 0 means 443.
	TLSPort uint16
	// Timeout bounds a whole validation, redirects included; 0 means 30 s.
	Timeout time.Duration
	// UserAgent is how we introduce ourselves; empty means
	// "acmebridge-validation".
	UserAgent string
}

// HTTP01 proves control by a file on the web server of the identifier
// (RFC 8555, section 8.3; RFC 8738 for addresses).
type HTTP01 struct {
	dialer        *egress.Dialer
	port, tlsPort uint16
	timeout       time.Duration
	userAgent     string
	readers       sync.Pool // of *bounded
}

var _ Validator = (*HTTP01)(nil)

// NewHTTP01 checks cfg and returns the validator.
func NewHTTP01(cfg HTTP01Config) (*HTTP01, error) {
	v := &HTTP01{dialer: cfg.Dialer, port: cfg.Port, tlsPort: cfg.TLSPort, timeout: cfg.Timeout, userAgent: cfg.UserAgent}
	if v.port == 0 {
		v.port = 80
	}
	if v.tlsPort == 0 {
		v.tlsPort = 443
	}
	if v.timeout == 0 {
		v.timeout = 30 * time.Second
	}
	if v.userAgent == "" {
		v.userAgent = "acmebridge-validation"
	}
	switch {
	case v.dialer == nil:
		return nil, errors.New("challenges: http-01 needs a dialer")
	case v.timeout < 0:
		return nil, errors.New("challenges: the time-out of http-01 cannot be negative")
	case strings.ContainsFunc(v.userAgent, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errors.New("challenges: the user agent of http-01 must be printable ASCII")
	}
	v.readers.New = func() any {
		b := new(bounded)
		b.buffered = bufio.NewReaderSize(&b.limited, 2048)
		return b
	}
	return v, nil
}

// Type returns http-01.
func (v *HTTP01) Type() acme.ChallengeType { return acme.HTTP01 }

// Validate fetches the file and compares it with the key authorization.
func (v *HTTP01) Validate(ctx context.Context, t Target) acme.Outcome {
	first, why := v.firstHop(t)
	if why != "" {
		return acme.Outcome{Problem: acme.Problemf(acme.Malformed, "http-01 cannot validate this identifier: %s", why)}
	}
	whole, tr, done := begin(ctx, v.timeout)
	defer done()
	tr.own = first.host
	a := attempt{v: v, trial: tr}
	failed := a.run(whole, first, t.KeyAuthorization)
	return a.outcome(failed, func() string { return a.where(first) })
}

// firstHop is the URL that RFC 8555 fixes: plain HTTP, never HTTPS first
// (R8555-8.3-2). It says why when there is none for t.
func (v *HTTP01) firstHop(t Target) (h hop, why string) {
	if t.Wildcard {
		return h, "wildcard names need a DNS challenge" // R8555-7.5-8, DV-9
	}
	if t.Token == "" || strings.ContainsFunc(t.Token, notBase64URL) {
		return h, "its token is not base64url"
	}
	if rest, ok := strings.CutPrefix(t.KeyAuthorization, t.Token+"."); !ok || rest == "" || len(t.KeyAuthorization) >= maxBody {
		return h, "its key authorization does not begin with its token" // R8555-8.3-7
	}
	host, why := canonicalHost(strings.ToLower(t.Identifier.Value))
	if why != "" {
		return h, why
	}
	_, err := netip.ParseAddr(host)
	if isIP := err == nil; isIP != (t.Identifier.Type == acme.IPIdentifier) {
		return h, fmt.Sprintf("it is not of type %q", t.Identifier.Type)
	}
	h = hop{host: host, port: v.port, target: "/.well-known/acme-challenge/" + t.Token}
	// The Host field is the identifier without a port, also when http_port is
	// not 80: the URL of RFC 8555 has no port, and for a target nothing has
	// changed but where it listens. lego answers only when the field begins
	// with the name that it asked for, in its own spelling; certbot does not
	// look (R8555-8.3-8, R8738-4-1).
	h.authority = bracketed(host)
	if sent := t.Identifier.Wire(); len(sent) == len(host) && strings.EqualFold(sent, host) {
		h.authority = bracketed(sent)
	}
	return h, ""
}

func notBase64URL(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// attempt is the state of one validation; nothing outlives it (SD-6).
type attempt struct {
	*trial
	v         *HTTP01
	redirects int // those that were followed
	visited   []string
	// host and addrs remember the latest look-up: a redirect from http to
	// https mostly stays on the same host. The policy judges them again.
	host  string
	addrs []netip.Addr
}

// maxRedirects is how many redirects are followed; the next one fails (DH-1).
const maxRedirects = 10

func (a *attempt) run(ctx context.Context, h hop, want string) *failure {
	for {
		got, failed := a.visit(ctx, h)
		if failed != nil {
			return failed
		}
		if !isRedirect(got.status) {
			return judge(got, want)
		}
		if a.redirects == maxRedirects {
			return violation("it redirects again after %d redirects, which is the limit", maxRedirects)
		}
		next, why := a.v.redirect(h, got.location)
		if why != "" {
			return violation("it redirects to a place that cannot be followed: %s", why)
		}
		a.visited = append(a.visited, h.key())
		if slices.Contains(a.visited, next.key()) {
			return violation("it redirects in a circle") // DH-5
		}
		a.redirects++
		a.steps = append(a.steps, acme.Step{Host: next.host, Foreign: a.foreign(next.host), Redirect: next.origin()})
		h = next
	}
}

func violation(format string, args ...any) *failure {
	return &failure{kind: acme.Connection, why: fmt.Sprintf(format, args...)}
}

// judge compares the answer with the key authorization.
func judge(got answer, want string) *failure {
	wrong := func(retry bool, format string, args ...any) *failure {
		return &failure{kind: acme.Unauthorized, retry: retry, why: fmt.Sprintf(format, args...)}
	}
	if got.status != 200 { // R8555-8.3-8
		return wrong(got.status >= 500, "the answer has status %d, expected 200", got.status)
	}
	if got.length >= maxBody { // DH-6
		return wrong(false, "the answer is at least %d bytes long, expected the key authorization of %d", maxBody, len(want))
	}
	body := got.body[:got.length]
	// White space at the end is ignored, at the beginning it is a mismatch
	// (R8555-8.3-6).
	if trimmed := bytes.TrimRightFunc(body, unicode.IsSpace); subtle.ConstantTimeCompare(trimmed, []byte(want)) != 1 {
		return wrong(false, "the answer is not the key authorization: %d bytes, %s; expected %d bytes made of the token and the thumbprint of the account key", len(body), classOf(trimmed), len(want))
	}
	return nil
}

// classOf says what a wrong body looks like without showing any of it.
func classOf(body []byte) string {
	switch {
	case len(body) == 0:
		return "empty"
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		return "looks like HTML"
	case bytes.Count(body, []byte(".")) == 1 && !bytes.ContainsFunc(body, func(r rune) bool { return r != '.' && notBase64URL(r) }):
		return "looks like another key authorization"
	default:
		return "something else"
	}
}

// where names the URL and the addresses for a message: the URL is ours to
// show, where a redirect led to is not (SV-8).
func (a *attempt) where(first hop) string {
	var b strings.Builder
	b.WriteString("http://")
	b.WriteString(bracketed(first.host))
	b.WriteString(first.target)
	switch {
	case a.redirects == 1:
		b.WriteString(", after 1 redirect")
	case a.redirects > 1:
		fmt.Fprintf(&b, ", after %d redirects", a.redirects)
	}
	b.WriteString(a.addresses())
	return b.String()
}
