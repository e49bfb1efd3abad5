package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func addrs(list ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range list {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// names is a DNS whose answers can change: each look-up of a name takes the
// next answer, and the last one stays.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	lookups int
}

func (n *names) LookupAddrs(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lookups++
	left, ok := n.answers[host]
	if !ok {
		return nil, fmt.Errorf("look up %s: %w", host, ErrNoSuchName)
	}
	if len(left) > 1 {
		n.answers[host] = left[1:]
	}
	return left[0], nil
}

// door is a listener that counts who comes in.
type door struct {
	addr netip.AddrPort
	came atomic.Int64
}

func newDoor(t *testing.T, address string) *door {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{addr: l.Addr().(*net.TCPAddr).AddrPort()}
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.came.Add(1)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); ended.Wait() })
	return d
}

func mustDialer(t testing.TB, cfg DialerConfig) *Dialer {
	t.Helper()
	d, err := NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLookupJudgesEveryAddress(t *testing.T) {
	t.Parallel()
	n := &names{answers: map[string][][]netip.Addr{
		"mixed.example":   {addrs("10.0.0.1", "192.0.2.1", "8.8.8.8", "2606:4700::1", "::ffff:9.9.9.9", "fe80::1")},
		"private.example": {addrs("10.0.0.1", "192.168.0.1")},
		"empty.example":   {nil},
	}}
	d := mustDialer(t, DialerConfig{Policy: mustPolicy(t, PolicyConfig{}), Resolver: n})
	got, err := d.Lookup(t.Context(), "mixed.example")
	if want := addrs("2606:4700::1", "8.8.8.8", "9.9.9.9"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for host, want := range map[string]error{
		"private.example":  ErrDenied,
		"metadata.goog":    ErrDenied,
		"169.254.169.254":  ErrDenied,
		"fe80::1%eth0":     ErrDenied,
		"empty.example":    ErrNoAddress,
		"unknown.example":  ErrNoSuchName,
		"0xa9fea9fe":       ErrNoSuchName, // a name like any other, never a number
		"2852039166":       ErrNoSuchName,
		"127.1":            ErrNoSuchName,
		"::ffff:127.0.0.1": ErrDenied,
	} {
		if got, err := d.Lookup(t.Context(), host); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: got %v, %v; want %v", host, got, err, want)
		}
	}
}

// SV-1: nothing is sent to an address that the policy refuses, by whichever
// way somebody asks for it.
func TestDeniedAddressesAreNeverContacted(t *testing.T) {
	t.Parallel()
	closed := newDoor(t, "127.0.0.2:0")
	n := &names{answers: map[string][][]netip.Addr{
		"inside.example": {addrs("127.0.0.2", "::ffff:127.0.0.2")},
	}}
	d := mustDialer(t, DialerConfig{Policy: mustPolicy(t, PolicyConfig{Allow: prefixes("127.0.0.1/32")}), Resolver: n})
	port := closed.addr.Port()
	for _, host := range []string{"inside.example", "127.0.0.2", "::ffff:127.0.0.2", "64:ff9b::7f00:2", "2002:7f00:2::"} {
		if _, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, fmt.Sprint(port))); !errors.Is(err, ErrDenied) {
			t.Errorf("DialContext %s: got %v, want %v", host, err, ErrDenied)
		}
	}
	for _, addr := range addrs("127.0.0.2", "::ffff:127.0.0.2") {
		if _, err := d.DialAddr(t.Context(), netip.AddrPortFrom(addr, port)); !errors.Is(err, ErrDenied) {
			t.Errorf("DialAddr %s: got %v, want %v", addr, err, ErrDenied)
		}
	}
	// The last gate holds alone: the connection below bypasses all others.
	if _, err := d.net.DialContext(t.Context(), "tcp", closed.addr.String()); !errors.Is(err, ErrDenied) {
		t.Errorf("the hook of the socket: got %v, want %v", err, ErrDenied)
	}
	if n := closed.came.Load(); n != 0 {
		t.Errorf("%d connections reached the denied address", n)
	}
}

