// Package dnstest is a DNS resolver on UDP and TCP that holds records, and can
// be told to behave badly about a name: to fail, to keep silent, to cut its
// answers short, or to let forgers in.
package dnstest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Behaviour is what happens to an answer before it is sent; nil means that
// none is. w can be used to send something else first.
type Behaviour func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg

// Server answers for the records that it was given, and with NXDOMAIN for all
// other names. It sets the AD bit when asked for it and told to Sign.
type Server struct {
	addr string

	mu       sync.Mutex
	records  map[string][]dns.RR
	special  map[string]Behaviour
	queries  []string
	unsigned bool
}

// New starts a server on 127.0.0.1 until the test ends. The zone has one
// record per line.
func New(t testing.TB, zone string) *Server {
	t.Helper()
	s := &Server{records: make(map[string][]dns.RR), special: make(map[string]Behaviour), unsigned: true}
	for line := range strings.Lines(zone) {
		if line = strings.TrimSpace(line); line != "" {
			s.Add(t, line)
		}
	}
	udp, tcp := listenBoth(t)
	s.addr = udp.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		var ended sync.WaitGroup
		ended.Go(func() { _ = server.ActivateAndServe() })
		<-ready
		t.Cleanup(func() { _ = server.Shutdown(); ended.Wait() })
	}
	return s
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if tcp, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp
		}
		udp.Close()
	}
	t.Fatal("dnstest: no port is free for both UDP and TCP")
	return nil, nil
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.addr }

// Add adds a record in the form of a zone file.
func (s *Server) Add(t testing.TB, record string) {
	t.Helper()
	rr, err := dns.NewRR(record)
	if err != nil {
		t.Fatalf("dnstest: %v", err)
	}
	s.AddRR(rr)
}

// AddRR adds a record, also one that no zone file can hold.
func (s *Server) AddRR(rr dns.RR) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := dns.CanonicalName(rr.Header().Name)
	s.records[name] = append(s.records[name], rr)
}

// AddTXT adds a TXT record with one character-string for each part.
func (s *Server) AddTXT(name string, parts ...string) {
	for i, p := range parts {
		parts[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p)
	}
	s.AddRR(&dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: parts})
}

// Remove takes all records of a name away.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, dns.CanonicalName(name))
}

// Sign makes the server say that it has checked the signatures of its answers.
func (s *Server) Sign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsigned = false
}

// On tells the server what to do with answers about a name.
func (s *Server) On(name string, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.special[dns.CanonicalName(name)] = b
}

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	q := query.Question[0]
	name := dns.CanonicalName(q.Name)
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.RecursionAvailable = true

	s.mu.Lock()
	s.queries = append(s.queries, dns.TypeToString[q.Qtype]+" "+name)
	special := s.special[name]
	reply.AuthenticatedData = query.AuthenticatedData && !s.unsigned
	s.fill(reply, name, q.Qtype)
	s.mu.Unlock()

	if special != nil {
		reply = special(w, query, reply)
	}
	if reply == nil {
		return
	}
	if opt := query.IsEdns0(); !OverTCP(w) && opt != nil {
		reply.Truncate(int(opt.UDPSize()))
	}
	_ = w.WriteMsg(reply)
}

// fill answers as a recursive server does: the aliases, and what is at their end.
func (s *Server) fill(reply *dns.Msg, name string, qtype uint16) {
	for range 30 {
		records, ok := s.records[name]
		next := ""
		if !ok {
			if next = s.dname(reply, name); next == "" {
				reply.Rcode = dns.RcodeNameError
				return
			}
		}
		for _, rr := range records {
			if alias, ok := rr.(*dns.CNAME); ok {
				reply.Answer = append(reply.Answer, rr)
				next = dns.CanonicalName(alias.Target)
			} else if rr.Header().Rrtype == qtype {
				reply.Answer = append(reply.Answer, rr)
			}
		}
		if next == "" {
			return
		}
		name = next
	}
}

// dname adds the DNAME above name, and the CNAME that follows from it.
func (s *Server) dname(reply *dns.Msg, name string) (next string) {
	labels := dns.SplitDomainName(name)
	for i := 1; i < len(labels); i++ {
		owner := dns.Fqdn(strings.Join(labels[i:], "."))
		for _, rr := range s.records[owner] {
			if alias, ok := rr.(*dns.DNAME); ok {
				next = dns.CanonicalName(strings.TrimSuffix(name, owner) + alias.Target)
				reply.Answer = append(reply.Answer, rr, &dns.CNAME{
					Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: rr.Header().Ttl}, Target: next,
				})
				return next
			}
		}
	}
	return ""
}

// Asked counts the queries for a name.
func (s *Server) Asked(name string) int {
	n := 0
	for _, q := range s.Queries() {
		if strings.HasSuffix(q, " "+dns.CanonicalName(name)) {
			n++
		}
	}
	return n
}

// Queries returns the queries so far, as type and name in lower case.
func (s *Server) Queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.queries...)
}

// OverTCP reports whether an answer goes out over TCP.
func OverTCP(w dns.ResponseWriter) bool {
	_, ok := w.RemoteAddr().(*net.TCPAddr)
	return ok
}

// Fail answers with an error, such as dns.RcodeServerFailure: what a resolver
// also does with an answer whose signatures are wrong.
func Fail(rcode int) Behaviour {
	return func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Rcode, reply.Answer = rcode, nil
		return reply
	}
}

// Drop never answers.
func Drop() Behaviour { return func(dns.ResponseWriter, *dns.Msg, *dns.Msg) *dns.Msg { return nil } }

// Truncate cuts answers short, over UDP, or over TCP as well.
func Truncate(tcpToo bool) Behaviour {
	return func(w dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		if tcpToo || !OverTCP(w) {
			reply.Truncated, reply.Answer = true, nil
		}
		return reply
	}
}

// LowerCase answers with the question in lower case, as some servers do.
func LowerCase() Behaviour {
	return func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Question[0].Name = strings.ToLower(reply.Question[0].Name)
		return reply
	}
}

// AliasOnly answers with the first record alone, as a server does that is not
// responsible for where the alias leads.
func AliasOnly() Behaviour {
	return func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Rcode, reply.Answer = dns.RcodeSuccess, reply.Answer[:1]
		return reply
	}
}

// Forge sends n wrong answers over UDP before the right one, each as change
// makes it of a copy of the right one.
func Forge(n int, change func(i int, wrong *dns.Msg)) Behaviour {
	return func(w dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		if OverTCP(w) {
			return reply
		}
		for i := range n {
			wrong := reply.Copy()
			change(i, wrong)
			_ = w.WriteMsg(wrong)
		}
		return reply
	}
}

// Chain is a zone of n aliases in a row, c0 to cn below under, and record at
// the end of it.
func Chain(under string, n int, record string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "c%d.%s 60 IN CNAME c%d.%s\n", i, under, i+1, under)
	}
	fmt.Fprintf(&b, "c%d.%s 60 IN %s\n", n, under, record)
	return b.String()
}
