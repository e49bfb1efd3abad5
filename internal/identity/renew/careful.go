package renew

import (
	"errors"
	"net/http"
	"strings"
	"unicode"
)

// maxBody bounds what is read of one answer of a server.
const maxBody = 4 << 20

// errRedirect: what is sent there is worth something to whoever gets it.
var errRedirect = errors.New("the server sends us elsewhere; give the URL of the directory itself")

// careful is a client that reads no more of an answer than makes sense, and goes
// where the server is and not where it is sent.
func careful(c *http.Client) *http.Client {
	bounded := *c
	bounded.Transport = bound{c.Transport}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return errRedirect }
	return &bounded
}

type bound struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxBody)
	}
	return res, err
}

// plainError is an error whose text may have words of a server, as one line for a
// terminal.
type plainError struct{ error }

func (e plainError) Error() string { return plain(e.error.Error()) }
func (e plainError) Unwrap() error { return e.error }

func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
