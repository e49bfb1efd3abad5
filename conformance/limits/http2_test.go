package limits

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// dialH2 opens an HTTP/2 connection as far as both sides' settings, which is
// where a client takes over that does as it likes.
func (s *server) dialH2(t *testing.T, from string) (*tls.Conn, *http2.Framer) {
	t.Helper()
	c := s.dialTLS(t, from, "h2")
	if p := c.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Fatalf("the server speaks %q", p)
	}
	send(t, c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c, f
}

// headers encodes a request; each call begins a new table.
func headers(method, path string, more ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSize(0)
	fields := append([]string{":method", method, ":scheme", "https", ":authority", "localhost", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	return b.Bytes()
}

// open sends the header of a POST and leaves its body open.
func open(t *testing.T, f *http2.Framer, stream uint32) {
	t.Helper()
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true,
		BlockFragment: headers("POST", "/acme/default/new-account", "content-type", "application/jose+json", "content-length", "100")})
	if err != nil {
		t.Error(err)
	}
}

// TestStreams: one connection has so many requests open and no more (SL-6),
// and the bodies of those have to come in time (SL-3).
func TestStreams(t *testing.T) {
	t.Parallel()
	const streams = 8
	s := start(t, `streams: 8, read_timeout: 1s`)
	_, f := s.dialH2(t, attacker)
	begun := time.Now()
	for i := range uint32(streams + 4) {
		open(t, f, 2*i+1)
	}
	refused, ended := 0, map[uint32]bool{}
	for len(ended) < streams+4 {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("after %d refusals and %d ends: %v", refused, len(ended), err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if n, ok := frame.Value(http2.SettingMaxConcurrentStreams); ok && n != streams {
				t.Errorf("the server announces %d streams", n)
			}
		case *http2.RSTStreamFrame:
			if frame.ErrCode == http2.ErrCodeRefusedStream {
				refused++
			}
			ended[frame.StreamID] = true
		case *http2.HeadersFrame:
			ended[frame.StreamID] = ended[frame.StreamID] || frame.StreamEnded()
		case *http2.DataFrame:
			ended[frame.StreamID] = ended[frame.StreamID] || frame.StreamEnded()
		case *http2.GoAwayFrame:
			t.Fatalf("the server goes away: %v", frame.ErrCode)
		}
	}
	if refused != 4 {
		t.Errorf("%d streams were refused, want 4", refused)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the last body was given up after %s", took)
	}
	s.serves(t)
}

// flood writes until the server closes the connection or count frames are
// written, and returns whether it was cut off.
func flood(t *testing.T, c *tls.Conn, count int, frame func(i uint32) error) (cut bool) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, c)
	}()
	for i := range uint32(count) {
		if err := frame(i); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("frame %d: %v", i, err)
			}
			cut = true
			break
		}
	}
	_ = c.Close()
	<-ended
	return cut
}

// TestFloods sends what has taken servers down before (SL-43): streams that
// are reset at once, settings and pings that want an answer, and headers that
// go on for ever. The good client is served meanwhile.
func TestFloods(t *testing.T) {
	t.Parallel()
	s := start(t, ``)
	goroutines := s.metric(t, "go_goroutines")
	for _, tt := range []struct {
		name    string
		mustCut bool
		count   int
		frame   func(f *http2.Framer) func(i uint32) error
	}{
		{"resets", false, 20_000, func(f *http2.Framer) func(uint32) error {
			return func(i uint32) error {
				err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndHeaders: true, EndStream: true, BlockFragment: headers("GET", "/directory")})
				return errors.Join(err, f.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
			}
		}},
		{"settings", false, 50_000, func(f *http2.Framer) func(uint32) error {
			return func(uint32) error { return f.WriteSettings() }
		}},
		{"pings", false, 50_000, func(f *http2.Framer) func(uint32) error {
			return func(uint32) error { return f.WritePing(false, [8]byte{}) }
		}},
		{"header without end", true, 50_000, func(f *http2.Framer) func(uint32) error {
			part := headers("GET", "/directory", "x-long", strings.Repeat("a", 8000))
			return func(i uint32) error {
				if i == 0 {
					return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: part})
				}
				return f.WriteContinuation(1, false, part)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, f := s.dialH2(t, attacker)
			served := make(chan struct{})
			go func() {
				defer close(served)
				for range 5 {
					s.serves(t)
				}
			}()
			if cut := flood(t, c, tt.count, tt.frame(f)); tt.mustCut && !cut {
				t.Error("the server took it all")
			}
			<-served
		})
	}
	until(t, "the attackers' goroutines have ended", func() bool { return s.metric(t, "go_goroutines") <= goroutines+10 })
	s.serves(t)
}

