package challenges

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"acmebridge/acme"
)

// One exchange needs one request of a fixed form and the head of one answer.
// So it is written and read here, on a connection of its own: what
// http.Transport adds (pools, redirects, cookies, proxies, compression,
// HTTP/2) would all have to be switched off again (DH-12), and it costs two
// goroutines per connection.

const (
	maxHeader    = 16 << 10 // DH-13
	maxBody      = 128      // DH-6
	chunkMargin  = 4 << 10  // what chunked encoding may add to a short body
	maxHandshake = 10 * time.Second
)

// answer is the part of a response that matters.
type answer struct {
	status   int
	location string
	body     [maxBody]byte
	length   int
}

// visit asks for one hop.
func (a *attempt) visit(ctx context.Context, h hop) (answer, *failure) {
	addrs, failed := a.lookup(ctx, h.host)
	if failed != nil {
		return answer{}, failed
	}
	// Only the first hop gets a second chance (DH-7).
	c, failed := a.dial(ctx, a.v.dialer, h.host, h.port, addrs, a.redirects == 0)
	if failed != nil {
		return answer{}, failed
	}
	defer c.Close()
	// Whatever c waits for ends with ctx.
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if h.https {
		secured, failed := a.handshake(ctx, c, h)
		if failed != nil {
			return answer{}, failed
		}
		c = secured
	}
	return a.exchange(c, h)
}

// lookup returns the addresses of host that may be connected to, IPv6 first.
func (a *attempt) lookup(ctx context.Context, host string) ([]netip.Addr, *failure) {
	if a.host == host {
		return a.addrs, nil
	}
	addrs, failed := a.resolve(ctx, a.v.dialer, host)
	if failed != nil {
		return nil, failed
	}
	a.host, a.addrs = host, addrs
	return addrs, nil
}

// handshake starts TLS. The certificate is not verified: the redirect came
// over plain HTTP, so there is nothing to hold it against, and the client may
// be here to replace an expired one (DH-11, SV-7).
func (a *attempt) handshake(ctx context.Context, c net.Conn, h hop) (net.Conn, *failure) {
	ctx, cancel := context.WithTimeout(ctx, maxHandshake)
	defer cancel()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // SV-7: a redirect to https proves nothing by its certificate
	if _, err := netip.ParseAddr(h.host); err != nil {
		config.ServerName = h.host
	}
	secured := tls.Client(c, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		if failed := a.networkFailure(err, "starting TLS"); failed != nil {
			return nil, failed
		}
		return nil, &failure{kind: acme.TLS, why: "the TLS handshake failed; TLS 1.2 or 1.3 is needed"}
	}
	return secured, nil
}

// exchange sends the request and reads the answer.
func (a *attempt) exchange(c net.Conn, h hop) (got answer, failed *failure) {
	if _, err := c.Write(a.request(h)); err != nil {
		return got, a.conversation(err, "sending the request")
	}
	r := a.v.readers.Get().(*bounded)
	r.reset(c, maxHeader)
	defer func() {
		r.reset(nil, 0)
		a.v.readers.Put(r)
	}()
	var resp *http.Response
	for resp == nil || resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		var err error
		// The body is never closed: closing reads on to its end, and the
		// connection is closed instead.
		if resp, err = http.ReadResponse(r.buffered, nil); err != nil { //nolint:bodyclose // see above
			if r.limited.N <= 0 {
				return got, violation("the header of the answer is larger than %d bytes", maxHeader)
			}
			return got, a.conversation(err, "waiting for the answer")
		}
	}
	got.status = resp.StatusCode
	if isRedirect(got.status) {
		got.location = resp.Header.Get("Location")
		return got, nil
	}
	if got.status != http.StatusOK {
		return got, nil
	}
	r.limited.N = maxBody + chunkMargin
	for got.length < maxBody {
		n, err := resp.Body.Read(got.body[got.length:])
		got.length += n
		if err == io.EOF {
			break
		}
		if err != nil { // a body that broke off included
			return got, a.conversation(err, "reading the answer")
		}
	}
	return got, nil
}

// request is the one request that is ever sent (DH-12).
func (a *attempt) request(h hop) []byte {
	b := make([]byte, 0, 256)
	b = append(b, "GET "...)
	b = append(b, h.target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, h.authority...)
	b = append(b, "\r\nUser-Agent: "...)
	b = append(b, a.v.userAgent...)
	return append(b, "\r\nAccept: */*\r\nConnection: close\r\n\r\n"...)
}

// bounded reads a limited number of bytes from a connection.
type bounded struct {
	limited  io.LimitedReader
	buffered *bufio.Reader
}

func (b *bounded) reset(r io.Reader, limit int64) {
	b.limited = io.LimitedReader{R: r, N: limit}
	b.buffered.Reset(&b.limited)
}

// conversation is networkFailure for what may also not be HTTP.
func (a *attempt) conversation(err error, doing string) *failure {
	if failed := a.networkFailure(err, doing); failed != nil {
		return failed
	}
	return &failure{kind: acme.Connection, why: "what came back is not HTTP, while " + doing}
}
