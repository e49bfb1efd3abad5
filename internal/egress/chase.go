package egress

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxAliases is how many aliases are followed from one name (SD-3).
const maxAliases = 10

// lookup asks until every chase has ended, or until enough says that what is
// known will do. The chases are asked about together, so that their answers
// take no longer than the slowest of them; what is left of the limits goes to
// the first of them first.
func (r *Resolver) lookup(ctx context.Context, chases []*chase, enough func() bool) {
	use := lookupsOf(ctx)
	ctx, done := use.begin(ctx)
	defer done()
	settled := func() bool {
		for _, c := range chases {
			if !c.done && !c.taken && (c.question.reply != nil || c.question.err != nil) {
				c.take(r.dnssec)
			}
		}
		return enough != nil && enough()
	}
	for {
		var open []*question
		for _, c := range chases {
			if !c.done {
				c.taken = false
				c.question = question{name: c.name, qtype: c.qtype}
				open = append(open, &c.question)
			}
		}
		if len(open) == 0 {
			break
		}
		r.ask(ctx, open, use, func() bool {
			// An error may still be mended by another try; a reply is final.
			for _, c := range chases {
				if !c.done && !c.taken && c.question.reply != nil {
					c.take(r.dnssec)
				}
			}
			return enough != nil && enough()
		})
		if settled() {
			break
		}
	}
	for _, c := range chases {
		if c.done {
			use.note(c)
		}
	}
}

// chase follows the aliases of one name for one type of record.
type chase struct {
	question question
	taken    bool // the reply to question has been read
	first    string
	qtype    uint16
	name     string        // where the chain has led to
	seen     []string      // the names before it
	records  []dns.RR      // of the wanted type, at the end of the chain
	ad       bool          // every reply so far was authenticated
	ttl      time.Duration // the shortest so far; negative: none
	done     bool
	err      error
}

func newChase(name string, qtype uint16) *chase {
	return &chase{first: name, name: name, qtype: qtype, ad: true, ttl: -1}
}

// take reads the reply to the latest question: it ends the chase, or moves it
// to the name that has to be asked about next.
func (c *chase) take(mode DNSSEC) {
	c.taken = true
	if c.question.err != nil {
		c.end(c.question.err)
		return
	}
	reply := c.question.reply
	c.ad = c.ad && reply.AuthenticatedData && mode != DNSSECIgnore
	if mode == DNSSECRequire && !c.ad {
		c.end(ErrNotAuthenticated)
		return
	}
	asked := c.name
	for {
		next, ttl, ok := aliasOf(reply.Answer, c.name)
		if !ok {
			break
		}
		c.seen = append(c.seen, c.name)
		c.lower(ttl)
		if _, valid := dns.IsDomainName(next); !valid || len(c.seen) > maxAliases || slices.Contains(c.seen, next) {
			c.end(ErrBadAlias)
			return
		}
		c.name = next
	}
	// Only records of the name at the end of the chain count; whatever else a
	// server adds was not asked for.
	for _, rr := range reply.Answer {
		h := rr.Header()
		if h.Rrtype == c.qtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == c.name {
			c.records = append(c.records, rr)
			c.lower(h.Ttl)
		}
	}
	switch {
	case len(c.records) > 0 && reply.Rcode == dns.RcodeNameError:
		c.records = nil
		c.end(contradiction)
	case len(c.records) > 0:
		c.end(nil)
	case reply.Rcode == dns.RcodeNameError:
		c.end(ErrNoSuchName)
	case c.name == asked && isReferral(reply):
		c.end(referral)
	case c.name == asked:
		c.end(nil)
	}
	// Otherwise the server gave an alias only, and its target is next.
}

func (c *chase) end(err error) {
	c.done, c.err = true, err
	c.ad = c.ad && c.question.reply != nil
}

func (c *chase) lower(ttl uint32) {
	if d := time.Duration(ttl) * time.Second; c.ttl < 0 || d < c.ttl {
		c.ttl = d
	}
}

// aliases are the names that the chase went to, in order.
func (c *chase) aliases() []string {
	if len(c.seen) == 0 {
		return nil
	}
	went := append(slices.Clone(c.seen[1:]), c.name)
	if c.name == c.seen[len(c.seen)-1] {
		went = went[:len(went)-1] // where it would have gone on to was refused
	}
	for i := range went {
		went[i] = strings.TrimSuffix(went[i], ".")
	}
	return went
}

// aliasOf returns where name leads to by a CNAME, or by the DNAME of a domain
// above it. A server that has a DNAME adds the CNAME that follows from it, but
// it may have been left out on the way (RFC 6672, 3.1).
func aliasOf(answer []dns.RR, name string) (target string, ttl uint32, ok bool) {
	for _, rr := range answer {
		if alias, is := rr.(*dns.CNAME); is && alias.Hdr.Class == dns.ClassINET && dns.CanonicalName(alias.Hdr.Name) == name {
			return dns.CanonicalName(alias.Target), alias.Hdr.Ttl, true
		}
	}
	for _, rr := range answer {
		alias, is := rr.(*dns.DNAME)
		if !is || alias.Hdr.Class != dns.ClassINET {
			continue
		}
		owner := dns.CanonicalName(alias.Hdr.Name)
		if owner == "." || owner == name || !dns.IsSubDomain(owner, name) {
			continue
		}
		return strings.TrimSuffix(name, owner) + strings.TrimPrefix(dns.CanonicalName(alias.Target), "."), alias.Hdr.Ttl, true
	}
	return "", 0, false
}

// isReferral recognises the answer of a server that knows who might know. It
// is not a resolver, and what it did not say is no "no record" (SD-4).
func isReferral(reply *dns.Msg) bool {
	if reply.Authoritative || reply.RecursionAvailable || len(reply.Answer) > 0 {
		return false
	}
	isNS := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS }
	isSOA := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
	return slices.ContainsFunc(reply.Ns, isNS) && !slices.ContainsFunc(reply.Ns, isSOA)
}
