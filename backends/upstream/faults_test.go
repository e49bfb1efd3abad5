package upstream_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/upstream"
	"acmebridge/conformance/pebbletest"
)

// between puts a middle between a world and its backend.
func between(t *testing.T, w *world) *middle {
	t.Helper()
	m := newMiddle(t, w)
	w.cfg.DirectoryURL, w.cfg.RootCAs, w.cfg.Roots = m.directory, m.roots, append([][]byte{m.ca.Raw}, w.cfg.Roots...)
	return m
}

// TestProcessing: a CA that takes an hour is asked when it wants to be, and paid
// once.
func TestProcessing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	m.process(true)
	b, r := open(t, w.cfg), request()
	ticket, err := b.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var got backends.Result
	for end := time.Now().Add(patience); got.After != time.Hour && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err = b.Continue(t.Context(), r, ticket); err != nil || got.Chain != nil {
			t.Fatalf("continue: %v, %d certificates", err, len(got.Chain))
		}
	}
	if got.After != time.Hour || got.Note == "" {
		t.Fatalf("continue: %+v, want to be asked again in an hour", got)
	}
	for range 3 {
		if got, err = open(t, w.cfg).Continue(t.Context(), r, ticket); err != nil || got.After != time.Hour {
			t.Fatalf("after a restart: %+v, %v", got, err)
		}
	}
	m.process(false)
	if chain, err := carryOn(t, b, r, ticket); err != nil || len(chain) == 0 || m.bought() != 1 {
		t.Errorf("after the hour: %v; %d purchases", err, m.bought())
	}
}

// TestLostReplies: whichever reply gets lost, and whether or not we die of it, one
// certificate is bought.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	for _, path := range []string{newOrderPath, orderPath, "/authZ/", "/chalZ/", finalizePath, certificatePath, "/nonce-plz", "/sign-me-up"} {
		for _, dies := range []bool{false, true} {
			before := m.bought()
			cfg := w.cfg
			cfg.Dir = t.TempDir()
			b, r := open(t, cfg), request()
			m.loseReply(path)
			var ticket backends.Ticket
			var err error
			for range 3 {
				if ticket, err = b.Submit(t.Context(), r); err == nil {
					break
				}
				if !backends.IsNotSent(err) {
					t.Errorf("%s: %v, want that nothing was bought", path, err)
				}
			}
			for range 1000 {
				if dies {
					b = open(t, cfg)
				}
				var got backends.Result
				if got, err = b.Continue(t.Context(), r, ticket); got.Chain != nil {
					break
				}
				if _, refused := backends.RefusalDetail(err); refused {
					t.Fatalf("%s: %v", path, err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if n := m.bought() - before; err != nil || n != 1 {
				t.Errorf("%s, dies: %t: %d purchases, %v", path, dies, n, err)
			}
		}
	}
}

// TestExtraName: the certificate comes as the CA has made it, and the gate of
// the engine says what is wrong with it.
func TestExtraName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	m.misissue(func(leaf *x509.Certificate) { leaf.DNSNames = append(leaf.DNSNames, "extra.example.org") })
	r := request()
	chain, _, err := obtain(t, open(t, w.cfg), r)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := acme.NewTrust(w.cfg.Roots)
	if err != nil {
		t.Fatal(err)
	}
	_, err = trust.CheckChain(r.Contract, chain, time.Now())
	var differs *acme.ContractError
	if !errors.As(err, &differs) || differs.Field != "names" {
		t.Errorf("the gate says %v", err)
	}
}

// TestForeignTicket: a ticket of another CA is asked for nowhere (SC-11).
func TestForeignTicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	b := open(t, w.cfg)
	u, err := url.Parse(m.directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, ticket := range []string{"https://elsewhere.example/order/1", "http://" + u.Host + "/order/1", "https://" + u.Host, "//" + u.Host + "/order/1", ""} {
		if _, err := b.Continue(t.Context(), request(), backends.Ticket(ticket)); err == nil || !strings.Contains(err.Error(), "no order at the configured CA") {
			t.Errorf("%q: %v", ticket, err)
		}
	}
	if n := m.asked("/order/1"); n != 0 {
		t.Errorf("%d requests for foreign tickets", n)
	}
}

// TestPauses: a CA that wants to be left alone is (SC-15).
func TestPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	b := open(t, w.cfg)
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{429, 503} {
		m.refuse(status, "rateLimited")
		if _, err := b.Submit(t.Context(), request()); backends.PauseAsked(err) != 10*time.Minute || !backends.IsNotSent(err) {
			t.Errorf("%d: %v, with a pause of %s", status, err, backends.PauseAsked(err))
		}
	}
}

// TestRefusalsSayNothingOfTheCA: what a client may be told has no URL in it.
func TestRefusalsSayNothingOfTheCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	b := open(t, w.cfg)
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for problem, refused := range map[string]bool{
		"rejectedIdentifier": true, "unsupportedIdentifier": true, "caa": true, "malformed": true, "badCSR": true,
		"rateLimited": false, "serverInternal": false, "unauthorized": false, "userActionRequired": false, "badNonce": false,
	} {
		m.refuse(400, problem)
		_, err := b.Submit(t.Context(), request())
		detail, is := backends.RefusalDetail(err)
		switch {
		case err == nil || is != refused || backends.IsNotSent(err) == refused:
			t.Errorf("%s: %v", problem, err)
		case strings.Contains(detail, "http") || strings.Contains(detail, "not now"):
			t.Errorf("%s: the client would be told %q", problem, detail)
		}
		m.mend()
	}
}

