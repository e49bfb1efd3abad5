package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// DynamicUpdate answers dns-01 by updates of a name server (RFC 2136), signed
// with a shared key (TSIG, RFC 8945), over TCP.
type DynamicUpdate struct {
	// Server is host:port of the primary name server of the zone.
	Server string
	// Zone is the zone of all names; empty has the server asked which it is.
	Zone string
	// KeyName and Secret are the key, in base64 as configuration files of name
	// servers have it, and Algorithm is hmac-sha256 when empty.
	KeyName, Algorithm string
	Secret             func() (string, error)
	// TTL of the records; a minute when zero.
	TTL time.Duration
	// Dial makes the connections. Required.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Type implements Solver.
func (DynamicUpdate) Type() string { return "dns-01" }

// Present implements Solver. Adding what is there is no change (RFC 2136, 3.4.2.2).
func (d DynamicUpdate) Present(ctx context.Context, p Proof) error {
	return d.update(ctx, p, (*dns.Msg).Insert)
}

// CleanUp implements Solver. It removes the one value.
func (d DynamicUpdate) CleanUp(ctx context.Context, p Proof) error {
	return d.update(ctx, p, (*dns.Msg).Remove)
}

// Check implements backends.Checker: the server knows the zone, and answers to
// the key.
func (d DynamicUpdate) Check(ctx context.Context) error {
	zone := d.Zone
	if zone == "" {
		zone = "."
	}
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(zone), dns.TypeSOA)
	reply, err := d.exchange(ctx, query)
	if err != nil || d.Zone == "" { // a server of other zones may refuse to speak of the root, in a signed reply
		return err
	}
	if !slices.ContainsFunc(reply.Answer, func(rr dns.RR) bool {
		_, ok := rr.(*dns.SOA)
		return ok && strings.EqualFold(rr.Header().Name, dns.Fqdn(zone))
	}) {
		return fmt.Errorf("%s does not have the zone %s, it says %s", d.Server, d.Zone, dns.RcodeToString[reply.Rcode])
	}
	return nil
}

func (d DynamicUpdate) update(ctx context.Context, p Proof, change func(*dns.Msg, []dns.RR)) error {
	zone := dns.Fqdn(d.Zone)
	if d.Zone == "" {
		var err error
		if zone, err = d.zoneOf(ctx, p.Record); err != nil {
			return err
		}
	}
	if !dns.IsSubDomain(zone, p.Record) {
		return fmt.Errorf("%s is not in the zone %s", p.Record, zone)
	}
	ttl := d.TTL
	if ttl == 0 {
		ttl = time.Minute
	}
	m := new(dns.Msg)
	m.SetUpdate(zone)
	change(m, []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: p.Record, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(ttl.Seconds())},
		Txt: []string{p.Value},
	}})
	reply, err := d.exchange(ctx, m)
	if err != nil {
		return fmt.Errorf("update %s at %s: %w", p.Record, d.Server, err)
	}
	if reply.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("update %s at %s: the server says %s", p.Record, d.Server, dns.RcodeToString[reply.Rcode])
	}
	return nil
}

// zoneOf asks for the zone that a name is in, from the name upwards.
func (d DynamicUpdate) zoneOf(ctx context.Context, name string) (string, error) {
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		query := new(dns.Msg)
		query.SetQuestion(name[at:], dns.TypeSOA)
		reply, err := d.exchange(ctx, query)
		if err != nil {
			return "", fmt.Errorf("ask %s for the zone of %s: %w", d.Server, name, err)
		}
		for _, rr := range append(reply.Answer, reply.Ns...) {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) {
				return soa.Hdr.Name, nil
			}
		}
	}
	return "", fmt.Errorf("%s has no zone for %s", d.Server, name)
}

// exchange sends one signed message and wants a signed reply.
func (d DynamicUpdate) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	conn, err := d.Dial(ctx, "tcp", d.Server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // everything has been said
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	if d.KeyName != "" {
		secret, err := d.Secret()
		if err != nil {
			return nil, err
		}
		name := dns.Fqdn(strings.ToLower(d.KeyName))
		algorithm := d.Algorithm
		if algorithm == "" {
			algorithm = "hmac-sha256"
		}
		c.TsigSecret = map[string]string{name: strings.TrimSpace(secret)}
		m.SetTsig(name, dns.Fqdn(strings.ToLower(algorithm)), 300, time.Now().Unix())
	}
	reply, _, err := c.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn})
	if err == nil && d.KeyName != "" && reply.IsTsig() == nil {
		err = errors.New("the reply is not signed")
	}
	return reply, err
}
