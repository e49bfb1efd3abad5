package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// handshakes lets the identity meet itself over TLS 1.2 and 1.3, on the sides it
// is for: what a TLS library refuses shows here and not at a counterparty.
func handshakes(id Identity, e Expect) error {
	if len(e.Roots) == 0 {
		return doubt{errors.New("not tried: no root was given")}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := handshake(id, e, version); err != nil {
			return fmt.Errorf("%s: %w", tls.VersionName(version), err)
		}
	}
	return nil
}

func handshake(id Identity, e Expect, version uint16) error {
	own := tls.Certificate{PrivateKey: id.Key, Leaf: id.Leaf, Certificate: [][]byte{id.Leaf.Raw}}
	for _, c := range id.Intermediates {
		own.Certificate = append(own.Certificate, c.Raw)
	}
	now := func() time.Time { return e.Now }
	server := &tls.Config{MinVersion: version, MaxVersion: version, Time: now, Certificates: []tls.Certificate{own}}
	client := &tls.Config{MinVersion: version, MaxVersion: version, Time: now, RootCAs: pool(e.Roots)}
	if e.Client {
		client.Certificates = []tls.Certificate{own}
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, pool(e.Roots)
	}
	if e.Server {
		client.ServerName = serverName(id.Leaf)
	} else {
		client.InsecureSkipVerify = true // a certificate for clients is only lent to the other side here
	}
	a, b := net.Pipe()
	// Both ends are in memory: nothing can be late, only stuck.
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = a.Close(); _ = b.Close() })()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		err := s.HandshakeContext(ctx)
		// In TLS 1.3 a client is through before the server has judged its
		// certificate; a byte tells it that all is well.
		if err == nil {
			_, err = s.Write([]byte{0})
		}
		_ = a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	err := c.HandshakeContext(ctx)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	_ = b.Close()
	theirs := <-done
	switch {
	case theirs != nil && e.Client && err != nil && isAlert(err):
		return fmt.Errorf("as a client it is refused: %w", theirs)
	case err != nil:
		return fmt.Errorf("as a server it is refused: %w", err)
	default:
		return theirs
	}
}

// isAlert reports whether it was the other side that gave up.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func serverName(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) > 0 {
		return leaf.DNSNames[0]
	}
	if len(leaf.IPAddresses) > 0 {
		return leaf.IPAddresses[0].String()
	}
	return ""
}
