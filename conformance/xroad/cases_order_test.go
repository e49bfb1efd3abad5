package xroad_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/conformance/xroad"
)

// authorization reads the one of an order.
func authorization(t *testing.T, s *xroad.SecurityServer, order map[string]any) map[string]any {
	t.Helper()
	all, _ := order["authorizations"].([]any)
	if len(all) != 1 {
		t.Fatalf("%d authorizations, want 1", len(all))
	}
	return read(t, s, fmt.Sprint(all[0]))
}

func read(t *testing.T, s *xroad.SecurityServer, url string) map[string]any {
	t.Helper()
	a, err := s.Post(t.Context(), url, "", "application/json")
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(a.Body, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// challenge is the one http-01 challenge of an authorization.
func challenge(t *testing.T, authorization map[string]any) map[string]any {
	t.Helper()
	all, _ := authorization["challenges"].([]any)
	if len(all) != 1 {
		t.Fatalf("%d challenges, want 1", len(all))
	}
	c, _ := all[0].(map[string]any)
	token, _ := c["token"].(string)
	if _, err := base64.RawURLEncoding.DecodeString(token); err != nil || token == "" || c["type"] != "http-01" {
		t.Fatalf("the challenge is %v", c)
	}
	return c
}

func case11(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "auth", member)
	wantLogin(t, server, false, http.StatusCreated)
	location, order, err := server.Begin(t.Context(), "eleven.localhost", "")
	if err != nil {
		t.Fatal(err)
	}
	finalize, _ := order["finalize"].(string)
	if !strings.HasPrefix(location, "https://") || !strings.HasPrefix(finalize, "https://") || order["status"] != "pending" {
		t.Errorf("at %q: %v", location, order)
	}
	if status := authorization(t, server, order)["status"]; status != "pending" {
		t.Errorf("the authorization is %v", status)
	}
}

// case12: what 7.5 asks for is a wish, and the certificate lasts as long as all.
func case12(t *testing.T, s *site) {
	cfg := s.config("xroad")
	cfg.Lifetime = 24 * time.Hour
	server := with(t, cfg, s.credential(t, "xroad", member, "xroad-auth"))
	usual := time.Now().AddDate(1, 0, 0)
	issued, err := server.Order(t.Context(), xroad.AuthKey(signer(t), authSubject("day.localhost"), "day.localhost", "day.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	if end := issued.Leaf.NotAfter; end.After(usual.AddDate(0, 0, 2)) || end.Before(usual.AddDate(0, 0, -2)) {
		t.Errorf("it ends at %s, want about %s", end, usual)
	}
}

func case13(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "auth", member)
	const host = "twice.localhost"
	tokens := map[any]bool{}
	for range 2 { // an authorization that is reused would leave it waiting
		obtained(t, server, xroad.AuthKey(signer(t), authSubject(host), host, host))
		_, order, err := server.Begin(t.Context(), host, "")
		if err != nil {
			t.Fatal(err)
		}
		a := authorization(t, server, order)
		if a["status"] != "pending" {
			t.Errorf("the authorization is %v", a["status"])
		}
		tokens[challenge(t, a)["token"]] = true
	}
	if len(tokens) != 2 {
		t.Error("two authorizations have one token")
	}
}

func case14(t *testing.T, s *site) {
	private := s.securityServer(t, "private", "auth", member)
	wantLogin(t, private, false, http.StatusCreated)
	for _, name := range []string{"ss0", "ss0.internal"} {
		if _, _, err := private.Begin(t.Context(), name, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := s.securityServer(t, "xroad", "auth", member).Order(t.Context(), xroad.AuthKey(signer(t), authSubject("ss0"), "ss0"))
	wantRefusal(t, err, "order_creation_failure", "rejectedIdentifier")
}

// called sends requests with another Host field.
type called struct {
	http.RoundTripper
	host string
}

func (c called) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = c.host
	return c.RoundTripper.RoundTrip(r)
}

func case15(t *testing.T, s *site) {
	cfg := s.config("xroad")
	cfg.HTTP = &http.Client{Transport: called{s.client.Transport, "somebody.example"}}
	server := with(t, cfg, s.credential(t, "xroad", member, "xroad-auth"))
	wantLogin(t, server, false, http.StatusCreated)
	_, order, err := server.Begin(t.Context(), "fifteen.localhost", "")
	if err != nil {
		t.Fatal(err)
	}
	base, _, _ := strings.Cut(s.directory("xroad"), "/xroad/")
	first := challenge(t, authorization(t, server, order))
	url, _ := first["url"].(string)
	if !strings.HasPrefix(url, base+"/") {
		t.Errorf("the challenge is at %q", url)
	}
	for _, later := range []map[string]any{challenge(t, authorization(t, server, order)), read(t, server, url)} {
		if later["url"] != first["url"] || later["token"] != first["token"] {
			t.Errorf("the challenge %v has become %v", first, later)
		}
	}
}

func case16(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "auth", member)
	wantLogin(t, server, false, http.StatusCreated)
	_, order, err := server.Begin(t.Context(), "sixteen.localhost", "")
	if err != nil {
		t.Fatal(err)
	}
	url, _ := challenge(t, authorization(t, server, order))["url"].(string)
	s.challenges.Garble("sixteen.localhost", true) // nobody has put anything there
	a, err := server.Post(t.Context(), url, "{}", "application/json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Status, URL string }
	if err := json.Unmarshal(a.Body, &c); err != nil || a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || c.URL != url {
		t.Errorf("HTTP %d, %q, %s, %v", a.Status, a.Header.Get("Content-Type"), a.Body, err)
	}
	switch c.Status {
	case "pending", "processing", "invalid": // it would be valid with an answer
	default:
		t.Errorf("the challenge is %q", c.Status)
	}
}

func case17(t *testing.T, s *site) {
	const host = "seventeen.localhost"
	obtained(t, s.securityServer(t, "xroad", "auth", member), xroad.AuthKey(signer(t), authSubject(host), host, host))
	if !s.challenges.Asked(host) {
		t.Errorf("nobody has asked for %s without a port", host)
	}
}

// case18: the emulation never waits for an order to be ready, and the text has gone
// when it finalizes. Several at once leave no time in between to nobody.
func case18(t *testing.T, s *site) {
	c := s.credential(t, "xroad", member, "xroad-auth")
	var group sync.WaitGroup
	for n := range 4 {
		server, host := with(t, s.config("xroad"), c), fmt.Sprintf("instant%d.localhost", n)
		group.Go(func() {
			if _, err := server.Order(t.Context(), xroad.AuthKey(signer(t), authSubject(host), host, host)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func case19(t *testing.T, s *site) {
	const host = "lie.localhost"
	server := s.securityServer(t, "xroad", "auth", member)
	s.challenges.Garble(host, true)
	k := xroad.AuthKey(signer(t), authSubject(host), host, host)
	_, err := server.Order(t.Context(), k)
	var seen *xroad.Error
	if !errors.As(err, &seen) || seen.Code != "authorization_failure" || !strings.Contains(err.Error(), "invalid") {
		t.Fatalf("got %v", err)
	}
	if orders := s.bridge.orders(t, host); len(orders) != 1 || orders[0].Status != "invalid" {
		t.Errorf("the order is %v", orders)
	}
	s.challenges.Garble(host, false)
	obtained(t, server, k)
}

// untilOver is a pause of a Security Server. The first one for an order at the CA
// behind the bridge lasts until the CA is done and the order is over, so that nothing
// depends on how busy the machine is.
func untilOver(t *testing.T, s *site, host string) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		if !s.bridge.busy(t, host) { // that is for the challenge
			return brief(ctx, d)
		}
		s.behind.release(host)
		s.bridge.settle(t, host)
		return ctx.Err()
	}
}

func case20(t *testing.T, s *site) {
	const host = "slow20.localhost"
	cfg := s.config("remote")
	var pauses []time.Duration
	pause := untilOver(t, s, host)
	cfg.Sleep = func(ctx context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return pause(ctx, d)
	}
	server := with(t, cfg, s.credential(t, "remote", member, "remote-sign"))
	obtained(t, server, xroad.SignKey(signer(t), signSubject(), host, host))
	// Date has no fraction, so up to a second of the five is lost on the way.
	if len(pauses) == 0 || pauses[len(pauses)-1] < 4*time.Second {
		t.Errorf("it paused for %v, want about 5s for the order: five looks are all that the CA has", pauses)
	}
}

// case21: five looks are enough for a CA that needs less than four pauses.
func case21(t *testing.T) {
	for _, tt := range []struct{ retryAfter, takes time.Duration }{
		{0, 15 * time.Second}, {5 * time.Second, 15 * time.Second}, {20 * time.Second, 70 * time.Second},
		{time.Minute, 3*time.Minute + 30*time.Second}, {5 * time.Minute, 18 * time.Minute}, {time.Hour, 3*time.Hour + 30*time.Minute},
	} {
		t.Run(fmt.Sprintf("%s for %s", tt.retryAfter, tt.takes), func(t *testing.T) {
			t.Parallel()
			inBubble(t, bubble{takes: tt.takes, retryAfter: tt.retryAfter}, func(t *testing.T, s *site) {
				begun := time.Now()
				obtained(t, s.securityServer(t, "xroad", "sign", member), xroad.SignKey(signer(t), signSubject(), "slow.test", "slow.test"))
				if took := time.Since(begun); took < tt.takes {
					t.Errorf("the certificate was there after %s", took)
				}
			})
		})
	}
	t.Run("days", func(t *testing.T) {
		t.Parallel()
		// Nobody waits that long for one order. The job comes back every minute with
		// another key, and is refused, until the CA is done with the first one.
		inBubble(t, bubble{takes: 3 * time.Hour, retryAfter: 5 * time.Second}, func(t *testing.T, s *site) {
			server := s.securityServer(t, "xroad", "sign", member)
			order := func() error {
				_, err := server.Order(t.Context(), xroad.SignKey(signer(t), signSubject(), "slow.test", "slow.test"))
				return err
			}
			for begun := time.Now(); time.Since(begun) < 2*time.Hour; time.Sleep(10 * time.Minute) {
				if err := order(); err == nil {
					t.Fatal("it got a certificate of a CA that is not done")
				}
			}
			if n := s.asked(); n != 1 {
				t.Errorf("the CA was asked %d times, want 1", n)
			}
		})
	})
}

// case22: the Security Server says next to nothing, so our log has to: which order,
// whose, and why. The registry of the CA does not have the name.
func case22(t *testing.T, s *site) {
	const other, host = "EX:COM:5550022", "refused.localhost"
	cfg := s.config("remote")
	cfg.Sleep = untilOver(t, s, host)
	server := with(t, cfg, s.credential(t, "remote", other, "remote-sign"))
	_, err := server.Order(t.Context(), xroad.SignKey(signer(t), signSubjectOf("5550022"), host, host))
	var seen *xroad.Error
	if !errors.As(err, &seen) || seen.Code != "certificate_failure" || !strings.Contains(err.Error(), "invalid") {
		t.Errorf("got %v", err)
	}
	orders := s.bridge.orders(t, host)
	if len(orders) != 1 || orders[0].Status != "invalid" {
		t.Fatal(orders)
	}
	found := false
	for line := range strings.Lines(s.bridge.log.String()) {
		found = found || strings.Contains(line, orders[0].ID) && strings.Contains(line, other) && strings.Contains(line, "rejectedIdentifier")
	}
	if !found {
		t.Errorf("the log has no line with the order %s, member and reason", orders[0].ID)
	}
}
