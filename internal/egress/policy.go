package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ErrDenied is what errors.Is finds in every refusal of a policy.
var ErrDenied = errors.New("the address policy refuses it")

// DeniedError says which address was refused, and as what.
type DeniedError struct {
	// Target is the address, address and port, or name that was judged.
	Target string
	Class  Class
	// Range is the row of the list that matched; invalid when none did.
	Range netip.Prefix
	// Embedded is the IPv4 address inside Target that was refused, if any.
	Embedded netip.Addr
	// Openable says that naming a prefix in the allow list would help.
	Openable bool
}

// Error is for the operator. A client is told the class only.
func (e *DeniedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "egress: %s refused", e.Target)
	switch e.Class {
	case OwnListener:
		b.WriteString(": it is a listener of this server or of a service that it depends on")
	case OperatorDenied:
		b.WriteString(": validation.deny names it")
	case ReservedName:
		b.WriteString(": cloud control planes answer to this name")
	default:
		fmt.Fprintf(&b, ": %s address", e.Class)
	}
	if e.Embedded.IsValid() {
		fmt.Fprintf(&b, " %s inside", e.Embedded)
	}
	if e.Range.IsValid() {
		fmt.Fprintf(&b, " (%s)", e.Range)
	}
	if e.Openable {
		b.WriteString("; a prefix in validation.allow opens it")
	}
	return b.String()
}

// Is makes errors.Is(err, ErrDenied) true.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// PolicyConfig says how a policy differs from "public addresses only", which
// is what its zero value means.
type PolicyConfig struct {
	// Allow opens prefixes on top of the public ones (SV-5). Loopback opens
	// only by a prefix that lies within it. Link-local addresses, multicast
	// and the control planes of clouds stay closed whatever is written here
	// (SV-4).
	Allow []netip.Prefix
	// Deny closes prefixes; it wins over Allow.
	Deny []netip.Prefix
	// NAT64 names the translation prefixes of this network, besides those in
	// Allow. Addresses in them are judged by the IPv4 address that they embed.
	NAT64 []netip.Prefix
	// Own returns the addresses of our own listeners, the database and
	// whatever else must not be reached on behalf of a client, even inside an
	// allowed prefix (SV-6). An unspecified address stands for every address
	// of this machine. It is asked at each connection, so a port that is
	// chosen late counts; nil means none.
	Own func() []netip.AddrPort
}

// Policy judges addresses. It never changes, and many goroutines may ask it.
type Policy struct {
	ipv4, ipv6   []addressRange
	names        []string
	allow, deny  []netip.Prefix
	translations translations
	own          func() []netip.AddrPort
	// machine lists the addresses of the network interfaces.
	machine func() ([]net.Addr, error)
}

// NewPolicy checks cfg and returns the policy.
func NewPolicy(cfg PolicyConfig) (*Policy, error) {
	p := &Policy{
		ipv4: rangesOfIPv4(), ipv6: rangesOfIPv6(), names: deniedNames(),
		own: cfg.Own, machine: net.InterfaceAddrs,
	}
	if p.own == nil {
		p.own = func() []netip.AddrPort { return nil }
	}
	var nat64 []netip.Prefix
	for _, given := range cfg.NAT64 {
		prefix, err := plainPrefix("nat64", given)
		if err != nil {
			return nil, err
		}
		if err := checkNAT64(prefix); err != nil {
			return nil, err
		}
		nat64 = append(nat64, prefix)
	}
	none := newTranslations(nil)
	for _, given := range cfg.Allow {
		prefix, err := plainPrefix("allow", given)
		if err != nil {
			return nil, err
		}
		if none.isNAT64(prefix) {
			if err := checkNAT64(prefix); err != nil {
				return nil, err
			}
			nat64 = append(nat64, prefix)
			continue
		}
		p.allow = append(p.allow, prefix)
	}
	for _, given := range cfg.Deny {
		prefix, err := plainPrefix("deny", given)
		if err != nil {
			return nil, err
		}
		p.deny = append(p.deny, prefix)
	}
	p.translations = newTranslations(nat64)
	return p, nil
}

