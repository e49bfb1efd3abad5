// Package tlsalpn01test is a TLS server as an account would run it to prove
// control of a name by tls-alpn-01, and as somebody would run it who wants to
// see what a validator puts up with.
package tlsalpn01test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Behaviour does what it likes with a connection that has come in, and closes
// it in the end.
type Behaviour func(c net.Conn)

// Server does the same with every connection.
type Server struct {
	addr        netip.AddrPort
	connections atomic.Int64

	mu     sync.Mutex
	answer Behaviour
	hellos []tls.ClientHelloInfo
	data   int
}

// New starts a server on address, such as 127.0.0.1:0, until the test ends. It
// closes connections until it is told what to do with them.
func New(t testing.TB, address string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("tlsalpn01test: %v", err)
	}
	s := &Server{addr: l.Addr().(*net.TCPAddr).AddrPort(), answer: func(net.Conn) {}}
	var running sync.WaitGroup
	var open sync.Map
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			open.Store(c, nil)
			running.Go(func() {
				defer open.Delete(c)
				defer c.Close()
				s.mu.Lock()
				answer := s.answer
				s.mu.Unlock()
				answer(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		running.Wait()
	})
	return s
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Connections counts the connections that were made.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Hellos returns what the clients said first, so far.
func (s *Server) Hellos() []tls.ClientHelloInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]tls.ClientHelloInfo(nil), s.hellos...)
}

// Data counts the bytes that clients sent after their handshakes.
func (s *Server) Data() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// On says what to do with connections.
func (s *Server) On(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = b
}

// Show makes the server speak acme-tls/1 and show a certificate, as an honest
// account does.
func (s *Server) Show(c tls.Certificate) { s.Serve(&tls.Config{NextProtos: []string{"acme-tls/1"}}, c) }

// Serve is Show with a configuration of one's own.
func (s *Server) Serve(config *tls.Config, certs ...tls.Certificate) {
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hellos = append(s.hellos, *h)
		return nil, nil
	}
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if len(certs) == 0 {
			return &tls.Certificate{}, nil
		}
		return &certs[0], nil
	}
	s.On(func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		secured := tls.Server(c, config)
		if secured.Handshake() != nil {
			return
		}
		n, _ := io.Copy(io.Discard, secured)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.data += int(n)
	})
}

// Template is a certificate to be, as a client makes it. Change it to see what
// is refused.
type Template struct {
	Subject    string
	DNSNames   []string
	Addrs      []netip.Addr
	Emails     []string
	Extensions []pkix.Extension // as given, besides the names
	// Issuer, when not empty, signs in place of the certificate's own key;
	// when it equals Subject, only the key is another one. With OwnKey, only
	// the name is.
	Issuer string
	OwnKey bool
	// Expired makes its dates lie in the past.
	Expired bool
}

// Proof is the template that proves control of host, a name or an address.
func Proof(host, keyAuthorization string) Template {
	t := Template{Subject: "ACME challenge", Extensions: []pkix.Extension{Identifier(keyAuthorization)}}
	if addr, err := netip.ParseAddr(host); err == nil {
		t.Addrs = []netip.Addr{addr}
	} else {
		t.DNSNames = []string{host}
	}
	return t
}

// Identifier is the acmeIdentifier extension.
func Identifier(keyAuthorization string) pkix.Extension {
	sum := sha256.Sum256([]byte(keyAuthorization))
	value, _ := asn1.Marshal(sum[:])
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}, Critical: true, Value: value}
}

// Make makes the certificate and its key.
func (t Template) Make(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: t.Subject},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		DNSNames: t.DNSNames, EmailAddresses: t.Emails, ExtraExtensions: t.Extensions,
	}
	for _, a := range t.Addrs {
		cert.IPAddresses = append(cert.IPAddresses, a.AsSlice())
	}
	if t.Expired {
		cert.NotBefore, cert.NotAfter = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	}
	parent, signer := cert, crypto.Signer(key)
	if t.Issuer != "" {
		parent = &x509.Certificate{Subject: pkix.Name{CommonName: t.Issuer}}
		if t.OwnKey {
			parent.PublicKey = key.Public()
		} else if signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			tb.Fatal(err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Silent accepts the connection and never says anything.
func Silent() Behaviour { return func(c net.Conn) { _, _ = io.Copy(io.Discard, c) } }

// Raw sends bytes in place of a handshake.
func Raw(answer string) Behaviour {
	return func(c net.Conn) {
		var hello [16 << 10]byte
		_, _ = c.Read(hello[:])
		_, _ = io.WriteString(c, answer)
	}
}

// Reset breaks the connection.
func Reset() Behaviour {
	return func(c net.Conn) {
		var hello [16 << 10]byte
		_, _ = c.Read(hello[:])
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
}
