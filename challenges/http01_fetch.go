package challenges

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/egress"
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
	c, failed := a.dial(ctx, h, addrs)
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
	a.at = nil
	addrs, err := a.v.dialer.Lookup(ctx, host)
	if err != nil {
		return nil, a.lookupFailure(err)
	}
	a.host, a.addrs = host, addrs
	return addrs, nil
}

// dial connects to the first address. Only the first hop gets a second
// chance: one IPv4 address, when IPv6 cannot be connected to (DH-7).
func (a *attempt) dial(ctx context.Context, h hop, addrs []netip.Addr) (net.Conn, *failure) {
	a.at = nil
	candidates := addrs[:1]
	if a.redirects == 0 && addrs[0].Is6() {
		if i := slices.IndexFunc(addrs, netip.Addr.Is4); i > 0 {
			candidates = []netip.Addr{addrs[0], addrs[i]}
		}
	}
	var failed *failure
	for _, addr := range candidates {
		to := netip.AddrPortFrom(addr, h.port)
		c, err := a.v.dialer.DialAddr(ctx, to)
		if errors.Is(err, egress.ErrDenied) {
			failed = a.refused(err)
			continue
		}
		a.at = append(a.at, to)
		a.tried = append(a.tried, to.String())
		if err == nil {
			a.at = a.at[len(a.at)-1:]
			return c, nil
		}
		failed = a.networkFailure(err, "connecting")
	}
	return nil, failed
}

// handshake starts TLS. The certificate is not verified: the redirect came
// over plain HTTP, so there is nothing to hold it against, and the client may
// be here to replace an expired one (DH-11, SV-7).
func (a *attempt) handshake(ctx context.Context, c net.Conn, h hop) (net.Conn, *failure) {
	ctx, cancel := context.WithTimeout(ctx, maxHandshake)
	defer cancel()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	if _, err := netip.ParseAddr(h.host); err != nil {
		config.ServerName = h.host
	}
	secured := tls.Client(c, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		if failed := a.networkFailure(err, "starting TLS"); failed.retry {
			return nil, failed
		}
		return nil, &failure{kind: acme.TLS, why: "the TLS handshake failed; TLS 1.2 or 1.3 is needed"}
	}
	return secured, nil
}

// exchange sends the request and reads the answer.
func (a *attempt) exchange(c net.Conn, h hop) (got answer, failed *failure) {
	if _, err := c.Write(a.request(h)); err != nil {
		return got, a.networkFailure(err, "sending the request")
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
		if resp, err = http.ReadResponse(r.buffered, nil); err != nil {
			if r.limited.N <= 0 {
				return got, violation("the header of the answer is larger than %d bytes", maxHeader)
			}
			return got, a.networkFailure(err, "waiting for the answer")
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
			return got, a.networkFailure(err, "reading the answer")
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

// refused is the failure for what the policy does not allow. The client
// learns the class, so that it knows what to publish or to ask for; the
// address may come from a DNS that it cannot see, so only the operator does.
func (a *attempt) refused(err error) *failure {
	why := "this server does not connect to the address of the host"
	var denied *egress.DeniedError
	if errors.As(err, &denied) {
		a.tried = append(a.tried, denied.Error())
		switch denied.Class {
		case egress.OwnListener, egress.OperatorDenied, egress.ReservedName:
		default:
			why = fmt.Sprintf("this server does not connect to %s addresses, and the host has no other", denied.Class)
		}
		if denied.Openable {
			why += "; its operator can open prefixes with validation.allow"
		}
	}
	return &failure{kind: acme.Connection, why: why}
}

func (a *attempt) lookupFailure(err error) *failure {
	dns := func(retry bool, why string) *failure {
		return &failure{kind: acme.DNS, retry: retry, why: why}
	}
	switch {
	case errors.Is(err, egress.ErrDenied):
		return a.refused(err)
	case errors.Is(a.caller.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, egress.ErrNoSuchName):
		return dns(false, "the host name does not exist in the DNS (NXDOMAIN)")
	case errors.Is(err, egress.ErrNoAddress):
		return dns(false, "the host name has neither an A nor an AAAA record")
	case errors.Is(err, egress.ErrBadAlias):
		return dns(false, "the CNAME records of the host name go in a circle or on for too long")
	case errors.Is(err, egress.ErrServerFailed):
		return dns(true, "the DNS server could not look the host name up (SERVFAIL or the like)")
	default:
		return dns(true, "no DNS server answered in time")
	}
}

// networkFailure says what went wrong in words of our own: the text of err
// may quote what was received (SV-8).
func (a *attempt) networkFailure(err error, doing string) *failure {
	again := func(why string) *failure {
		return &failure{kind: acme.Connection, retry: true, why: why + " while " + doing}
	}
	var timeout net.Error
	switch {
	case errors.Is(a.caller.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, egress.ErrBusy):
		return &failure{kind: acme.ServerInternal, retry: true, why: "this server is busy with other validations in the same network"}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return again("time ran out")
	case errors.Is(err, syscall.ECONNREFUSED):
		return again("the connection was refused")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return again("the connection was reset")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return again("there was no route to the address")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return again("the connection was closed")
	case doing == "connecting":
		return again("no connection came about")
	default:
		return &failure{kind: acme.Connection, why: "what came back is not HTTP, while " + doing}
	}
}

// interrupted is the failure when the caller stopped waiting, at shutdown.
func interrupted() *failure {
	return &failure{kind: acme.ServerInternal, retry: true, why: "the validation was interrupted; it will be tried again"}
}
