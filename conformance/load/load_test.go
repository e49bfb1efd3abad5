package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/conformance/pebbletest"
	"acmebridge/conformance/testport"
)

const (
	testKID  = "kid-1"
	testHMAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
)

// startPebble runs Let's Encrypt's test server and gives flags that point at it.
// It asks for external accounts when it has some.
func startPebble(t *testing.T, cfg pebbletest.Config) []string {
	t.Helper()
	web := testport.Address(t)
	_, port, _ := net.SplitHostPort(web)
	cfg.HTTP01Port, _ = strconv.Atoi(port)
	server := pebbletest.Start(t, cfg)
	roots := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(roots, server.RootsPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-directory", server.DirectoryURL, "-ca", roots, "-http01", web}
}

func mustParse(t *testing.T, args ...string) config {
	t.Helper()
	c, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOrdersAgainstPebble(t *testing.T) {
	server := startPebble(t, pebbletest.Config{})
	c := mustParse(t, append(server, "-clients", "2", "-orders", "5", "-pid", strconv.Itoa(os.Getpid()))...)
	r, err := run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Finished != 5 || r.Failed != 0 || len(r.Errors) != 0 {
		t.Fatalf("finished %d, failed %d, errors %v", r.Finished, r.Failed, r.Errors)
	}
	for s := range steps {
		if l := r.Steps[s.String()]; l.Count != 5 || l.Max < l.P50 || (s != stepPoll && l.P50 <= 0) {
			t.Errorf("%s: %+v", s, l)
		}
	}
	if r.Server == nil || r.Server.RSSPeak == 0 || r.Drift.Window != 2 || r.RequestsPerDone < 5 {
		t.Errorf("report %+v", r)
	}
	var text strings.Builder
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"5 orders in", "newOrder", "certificate", "CPU per order", "failed 0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the printed report lacks %q:\n%s", want, text.String())
		}
	}
}

func TestOneBoundAccountAndANewConnectionPerRequest(t *testing.T) {
	server := startPebble(t, pebbletest.Config{ExternalAccounts: map[string]string{testKID: testHMAC}})
	c := mustParse(t, append(server, "-clients", "2", "-orders", "2", "-accounts", "1", "-new-connections",
		"-key-pool", "1", "-eab-kid", testKID, "-eab-hmac", testHMAC)...)
	r, err := run(t.Context(), c)
	if err != nil || r.Finished != 2 || r.Accounts != 1 {
		t.Fatalf("finished %d with %d accounts, %v, errors %v", r.Finished, r.Accounts, err, r.Errors)
	}
}

func TestMoreAccountsThanClientsTakeTurns(t *testing.T) {
	server := startPebble(t, pebbletest.Config{})
	c := mustParse(t, append(server, "-clients", "2", "-accounts", "5", "-orders", "6")...)
	roots, err := readRoots(c.caFile)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := connect(t.Context(), c, roots)
	if err != nil {
		t.Fatal(err)
	}
	urls := map[string]bool{}
	for _, c := range clients {
		for range c.accounts {
			c.nextAccount()
			urls[c.account.url] = true
		}
	}
	if len(clients[0].accounts) != 3 || len(clients[1].accounts) != 2 || len(urls) != 5 || urls[""] {
		t.Errorf("the clients have %d and %d accounts, at %d URLs", len(clients[0].accounts), len(clients[1].accounts), len(urls))
	}
	r, err := run(t.Context(), c)
	if err != nil || r.Finished != 6 || r.Accounts != 5 {
		t.Errorf("finished %d with %d accounts, %v, errors %v", r.Finished, r.Accounts, err, r.Errors)
	}
}

func TestRefusedNoncesAreTriedAgainOnceAndCounted(t *testing.T) {
	server := startPebble(t, pebbletest.Config{RejectNonces: 20})
	r, err := run(t.Context(), mustParse(t, append(server, "-clients", "1", "-orders", "20")...))
	if err != nil {
		var p *problem
		if errors.As(err, &p) && p.Type == badNonce {
			return // even the registration can meet two refusals in a row
		}
		t.Fatal(err)
	}
	if r.BadNonces == 0 {
		t.Error("one nonce in five was refused, and none was counted")
	}
	if r.Finished+r.Failed != 20 {
		t.Errorf("finished %d and failed %d of 20", r.Finished, r.Failed)
	}
	for kind := range r.Errors {
		if !strings.HasSuffix(kind, ": badNonce") {
			t.Errorf("error %q", kind)
		}
	}
}

// An interrupt ends the run in good order and the report has what was done until then.
func TestInterruptReportsWhatWasMeasured(t *testing.T) {
	server := startPebble(t, pebbletest.Config{})
	c := mustParse(t, append(server, "-clients", "2", "-orders", "1000000")...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	web, err := newResponder(c.http01)
	if err != nil {
		t.Fatal(err)
	}
	serving := make(chan error, 1)
	background, stop := context.WithCancel(t.Context())
	go func() { serving <- web.run(background) }()
	defer func() {
		stop()
		if err := <-serving; err != nil {
			t.Logf("the responder ended with %v", err)
		}
	}()
	roots, err := readRoots(c.caFile)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := connect(ctx, c, roots)
	if err != nil {
		t.Fatal(err)
	}
	// The run is interrupted when its tenth order is handed out, wherever that falls.
	var interrupted atomic.Bool
	m := &measurement{config: c, web: web, keys: &keyPool{}}
	m.onOrder = func(n int64) {
		if n == 10 {
			interrupted.Store(true)
			cancel()
		}
	}
	r := m.report(m.orderAll(ctx, clients), clients, nil)
	if !interrupted.Load() || r.Finished == 0 || r.Finished > 10 || r.Failed != 0 || r.Seconds <= 0 {
		t.Errorf("interrupted %t, finished %d, failed %d (%v) in %f s", interrupted.Load(), r.Finished, r.Failed, r.Errors, r.Seconds)
	}
}

func TestDurationBoundsTheRun(t *testing.T) {
	server := startPebble(t, pebbletest.Config{})
	begin := time.Now()
	r, err := run(t.Context(), mustParse(t, append(server, "-clients", "1", "-orders", "1000000", "-duration", "2s")...))
	if err != nil || r.Failed != 0 || r.Finished == 1000000 || time.Since(begin) > 20*time.Second {
		t.Errorf("finished %d, failed %d (%v), %v", r.Finished, r.Failed, r.Errors, err)
	}
}

func TestFlagsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-clients", "0"}, {"-orders", "-1"}, {"-duration", "0s"}, {"-eab-kid", "k"},
		{"-ca", "x", "-insecure"}, {"stray"}, {"-unknown"},
	} {
		if _, err := parseFlags(args, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	if c := mustParse(t, "-clients", "4"); c.accounts != 4 {
		t.Errorf("%d accounts for 4 clients", c.accounts)
	}
}
