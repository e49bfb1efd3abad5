package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// What a look-up can end in, other than addresses. The first two are answers;
// the others are not, and nobody may take them for "there is no such record"
// (SD-4).
var (
	ErrNoSuchName   = errors.New("the name does not exist")
	ErrNoAddress    = errors.New("the name has no address")
	ErrBadAlias     = errors.New("the aliases of the name go in a circle or on for too long")
	ErrServerFailed = errors.New("the DNS server could not answer")
	ErrNoAnswer     = errors.New("no DNS server answered")
)

// Limits of one look-up (SD-3).
const (
	maxAliases = 10
	maxQueries = 20
	lookupTime = 15 * time.Second
)

// ResolverConfig says whom to ask.
type ResolverConfig struct {
	// Servers are the DNS servers, as address:port; the port may be left out.
	// Empty means the servers that /etc/resolv.conf names.
	Servers []string
	// Timeout bounds one question to one server; 0 means 3 s. It is asked
	// again until the whole look-up has taken 15 s.
	Timeout time.Duration
}

// Resolver asks DNS servers for addresses. There is no search list, no hosts
// file and no cache: a challenge is judged by what the DNS says now (SD-6).
// It is safe for use by many goroutines.
type Resolver struct {
	servers []netip.AddrPort
	timeout time.Duration
}

// NewResolver checks cfg and returns the resolver.
func NewResolver(cfg ResolverConfig) (*Resolver, error) {
	if cfg.Timeout < 0 {
		return nil, errors.New("egress: the time-out of a resolver cannot be negative")
	}
	r := &Resolver{timeout: orDefault(cfg.Timeout, 3*time.Second)}
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
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	// Both at once: a host has addresses of either family or of both, and the
	// slower answer decides how long it takes.
	chases := []*chase{newChase(name, dns.TypeAAAA), newChase(name, dns.TypeA)}
	r.follow(ctx, chases)

	found := append(chases[0].addrs, chases[1].addrs...)
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

// follow asks until every chase has ended.
func (r *Resolver) follow(ctx context.Context, chases []*chase) {
	asked := 0
	for {
		var open []*question
		for _, c := range chases {
			if !c.done {
				c.question = question{name: c.name, qtype: c.qtype}
				open = append(open, &c.question)
			}
		}
		if len(open) == 0 {
			return
		}
		r.ask(ctx, open, &asked)
		for _, c := range chases {
			if !c.done {
				c.take()
			}
		}
	}
}

// chase follows the aliases of one name for one type of record.
type chase struct {
	question question
	qtype    uint16
	name     string   // where the chain has led to
	seen     []string // the names before it
	addrs    []netip.Addr
	done     bool
	err      error
}

func newChase(name string, qtype uint16) *chase { return &chase{name: name, qtype: qtype} }

// take reads the reply to the latest question: it ends the chase, or moves it
// to the name that has to be asked about next.
func (c *chase) take() {
	if c.question.err != nil {
		c.end(c.question.err)
		return
	}
	reply := c.question.reply
	asked := c.name
	for moved := true; moved; {
		moved = false
		for _, rr := range reply.Answer {
			alias, ok := rr.(*dns.CNAME)
			if !ok || dns.CanonicalName(alias.Hdr.Name) != c.name {
				continue
			}
			c.seen = append(c.seen, c.name)
			c.name = dns.CanonicalName(alias.Target)
			if len(c.seen) > maxAliases || slices.Contains(c.seen, c.name) {
				c.end(ErrBadAlias)
				return
			}
			moved = true
			break
		}
	}
	// Only records of the name at the end of the chain count; whatever else a
	// server adds was not asked for.
	for _, rr := range reply.Answer {
		if dns.CanonicalName(rr.Header().Name) != c.name {
			continue
		}
		if addr, ok := addressOf(rr, c.qtype); ok && len(c.addrs) < maxAddrs {
			c.addrs = append(c.addrs, addr)
		}
	}
	switch {
	case len(c.addrs) > 0:
		c.end(nil)
	case reply.Rcode == dns.RcodeNameError:
		c.end(ErrNoSuchName)
	case c.name == asked:
		c.end(nil)
	}
	// Otherwise the server gave an alias only, and its target is next.
}

func (c *chase) end(err error) { c.done, c.err = true, err }

// maxAddrs is how many addresses of one family are of any use.
const maxAddrs = 16

func addressOf(rr dns.RR, qtype uint16) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		if addr, ok := netip.AddrFromSlice(rr.A); ok && qtype == dns.TypeA {
			return addr.Unmap(), true
		}
	case *dns.AAAA:
		// An IPv4-mapped AAAA stays what it is; the policy unmaps it.
		if addr, ok := netip.AddrFromSlice(rr.AAAA); ok && qtype == dns.TypeAAAA {
			return addr, true
		}
	}
	return netip.Addr{}, false
}
