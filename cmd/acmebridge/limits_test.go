package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// acmeClient returns a standard client of a server with an account. It does not
// wait for a limit to pass, which it would otherwise do by itself.
func acmeClient(t *testing.T, s *service) *acme.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(s.tlsRoot())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &acme.Client{
		Key: key, DirectoryURL: "https://" + s.cfg.Listen + "/directory", HTTPClient: &http.Client{Transport: transport},
		RetryBackoff: func(int, *http.Request, *http.Response) time.Duration { return -1 },
	}
}

// TestLimitsOfTheConfiguration: what the file says of limits holds for a
// standard client, shows in the metrics, and is told to it in a way that it
// understands (R8555-6.6-1, -2, -3).
func TestLimitsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	s, _ := startService(t, "ACMEBRIDGE_LIMITS_PRESET=public", "ACMEBRIDGE_LIMITS_RATES_NEW_ORDERS=2/1h", "ACMEBRIDGE_LIMITS_RATES_NEW_ACCOUNTS=2/3h",
		"ACMEBRIDGE_LIMITS_HELP_URL=https://limits.example/", "ACMEBRIDGE_LIMITS_OPEN_ORDERS=3")
	<-s.engine.Started()
	ctx := t.Context()
	wantLimited := func(err error, says string, least, most time.Duration) {
		t.Helper()
		var e *acme.Error
		if !errors.As(err, &e) || e.StatusCode != http.StatusTooManyRequests || !strings.Contains(e.Detail, says) {
			t.Fatalf("%v, want 429 with %q", err, says)
		}
		wait, limited := acme.RateLimit(err)
		if !limited || wait < least || wait > most {
			t.Errorf("the client takes it for a limit: %t, for %s", limited, wait)
		}
		if link := strings.Join(e.Header.Values("Link"), " "); !strings.Contains(link, `<https://limits.example/>;rel="help"`) {
			t.Errorf("links %s", link)
		}
	}
	first, second := acmeClient(t, s), acmeClient(t, s)
	for _, c := range []*acme.Client{first, second} {
		if _, err := c.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil {
			t.Fatal(err)
		}
	}
	_, err := acmeClient(t, s).Register(ctx, &acme.Account{}, acme.AcceptTOS)
	wantLimited(err, "from your address: the limit is 2 in 3h", 80*time.Minute, 90*time.Minute)
	for range 2 {
		if _, err := first.AuthorizeOrder(ctx, acme.DomainIDs("a.localhost")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = first.AuthorizeOrder(ctx, acme.DomainIDs("a.localhost"))
	wantLimited(err, "your account placed too many orders: the limit is 2 in 1h", 20*time.Minute, 30*time.Minute)
	if _, err := second.AuthorizeOrder(ctx, acme.DomainIDs("a.localhost")); err != nil {
		t.Errorf("another account: %v", err)
	}
	_, metrics := fetch(t, http.DefaultClient, "http://"+s.cfg.AdminListen+"/metrics", "")
	for _, line := range []string{
		`acmebridge_limited_total{limit="new_orders"} 1`, `acmebridge_limited_total{limit="new_accounts"} 1`,
		`acmebridge_limited_total{limit="polls"} 0`, "acmebridge_shed_total 0",
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in the metrics", line)
		}
	}
}

// TestOpenOrdersSurviveARestart: rates begin anew, what is counted from records
// does not (SL-16).
func TestOpenOrdersSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := []string{"ACMEBRIDGE_DATA_DIR=" + dir, "ACMEBRIDGE_LIMITS_OPEN_ORDERS=2"}
	s, stop := startService(t, env...)
	<-s.engine.Started()
	c := acmeClient(t, s)
	if _, err := c.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("a.localhost")); err != nil {
			t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s, _ = startService(t, env...)
	<-s.engine.Started()
	again := acmeClient(t, s)
	again.Key = c.Key
	_, err := again.AuthorizeOrder(t.Context(), acme.DomainIDs("a.localhost"))
	var e *acme.Error
	if !errors.As(err, &e) || e.StatusCode != http.StatusTooManyRequests || !strings.Contains(e.Detail, "2 orders that are not over") {
		t.Errorf("after a restart: %v", err)
	}
}
