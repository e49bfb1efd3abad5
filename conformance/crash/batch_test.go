package crash_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"acmebridge/internal/failpoint"
)

// batched is remote with uploads of up to three orders. They wait for each other
// for as long as the configuration allows, so that a slow machine has the time to
// finalize all of them.
const batched = `
listen: %[1]s:14000
base_url: https://%[1]s:14000
pki_listen: ""
data_dir: %[2]s
validation:
  http_port: %[3]d
  allow: [127.0.0.0/8]
  interval: 100ms
directories:
  default: {path: /directory, external_account: off, profiles: [tls]}
profiles:
  tls: {backend: ca, hold: 0s, resubmit_on_doubt: true, reattach_within: 1d}
backends:
  ca: {type: sectigo, url: "http://%[1]s:14090", username: bridge, password_file: %[4]s, profile: CipherTrace EE, roots_file: %[5]s, batch: {size: 3, wait: 5s}}
limits: {connections_per_address: 0, rates: {polls: off}}
log: {format: json}
`

// fate is what the CA does with an upload of three, and what has to come of it.
type fate struct {
	name string
	// path and instruction tell the CA so; none when path is empty.
	path, instruction string
	// sizes are those of the batches that are paid for, the largest first, and
	// uploads how many there are of all.
	sizes   []int
	uploads int
	// invalid: all orders end badly.
	invalid bool
}

var (
	taken = fate{name: "taken", sizes: []int{3}, uploads: 1}
	// doubted did not arrive, and nobody knew: each is sent by itself after that.
	doubted = fate{name: "doubted", sizes: []int{1, 1, 1}, uploads: 3}
	refused = fate{
		name: "refused", path: "/faults", instruction: `{"endpoint": "upload", "kind": "status", "status": 400, "count": 1}`,
		sizes: []int{1, 1, 1}, uploads: 4,
	}
	broken   = fate{name: "broken", path: "/next", instruction: `{"kind": "broken"}`, sizes: []int{3, 1, 1, 1}, uploads: 4}
	rejected = fate{name: "rejected", path: "/next", instruction: `{"kind": "rejected", "reason": "not yours"}`, sizes: []int{3}, uploads: 1, invalid: true}
)

// batchLife has three accounts finalize an order each, and the server die before
// any of them is due: the next process finds all three, and sends them together.
type batchLife struct {
	remoteLife
	fate    fate
	clients []*client
	// scattered: the server dies while the orders are finalized, so they may go
	// in several uploads.
	scattered bool
}

func newBatchLife(s *server, ca *standin, web *responder, f fate) *batchLife {
	l := &batchLife{remoteLife: remoteLife{server: s, ca: ca}, fate: f}
	for i := range 3 {
		l.clients = append(l.clients, &client{server: s, web: web, directory: "/directory", key: newKey(), name: fmt.Sprintf("b%d.localhost", i)})
	}
	return l
}

func (l *batchLife) live(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	if l.fate.path != "" {
		if err := l.ca.tell(ctx, l.fate.path, l.fate.instruction); err != nil {
			return err
		}
	}
	var orders []*orderNote
	for _, c := range l.clients {
		if err := c.register(ctx, binding{}); err != nil {
			return err
		}
		o, err := c.open(ctx)
		if err != nil {
			return err
		}
		o.mayFail = l.fate.invalid
		if err := c.prove(ctx, o, prompt); err != nil {
			return err
		}
		orders = append(orders, o)
	}
	closed := make(chan error, len(orders))
	for i, c := range l.clients {
		go func() { closed <- c.close(ctx, orders[i]) }()
	}
	var err error
	for range orders {
		err = errors.Join(err, <-closed)
	}
	if err != nil {
		return err
	}
	if !l.scattered {
		p, err := l.server.signal(ctx, syscall.SIGKILL)
		if err != nil {
			return err
		}
		<-p.done
	}
	for i, c := range l.clients {
		err := l.settle(ctx, func(ctx context.Context) error { return c.fetch(ctx, orders[i]) })
		if l.fate.invalid && errors.Is(err, errFailed) {
			continue
		}
		if err == nil && l.fate.invalid {
			err = fmt.Errorf("the CA rejected the batch, and order %s has a certificate", orders[i].url)
		}
		if err != nil {
			return err
		}
	}
	return l.end(ctx)
}

// end holds what is stored, and what the CA was paid for, against the fate.
func (l *batchLife) end(ctx context.Context) error {
	for _, c := range l.clients {
		if err := c.verify(ctx); err != nil {
			return err
		}
	}
	v, err := l.server.settled(ctx)
	if err != nil {
		return err
	}
	err = v.check(l.clients...)
	certificates := 0
	for _, cs := range v.certificates {
		certificates += len(cs)
	}
	if want := len(l.clients); !l.fate.invalid && certificates != want || l.fate.invalid && certificates != 0 {
		err = errors.Join(err, fmt.Errorf("%d certificates are stored for %d orders", certificates, want))
	}
	return errors.Join(err, l.paid(ctx), l.server.sound(ctx))
}