// DH-8: a name is looked up once and what was found is what is connected to,
// so a DNS that changes its mind changes nothing.
func TestRebinding(t *testing.T) {
	t.Parallel()
	open := newDoor(t, "127.0.0.1:0")
	closed := newDoor(t, fmt.Sprintf("127.0.0.2:%d", open.addr.Port()))
	n := &names{answers: map[string][][]netip.Addr{
		"rebind.example": {addrs("127.0.0.1"), addrs("127.0.0.2")},
	}}
	d := mustDialer(t, DialerConfig{Policy: mustPolicy(t, PolicyConfig{Allow: prefixes("127.0.0.1/32")}), Resolver: n})
	address := fmt.Sprintf("rebind.example:%d", open.addr.Port())
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n.lookups != 1 {
		t.Errorf("%d look-ups for one connection, want 1", n.lookups)
	}
	// The next connection starts over, and meets the second answer.
	if _, err := d.DialContext(t.Context(), "tcp", address); !errors.Is(err, ErrDenied) {
		t.Errorf("got %v, want %v", err, ErrDenied)
	}
	if closed.came.Load() != 0 {
		t.Error("the second answer was connected to")
	}
}

func TestDialContextTriesTheNextAddress(t *testing.T) {
	t.Parallel()
	open := newDoor(t, "127.0.0.1:0")
	n := &names{answers: map[string][][]netip.Addr{
		"host.example": {addrs("127.0.0.3", "::1", "127.0.0.1")},
	}}
	d := mustDialer(t, DialerConfig{Policy: mustPolicy(t, PolicyConfig{Allow: prefixes("127.0.0.0/8", "::1/128")}), Resolver: n})
	c, err := d.DialContext(t.Context(), "tcp4", fmt.Sprintf("host.example:%d", open.addr.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != open.addr.String() {
		t.Errorf("connected to %s, want %s", c.RemoteAddr(), open.addr)
	}
	for _, bad := range []struct{ network, address string }{
		{"udp", "127.0.0.1:80"}, {"unix", "/run/x"}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:http"}, {"tcp", "127.0.0.1:0"}, {"tcp6", "127.0.0.1:80"},
	} {
		if _, err := d.DialContext(t.Context(), bad.network, bad.address); err == nil {
			t.Errorf("%s %s: no error", bad.network, bad.address)
		}
	}
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		network   string
		from, got []netip.Addr
	}{
		{"tcp", addrs("::1", "::2", "::3", "::4", "1.1.1.1"), addrs("::1", "1.1.1.1", "::2", "::3")},
		{"tcp", addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"), addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4")},
		{"tcp4", addrs("::1", "1.1.1.1"), addrs("1.1.1.1")},
		{"tcp6", addrs("::1", "1.1.1.1"), addrs("::1")},
		{"tcp6", addrs("1.1.1.1"), nil},
	} {
		if got := alternate(tt.from, tt.network); !slices.Equal(got, tt.got) {
			t.Errorf("%s of %v: got %v, want %v", tt.network, tt.from, got, tt.got)
		}
	}
}

