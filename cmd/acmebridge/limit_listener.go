package main

import (
	"net"
	"net/netip"
	"sync"
)

// limitListener bounds the open connections, in all and of one address (SL-5).
// One too many is closed at once rather than left waiting: a queue that an
// attacker fills would keep everybody else out. A connection frees its slot
// when it is closed, by whatever side or time-out (SL-44).
type limitListener struct {
	net.Listener
	total, perAddress int

	mu      sync.Mutex
	open    int                  // guarded by mu, like all below
	of      map[netip.Prefix]int // never holds a zero
	refused int64
}

// newLimitListener wraps l. A bound of 0 is none.
func newLimitListener(l net.Listener, total, perAddress int) *limitListener {
	return &limitListener{Listener: l, total: total, perAddress: perAddress, of: map[netip.Prefix]int{}}
}

// Accept returns the next connection that is within the bounds.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := sourceOf(c)
		if l.take(address) {
			return &limitedConn{Conn: c, release: func() { l.release(address) }}, nil
		}
		_ = c.Close()
	}
}

func (l *limitListener) take(address netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total > 0 && l.open >= l.total || l.perAddress > 0 && l.of[address] >= l.perAddress {
		l.refused++
		return false
	}
	l.open++
	l.of[address]++
	return true
}

func (l *limitListener) release(address netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.of[address]--; l.of[address] == 0 {
		delete(l.of, address)
	}
}

// counts returns how many connections are open and how many were refused.
func (l *limitListener) counts() (open int, refused int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.refused
}

// sourceOf is what counts as one address: a /64 is one customer's (SL-40).
func sourceOf(c net.Conn) netip.Prefix {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // an address of a connection is valid
	return p
}

type limitedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}
