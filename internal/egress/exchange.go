package egress

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxUDP is the largest UDP answer that is read.
const maxUDP = 4096

// question is one question and what came of it: a reply that says something
// (success, or no such name), or an error.
type question struct {
	id    uint16
	name  string // in lower case
	asked string // as it was sent
	qtype uint16
	reply *dns.Msg
	err   error
}

// minTries is how often a question is asked at least, so that one lost packet
// does not cost an order its validation (R8659-BR-2).
const minTries = 2

// ask puts the questions to the servers in turn, until each is answered, the
// tries are used up, or settled, which is called after each answer, says that
// no more is needed. In all but the last case every question has a reply or an
// error afterwards.
func (r *Resolver) ask(ctx context.Context, questions []*question, use *Lookups, settled func() bool) {
	open := questions
	for try := range max(minTries, len(r.servers)) {
		var admitted []*question
		for _, q := range open {
			if use.query() {
				admitted = append(admitted, q)
			} else if q.err == nil {
				q.err = fmt.Errorf("%w: more than %d queries", ErrLimit, maxQueries)
			}
		}
		if len(admitted) == 0 {
			return
		}
		if r.exchange(ctx, r.servers[try%len(r.servers)], admitted, use, settled) {
			return
		}
		var left []*question
		for _, q := range admitted {
			if q.reply == nil {
				left = append(left, q)
			}
		}
		if open = left; len(open) == 0 || ctx.Err() != nil {
			return
		}
	}
}

// exchange asks one server all the questions. It reports what settled said
// last.
func (r *Resolver) exchange(ctx context.Context, server netip.AddrPort, open []*question, use *Lookups, settled func() bool) bool {
	for _, q := range open {
		q.err = nil
	}
	if r.tcpFirst {
		enough, err := r.overTCP(ctx, server, open, settled)
		if err == nil || enough {
			return enough
		}
	}
	return r.overUDP(ctx, server, open, use, settled)
}

// failAll ends the questions that are still open.
func failAll(open []*question, err error) {
	for _, q := range open {
		if q.reply == nil && q.err == nil {
			q.err = fmt.Errorf("%w: %w", ErrNoAnswer, err)
		}
	}
}

// overUDP asks over one UDP socket. The socket is new each time: its port is
// half of what a forger has to guess (SD-2).
func (r *Resolver) overUDP(ctx context.Context, server netip.AddrPort, open []*question, use *Lookups, settled func() bool) (enough bool) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		failAll(open, err)
		return false
	}
	defer func() { _ = c.Close() }() // whatever was said has been read
	defer r.bound(ctx, c)()

	buf := make([]byte, maxUDP)
	for _, q := range open {
		packed, err := r.pack(q, buf)
		if err == nil {
			_, err = c.Write(packed)
		}
		if err != nil {
			failAll(open, err)
			return false
		}
	}
	for waiting := len(open); waiting > 0; {
		n, err := c.Read(buf)
		if err != nil {
			failAll(open, err)
			return false
		}
		q, reply := match(buf[:n], open)
		if q == nil {
			continue // not an answer to us; the true one may still come
		}
		waiting--
		// The name as we sent it is part of what a forger has to guess. A
		// server that changes it gets the benefit of the doubt over TCP, where
		// nobody off the path can answer in its place (DV-3).
		if reply.Truncated || reply.Question[0].Name != q.asked {
			r.again(ctx, server, q, use)
		} else {
			q.settle(reply)
		}
		if settled() {
			return true
		}
	}
	return false
}

// again asks one question over TCP that UDP did not answer well.
func (r *Resolver) again(ctx context.Context, server netip.AddrPort, q *question, use *Lookups) {
	if !use.query() {
		q.err = fmt.Errorf("%w: more than %d queries", ErrLimit, maxQueries)
		return
	}
	one := []*question{q}
	_, err := r.overTCP(ctx, server, one, func() bool { return false })
	if err != nil {
		failAll(one, viaTCP(err))
	}
}

