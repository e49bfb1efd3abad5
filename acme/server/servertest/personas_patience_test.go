package servertest_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/conformance/personas"
)

// slowCA issues with the local CA, but only after it was asked so many times.
type slowCA struct {
	backends.Backend
	ca    *localca.CA
	after time.Duration // when it would like to be asked again
	not   int           // how often it says not yet

	mu    sync.Mutex
	asked map[backends.Ticket]int
	moved chan struct{} // closed and replaced at each question
}

func newSlowCA(t *testing.T, after time.Duration, not int) *slowCA {
	ca, err := localca.Open(localca.Config{Dir: t.TempDir(), Name: "local", PublicURL: "http://pki.test", Queued: true})
	if err != nil {
		t.Fatal(err)
	}
	return &slowCA{Backend: ca.Backend(), ca: ca, after: after, not: not, asked: map[backends.Ticket]int{}, moved: make(chan struct{})}
}

func (c *slowCA) Roots() [][]byte         { return c.ca.Roots() }
func (c *slowCA) Intermediates() [][]byte { return c.ca.Intermediates() }

func (c *slowCA) Poll(ctx context.Context, ticket backends.Ticket) (backends.Result, error) {
	c.mu.Lock()
	c.asked[ticket]++
	asked := c.asked[ticket]
	close(c.moved)
	c.moved = make(chan struct{})
	c.mu.Unlock()
	if asked <= c.not {
		return backends.Result{After: c.after}, nil
	}
	return c.Backend.Poll(ctx, ticket)
}

func (c *slowCA) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

// inStep is a clock whose pauses last until the CA was asked once more, so that what
// a persona sees does not depend on how busy the machine is.
type inStep struct {
	*personas.HastyClock
	ca *slowCA
}

func (c inStep) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-c.ca.next():
	case <-time.After(min(d, 3*time.Second)):
	case <-ctx.Done():
	}
	return c.HastyClock.Sleep(ctx, d)
}

// TestPersonasWait: a CA that is not done at once costs no client its certificate.
// All of them see the order processing with a Retry-After, and come back.
func TestPersonasWait(t *testing.T) {
	t.Parallel()
	var keys keyring
	for _, p := range personas.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			ca := newSlowCA(t, time.Second, 2)
			s := servertest.Start(t, visited(servertest.Options{Backend: ca, Profile: func(p *acme.Profile) { p.Hold = time.Millisecond }}))
			cfg := visitors(s)
			cfg.RSAKey = keys.forOneServer()
			cfg.NewClock = func() personas.Clock { return inStep{personas.Hasty(time.Millisecond), ca} }
			cfg.Match = func(persona, story string) bool { return persona == p.Name && story == "obtain" }
			personas.Run(t, cfg)
		})
	}
}

// TestPersonasGiveUp measures how long each client waits for a CA that asks for ten
// seconds each time and never issues: by its own clock, as docs/clients.md has it.
// The upper bounds leave room for the real time that a busy machine adds.
func TestPersonasGiveUp(t *testing.T) {
	t.Parallel()
	var keys keyring
	for persona, want := range map[string]struct{ least, most time.Duration }{
		"certbot": {85 * time.Second, 4 * time.Minute},
		"lego":    {29 * time.Second, 2 * time.Minute},
		"acme.sh": {2 * time.Minute, 8 * time.Minute},
		"x-road":  {20 * time.Second, 2 * time.Minute},
		"acmez":   {5 * time.Minute, 10 * time.Minute},
		"uacme":   {40 * time.Second, 4 * time.Minute},
		"mod_md":  {5 * time.Minute, 10 * time.Minute},
	} {
		t.Run(persona, func(t *testing.T) {
			t.Parallel()
			// The challenge is done in one round trip; the order never is.
			s := servertest.Start(t, visited(servertest.Options{
				Backend: newSlowCA(t, 10*time.Second, 1<<30), Profile: func(p *acme.Profile) { p.Hold = 4 * time.Second },
			}))
			cfg := visitors(s)
			cfg.RSAKey = keys.forOneServer()
			var clock *personas.HastyClock
			cfg.NewClock = func() personas.Clock {
				clock = personas.Hasty(10 * time.Millisecond)
				return clock
			}
			cfg.Match = func(p, story string) bool { return p == persona && story == "obtain" }
			report, err := personas.Play(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			why := report.Why[persona+"/obtain"]
			if !strings.Contains(why, "gave up") {
				t.Fatalf("it did not give up: %q", why)
			}
			t.Logf("%s", why)
			if waited := clock.Elapsed(); waited < want.least || waited > want.most {
				t.Errorf("it waited for %s, want %s to %s", waited, want.least, want.most)
			}
		})
	}
}
