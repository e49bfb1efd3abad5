package limits

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// canary is in what the attackers send where a log line might quote it.
const canary = "canary-7f3a"

// TestBytesThatAreNoTLS: the ACME port gets what is no TLS. Each is turned
// away, the log says that something failed and not what was sent, and lines
// cannot be smuggled into it.
func TestBytesThatAreNoTLS(t *testing.T) {
	t.Parallel()
	s := start(t, `read_header_timeout: 500ms, connections_per_address: 0`)
	random := make([]byte, 4096)
	source := rand.New(rand.NewPCG(1, 2)) // noise, the same in every run
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	for name, text := range map[string]string{
		"plain HTTP":            "GET /" + canary + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"plain HTTP/2":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + canary,
		"a log line":            "\n{\"level\":\"ERROR\",\"msg\":\"" + canary + "\"}\n",
		"control characters":    "\x1b[2J" + canary + "\x00\xff\xfe\r\n",
		"SSH":                   "SSH-2.0-" + canary + "\r\n",
		"SSL 2":                 "\x80\x2e\x01\x00\x02" + canary,
		"a record too large":    "\x16\x03\x01\xff\xff" + canary,
		"an empty record":       "\x16\x03\x01\x00\x00",
		"an alert":              "\x15\x03\x01\x00\x02\x02\x28",
		"data before handshake": "\x17\x03\x03\x00\x0b" + canary,
		"TLS 9":                 "\x16\x09\x09\x00\x0b" + canary,
		"a hello of nothing":    "\x16\x03\x01\x00\x04\x01\x00\x00\x00",
		"random bytes":          string(random),
		"zeros":                 strings.Repeat("\x00", 4096),
		"a PROXY header":        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + canary,
	} {
		c := s.dial(t, attacker)
		send(t, c, text)
		said, _ := wantCut(t, c)
		if strings.Contains(string(said), canary) {
			t.Errorf("%s: the answer repeats it: %q", name, said)
		}
		if name == "plain HTTP" && status(said) != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered %q, which helps nobody", said)
		}
	}
	s.serves(t)
	lines := s.lines(t)
	if strings.Contains(lines, canary) {
		t.Error("the log repeats what was sent")
	}
	if n := strings.Count(lines, "TLS handshake error"); n < 5 {
		t.Errorf("%d failed handshakes are in the log at level debug", n)
	}
	for line := range strings.Lines(lines) {
		if !strings.HasPrefix(line, `{"time":`) {
			t.Errorf("a line that is not ours: %.200q", line)
		}
	}
}

// TestOldTLS: nothing older than TLS 1.2 (TL-1).
func TestOldTLS(t *testing.T) {
	t.Parallel()
	s := start(t, ``)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c := tls.Client(s.dial(t, attacker), &tls.Config{
			RootCAs: s.roots, ServerName: "localhost", MinVersion: version, MaxVersion: version,
		})
		if err := c.HandshakeContext(t.Context()); (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		_ = c.Close()
	}
}

// TestBytesThatAreNoHTTP: inside of TLS, and on the plain port, what is no
// request is refused without a word to the handlers.
func TestBytesThatAreNoHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, `read_header_timeout: 500ms, read_timeout: 500ms, connections_per_address: 0`)
	const host = "Host: localhost\r\n"
	cases := map[string]string{
		"random":                 "\x00\x01\x02" + canary + "\r\n\r\n",
		"HTTP/0.9":               "GET /directory\r\n\r\n",
		"HTTP/9.9":               "GET /directory HTTP/9.9\r\n" + host + "\r\n",
		"no host":                "GET /directory HTTP/1.1\r\n\r\n",
		"two hosts":              "GET /directory HTTP/1.1\r\n" + host + host + "\r\n",
		"bad method":             "G@T /directory HTTP/1.1\r\n" + host + "\r\n",
		"bad path":               "GET directory HTTP/1.1\r\n" + host + "\r\n",
		"bad escape":             "GET /%zz HTTP/1.1\r\n" + host + "\r\n",
		"control in header":      "GET /directory HTTP/1.1\r\n" + host + "X-A: a\x00b\r\n\r\n",
		"space before colon":     "GET /directory HTTP/1.1\r\n" + host + "X-A : a\r\n\r\n",
		"negative length":        "POST /directory HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
		"two lengths":            "POST /directory HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
		"unknown coding":         "POST /directory HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
		"HTTP/2 in HTTP/1":       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a header without colon": "GET /directory HTTP/1.1\r\n" + host + canary + "\r\n\r\n",
	}
	for name, text := range cases {
		for port, open := range map[string]func() net.Conn{
			"acme": func() net.Conn { return s.dialTLS(t, attacker, "http/1.1") },
			"pki": func() net.Conn {
				c, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", s.pki)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				return c
			},
		} {
			c := open()
			send(t, c, text)
			if port == "acme" {
				if err := c.(*tls.Conn).CloseWrite(); err != nil {
					t.Logf("%s: %v", name, err)
				}
			} else {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			said, _ := wantCut(t, c)
			if got := status(said); got != 0 && (got < 400 || got > 599 || got == 500) {
				t.Errorf("%s on %s: %.100q", name, port, said)
			}
		}
	}
	s.serves(t)
	if strings.Contains(s.lines(t), canary) {
		t.Error("the log repeats what was sent")
	}
}

// TestUntrustingClients: a client without our root hangs up; that is no event
// for an operator at the usual level.
func TestUntrustingClients(t *testing.T) {
	t.Parallel()
	s := start(t, ``)
	for range 20 {
		c := tls.Client(s.dial(t, attacker), &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err := c.HandshakeContext(t.Context()); err == nil {
			t.Error("a client without our root trusts us")
		}
		_, _ = io.WriteString(c, "x")
		_ = c.Close()
	}
	s.serves(t)
	for line := range strings.Lines(s.lines(t)) {
		if strings.Contains(line, "handshake") && !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("this wakes somebody: %s", line)
		}
	}
}
