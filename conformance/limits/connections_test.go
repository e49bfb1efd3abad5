package limits

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestConnectionsOfOneAddress: one address has so many connections and no
// more; who is refused is told at once, and who hangs up makes room (SL-5,
// SL-44).
func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	const limit = 3
	s := start(t, `connections_per_address: 3`)
	var mine []*tls.Conn
	for range limit {
		mine = append(mine, s.dialTLS(t, attacker, "http/1.1"))
	}
	for range 10 {
		if said, after := wantCut(t, s.dial(t, attacker)); len(said) > 0 || after > 5*time.Second {
			t.Errorf("one too many was cut off after %s with %q", after, said)
		}
	}
	if n := s.metric(t, "acmebridge_connections_refused_total"); n != 10 {
		t.Errorf("%v were counted as refused", n)
	}
	s.dialTLS(t, "127.0.0.3", "http/1.1") // a neighbour
	s.serves(t)
	// Those that are open work all the same.
	for _, c := range mine {
		send(t, c, "GET /directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if said, _ := wantCut(t, c); status(said) != http.StatusOK {
			t.Errorf("an open connection: %.100q", said)
		}
		_ = c.Close()
	}
	until(t, "there is room again", func() bool { return s.metric(t, "acmebridge_connections_open") <= 1 })
	for range limit {
		s.dialTLS(t, attacker, "http/1.1")
	}
}

// TestConnectionsInAll: the bound on all connections holds across addresses,
// and is no queue that keeps people waiting.
func TestConnectionsInAll(t *testing.T) {
	t.Parallel()
	const limit = 20
	s := start(t, `connections: 20, connections_per_address: 10`)
	var held []net.Conn
	for i := range limit {
		held = append(held, s.dialTLS(t, fmt.Sprintf("127.0.0.%d", 2+i/10), "http/1.1"))
	}
	if said, after := wantCut(t, s.dial(t, "127.0.0.9")); len(said) > 0 || after > 5*time.Second {
		t.Errorf("one too many was cut off after %s with %q", after, said)
	}
	_ = held[0].Close()
	until(t, "there is room again", func() bool { return s.metric(t, "acmebridge_connections_open") < limit })
	s.serves(t)
}

// TestIdleConnections holds two thousand TLS connections that asked once and
// ask no more, as many of each address as it may have. They cost little memory, the good
// client does not notice, and nothing of them stays (SL-42).
func TestIdleConnections(t *testing.T) {
	const count, perAddress = 2000, 62
	s := start(t, `idle_timeout: 5m`) // a busy machine takes a while to open them all
	s.serves(t)
	goroutines, descriptors, heap := s.metric(t, "go_goroutines"), s.metric(t, "process_open_fds"), s.metric(t, "process_resident_memory_bytes")

	var mu sync.Mutex
	var held []net.Conn
	all(8, func(worker int) {
		for i := worker; i < count; i += 8 {
			c, err := s.tryDial(t.Context(), fmt.Sprintf("127.0.2.%d", 1+i/perAddress))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
			if err := ask(s.client(c, "http/1.1")); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if open := s.metric(t, "acmebridge_connections_open"); open < count {
		t.Errorf("%v connections are open, want %d", open, count)
	}
	s.serves(t)
	grown := s.metric(t, "process_resident_memory_bytes") - heap
	t.Logf("%d idle TLS connections: %.1f MiB more, %.0f goroutines more", count, grown/(1<<20), s.metric(t, "go_goroutines")-goroutines)
	// SL-42 allows 512 MiB for 10,000.
	if most := float64(512<<20) * count / 10_000; grown > most {
		t.Errorf("memory grew by %.0f bytes, at most %.0f are fine", grown, most)
	}
	for _, c := range held {
		_ = c.Close()
	}
	until(t, "goroutines and descriptors are back to where they were", func() bool {
		return s.metric(t, "go_goroutines") <= goroutines+10 && s.metric(t, "process_open_fds") <= descriptors+5
	})
	s.serves(t)
}

// ask sends a request and reads the answer, and leaves the connection open.
func ask(c net.Conn) error {
	if _, err := io.WriteString(c, "HEAD /acme/default/new-nonce HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodHead})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// TestHandshakesAbandoned: a thousand clients that hang up in the middle of
// the handshake leave nothing behind.
func TestHandshakesAbandoned(t *testing.T) {
	t.Parallel()
	s := start(t, `connections_per_address: 0`)
	s.serves(t)
	goroutines, descriptors := s.metric(t, "go_goroutines"), s.metric(t, "process_open_fds")
	all(8, func(int) {
		for range 125 {
			c, err := s.tryDial(t.Context(), attacker)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
			_ = c.Close()
		}
	})
	until(t, "goroutines and descriptors are back to where they were", func() bool {
		return s.metric(t, "go_goroutines") <= goroutines+10 && s.metric(t, "process_open_fds") <= descriptors+5
	})
	s.serves(t)
}
