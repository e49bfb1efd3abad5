package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ednsSize is the size of UDP answers that we ask for: what passes without
// fragments nearly everywhere.
const ednsSize = 1232

// question is one question and what came of it: a reply that says something
// (success, or no such name), or an error.
type question struct {
	id    uint16
	name  string
	qtype uint16
	reply *dns.Msg
	err   error
}

// minTries is how often a question is asked at least, so that one lost packet
// does not cost an order its validation.
const minTries = 2

// ask puts the questions to the servers in turn, until each is answered or
// the tries are used up. Afterwards every question has a reply or an error.
func (r *Resolver) ask(ctx context.Context, questions []*question, asked *int) {
	tries := max(minTries, len(r.servers))
	open := questions
	for try := range tries {
		if *asked+len(open) > maxQueries {
			break
		}
		*asked += len(open)
		r.exchange(ctx, r.servers[try%len(r.servers)], open)
		var left []*question
		for _, q := range open {
			if q.reply == nil {
				left = append(left, q)
			}
		}
		if open = left; len(open) == 0 || ctx.Err() != nil {
			break
		}
	}
	for _, q := range open {
		if q.err == nil {
			q.err = fmt.Errorf("%w: it takes more than %d queries", ErrNoAnswer, maxQueries)
		}
	}
}

// exchange asks one server all the questions over one UDP socket. The socket
// is new each time: its port is half of what a forger has to guess (SD-2).
func (r *Resolver) exchange(ctx context.Context, server netip.AddrPort, open []*question) {
	fail := func(err error) {
		for _, q := range open {
			if q.reply == nil && q.err == nil {
				q.err = fmt.Errorf("%w: %w", ErrNoAnswer, err)
			}
		}
	}
	for _, q := range open {
		q.err = nil
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		fail(err)
		return
	}
	defer c.Close()
	defer r.bound(ctx, c)()

	buf := make([]byte, 4096)
	for _, q := range open {
		packed, err := q.pack(buf)
		if err == nil {
			_, err = c.Write(packed)
		}
		if err != nil {
			fail(err)
			return
		}
	}
	for waiting := len(open); waiting > 0; {
		n, err := c.Read(buf)
		if err != nil {
			fail(err)
			return
		}
		q, reply := match(buf[:n], open)
		if q == nil {
			continue // not an answer to us; the true one may still come
		}
		waiting--
		if reply.Truncated {
			q.err = nil
			reply, err = r.exchangeTCP(ctx, server, q)
			if err != nil {
				q.err = fmt.Errorf("%w: over TCP: %w", ErrNoAnswer, err)
				continue
			}
		}
		q.settle(reply)
	}
}

// exchangeTCP asks again where there is room for the whole answer.
func (r *Resolver) exchangeTCP(ctx context.Context, server netip.AddrPort, q *question) (*dns.Msg, error) {
	dialer := net.Dialer{Timeout: r.timeout, KeepAlive: -1}
	tcp, err := dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	defer tcp.Close()
	defer r.bound(ctx, tcp)()

	packed, err := q.pack(nil)
	if err != nil {
		return nil, err
	}
	c := &dns.Conn{Conn: tcp}
	if _, err := c.Write(packed); err != nil {
		return nil, err
	}
	raw, err := c.ReadMsgHeader(nil)
	if err != nil {
		return nil, err
	}
	answered, reply := match(raw, []*question{q})
	switch {
	case answered == nil:
		return nil, errors.New("the answer is not to the question")
	case reply.Truncated:
		return nil, errors.New("the answer is cut short")
	}
	return reply, nil
}

// bound ends what c is doing when ctx ends or the time for one try is over.
func (r *Resolver) bound(ctx context.Context, c net.Conn) (stop func() bool) {
	deadline := time.Now().Add(r.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	// It fails on a closed connection only, and then there is nothing to bound.
	_ = c.SetDeadline(deadline)
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

// pack writes the question in wire form, under a new random id.
func (q *question) pack(buf []byte) ([]byte, error) {
	var m dns.Msg
	m.SetQuestion(q.name, q.qtype)
	m.SetEdns0(ednsSize, false)
	q.id = m.Id
	packed, err := m.PackBuffer(buf)
	if err != nil {
		return nil, fmt.Errorf("pack the question: %w", err)
	}
	return packed, nil
}

// match finds the open question that raw answers: id, name, type and class
// have to be the same (SD-2). The id is compared before anything is parsed,
// so that guessing costs us little.
func match(raw []byte, open []*question) (*question, *dns.Msg) {
	if len(raw) < 12 {
		return nil, nil
	}
	id := uint16(raw[0])<<8 | uint16(raw[1])
	for _, q := range open {
		if q.id != id || q.reply != nil || q.err != nil {
			continue
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(raw); err != nil && !reply.Truncated {
			continue
		}
		if !reply.Response || reply.Opcode != dns.OpcodeQuery || len(reply.Question) != 1 {
			continue
		}
		asked := reply.Question[0]
		if asked.Qtype == q.qtype && asked.Qclass == dns.ClassINET && strings.EqualFold(asked.Name, q.name) {
			return q, reply
		}
	}
	return nil, nil
}

// settle keeps a reply that says something, and turns any other into an error.
func (q *question) settle(reply *dns.Msg) {
	switch reply.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		q.reply = reply
	default:
		q.err = fmt.Errorf("%w: %s", ErrServerFailed, dns.RcodeToString[reply.Rcode])
	}
}
