package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// Some IPv6 addresses are IPv4 addresses in disguise: a gateway on the way
// unpacks them. The library calls them plain global unicast, so a policy that
// only looked at the outside would let 169.254.169.254 pass as
// 64:ff9b::a9fe:a9fe (SV-2).

// nat64Lengths are the lengths that a NAT64 prefix can have (RFC 6052, 2.2).
func nat64Lengths() []int { return []int{32, 40, 48, 56, 64, 96} }

// translations knows the ranges whose addresses embed others.
type translations struct {
	wellKnown netip.Prefix   // 64:ff9b::/96
	localUse  netip.Prefix   // 64:ff9b:1::/48, RFC 8215: the layout is the operator's
	sixToFour netip.Prefix   // RFC 3056
	teredo    netip.Prefix   // RFC 4380
	nat64     []netip.Prefix // what the operator says is in use
}

func newTranslations(nat64 []netip.Prefix) translations {
	return translations{
		wellKnown: prefix("64:ff9b::/96"),
		localUse:  prefix("64:ff9b:1::/48"),
		sixToFour: prefix("2002::/16"),
		teredo:    prefix("2001::/32"),
		nat64:     nat64,
	}
}

// isNAT64 reports whether p lies in the space that only NAT64 uses.
func (t translations) isNAT64(p netip.Prefix) bool {
	return within(p, t.wellKnown) || within(p, t.localUse)
}

// unpack returns the IPv4 addresses that addr embeds, the range that says so,
// and whether the range needs opening beyond what the address list says.
func (t translations) unpack(addr netip.Addr, into []netip.Addr) (embedded []netip.Addr, by netip.Prefix, closed bool) {
	b := addr.As16()
	for _, p := range t.nat64 {
		if p.Contains(addr) {
			return append(into, nat64Embedded(b, p.Bits())), p, false
		}
	}
	switch {
	case t.wellKnown.Contains(addr):
		return append(into, nat64Embedded(b, 96)), t.wellKnown, true
	case t.localUse.Contains(addr):
		// Without the operator's prefix nobody knows where the IPv4 address is.
		return into, t.localUse, true
	case t.sixToFour.Contains(addr):
		return append(into, netip.AddrFrom4([4]byte(b[2:6]))), t.sixToFour, true
	case t.teredo.Contains(addr):
		// The server, and the client with every bit turned over.
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return append(into, netip.AddrFrom4([4]byte(b[4:8])), netip.AddrFrom4(client)), t.teredo, true
	}
	return into, netip.Prefix{}, false
}

// nat64Embedded reads the IPv4 address behind a NAT64 prefix of the given
// length. Octet 8 is never part of it (RFC 6052, 2.2).
func nat64Embedded(b [16]byte, bits int) netip.Addr {
	var v4 [4]byte
	at := bits / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = b[at]
		at++
	}
	return netip.AddrFrom4(v4)
}

// checkNAT64 says what is wrong with a NAT64 prefix.
func checkNAT64(p netip.Prefix) error {
	if !p.Addr().Is6() || !slices.Contains(nat64Lengths(), p.Bits()) {
		return fmt.Errorf("egress: NAT64 prefix %s: use an IPv6 prefix of length 32, 40, 48, 56, 64 or 96 (RFC 6052)", p)
	}
	return nil
}

// within reports whether every address of inner is in outer.
func within(inner, outer netip.Prefix) bool {
	return inner.Bits() >= outer.Bits() && outer.Contains(inner.Addr())
}
