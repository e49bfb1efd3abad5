package crash_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// load is many clients at work at the same time.
type load struct {
	server  *server
	clients []*client
}

// start has n clients register and place orders until stop is called, which
// returns when each has brought its last order to its end.
func startLoad(ctx context.Context, s *server, web *responder, n int) (l *load, stop func() error) {
	l = &load{server: s}
	var all sync.WaitGroup
	enough := make(chan struct{})
	errs := make([]error, n)
	for i := range n {
		c := &client{server: s, web: web, directory: "/directory", key: newKey()}
		l.clients = append(l.clients, c)
		all.Go(func() { errs[i] = c.work(ctx, enough) })
	}
	return l, func() error {
		close(enough)
		all.Wait()
		return errors.Join(errs...)
	}
}

// work places one order after the other. What it verifies after a restart of
// the server is its last few orders; check looks at all.
func (c *client) work(ctx context.Context, enough <-chan struct{}) error {
	if err := c.register(ctx, binding{}); err != nil {
		return err
	}
	var earlier []*orderNote
	for {
		if _, err := c.issue(ctx, prompt); err != nil {
			return err
		}
		if n := len(c.journal.orders); n > 5 {
			earlier = append(earlier, c.journal.orders[:n-5]...)
			c.journal.orders = c.journal.orders[n-5:]
		}
		select {
		case <-enough:
			c.journal.orders = append(earlier, c.journal.orders...)
			return nil
		default:
		}
	}
}

// check verifies everything that any client was told.
func (l *load) check(ctx context.Context) error {
	v, err := l.server.settled(ctx)
	if err != nil {
		return err
	}
	issued := 0
	for _, c := range l.clients {
		for _, o := range c.journal.orders {
			if o.chain == nil {
				err = errors.Join(err, fmt.Errorf("order %s is %s and has no certificate", o.url, o.status))
			}
			issued++
		}
	}
	if issued == 0 {
		return errors.New("nothing was issued")
	}
	return errors.Join(err, v.check(l.clients...), l.server.sound(ctx))
}

// seed is that of the moments at which a server is ended. A failure prints it.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("CRASH_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CRASH_SEED: %v", err)
		}
	}
	t.Logf("CRASH_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 1))
}

// TestRandom ends the server ten times at random moments while eight clients
// are at work: with SIGKILL, after which nothing that was acknowledged is
// missing, and with SIGTERM, after which nothing was even refused for good.
func TestRandom(t *testing.T) {
	t.Parallel()
	for _, issue := range []string{"inline", "queued"} {
		for name, sig := range map[string]syscall.Signal{"kill": syscall.SIGKILL, "term": syscall.SIGTERM} {
			t.Run(issue+"/"+name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				random := seed(t)
				web := startResponder(t)
				s := startServer(t, program("server"), issue, web.port)
				l, stop := startLoad(ctx, s, web, 8)
				for range 10 {
					if _, err := s.running(ctx); err != nil {
						t.Fatal(err)
					}
					if err := pause(ctx, time.Duration(50+random.IntN(450))*time.Millisecond); err != nil {
						t.Fatal(err)
					}
					p, err := s.signal(ctx, sig)
					if err != nil {
						t.Fatal(err)
					}
					<-p.done
					if code := p.cmd.ProcessState.ExitCode(); sig == syscall.SIGTERM && code != 0 {
						t.Errorf("process %d was asked to stop and ended with %v", p.number, p.cmd.ProcessState)
					}
				}
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				if err := l.check(ctx); err != nil {
					t.Fatal(err)
				}
				orders := 0
				for _, c := range l.clients {
					orders += len(c.journal.orders)
				}
				t.Logf("%d orders, %d processes", orders, len(s.ends())+1)
			})
		}
	}
}
