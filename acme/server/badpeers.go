package server

import (
	"net/netip"
	"sync"
	"time"
)

// badPeers counts requests with a bad signature by address (SL-11), an IPv6
// address by its /64. Counts live for a minute and the table is bounded: when
// it is full, further addresses are not counted, which costs no more than the
// signature checks that SL-12 bounds anyway.
type badPeers struct {
	limit int
	now   func() time.Time

	mu     sync.Mutex
	since  time.Time
	counts map[netip.Prefix]int
}

const (
	badPeerWindow = time.Minute
	maxBadPeers   = 1 << 16
)

func newBadPeers(limit int, now func() time.Time) *badPeers {
	return &badPeers{limit: limit, now: now, counts: map[netip.Prefix]int{}}
}

// banned returns for how long requests of that address are refused.
func (b *badPeers) banned(remote string) time.Duration {
	peer, ok := peerOf(remote)
	if b.limit < 0 || !ok {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	if b.counts[peer] < b.limit {
		return 0
	}
	return max(badPeerWindow-b.now().Sub(b.since), time.Second)
}

func (b *badPeers) count(remote string) {
	peer, ok := peerOf(remote)
	if b.limit < 0 || !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	if _, known := b.counts[peer]; known || len(b.counts) < maxBadPeers {
		b.counts[peer]++
	}
}

// turn begins a new window when the old one is over. b.mu is held.
func (b *badPeers) turn() {
	if now := b.now(); now.Sub(b.since) >= badPeerWindow {
		b.since = now
		clear(b.counts)
	}
}

func peerOf(remote string) (netip.Prefix, bool) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}, false
	}
	addr := ap.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	return p, err == nil
}
