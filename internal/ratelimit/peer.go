package ratelimit

import "net/netip"

// Peer returns what the address of a connection counts as: itself, or its /64,
// which one customer has. ok is false for what is no address and port.
func Peer(remote string) (peer netip.Prefix, ok bool) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}, false
	}
	addr := ap.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	peer, err = addr.Prefix(bits)
	return peer, err == nil
}
