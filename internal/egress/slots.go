package egress

import (
	"context"
	"net/netip"
	"sync"
)

// slots bounds how many connections are open at a time, in total and to one
// neighbourhood, so that nobody can use this server to flood a target (SV-11).
// Those that are still being made have a total of their own, and a wider one:
// a host that does not answer costs us a few packets, and hundreds of them must
// not keep one that does waiting.
type slots struct {
	making    chan struct{}
	total     chan struct{}
	perTarget int

	mu      sync.Mutex
	targets map[netip.Prefix]*target
}

// target is one neighbourhood that somebody is connected to or waiting for.
type target struct {
	taken chan struct{}
	users int // guarded by slots.mu; the last one removes the target
}

// makingPerOpen is how many connections may be in the making for each that may
// be open.
const makingPerOpen = 4

func newSlots(total, perTarget int) *slots {
	return &slots{
		making:    make(chan struct{}, total*makingPerOpen),
		total:     make(chan struct{}, total),
		perTarget: perTarget,
		targets:   make(map[netip.Prefix]*target),
	}
}

// neighbourhood is the /24 or /64 that addr lives in.
func neighbourhood(addr netip.Addr) netip.Prefix {
	bits := 24
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	return p
}

// acquire waits until a connection to addr may be made, as long as ctx lasts.
// The caller says what became of it: connected waits until it may also be
// used, and release ends it. After connected has failed, or never was called,
// release is due all the same, once.
func (s *slots) acquire(ctx context.Context, addr netip.Addr) (connected func() error, release func(), err error) {
	key := neighbourhood(addr)
	t := s.enter(key)
	// The target first: those who wait for a busy target must not hold what
	// everybody else needs.
	select {
	case t.taken <- struct{}{}:
	case <-ctx.Done():
		s.leave(key, t)
		return nil, nil, ctx.Err()
	}
	select {
	case s.making <- struct{}{}:
	case <-ctx.Done():
		<-t.taken
		s.leave(key, t)
		return nil, nil, ctx.Err()
	}
	held := s.making
	connected = func() error {
		select {
		case s.total <- struct{}{}:
			<-s.making
			held = s.total
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return connected, func() {
		<-held
		<-t.taken
		s.leave(key, t)
	}, nil
}

func (s *slots) enter(key netip.Prefix) *target {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.targets[key]
	if t == nil {
		t = &target{taken: make(chan struct{}, s.perTarget)}
		s.targets[key] = t
	}
	t.users++
	return t
}

func (s *slots) leave(key netip.Prefix, t *target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(s.targets, key)
	}
}