// SV-11, R8555-10.3-1: four connections to a neighbourhood; the fifth waits until one is
// closed, or gives up with its context.
func TestConnectionsPerTarget(t *testing.T) {
	t.Parallel()
	open := newDoor(t, "127.0.0.1:0")
	d := mustDialer(t, DialerConfig{Policy: mustPolicy(t, PolicyConfig{Allow: prefixes("127.0.0.1/32")}), Resolver: &names{}})
	var held []net.Conn
	for range 4 {
		c, err := d.DialAddr(t.Context(), open.addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.DialAddr(ctx, open.addr); !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the fifth: got %v, want %v", err, ErrBusy)
	}
	// A denied address is refused at once, however busy its neighbours are.
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.DialAddr(ctx, netip.MustParseAddrPort("127.0.0.2:80")); !errors.Is(err, ErrDenied) {
		t.Errorf("a denied neighbour: got %v, want %v", err, ErrDenied)
	}
	held[0].Close()
	held[0].Close() // gives one slot back, not two
	c, err := d.DialAddr(t.Context(), open.addr)
	if err != nil {
		t.Fatal(err)
	}
	held = append(held, c)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.DialAddr(ctx, open.addr); !errors.Is(err, ErrBusy) {
		t.Errorf("after one was closed twice: got %v, want %v", err, ErrBusy)
	}
	for _, c := range held[1:] {
		c.Close()
	}
	if len(d.slots.targets) != 0 || len(d.slots.total)+len(d.slots.making) != 0 {
		t.Errorf("%d targets and %d slots are still taken", len(d.slots.targets), len(d.slots.total))
	}
}

// SV-11 without a network: the limits, who waits for whom, and that nothing
// is left behind.
func TestSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(3, 2)
		take := func(addr string, wait time.Duration) (func(), error) {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			connected, release, err := s.acquire(ctx, netip.MustParseAddr(addr))
			if err != nil {
				return nil, err
			}
			if err := connected(); err != nil {
				release()
				return nil, err
			}
			return release, nil
		}
		must := func(addr string) func() {
			release, err := take(addr, time.Second)
			if err != nil {
				t.Fatalf("%s: %v", addr, err)
			}
			return release
		}
		a, b := must("192.0.2.1"), must("192.0.2.200")
		if _, err := take("192.0.2.3", time.Second); err == nil {
			t.Error("a third connection to a /24 that takes two")
		}
		c := must("192.0.3.1")
		if _, err := take("2001:db8::1", time.Second); err == nil {
			t.Error("a fourth connection of three in total")
		}
		// One who waits gets the slot when it is given back, after 5 s here.
		time.AfterFunc(5*time.Second, a)
		start := time.Now()
		d, err := take("192.0.2.9", time.Minute)
		if err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("waited %v, %v; want 5s", time.Since(start), err)
		}
		b()
		c()
		e, f := must("2001:db8::1"), must("2001:db8:0:0:ffff::1")
		if _, err := take("2001:db8::2", time.Second); err == nil {
			t.Error("a third connection to a /64 that takes two")
		}
		d()
		e()
		f()
		// Twelve may be in the making for three that may be open, and they
		// keep nobody from being open.
		var ends []func()
		for i := range 12 {
			_, release, err := s.acquire(t.Context(), netip.AddrFrom4([4]byte{198, 51, byte(i), 1}))
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, release)
		}
		ends[0]()
		must("192.0.2.1")()
		_, ends[0], _ = s.acquire(t.Context(), netip.MustParseAddr("198.51.0.1"))
		if _, err := take("192.0.2.1", time.Second); err == nil {
			t.Error("a thirteenth connection in the making")
		}
		for _, end := range ends {
			end()
		}
		if len(s.targets) != 0 || len(s.total) != 0 || len(s.making) != 0 {
			t.Errorf("%d targets and %d slots are left", len(s.targets), len(s.total)+len(s.making))
		}
	})
}

func TestDialerConfig(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, PolicyConfig{})
	for want, cfg := range map[string]DialerConfig{
		"a policy and a resolver": {Policy: p},
		"needs a policy":          {Resolver: &names{}},
		"cannot be negative":      {Policy: p, Resolver: &names{}, PerTarget: -1},
	} {
		if _, err := NewDialer(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	d := mustDialer(t, DialerConfig{Policy: p, Resolver: &names{}})
	if d.net.Timeout != 10*time.Second || cap(d.slots.total) != 256 || d.slots.perTarget != 4 {
		t.Errorf("defaults: %v, %d, %d", d.net.Timeout, cap(d.slots.total), d.slots.perTarget)
	}
}
