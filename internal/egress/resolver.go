package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// What a look-up can end in, other than records. The first three are answers;
// the others are not, and nobody may take them for "there is no such record"
// (SD-4).
var (
	ErrNoSuchName       = errors.New("the name does not exist")
	ErrNoAddress        = errors.New("the name has no address")
	ErrNoRecord         = errors.New("the name has no such record")
	ErrBadAlias         = errors.New("the aliases of the name go in a circle or on for too long")
	ErrServerFailed     = errors.New("the DNS server could not answer")
	ErrNoAnswer         = errors.New("no DNS server answered")
	ErrNotAuthenticated = errors.New("the answer is not authenticated by DNSSEC")
	ErrLimit            = errors.New("the answer takes more than one validation may use")
)

// DNSSEC says what is made of the AD bit, by which a resolver says that it has
// checked the signatures of an answer. It is worth as much as the resolver and
// the way to it (DV-1). An answer with wrong signatures never arrives: such a
// resolver reports a failure instead.
type DNSSEC string

// What can be made of it (SD-5). Empty means record.
const (
	DNSSECIgnore  DNSSEC = "ignore"
	DNSSECRecord  DNSSEC = "record"
	DNSSECRequire DNSSEC = "require"
)

// ResolverConfig says whom to ask, and how.
type ResolverConfig struct {
	// Servers are the DNS servers, as address:port; the port may be left out.
	// Empty means the servers that /etc/resolv.conf names.
	Servers []string
	// Timeout bounds one question to one server; 0 means 3 s. It is asked
	// again until the limits of SD-3 are reached.
	Timeout time.Duration
	// TCPFirst asks over TCP, and over UDP only when no connection comes about
	// (SD-1). Otherwise it is the other way round.
	TCPFirst bool
	// EDNSSize is the size of UDP answers that is asked for; 0 means 1232,
	// which passes without fragments nearly everywhere.
	EDNSSize uint16
	// KeepCase asks with names in lower case. Otherwise the case of their
	// letters is random, and a UDP answer that does not echo it is asked for
	// again over TCP: more for a forger to guess (SD-2, DV-3).
	KeepCase bool
	// DNSSEC says what is made of the AD bit; empty means record.
	DNSSEC DNSSEC
}

// Resolver asks DNS servers. There is no search list, no hosts file and no
// cache: a challenge is judged by what the DNS says now (SD-6). It is safe for
// use by many goroutines.
type Resolver struct {
	servers  []netip.AddrPort
	timeout  time.Duration
	tcpFirst bool
	keepCase bool
	edns     uint16
	dnssec   DNSSEC
}

// NewResolver checks cfg and returns the resolver.
func NewResolver(cfg ResolverConfig) (*Resolver, error) {
	r := &Resolver{
		timeout: orDefault(cfg.Timeout, 3*time.Second), tcpFirst: cfg.TCPFirst,
		keepCase: cfg.KeepCase, edns: cfg.EDNSSize, dnssec: cfg.DNSSEC,
	}
	if r.edns == 0 {
		r.edns = 1232
	}
	if r.dnssec == "" {
		r.dnssec = DNSSECRecord
	}
	switch {
	case cfg.Timeout < 0:
		return nil, errors.New("egress: the time-out of a resolver cannot be negative")
	case r.edns < dns.MinMsgSize || r.edns > maxUDP:
		return nil, fmt.Errorf("egress: the EDNS size of a resolver is %d; use %d to %d", r.edns, dns.MinMsgSize, maxUDP)
	case r.dnssec != DNSSECIgnore && r.dnssec != DNSSECRecord && r.dnssec != DNSSECRequire:
		return nil, fmt.Errorf("egress: DNSSEC of a resolver is %q; use %s, %s or %s", r.dnssec, DNSSECIgnore, DNSSECRecord, DNSSECRequire)
	}
	for _, s := range cfg.Servers {
		server, err := parseServer(s)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, server)
	}
	if len(r.servers) == 0 {
		r.servers = systemServers("/etc/resolv.conf")
	}
	return r, nil
}

func parseServer(s string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	server, err := netip.ParseAddrPort(s)
	if err != nil || server.Port() == 0 {
		return server, fmt.Errorf("egress: resolver %q: write an address and a port, such as 192.0.2.53:53", s)
	}
	return server, nil
}

// systemServers reads the servers that a file in the form of resolv.conf(5)
// names. As that page says, without any it is the server on this machine.
func systemServers(file string) []netip.AddrPort {
	var servers []netip.AddrPort
	if conf, err := dns.ClientConfigFromFile(file); err == nil {
		for _, s := range conf.Servers {
			if addr, err := netip.ParseAddr(s); err == nil {
				servers = append(servers, netip.AddrPortFrom(addr, 53))
			}
		}
	}
	if len(servers) == 0 {
		servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return servers
}

// LookupAddrs returns the addresses of host, those of IPv6 first. An error
// means that there is none, or that nobody could say; errors.Is tells which.
func (r *Resolver) LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error) {
	name := dns.CanonicalName(host)
	if name == "localhost." || strings.HasSuffix(name, ".localhost.") {
		// RFC 6761, 6.3: never asked about, so that nobody else can say where
		// it is.
		return []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	if _, ok := dns.IsDomainName(host); !ok || name == "." {
		return nil, fmt.Errorf("egress: look up %q: %w: it is not a domain name", host, ErrNoSuchName)
	}
	// Both at once: a host has addresses of either family or of both, and the
	// slower answer decides how long it takes.
	chases := []*chase{newChase(name, dns.TypeAAAA), newChase(name, dns.TypeA)}
	r.lookup(ctx, chases, nil)

	var found []netip.Addr
	for _, c := range chases {
		for _, rr := range c.records[:min(len(c.records), maxAddrs)] {
			if addr, ok := addressOf(rr); ok {
				found = append(found, addr)
			}
		}
	}
	if len(found) > 0 {
		// One family is enough to go on (R8555-8.3-2).
		return found, nil
	}
	for _, c := range chases {
		// A failure outranks an empty answer of the other family (SD-4).
		if c.err != nil && !errors.Is(c.err, ErrNoSuchName) {
			return nil, fmt.Errorf("egress: look up %s: %w", host, c.err)
		}
	}
	for _, c := range chases {
		if c.err != nil {
			return nil, fmt.Errorf("egress: look up %s: %w", host, c.err)
		}
	}
	return nil, fmt.Errorf("egress: look up %s: %w", host, ErrNoAddress)
}

// maxAddrs is how many addresses of one family are of any use.
const maxAddrs = 16

func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok := netip.AddrFromSlice(rr.A)
		return addr.Unmap(), ok
	case *dns.AAAA:
		// An IPv4-mapped AAAA stays what it is; the policy unmaps it.
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}
