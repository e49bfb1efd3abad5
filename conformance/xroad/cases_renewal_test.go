package xroad_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"acmebridge/conformance/xroad"
)

// sealed is a signing certificate of a Security Server, with what it takes to make
// keys for others.
func sealed(t *testing.T, s *site, host string) (*xroad.SecurityServer, *x509.Certificate, func() xroad.Key) {
	t.Helper()
	server := s.securityServer(t, "xroad", "sign", member)
	old := obtained(t, server, xroad.SignKey(signer(t), signSubject(), host, host)).Leaf
	return server, old, func() xroad.Key { return xroad.SignKey(signer(t), xroad.Reversed(signSubject()), host, host) }
}

func renewed(t *testing.T, s *xroad.SecurityServer, old *x509.Certificate, k xroad.Key) *xroad.Issued {
	t.Helper()
	issued, err := s.RenewNow(t.Context(), old, k)
	if err != nil {
		t.Fatal(err)
	}
	if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
		t.Error(err)
	}
	return issued
}

func case32(t *testing.T, s *site) {
	server, old, _ := sealed(t, s, "thirtytwo.localhost")
	start, end, err := server.RenewalInfo(t.Context(), old)
	if err != nil || end.Before(start) || !start.Before(old.NotAfter) {
		t.Errorf("from %s to %s, %v", start, end, err)
	}
	unknown := *old
	unknown.AuthorityKeyId = []byte("nobody")
	_, _, err = server.RenewalInfo(t.Context(), &unknown)
	var r *xroad.Refusal
	if !errors.As(err, &r) || r.Status != http.StatusNotFound {
		t.Errorf("an unknown certificate: %v", err)
	}
	if kind, _ := r.Problem(); kind == "" {
		t.Errorf("an unknown certificate: no problem document, but %s", r.Body)
	}
}

func case33(t *testing.T, s *site) {
	server, old, _ := sealed(t, s, "thirtythree.localhost")
	before, _ := server.Requests()
	const cycles = 5
	for range cycles {
		if _, due, err := server.Renew(t.Context(), old, xroad.Key{}); due || err != nil {
			t.Fatal(due, err)
		}
		if _, err := server.Planned(); err != nil {
			t.Fatal(err)
		}
	}
	// Five logins, each with a look at the directory, and two questions.
	if after, _ := server.Requests(); after-before != 12*cycles {
		t.Errorf("%d requests in %d cycles, want 12 in each", after-before, cycles)
	}
}

func case34(t *testing.T, s *site) {
	server, old, key := sealed(t, s, "thirtyfour.localhost")
	s.bridge.command(t, "renewals", "move", fmt.Sprintf("%x", old.SerialNumber), "--now", "--reason", "a test")
	k := key()
	issued, due, err := server.Renew(t.Context(), old, k)
	if err != nil || !due {
		t.Fatal(due, err)
	}
	imported(t, server, issued, k) // which wants to know when the new one is due
}

func case35(t *testing.T, s *site) {
	const host = "thirtyfive.localhost"
	server, old, key := sealed(t, s, host)
	s.challenges.Garble(host, true)
	if _, err := server.RenewNow(t.Context(), old, key()); err == nil {
		t.Error("a wrong answer was taken")
	}
	s.challenges.Garble(host, false)
	for range 2 { // after a failure, and after a success
		renewed(t, server, old, key())
	}
}

func case36(t *testing.T, s *site) {
	const host = "thirtysix.localhost"
	_, old, key := sealed(t, s, host)
	lost := s.securityServer(t, "xroad", "sign", member) // a new keystore
	unknown := *old
	unknown.AuthorityKeyId = []byte("nobody")
	renewed(t, lost, old, key())
	renewed(t, lost, &unknown, key())
	// The key says more than what is replaced.
	renewed(t, s.securityServer(t, "xroad", "auth", member), old, xroad.AuthKey(signer(t), authSubject(host), host, host))
}

