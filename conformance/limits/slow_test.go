package limits

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestSlowRequests: who takes too long to send anything is cut off in time,
// however it goes about it, and keeps nobody else from being served (SL-3,
// SL-44, R8555-10.3-1).
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	const header, whole = 500 * time.Millisecond, time.Second
	s := start(t, `read_header_timeout: 500ms, read_timeout: 1s, idle_timeout: 1s`)
	const post = "POST /acme/default/new-account HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jose+json\r\n"
	overTLS := func(text string) func(t *testing.T, from string) net.Conn {
		return func(t *testing.T, from string) net.Conn {
			c := s.dialTLS(t, from, "http/1.1")
			send(t, c, text)
			return c
		}
	}
	bare := func(text string) func(t *testing.T, from string) net.Conn {
		return func(t *testing.T, from string) net.Conn {
			c := s.dial(t, from)
			send(t, c, text)
			return c
		}
	}
	overH2 := func(write func(*http2.Framer) error) func(t *testing.T, from string) net.Conn {
		return func(t *testing.T, from string) net.Conn {
			c, f := s.dialH2(t, from)
			if err := write(f); err != nil {
				t.Error(err)
			}
			return c
		}
	}
	for i, tt := range []struct {
		name  string
		limit time.Duration
		open  func(t *testing.T, from string) net.Conn
	}{
		{"no byte", header, bare("")},
		{"half a record header", header, bare("\x16\x03\x01")},
		{"half a client hello", header, bare("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "0123456789")},
		{"no request", header, overTLS("")},
		{"half a request line", header, overTLS("GET /direc")},
		{"half a header", header, overTLS("GET /directory HTTP/1.1\r\nHost: localhost\r\nX-A: b")},
		{"no body", whole, overTLS(post + "Content-Length: 1000\r\n\r\n")},
		{"half a body", whole, overTLS(post + "Content-Length: 1000\r\n\r\n{\"protected\":")},
		{"half a chunk", whole, overTLS(post + "Transfer-Encoding: chunked\r\n\r\n10\r\n{")},
		{"idle after a request", time.Second, overTLS("GET /directory HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		// The library gives up on the HTTP/2 preface by itself, after 10 s.
		{"HTTP/2 without a request", time.Second, overH2(func(*http2.Framer) error { return nil })},
		{"HTTP/2 with half a header", time.Second, overH2(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from := fmt.Sprintf("127.0.1.%d", i+1)
			all(20, func(int) {
				begun := time.Now()
				c := tt.open(t, from)
				said, _ := wantCut(t, c)
				// The upper bound leaves room for a busy machine: without the
				// limit it would be the default of 5 s and more.
				if took := time.Since(begun); took < tt.limit*9/10 || took > tt.limit+3500*time.Millisecond {
					t.Errorf("cut off after %s, the limit is %s (%.100q)", took, tt.limit, said)
				}
			})
			s.serves(t)
		})
	}
}

// TestDrip: a byte now and then does not buy more time.
func TestDrip(t *testing.T) {
	t.Parallel()
	s := start(t, `read_header_timeout: 500ms, read_timeout: 1s`)
	for name, opening := range map[string]string{
		"header": "GET /directory HTTP/1.1\r\nX-A: ",
		"body":   "POST /acme/default/new-account HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jose+json\r\nContent-Length: 50000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dialTLS(t, attacker, "http/1.1")
			send(t, c, opening)
			begun := time.Now()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, c)
			}()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					send(t, c, "a")
					continue
				case <-ended:
				}
				break
			}
			if took := time.Since(begun); took > 4*time.Second {
				t.Errorf("cut off after %s", took)
			}
			s.serves(t)
		})
	}
}

// TestSlowReader: who asks and asks and never reads is cut off, too (SL-4).
func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := start(t, `write_timeout: 1s`)
	// A small buffer is soon full. One that shrinks once the connection stands
	// would take back what it has promised, and lose what the server acknowledges.
	small := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: net.ParseIP(attacker)},
		Control: func(_, _ string, raw syscall.RawConn) (err error) {
			if e := raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 32<<10)
			}); e != nil {
				return e
			}
			return err
		},
	}
	raw, err := small.DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := s.client(raw, "http/1.1")
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		begun := time.Now() // of the write in which we get stuck, once all buffers are full
		if _, err := io.WriteString(c, "GET /directory HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			// One second is ours. The library then tries for 5 s to say goodbye.
			if took := time.Since(begun); took > 9*time.Second {
				t.Errorf("cut off after %s: %v", took, err)
			}
			break
		}
	}
	until(t, "its connection is closed", func() bool { return s.metric(t, "acmebridge_connections_open") == 0 })
	s.serves(t)
}