// TestFinalizeForbidden: an order that the CA does not authorize ends by that, and
// says nothing of the account, which others go on with.
func TestFinalizeForbidden(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status  int
		problem string
		ends    bool
	}{{403, "unauthorized", true}, {401, "unauthorized", false}, {403, "userActionRequired", false}, {400, "accountDoesNotExist", false}} {
		w := newWorld(t, pebbletest.Config{})
		m := between(t, w)
		b, r := open(t, w.cfg), request()
		ticket, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		m.refuse(test.status, test.problem)
		m.set(func() { m.posts = finalizePath })
		_, err = carryOn(t, b, r, ticket)
		detail, refused := backends.RefusalDetail(err)
		if refused != test.ends || errors.Is(err, backends.ErrCredentials) == test.ends || strings.Contains(detail, "http") {
			t.Errorf("%d %s: %v", test.status, test.problem, err)
		}
	}
}

// TestInvalidLater: an order that is called invalid once its proofs are gone still
// gives the certificate that was bought under it.
func TestInvalidLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	b, r := open(t, w.cfg), request()
	_, ticket, err := obtain(t, b, r)
	if err != nil {
		t.Fatal(err)
	}
	m.damage(orderPath, func(order []byte) []byte { return bytes.Replace(order, []byte(`"valid"`), []byte(`"invalid"`), 1) })
	if got, err := b.Continue(t.Context(), r, ticket); err != nil || got.Chain == nil {
		t.Errorf("continue: %v", err)
	}
}

// TestForeignAuthorization: what the CA names elsewhere is not asked (SC-11).
func TestForeignAuthorization(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	b, r := open(t, w.cfg), request()
	ticket, err := b.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	there, err := url.Parse(w.pebble.DirectoryURL) // which would answer
	if err != nil {
		t.Fatal(err)
	}
	here, err := url.Parse(m.directory)
	if err != nil {
		t.Fatal(err)
	}
	m.damage(orderPath, func(order []byte) []byte { return bytes.ReplaceAll(order, []byte(here.Host), []byte(there.Host)) })
	if _, err := b.Continue(t.Context(), r, ticket); err == nil || !strings.Contains(err.Error(), "outside of the origin") {
		t.Errorf("continue: %v", err)
	}
}

// TestRefusalsNameWhatWasOrdered: which name could not be verified is said in the
// words of the order. What the CA calls it may be anything (SC-17, SC-18).
func TestRefusalsNameWhatWasOrdered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	for name, bent := range map[string]bool{"unproved.example.org": false, "unproved2.example.org": true} {
		b, r := open(t, w.cfg), requestFor(t, name)
		ticket, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = b.Continue(t.Context(), r, ticket); err != nil {
			t.Fatal(err)
		}
		if bent {
			m.damage("/authZ/", func(a []byte) []byte {
				return bytes.ReplaceAll(a, []byte(`"`+name+`"`), []byte(`"https://ca.example/why"`))
			})
		}
		for end := time.Now().Add(patience); err == nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			_, err = b.Continue(t.Context(), r, ticket)
			if _, refused := backends.RefusalDetail(err); bent && err != nil && !refused {
				err = nil // while it is pending, it is no name of the order
			}
		}
		detail, refused := backends.RefusalDetail(err)
		if !refused || strings.Contains(detail, "ca.example") || strings.Contains(detail, name) == bent {
			t.Errorf("%s: the client is told %q, %v", name, detail, err)
		}
		m.mend()
	}
}

// TestLookedAtAnew: what changes at a CA after the first look is seen by the next
// one: an account that was deactivated, a profile that is gone.
func TestLookedAtAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	m := between(t, w)
	w.cfg.Profile = "default"
	b := open(t, w.cfg)
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.set(func() { m.noProfiles = true })
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "does not offer the profile") {
		t.Errorf("the profile is gone: %v", err)
	}
	m.set(func() { m.noProfiles = false })
	m.refuse(403, "unauthorized")
	if err := b.Check(t.Context()); !errors.Is(err, backends.ErrCredentials) {
		t.Errorf("the account is not let in: %v", err)
	}
	m.mend()
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("all is well again: %v", err)
	}
	if _, _, err := obtain(t, b, request()); err != nil {
		t.Error(err)
	}
}

// tidied notes which proofs are on show.
type tidied struct {
	sometimes
	shown map[string]bool // by name
}

func (s tidied) Present(ctx context.Context, p upstream.Proof) error {
	s.shown[p.Name] = true
	return s.sometimes.Present(ctx, p)
}

func (s tidied) CleanUp(ctx context.Context, p upstream.Proof) error {
	delete(s.shown, p.Name)
	return s.sometimes.CleanUp(ctx, p)
}

// TestAbandoned: what was shown for an order that nobody goes on with is taken back
// once the order has ended at the CA, and not before.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	on := tidied{w.solver, map[string]bool{}}
	now := time.Now()
	w.cfg.Solvers, w.cfg.Now = []upstream.Solver{on}, func() time.Time { return now }
	b, r := open(t, w.cfg), requestFor(t, "unproved-a.example.org")
	ticket, err := b.Submit(t.Context(), r)
	if err == nil {
		_, err = b.Continue(t.Context(), r, ticket)
	}
	if err != nil || len(on.shown) != 1 {
		t.Fatalf("on show: %v, %v", on.shown, err)
	}
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{time.Hour, 1}, {60 * 24 * time.Hour, 0}} {
		now = now.Add(step.after)
		if _, err := b.Submit(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		if len(on.shown) != step.left {
			t.Errorf("%s later on show: %v", step.after, on.shown)
		}
	}
}