// paid holds the journal of the CA against the needs: each was paid for once,
// also where a batch that came to nothing was paid for as a whole before.
func (l *batchLife) paid(ctx context.Context) error {
	bought, err := l.ca.journal(ctx, "purchase")
	if err != nil {
		return err
	}
	var sizes []int
	keys, alone := map[string]int{}, map[string]int{}
	for _, e := range bought {
		sizes = append(sizes, e.Size)
		for _, k := range append([]string{e.KeySHA256}, e.MoreKeys...) {
			keys[k]++
			if e.Size == 1 {
				alone[k]++
			}
		}
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	requests, err := l.ca.journal(ctx, "request")
	if err != nil {
		return err
	}
	uploads := 0
	for _, e := range requests {
		if e.Endpoint == "upload" {
			uploads++
		}
	}
	once := 1
	if len(l.fate.sizes) > 1 && l.fate.sizes[0] == 3 { // as batch, and by itself
		once = 2
	}
	switch {
	case len(keys) != len(l.clients):
		err = fmt.Errorf("the CA was paid for %d keys", len(keys))
	case slices.ContainsFunc(slices.Collect(maps.Values(keys)), func(n int) bool { return n != once }),
		slices.ContainsFunc(slices.Collect(maps.Values(alone)), func(n int) bool { return n > 1 }):
		err = errors.New("the CA was not paid once for each need")
	case l.scattered && uploads != len(bought):
		err = errors.New("an upload is no purchase")
	case !l.scattered && (!slices.Equal(sizes, l.fate.sizes) || uploads != l.fate.uploads):
		err = errors.New("the uploads are others")
	}
	if err != nil {
		err = fmt.Errorf("%w: %d uploads, batches of %v, want %d and %v: %+v", err, uploads, sizes, l.fate.uploads, l.fate.sizes, bought)
	}
	return err
}

// later is the clock of the process that finds the orders: all of them are due.
const later = time.Minute

// stop is a place on the way of a batch at which a process is killed.
type stop struct {
	fate fate
	at   failpoint.Point
	hit  int // the how-manieth time that it is passed
	// before are the failpoints of a process that dies between the one that
	// finalizes and the one that is killed here.
	before string
	// first: the process that finalizes is the one that is killed here.
	first bool
}

// batchStops are all places. What is done for each order by itself is passed three
// times, and worth a death at the first one and at the last.
func batchStops() (all []stop) {
	add := func(s stop, hits []int, points ...failpoint.Point) {
		for _, at := range points {
			for _, hit := range hits {
				s.at, s.hit = at, hit
				all = append(all, s)
			}
		}
	}
	beside := func(ws ...failpoint.Write) (points []failpoint.Point) {
		for _, w := range ws {
			points = append(points, w.Before, w.After)
		}
		return points
	}
	once, each := []int{1}, []int{1, 3}
	add(stop{fate: taken, first: true}, each, beside(failpoint.Finalize)...)
	add(stop{fate: taken}, once, beside(failpoint.Claim, failpoint.Ticket)...)
	add(stop{fate: taken}, once, failpoint.Intent.Before, failpoint.Sent)
	add(stop{fate: doubted}, once, failpoint.Intent.After)
	add(stop{fate: taken}, each, failpoint.PollRead)
	add(stop{fate: taken}, each, beside(failpoint.Quarantine, failpoint.Deliver)...)
	add(stop{fate: taken, before: string(failpoint.Claim.After) + "=kill:1"}, once, beside(failpoint.Rescue)...)
	add(stop{fate: taken, before: string(failpoint.Sent) + "=kill:1"}, each, beside(failpoint.Reconcile)...)
	add(stop{fate: doubted, before: string(failpoint.Intent.After) + "=kill:1"}, each, beside(failpoint.Reschedule)...)
	add(stop{fate: refused}, once, beside(failpoint.Apart)...)
	add(stop{fate: broken}, each, beside(failpoint.Apart)...)
	add(stop{fate: rejected}, each, beside(failpoint.Fail)...)
	return all
}

func (s stop) String() string { return fmt.Sprintf("%s/%s:%d", s.fate.name, s.at, s.hit) }

// TestBatchKill kills the server at each place on the way of three orders that go
// to the CA in one upload.
func TestBatchKill(t *testing.T) {
	t.Parallel()
	for _, at := range batchStops() {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			spec := fmt.Sprintf("%s=kill:%d", at.at, at.hit)
			plan := []launch{{}, {failpoints: spec, clock: later}}
			switch {
			case at.first:
				plan = []launch{{failpoints: spec}}
			case at.before != "":
				plan = []launch{{}, {failpoints: at.before, clock: later}, {failpoints: spec, clock: later}}
			}
			web := startResponder(t)
			s, ca := startRemoteAs(t, program("server"), batched, web, plan...)
			l := newBatchLife(s, ca, web, at.fate)
			l.scattered = at.first
			if err := l.live(t.Context()); err != nil {
				t.Fatal(err)
			}
			if p := s.aimed(spec); p.failpoints != spec || !p.ended() || !p.killed() {
				t.Errorf("%s never fired", spec)
			}
		})
	}
}

// TestBatchLife: what TestBatchKill finds means nothing unless all goes well when
// nothing is broken, and it leaves nothing out: the process that has the orders
// when they are due passes no other point than those.
func TestBatchLife(t *testing.T) {
	t.Parallel()
	// What a process does with a CA when it starts, whatever is to be sent.
	passed := []failpoint.Point{
		failpoint.AskSurvey, failpoint.Agree.Before, failpoint.Agree.After,
		failpoint.SchedulePublisher.Before, failpoint.SchedulePublisher.After,
	}
	for _, s := range batchStops() {
		passed = append(passed, s.at)
	}
	var specs []string
	for at := range everyPoint() {
		if !slices.Contains(passed, at) {
			specs = append(specs, string(at)+"=kill")
		}
	}
	for _, f := range []fate{taken, refused, broken, rejected} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			web := startResponder(t)
			s, ca := startRemoteAs(t, program("server"), batched, web, launch{}, launch{failpoints: strings.Join(specs, ";"), clock: later})
			if err := newBatchLife(s, ca, web, f).live(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, p := range s.ends()[1:] {
				if p.killed() {
					t.Errorf("process %d passed a point that no batch was killed at", p.number)
				}
			}
		})
	}
}
