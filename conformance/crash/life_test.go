package crash_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// patience is how long one life may take. It is far more than it needs, so
// that a slow machine is not taken for an order that is stuck.
const patience = 60 * time.Second

// life is everything that is done with one server: by a member whose account
// is bound, by a guest whom the operator expels, and by the operator.
type life struct {
	server        *server
	member, guest *client
	lists         lists
	submitted     string // the order of the CSR that the operator brought
	// restart, if set, ends the server in order when an order is open, and has
	// the next planned process started. Its order may run out of time.
	restart bool
	// mayFail says that an order may come to a bad end; then another is placed.
	mayFail bool
}

func newLife(s *server, web *responder) *life {
	return &life{
		server: s, lists: lists{},
		member: &client{server: s, web: web, directory: "/members/directory", key: newKey()},
		guest:  &client{server: s, web: web, directory: "/directory", key: newKey()},
	}
}

// live goes through all of it, whatever happens to the server meanwhile. When
// it fails, the error says what the server still had to do.
func (l *life) live(ctx context.Context) error {
	err := l.parts(ctx)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, lookErr := l.server.inventory(ctx)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	for _, j := range v.jobs {
		err = fmt.Errorf("%w\nthere is the job %+v, due %v, leased until %v", err, j, j.Due, j.LeasedUntil)
	}
	return err
}

func (l *life) parts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"the member", l.membership},
		{"the guest", l.visit},
		{"the end", l.end},
	} {
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (l *life) membership(ctx context.Context) error {
	if err := l.server.enrol(ctx, "m1"); err != nil {
		return err
	}
	b, err := l.server.createBinding(ctx)
	if err != nil {
		return err
	}
	m := l.member
	if err := m.register(ctx, b); err != nil {
		return err
	}
	first, err := l.issue(ctx, m, slow)
	if err != nil {
		return err
	}
	if err := l.server.hurry(ctx, "m1"); err != nil {
		return err
	}
	if err := l.submit(ctx); err != nil {
		return err
	}
	if err := m.changeKey(ctx); err != nil {
		return err
	}
	if _, err := l.issue(ctx, m, late); err != nil {
		return err
	}
	if err := m.changeContact(ctx, "mailto:second@example.org"); err != nil {
		return err
	}
	if err := m.revoke(ctx, first); err != nil {
		return err
	}
	if err := m.until(ctx, func() (bool, error) { return l.lists.see(ctx, l.server, first.chain) }); err != nil {
		return fmt.Errorf("wait for a revocation list: %w", err)
	}
	withdrawn, err := m.open(ctx)
	if err != nil {
		return err
	}
	if err := m.withdraw(ctx, withdrawn); err != nil {
		return err
	}
	if err := m.proveAhead(ctx); err != nil {
		return err
	}
	ready, err := m.open(ctx)
	if err != nil {
		return err
	}
	if ready.status != "ready" {
		return missing("the name of %s was proved ahead, and it is %s", ready.url, ready.status)
	}
	return m.withdraw(ctx, ready) // or the next orders would have nothing to prove
}

// submit has the operator bring a CSR of the member, until its certificate is
// there. The same CSR again is the same order, unless that came to a bad end.
func (l *life) submit(ctx context.Context) error {
	csr, err := newCSR()
	if err != nil {
		return err
	}
	for {
		o, err := l.server.submitCSR(ctx, csr, "m1")
		switch {
		case err != nil:
			return err
		case l.submitted != "" && o.ID != l.submitted && !l.mayFail:
			return fmt.Errorf("one CSR made two orders: %s and %s", l.submitted, o.ID)
		}
		l.submitted = o.ID
		switch {
		case o.Status == "valid":
			return nil
		case o.Status == "invalid" && !l.mayFail:
			return missing("the certificate of the CSR: %v", o.Problem)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (l *life) issue(ctx context.Context, c *client, m manner) (*orderNote, error) {
	for {
		o, err := c.open(ctx)
		if err != nil {
			return nil, err
		}
		o.mayFail = l.mayFail
		if err := c.prove(ctx, o, m); err != nil {
			return nil, err
		}
		if err := c.conclude(ctx, o); !l.mayFail || !errors.Is(err, errFailed) {
			return o, err
		}
	}
}

func (l *life) visit(ctx context.Context) error {
	if err := l.guest.register(ctx, binding{}); err != nil {
		return err
	}
	o, err := l.guest.open(ctx)
	if err != nil {
		return err
	}
	if l.restart {
		o.ending = true
		if err := l.server.restart(ctx); err != nil {
			return err
		}
	}
	if err := l.guest.verify(ctx); err != nil {
		return err
	}
	o.ending, l.guest.unsure = true, true
	return l.server.expel(ctx, l.guest.url)
}

func (l *life) end(ctx context.Context) error {
	m := l.member
	o, err := m.open(ctx)
	if err != nil {
		return err
	}
	if err := m.prove(ctx, o, prompt); err != nil {
		return err
	}
	if err := m.verify(ctx); err != nil {
		return err
	}
	if err := m.leave(ctx); err != nil {
		return err
	}
	if err := l.server.remove(ctx, "m1"); err != nil {
		return err
	}
	v, err := l.server.settled(ctx)
	if err != nil {
		return err
	}
	if v.hurried["m1"] != 1 || len(v.hurried) != 1 {
		err = missing("the one decision on renewals; there are %v", v.hurried)
	}
	err = errors.Join(err, v.submittedOnce(l.submitted, l.mayFail))
	return errors.Join(err, v.check(l.guest, m), l.server.sound(ctx))
}

// The programs that TestMain builds.
var programs string

// TestMain builds the server, with failpoints and without.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	flag.Parse()
	programs = folder
	if err := build("server", "-tags", "failpoints"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Lives wait more than they work.
	if f := flag.Lookup("test.parallel"); f != nil && f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = f.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
	}
	return m.Run()
}

// build compiles the server under a name.
func build(name string, flags ...string) error {
	args := append([]string{"build", "-o", program(name)}, flags...)
	out, err := exec.Command("go", append(args, "acmebridge/cmd/acmebridge")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func program(name string) string { return filepath.Join(programs, name) }

// TestLife: what follows means nothing unless all goes well when nothing is
// broken.
func TestLife(t *testing.T) {
	t.Parallel()
	for _, issue := range []string{"inline", "queued"} {
		t.Run(issue, func(t *testing.T) {
			t.Parallel()
			web := startResponder(t)
			s := startServer(t, program("server"), issue, web.port)
			l := newLife(s, web)
			if err := l.live(t.Context()); err != nil {
				t.Fatal(err)
			}
			if ends := s.ends(); len(ends) > 0 {
				t.Errorf("%d processes ended", len(ends))
			}
			if n := l.member.refused + l.guest.refused; n > 0 {
				t.Errorf("%d requests were answered with a failure", n)
			}
		})
	}
}
