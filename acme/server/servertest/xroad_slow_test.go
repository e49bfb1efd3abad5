package servertest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/backends"
	"acmebridge/conformance/xroad"
	"acmebridge/storage"
)

// TestXRoadSlowCA are the cases 20 and 21: finalize is answered at once, and five
// looks are enough for a CA that needs three.
func TestXRoadSlowCA(t *testing.T) {
	t.Parallel()
	ca := newSlowCA(t, time.Second, 2)
	i := newInstance(t, servertest.Options{Backend: ca, Engine: shortHold})
	cfg := i.config("xroad")
	var pauses []time.Duration
	cfg.Sleep = func(ctx context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return inStep{ca: ca}.wait(ctx, d)
	}
	s := i.with(t, cfg, i.credential(t, "xroad", "sign", member))
	obtained(t, s, xroad.SignKey(newSigner(t), basicSign("5550001"), "slow.localhost", "slow.localhost"))
	// The last pauses are those for the order. Date has no fraction, so up to a
	// second of the five is lost on the way.
	if len(pauses) < 2 || pauses[len(pauses)-1] < 4*time.Second {
		t.Errorf("it paused for %v, want about 5s for the order: five looks are all that the CA has", pauses)
	}
}

// wait is Sleep without the clock of a persona.
func (c inStep) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-c.ca.next():
	case <-time.After(min(d, 3*time.Second)):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func shortHold(c *engine.Config) {
	for name, p := range c.Profiles {
		p.Hold = time.Millisecond
		c.Profiles[name] = p
	}
}

// submissions counts what reaches a CA that is never done.
type submissions struct {
	*slowCA
	mu    sync.Mutex
	count int
}

func (c *submissions) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	c.mu.Lock()
	c.count++
	c.mu.Unlock()
	return c.slowCA.Submit(ctx, r)
}

// TestXRoadGivesUp is case 37: a Security Server that gave up comes back with
// another key, a minute later and every minute, and the CA is asked once.
func TestXRoadGivesUp(t *testing.T) {
	t.Parallel()
	ca := &submissions{slowCA: newSlowCA(t, time.Second, 1<<30)}
	i := newInstance(t, servertest.Options{Backend: ca, Engine: shortHold})
	s := i.securityServer(t, "xroad", "sign", member)
	order := func() error {
		_, err := s.Order(t.Context(), xroad.SignKey(newSigner(t), basicSign("5550001"), "slow.localhost", "slow.localhost"))
		return err
	}
	var seen *xroad.Error
	if err := order(); !errors.As(err, &seen) || seen.Code != "certificate_failure" {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		if err := order(); err == nil {
			t.Fatal("it got a certificate of a CA that is not done")
		}
	}
	asked := func() int {
		ca.mu.Lock()
		defer ca.mu.Unlock()
		return ca.count
	}
	if n := asked(); n != 1 {
		t.Errorf("the CA was asked %d times, want 1", n)
	}
	// Once it is done, nobody gets what was made for another key: who comes next
	// has a certificate of its own, which costs another request.
	ca.slowCA.mu.Lock()
	ca.not = 0
	ca.slowCA.mu.Unlock()
	deadline := time.Now().Add(time.Minute)
	for {
		key := xroad.SignKey(newSigner(t), basicSign("5550001"), "slow.localhost", "slow.localhost")
		issued, err := s.Order(t.Context(), key)
		if err == nil {
			if err := xroad.Import(issued.Leaf, key, time.Now()); err != nil {
				t.Error(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the CA is done, and there is no certificate: %v", err)
		}
	}
	if n := asked(); n != 2 {
		t.Errorf("the CA was asked %d times, want 2", n)
	}
}

// refusing is a CA that says no.
type refusing struct{ *slowCA }

func (refusing) Submit(context.Context, backends.Request) (backends.Ticket, error) {
	return "", backends.Refused("the product has no such subject", errors.New("code -17"))
}

// TestXRoadRefusal is case 22: the Security Server says next to nothing, so our log
// has to: which order, whose, and why.
func TestXRoadRefusal(t *testing.T) {
	t.Parallel()
	var log lines
	i := newInstance(t, servertest.Options{
		Backend: refusing{newSlowCA(t, 0, 0)}, Engine: func(c *engine.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) },
	})
	s := i.securityServer(t, "xroad", "sign", member)
	_, err := s.Order(t.Context(), xroad.SignKey(newSigner(t), basicSign("5550001"), "refused.localhost", "refused.localhost"))
	var seen *xroad.Error
	if !errors.As(err, &seen) || seen.Code != "certificate_failure" || !strings.Contains(err.Error(), "no such subject") {
		t.Errorf("got %v", err)
	}
	found := false
	for line := range strings.Lines(log.String()) {
		found = found || strings.Contains(line, "order=") && strings.Contains(line, string(member)) && strings.Contains(line, "code -17")
	}
	if !found {
		t.Errorf("the log has no line with order, member and reason:\n%s", log.String())
	}
}

// lines is a log that several goroutines write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestXRoadRefusedFinalize: what a CSR was refused for is in the order's history,
// once for each reason, and in the log with member and server, because the
// Security Server tells nobody.
func TestXRoadRefusedFinalize(t *testing.T) {
	t.Parallel()
	var log lines
	i := newInstance(t, servertest.Options{Engine: func(c *engine.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }})
	s := i.securityServer(t, "xroad", "sign", member)
	forged := xroad.SignKey(newSigner(t), basicSign("5550002"), "noted.localhost", "noted.localhost")
	_, err := s.Order(t.Context(), forged)
	wantRefusal(t, err, "order_finalization_failure", "unauthorized")
	orders, _, err := i.Engine.Operator().Orders(t.Context(), "", storage.Page{Limit: 10})
	if err != nil || len(orders) != 1 {
		t.Fatal(orders, err)
	}
	o := orders[0]
	if why := o.LastRefusal(); o.Status != acme.OrderReady || !strings.Contains(why, `"5550002"`) || !strings.Contains(why, "acme.yml") {
		t.Errorf("the order is %s, and its history says %v", o.Status, o.History)
	}
	for _, part := range []string{"order=" + string(o.ID), string(member), "noted.localhost", "usage=sign", "5550002"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not say %q:\n%s", part, log.String())
		}
	}
}
