package limits

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// attacker is where attacks come from unless there are several of them; the
// good client is at 127.0.0.1.
const attacker = "127.0.0.2"

// dial opens a bare connection from an address of the loopback network.
func (s *server) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	c, err := s.tryDial(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *server) tryDial(ctx context.Context, from string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(ctx, "tcp", s.address)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// dialTLS opens a connection as far as HTTP, of version 1.1 or 2.
func (s *server) dialTLS(t *testing.T, from, protocol string) *tls.Conn {
	t.Helper()
	c := s.client(s.dial(t, from), protocol)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) client(c net.Conn, protocol string) *tls.Conn {
	return tls.Client(c, &tls.Config{RootCAs: s.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12, NextProtos: []string{protocol}})
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	// The server may cut us off in the middle; what it answers tells.
	_, _ = io.WriteString(c, text)
}

// wantCut waits until the server has closed the connection, and returns what
// it said before and how long it took.
func wantCut(t *testing.T, c net.Conn) (said []byte, after time.Duration) {
	t.Helper()
	begun := time.Now()
	said, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open after %s, having said %.200q", patience, said)
	}
	return said, time.Since(begun)
}

// status reads the status of the one answer that was sent, 0 for none.
func status(said []byte) int {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(said)), nil)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// all runs n attacks at once.
func all(n int, attack func(i int)) {
	var w sync.WaitGroup
	for i := range n {
		w.Go(func() { attack(i) })
	}
	w.Wait()
}
