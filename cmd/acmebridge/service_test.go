package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/conformance/testport"
	"acmebridge/storage"
)

// startService runs a server of its own until the test ends, or stop is called.
func startService(t *testing.T, env ...string) (s *service, stop func() error) {
	t.Helper()
	s = bindService(t, t.TempDir(), time.Now, env...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return s, stop
}

func bindService(t *testing.T, dir string, now func() time.Time, env ...string) *service {
	t.Helper()
	s, err := newService(t.Context(), assembled(t, dir, now, env...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// assembled returns the parts of a server that does not listen.
func assembled(t testing.TB, dir string, now func() time.Time, env ...string) *parts {
	t.Helper()
	all := []string{
		"ACMEBRIDGE_DATA_DIR=" + dir, "ACMEBRIDGE_LISTEN=" + testport.Address(t), "ACMEBRIDGE_PKI_LISTEN=" + testport.Address(t),
		"ACMEBRIDGE_ADMIN_LISTEN=" + testport.Address(t), "ACMEBRIDGE_VALIDATION_HTTP_PORT=5999",
	}
	cfg, err := config.Load("", append(all, env...))
	if err != nil {
		t.Fatal(err)
	}
	p, err := assemble(t.Context(), cfg, slog.New(slog.DiscardHandler), now, use{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() }) // the second time in tests that close it
	return p
}

func fetch(t *testing.T, c *http.Client, url, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s, stop := startService(t)
	<-s.engine.Started()
	base := "http://" + s.cfg.AdminListen
	for _, tt := range []struct {
		path, host string
		status     int
		has        string
	}{
		{"/healthz", "", 200, "ok"},
		{"/readyz", "", 200, `"ready":true`},
		{"/readyz", "", 200, "loopback"}, // SV-4: a standing warning
		{"/metrics", "", 200, "acmebridge_ready 1"},
		{"/metrics", "", 200, "acmebridge_orphans 0"},
		{"/metrics", "", 200, "acmebridge_jobs_parked 0"},
		{"/metrics", "", 200, "go_goroutines "},
		{"/metrics", "", 200, "process_open_fds "},
		{"/metrics", "", 200, "go_memstats_heap_inuse_bytes "},
		{"/metrics", "", 200, `acmebridge_nonces_refused_total{reason="spent"} 0`},
		// SA-2
		{"/metrics", "evil.example", 421, "not called that"},
		{"/readyz", "evil.example:80", 421, "not called that"},
		{"/healthz", "localhost:1", 200, "ok"},
		{"/healthz", "[::1]:1", 200, "ok"},
		// The operator's API is for the socket alone.
		{"/v1/status", "", 404, ""},
		{"/v1/external-keys", "", 404, ""},
	} {
		status, body := fetch(t, http.DefaultClient, base+tt.path, tt.host)
		if status != tt.status || !strings.Contains(body, tt.has) {
			t.Errorf("%s as %q: %d, lacks %q:\n%.2000s", tt.path, tt.host, status, tt.has, body)
		}
	}
	// LG-4: no label of any metric has a value that a client chose.
	_, body := fetch(t, http.DefaultClient, base+"/metrics", "")
	limits := strings.Fields("new_orders failed_validations revocations open_orders processing certificates_per_names member " +
		"bad_signatures requests new_accounts network_accounts external_key_failures polls")
	for line := range strings.Lines(body) {
		if limit, ok := strings.CutPrefix(line, `acmebridge_limited_total{limit="`); ok {
			if name, _, _ := strings.Cut(limit, `"`); !slices.Contains(limits, name) {
				t.Errorf("a limit that nobody knows: %s", line)
			}
			continue
		}
		if labels, ok := strings.CutPrefix(line, "acmebridge_"); ok && strings.Contains(labels, "{") &&
			// Backends are named by the configuration, kinds of findings by the program.
			!strings.HasPrefix(labels, `ca_finding{backend="local",kind="`) && !strings.Contains(labels, `{backend="local"} `) &&
			!strings.HasPrefix(labels, "nonces_refused_total{reason=") && !strings.HasPrefix(labels, "build_info{version=") {
			t.Errorf("a label that nobody has agreed to: %s", line)
		}
	}
	s.draining.Store(true)
	if status, body := fetch(t, http.DefaultClient, base+"/readyz", ""); status != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("draining: %d %s", status, body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The own root verifies the server, TLS 1.1 does not, and both roots are
// published, the server's after those of the CAs (design, section 4).
func TestListeners(t *testing.T) {
	t.Parallel()
	s, _ := startService(t)
	web := trusting(s.cert.clientConfig())
	defer web.CloseIdleConnections()
	if status, body := fetch(t, web, s.front.DirectoryURL("default"), ""); status != 200 || !strings.Contains(body, "newOrder") {
		t.Errorf("directory: %d %s", status, body)
	}
	pki := "http://" + s.cfg.PKIListen
	_, ca := fetch(t, http.DefaultClient, pki+"/roots/0.pem", "")
	_, own := fetch(t, http.DefaultClient, pki+"/roots/1.pem", "")
	if strings.Count(ca, "BEGIN CERTIFICATE") != 2 || strings.Count(own, "BEGIN CERTIFICATE") != 1 || ca == own {
		t.Errorf("roots:\n%s\n%s", ca, own)
	}
	if status, _ := fetch(t, http.DefaultClient, pki+"/roots/2.pem", ""); status != 404 {
		t.Errorf("after the last: %d", status)
	}
	old := s.cert.clientConfig()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if c, err := tls.Dial("tcp", s.cfg.Listen, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 was accepted") // TL-1
	}
	if l, err := net.Listen("tcp", s.cfg.Listen); err == nil {
		_ = l.Close()
		t.Error("nobody listens there")
	}
	// SV-6: our own listeners are out of reach for validation.
	if own := *s.own.Load(); len(own) != 3 {
		t.Errorf("own addresses: %v", own)
	}
	for _, ap := range *s.own.Load() {
		if err := s.policy.CheckAddrPort(ap); err == nil {
			t.Errorf("validation may connect to %s", ap)
		}
	}
}

// SL-2: a header of 16 KiB is the end of it.
func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	s, _ := startService(t)
	for size, want := range map[int]string{15 << 10: "200", 17 << 10: "431"} {
		cfg := s.cert.clientConfig()
		cfg.ServerName, cfg.NextProtos = "localhost", []string{"http/1.1"}
		c, err := tls.Dial("tcp", s.cfg.Listen, cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(c, "GET /directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: %s\r\n\r\n", strings.Repeat("a", size))
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Errorf("%d bytes: %q, %v", size, line, err)
		}
		_ = c.Close()
	}
}

// SS-4: after a commit with an unknown outcome the server ends within 5 s, and
// says so by its exit code.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := bindService(t, t.TempDir(), time.Now)
	ended := make(chan error, 1)
	go func() { ended <- s.run(t.Context()) }()
	<-s.engine.Started()
	s.stop(fmt.Errorf("a disk went away: %w", storage.ErrUnknown))
	select {
	case err := <-ended:
		p := &program{began: true}
		if !errors.Is(err, storage.ErrUnknown) || p.exitCode(err) != exitRestart {
			t.Errorf("%v gives exit code %d", err, p.exitCode(err))
		}
	case <-time.After(5 * time.Second):
		t.Error("still running after 5 s")
	}
}

// SS-23: a clock that went back by more than a minute since the last run keeps
// the server from being ready.
func TestClockBackwards(t *testing.T) {
	t.Parallel()
	dir, begun := t.TempDir(), time.Now()
	ran := func(offset time.Duration) []string {
		t.Helper()
		s := bindService(t, dir, func() time.Time { return begun.Add(offset) })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.run(ctx) }()
		<-s.engine.Started()
		reasons := s.notReady()
		cancel()
		if err := errors.Join(<-ended, s.close()); err != nil {
			t.Fatal(err)
		}
		return reasons
	}
	// The first run makes the CA, which cannot be used before it began.
	if r := ran(-48 * time.Hour); len(r) != 0 {
		t.Errorf("first run: %v", r)
	}
	if r := ran(0); len(r) != 0 {
		t.Errorf("two days later: %v", r)
	}
	if r := ran(-30 * time.Second); len(r) != 0 {
		t.Errorf("half a minute back: %v", r)
	}
	if r := ran(-time.Hour); len(r) != 1 || !strings.Contains(r[0], "correct the clock") {
		t.Errorf("an hour back: %v", r)
	}
	// It is not forgotten by having started with the wrong clock.
	if r := ran(-2 * time.Minute); len(r) != 1 {
		t.Errorf("two minutes back: %v", r)
	}
	if r := ran(time.Hour); len(r) != 0 {
		t.Errorf("later: %v", r)
	}
}

// A port that is taken is named, and nothing stays bound.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := testport.Address(t)
	cfg, err := config.Load("", []string{"ACMEBRIDGE_DATA_DIR=" + t.TempDir(), "ACMEBRIDGE_LISTEN=" + address, "ACMEBRIDGE_PKI_LISTEN=" + taken.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := assemble(t.Context(), cfg, slog.New(slog.DiscardHandler), time.Now, use{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.close() }()
	if _, err := newService(t.Context(), p); err == nil || !strings.Contains(err.Error(), "pki_listen") {
		t.Errorf("%v", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Errorf("the first listener stayed bound: %v", err)
	} else {
		_ = l.Close()
	}
}
