package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrBusy means that no slot for the target became free in time.
var ErrBusy = errors.New("too many connections to the same network are open")

// AddrResolver finds the addresses of a host. [Resolver] is the one to use.
type AddrResolver interface {
	LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// DialerConfig says what a dialer is made of.
type DialerConfig struct {
	Policy   *Policy      // required
	Resolver AddrResolver // required
	// Timeout bounds one attempt to connect; 0 means 10 s (DH-10).
	Timeout time.Duration
	// PerTarget and Total bound the connections that are open at a time, to
	// one /24 or /64 and altogether; 0 means 4 and 256 (SV-11). Four times
	// Total may be in the making besides, so that hosts that do not answer do
	// not delay one that does.
	PerTarget, Total int
}

// Dialer makes connections to addresses that its policy allows. It is safe
// for use by many goroutines.
type Dialer struct {
	policy   *Policy
	resolver AddrResolver
	slots    *slots
	net      net.Dialer
}

// NewDialer checks cfg and returns the dialer.
func NewDialer(cfg DialerConfig) (*Dialer, error) {
	if cfg.Policy == nil || cfg.Resolver == nil {
		return nil, errors.New("egress: a dialer needs a policy and a resolver")
	}
	if cfg.Timeout < 0 || cfg.PerTarget < 0 || cfg.Total < 0 {
		return nil, errors.New("egress: time-outs and limits of a dialer cannot be negative")
	}
	d := &Dialer{policy: cfg.Policy, resolver: cfg.Resolver}
	d.slots = newSlots(orDefault(cfg.Total, 256), orDefault(cfg.PerTarget, 4))
	d.net = net.Dialer{
		Timeout: orDefault(cfg.Timeout, 10*time.Second),
		// Every use has a deadline of its own, so probes would only cost
		// system calls.
		KeepAlive:      -1,
		ControlContext: d.control,
	}
	return d, nil
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Lookup returns the addresses of host, a name or an address without
// brackets, that may be connected to: IPv6 first, otherwise in the order of
// the answer. When none may be, the error is the *DeniedError of the first.
func (d *Dialer) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if err := d.policy.Check(addr); err != nil {
			return nil, err
		}
		return []netip.Addr{addr.Unmap()}, nil
	}
	if err := d.policy.CheckName(host); err != nil {
		return nil, err
	}
	found, err := d.resolver.LookupAddrs(ctx, host)
	if err != nil {
		return nil, err
	}
	var denied error
	permitted := make([]netip.Addr, 0, len(found))
	for _, want6 := range []bool{true, false} {
		for _, addr := range found {
			addr = addr.Unmap()
			if addr.Is6() != want6 {
				continue
			}
			if err := d.policy.Check(addr); err != nil {
				if denied == nil {
					denied = err
				}
				continue
			}
			permitted = append(permitted, addr)
		}
	}
	switch {
	case len(permitted) > 0:
		return permitted, nil
	case denied != nil:
		return nil, denied
	default:
		return nil, fmt.Errorf("egress: look up %s: %w", host, ErrNoAddress)
	}
}

// DialAddr connects to one address that somebody looked up. It waits for a
// slot of the target, as long as ctx lasts; closing the connection gives the
// slot back.
func (d *Dialer) DialAddr(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if err := d.policy.CheckAddrPort(to); err != nil {
		return nil, err
	}
	connected, release, err := d.slots.acquire(ctx, to.Addr())
	if err != nil {
		return nil, fmt.Errorf("egress: wait to connect to %s: %w: %w", to, ErrBusy, err)
	}
	c, err := d.net.DialTCP(ctx, "tcp", netip.AddrPort{}, to)
	if err != nil {
		release()
		return nil, fmt.Errorf("egress: connect to %s: %w", to, err)
	}
	if err := connected(); err != nil {
		_ = c.Close() // it was never used
		release()
		return nil, fmt.Errorf("egress: wait to use the connection to %s: %w: %w", to, ErrBusy, err)
	}
	return &conn{TCPConn: c, release: release}, nil
}

// maxDialed is how many addresses of a host DialContext tries.
const maxDialed = 4

// DialContext fits http.Transport and the like. It looks the host up itself
// and tries IPv6 and IPv4 addresses in turn.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("egress: connect to %s: %w", address, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("egress: connect to %s: the port must be a number from 1 to 65535", address)
	}
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, fmt.Errorf("egress: connect to %s: network %s is not supported, use tcp", address, network)
	}
	addrs, err := d.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, addr := range alternate(addrs, network) {
		c, err := d.DialAddr(ctx, netip.AddrPortFrom(addr, uint16(port)))
		if err == nil {
			return c, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(failures) == 0 {
		return nil, fmt.Errorf("egress: connect to %s over %s: %w", address, network, ErrNoAddress)
	}
	return nil, errors.Join(failures...)
}

// alternate picks the addresses to try: the families take turns, so that a
// host with many addresses in a network that we cannot reach stays reachable.
func alternate(addrs []netip.Addr, network string) []netip.Addr {
	var six, four []netip.Addr
	for _, a := range addrs {
		switch {
		case a.Is6() && network != "tcp4":
			six = append(six, a)
		case a.Is4() && network != "tcp6":
			four = append(four, a)
		}
	}
	var picked []netip.Addr
	for i := 0; len(picked) < maxDialed && (i < len(six) || i < len(four)); i++ {
		if i < len(six) {
			picked = append(picked, six[i])
		}
		if i < len(four) && len(picked) < maxDialed {
			picked = append(picked, four[i])
		}
	}
	return picked
}

// control runs between making a socket and connecting it, with the address
// that the kernel will be given. It repeats the judgement, so that no caller
// and no future change above can connect to what was not judged (SV-1, DH-9).
func (d *Dialer) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("egress: refuse to connect to what is not an address: %w", err)
	}
	return d.policy.CheckAddrPort(to)
}

// conn gives its slot back when it is closed.
type conn struct {
	*net.TCPConn
	release func()
	closed  atomic.Bool
}

// Close closes the connection; closing again is harmless.
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	if !c.closed.Swap(true) {
		c.release()
	}
	return err
}