// overTCP asks over TCP. The error is why no connection came about; whatever
// goes wrong after that is the error of the questions.
func (r *Resolver) overTCP(ctx context.Context, server netip.AddrPort, open []*question, settled func() bool) (enough bool, err error) {
	for first := true; ; first = false {
		var left []*question
		for _, q := range open {
			if q.reply == nil && q.err == nil {
				left = append(left, q)
			}
		}
		if len(left) == 0 {
			return false, nil
		}
		c, err := (&net.Dialer{Timeout: r.timeout, KeepAlive: -1}).DialTCP(ctx, "tcp", netip.AddrPort{}, server)
		if err != nil && first {
			return false, err
		}
		if err != nil {
			failAll(left, viaTCP(err))
			return false, nil
		}
		answered, enough, err := r.converse(ctx, c, left, settled)
		if enough {
			return true, nil
		}
		// Some servers close after one answer; the rest is asked again.
		if err != nil && answered == 0 {
			failAll(left, viaTCP(err))
		}
	}
}

// viaTCP tells the operator which way failed: name servers that answer the
// other tools of a machine over UDP may be shut over TCP, which is asked first.
func viaTCP(err error) error { return fmt.Errorf("over TCP: %w", err) }

// converse puts the questions to c and reads answers until all are there.
func (r *Resolver) converse(ctx context.Context, c *net.TCPConn, left []*question, settled func() bool) (answered int, enough bool, err error) {
	defer func() { _ = c.Close() }() // whatever was said has been read
	defer r.bound(ctx, c)()
	var out []byte
	for _, q := range left {
		packed, err := r.pack(q, nil)
		if err != nil {
			return 0, false, err
		}
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(packed))), packed...)
	}
	if _, err := c.Write(out); err != nil {
		return 0, false, err
	}
	for answered < len(left) {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return answered, false, err
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, raw); err != nil {
			return answered, false, err
		}
		q, reply := match(raw, left)
		switch {
		case q == nil:
			return answered, false, errors.New("an answer is not to the question")
		case reply.Truncated:
			q.err = fmt.Errorf("%w: the answer is cut short over TCP", ErrNoAnswer)
		default:
			q.settle(reply)
		}
		answered++
		if settled() {
			return answered, true, nil
		}
	}
	return answered, false, nil
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

// pack writes the question in wire form, under a new random id and with the
// letters of the name in random case.
func (r *Resolver) pack(q *question, buf []byte) ([]byte, error) {
	q.asked = q.name
	if !r.keepCase {
		q.asked = randomCase(q.name)
	}
	var m dns.Msg
	m.SetQuestion(q.asked, q.qtype)
	m.AuthenticatedData = r.dnssec != DNSSECIgnore // RFC 6840, 5.7
	m.SetEdns0(r.edns, false)
	q.id = m.Id
	packed, err := m.PackBuffer(buf)
	if err != nil {
		return nil, fmt.Errorf("pack the question: %w", err)
	}
	return packed, nil
}

// randomCase turns every letter of name into upper or lower case by chance.
func randomCase(name string) string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails
	b := []byte(name)
	for i, c := range b {
		if c >= 'a' && c <= 'z' && bits[i/8%len(bits)]>>(i%8)&1 == 1 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// match finds the open question that raw answers: id, name, type and class
// have to be the same (SD-2); the case of the name is the caller's affair. The id is compared before anything is parsed,
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
		if !reply.Truncated && !complete(raw, reply) {
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

// complete reports whether a reply holds as many records as it says. The library
// takes one that breaks off between two records for one that has fewer, and an
// answer whose records were lost is no "there is no such record" (SD-4): for CAA
// that would be leave to issue.
func complete(raw []byte, reply *dns.Msg) bool {
	count := func(at int) int { return int(binary.BigEndian.Uint16(raw[at:])) }
	return count(6) == len(reply.Answer) && count(8) == len(reply.Ns) && count(10) == len(reply.Extra)
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