// plainPrefix refuses what probably means something else than it says, and
// turns an IPv4-mapped prefix into the IPv4 prefix that it is.
func plainPrefix(list string, p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, fmt.Errorf("egress: %s: an entry is not a prefix such as 10.0.0.0/8", list)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("egress: %s %s: it has bits behind /%d; write %s, or %s/%d for the one address",
			list, p, p.Bits(), p.Masked(), p.Addr(), p.Addr().BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}

// Check returns nil when a connection to addr is allowed, and a *DeniedError
// when it is not.
func (p *Policy) Check(addr netip.Addr) error {
	if denied := p.judge(addr); denied != nil {
		return denied
	}
	return nil
}

// CheckAddrPort is Check, and also keeps our own listeners unreachable.
func (p *Policy) CheckAddrPort(ap netip.AddrPort) error {
	if denied := p.judge(ap.Addr()); denied != nil {
		denied.Target = ap.String()
		return denied
	}
	for _, own := range p.own() {
		if own.Port() == ap.Port() && p.isOwn(own.Addr(), ap.Addr().Unmap()) {
			return &DeniedError{Target: ap.String(), Class: OwnListener}
		}
	}
	return nil
}

// isOwn reports whether a connection to addr can reach a listener on own.
func (p *Policy) isOwn(own, addr netip.Addr) bool {
	own = own.Unmap()
	if own == addr {
		return true
	}
	if !own.IsUnspecified() {
		return false
	}
	if addr.IsLoopback() {
		return true
	}
	// Addresses come and go, so they are not remembered; few dials get here.
	machine, err := p.machine()
	if err != nil {
		return true // not knowing is no reason to let it pass
	}
	return slices.ContainsFunc(machine, func(a net.Addr) bool {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		ip, ok := netip.AddrFromSlice(ipnet.IP)
		return ok && ip.Unmap() == addr
	})
}

// CheckName refuses the names of control planes. A name that passes still has
// to resolve to addresses that pass.
func (p *Policy) CheckName(host string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, denied := range p.names {
		if rest, ok := strings.CutSuffix(name, denied); ok && (rest == "" || strings.HasSuffix(rest, ".")) {
			return &DeniedError{Target: host, Class: ReservedName}
		}
	}
	return nil
}

func (p *Policy) judge(addr netip.Addr) *DeniedError {
	switch {
	case !addr.IsValid():
		return &DeniedError{Target: "(no address)", Class: Invalid}
	case addr.Zone() != "":
		return &DeniedError{Target: addr.String(), Class: Zoned}
	}
	addr = addr.Unmap()
	ranges := p.ipv4
	if addr.Is6() {
		// What is inside tells more than what is outside, so it goes first.
		if denied := p.judgeEmbedded(addr); denied != nil {
			return denied
		}
		ranges = p.ipv6
	}
	for _, r := range ranges {
		if !r.prefix.Contains(addr) {
			continue
		}
		if !p.opens(r, addr) {
			return &DeniedError{Target: addr.String(), Class: r.class, Range: r.prefix, Openable: r.opening != never}
		}
		if r.opening == byName {
			break // ::1 is open as loopback, so ::/96 does not close it again
		}
	}
	for _, d := range p.deny {
		if d.Contains(addr) {
			return &DeniedError{Target: addr.String(), Class: OperatorDenied, Range: d}
		}
	}
	return nil
}

// judgeEmbedded judges the IPv4 addresses that addr is a disguise of, and
// whether the disguise itself is in use here.
func (p *Policy) judgeEmbedded(addr netip.Addr) *DeniedError {
	var buf [2]netip.Addr
	embedded, by, closed := p.translations.unpack(addr, buf[:0])
	for _, v4 := range embedded {
		if denied := p.judge(v4); denied != nil {
			denied.Target, denied.Embedded = addr.String(), v4
			return denied
		}
	}
	if closed && !p.allowed(addr) {
		return &DeniedError{Target: addr.String(), Class: Translated, Range: by, Openable: true}
	}
	return nil
}

// opens reports whether the allow list opens r for addr.
func (p *Policy) opens(r addressRange, addr netip.Addr) bool {
	switch r.opening {
	case byAllow:
		return p.allowed(addr)
	case byName:
		return slices.ContainsFunc(p.allow, func(a netip.Prefix) bool {
			return a.Contains(addr) && within(a, r.prefix)
		})
	default:
		return false
	}
}

func (p *Policy) allowed(addr netip.Addr) bool {
	return slices.ContainsFunc(p.allow, func(a netip.Prefix) bool { return a.Contains(addr) })
}

// Warnings are sentences about the configuration that the operator ought to
// see at start, in health and in doctor for as long as they are true (SV-4).
func (p *Policy) Warnings() []string {
	var warnings []string
	for _, a := range p.allow {
		ranges := p.ipv4
		if a.Addr().Is6() {
			ranges = p.ipv6
		}
		for _, r := range ranges {
			switch {
			case within(a, r.prefix) && r.opening == byName:
				warnings = append(warnings, fmt.Sprintf("validation.allow %s opens loopback: whoever may order certificates can make this server call services that listen only on this machine; keep it for trials", a))
			case within(a, r.prefix) && r.opening == never:
				warnings = append(warnings, fmt.Sprintf("validation.allow %s has no effect: %s addresses (%s) are never opened", a, r.class, r.prefix))
			default:
				continue
			}
			break
		}
		if n := covered(a, ranges); n > 0 {
			warnings = append(warnings, fmt.Sprintf("validation.allow %s opens %d special ranges at once; name the prefixes that are needed instead", a, n))
		}
	}
	return warnings
}

// covered counts the ranges that lie within a and that a opens as a side effect.
func covered(a netip.Prefix, ranges []addressRange) int {
	n := 0
	for _, r := range ranges {
		if a.Bits() < r.prefix.Bits() && within(r.prefix, a) && r.opening == byAllow {
			n++
		}
		if within(a, r.prefix) {
			return 0 // a part of a known range is as narrow as it gets
		}
	}
	return n
}