func case37(t *testing.T, s *site) {
	const host = "slow37.localhost"
	cfg := s.config("remote")
	pause := func(ctx context.Context, d time.Duration) error { return brief(ctx, min(d, 300*time.Millisecond)) }
	cfg.Sleep = func(ctx context.Context, d time.Duration) error { return pause(ctx, d) }
	server := with(t, cfg, s.credential(t, "remote", member, "remote-sign"))
	key := func() xroad.Key { return xroad.SignKey(signer(t), signSubject(), host, host) }
	_, err := server.Order(t.Context(), key())
	var seen *xroad.Error
	if !errors.As(err, &seen) || seen.Code != "certificate_failure" {
		t.Fatalf("got %v", err)
	}
	s.behind.await(t, host)
	for range 2 {
		if _, err := server.Order(t.Context(), key()); err == nil {
			t.Fatal("it got a certificate of a CA that is not done")
		}
	}
	if n := s.behind.bought(host); n != 1 {
		t.Errorf("the CA was asked %d times, want 1", n)
	}
	// Once it is done, nobody gets what was made for another key: who comes next has
	// a certificate of its own, which costs another request.
	s.behind.release(host)
	s.bridge.settle(t, host)
	pause = untilOver(t, s, host)
	obtained(t, server, key())
	if n := s.behind.bought(host); n != 2 {
		t.Errorf("the CA was asked %d times, want 2", n)
	}
}

func case38(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "sign", member)
	before := wantLogin(t, server, true, http.StatusCreated)
	wantRefusal(t, server.RollOver(t.Context()), "", "unauthorized")
	if after := wantLogin(t, server, true, http.StatusOK); after != before {
		t.Errorf("the account became %s", after)
	}
	// It goes on renewing, and asks for another key in each cycle.
	const host = "thirtyeight.localhost"
	key := func() xroad.Key { return xroad.SignKey(signer(t), signSubject(), host, host) }
	old := obtained(t, server, key()).Leaf
	server.KeyEnds = time.Now()
	s.bridge.command(t, "renewals", "move", fmt.Sprintf("%x", old.SerialNumber), "--now", "--reason", "a test")
	if _, due, err := server.Renew(t.Context(), old, key()); err != nil || !due || server.Account() != before {
		t.Errorf("due %t, by %s, %v", due, server.Account(), err)
	}

	// A change that is allowed (fixed_keys: false) is forgotten; the old key comes as
	// a new account, and renews as that.
	server = s.securityServer(t, "changing", "auth", member)
	key = func() xroad.Key { return xroad.AuthKey(signer(t), authSubject(host), host, host) }
	old = obtained(t, server, key()).Leaf
	before, server.KeyEnds = server.Account(), time.Now()
	s.bridge.command(t, "renewals", "move", fmt.Sprintf("%x", old.SerialNumber), "--now", "--reason", "a test")
	k := key()
	issued, due, err := server.Renew(t.Context(), old, k)
	if err != nil || !due {
		t.Fatal(due, err)
	}
	imported(t, server, issued, k)
	if server.Account() == before {
		t.Error("the old key still opens the account")
	}
}

func case39(t *testing.T, s *site) {
	const host = "thirtynine.localhost"
	server := s.securityServer(t, "ejbca", "auth", "FI-TEST:GOV:5550001")
	key := func() xroad.Key {
		return xroad.AuthKey(signer(t), []xroad.Attribute{{Type: xroad.Country, Value: "FI-TEST"}, {Type: xroad.CommonName, Value: host}}, host)
	}
	renewed(t, server, obtained(t, server, key()).Leaf, key())
}

// case40: nothing of the order, its URLs or the account is lost. An order that waits
// for its approval is on its way for as long as the test wants.
func case40(t *testing.T, s *site) {
	b := s.bridge
	const host = "forty.localhost"
	restarted := false
	cfg := s.config("watched")
	cfg.Sleep = func(ctx context.Context, d time.Duration) error {
		for _, o := range b.orders(t, host) {
			if o.Status == "processing" && !restarted {
				restarted = true
				b.end(syscall.SIGKILL)
				b.client.CloseIdleConnections()
				b.serve(t)
				b.command(t, "order", "approve", o.ID, "--reason", "it has survived")
			}
		}
		return brief(ctx, d)
	}
	server := with(t, cfg, s.credential(t, "watched", member, "watched-auth"))
	key := xroad.AuthKey(signer(t), authSubject(host), host, host)
	issued, err := server.Order(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := xroad.Import(issued.Leaf, key, time.Now()); err != nil || !restarted {
		t.Error(restarted, err)
	}
	// Nonces from before are replaced, and the account is known.
	if again, err := server.Login(t.Context(), true); err != nil || again.Status != http.StatusOK {
		t.Error(again, err)
	}
}