// TestHeaderTotalH2: the bound on headers holds for HTTP/2 (SL-2). One field
// that is too long by itself ends the connection.
func TestHeaderTotalH2(t *testing.T) {
	t.Parallel()
	s := start(t, ``)
	one := func(size int) []string { return []string{"x-long", strings.Repeat("a", size)} }
	many := func(size int) (fields []string) {
		for range size / 128 {
			fields = append(fields, one(128-6-32)...) // a field counts as its text and 32 bytes
		}
		return fields
	}
	for _, tt := range []struct {
		name   string
		fields []string
		want   string // empty: no answer
	}{
		{"one of 8 KiB", one(8 << 10), "200"}, {"many of 8 KiB", many(8 << 10), "200"},
		{"one of 20 KiB", one(20 << 10), ""}, {"many of 20 KiB", many(20 << 10), "431"},
	} {
		c, f := s.dialH2(t, attacker)
		block := headers("GET", "/directory", tt.fields...)
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: block}); err != nil {
			t.Fatal(err)
		}
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		got := ""
		for got == "" {
			frame, err := f.ReadFrame()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: neither an answer nor an end", tt.name)
			}
			if err != nil {
				break
			}
			if h, ok := frame.(*http2.MetaHeadersFrame); ok {
				got = h.PseudoValue("status")
			}
		}
		if got != tt.want {
			t.Errorf("%s: status %q, want %q", tt.name, got, tt.want)
		}
		_ = c.Close()
	}
	s.serves(t)
}

// TestHeaderTotal: 16 KiB of headers in all and no more (SL-2).
func TestHeaderTotal(t *testing.T) {
	t.Parallel()
	s := start(t, ``)
	one := func(size int) string { return "X-Long: " + strings.Repeat("a", size) + "\r\n" }
	many := func(size int) string { return strings.Repeat("X-Short: "+strings.Repeat("a", 21)+"\r\n", size/32) }
	for _, tt := range []struct {
		name, text string
		want       int
	}{
		{"one of 15 KiB", one(15 << 10), http.StatusOK},
		{"many of 15 KiB", many(15 << 10), http.StatusOK},
		{"one of 17 KiB", one(17 << 10), http.StatusRequestHeaderFieldsTooLarge},
		{"many of 17 KiB", many(17 << 10), http.StatusRequestHeaderFieldsTooLarge},
		{"one of 8 MiB", one(8 << 20), http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.dialTLS(t, attacker, "http/1.1")
			written := make(chan struct{})
			go func() {
				defer close(written)
				send(t, c, "GET /directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+tt.text+"\r\n")
			}()
			said, _ := wantCut(t, c)
			if got := status(said); got != tt.want && !(got == 0 && len(tt.text) > 1<<20) { // a reset may overtake the answer
				t.Errorf("status %d, want %d: %.100q", got, tt.want, said)
			}
			_ = c.Close()
			<-written
			s.serves(t)
		})
	}
	// The request line counts as well.
	c := s.dialTLS(t, attacker, "http/1.1")
	send(t, c, "GET /"+strings.Repeat("a", 20<<10)+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if said, _ := wantCut(t, c); status(said) != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long path: %.100q", said)
	}
}

// TestBodyTotal: 51,200 bytes of body, whether announced or not (SL-1,
// R8555-10.3-1).
func TestBodyTotal(t *testing.T) {
	t.Parallel()
	s := start(t, ``)
	const limit = 51_200
	client := s.good.HTTPClient
	for _, tt := range []struct {
		name string
		body io.Reader
		want int
	}{
		{"at the limit", bytes.NewReader(make([]byte, limit)), http.StatusBadRequest}, // it is no JWS
		{"above", bytes.NewReader(make([]byte, limit+1)), http.StatusRequestEntityTooLarge},
		{"above, in chunks", io.MultiReader(bytes.NewReader(make([]byte, limit+1))), http.StatusRequestEntityTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/acme/default/new-account", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/jose+json")
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.want || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %v, want %d", resp.StatusCode, resp.Header, tt.want)
			}
		})
	}
	// A body that is announced and never sent is refused as far as it comes.
	c := s.dialTLS(t, attacker, "http/1.1")
	send(t, c, "POST /acme/default/new-account HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jose+json\r\nContent-Length: 1000000000000\r\n\r\n"+strings.Repeat("a", limit+1))
	if said, _ := wantCut(t, c); status(said) != http.StatusRequestEntityTooLarge {
		t.Errorf("a terabyte: %.100q", said)
	}
	s.serves(t)
}
