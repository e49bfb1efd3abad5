package egress

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// dnsServer is a DNS server on UDP and TCP that holds records, and can be
// told to behave badly for a name.
type dnsServer struct {
	addr string

	mu      sync.Mutex
	records map[string][]dns.RR
	special map[string]func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg
	queries []string
}

func newDNSServer(t testing.TB, zone string) *dnsServer {
	t.Helper()
	s := &dnsServer{
		records: make(map[string][]dns.RR),
		special: make(map[string]func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg),
	}
	for line := range strings.Lines(zone) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("zone: %v", err)
		}
		name := dns.CanonicalName(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
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
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func (s *dnsServer) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	q := query.Question[0]
	name := dns.CanonicalName(q.Name)
	s.mu.Lock()
	s.queries = append(s.queries, dns.TypeToString[q.Qtype]+" "+name)
	special := s.special[name]
	s.mu.Unlock()

	reply := new(dns.Msg)
	reply.SetReply(query)
	s.fill(reply, name, q.Qtype)
	if special != nil {
		reply = special(w, query, reply)
	}
	if reply != nil {
		_ = w.WriteMsg(reply)
	}
}

// fill answers as a recursive server does: the aliases, and what is at their end.
func (s *dnsServer) fill(reply *dns.Msg, name string, qtype uint16) {
	for range 30 {
		records, ok := s.records[name]
		if !ok {
			reply.Rcode = dns.RcodeNameError
			return
		}
		next := ""
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

// behave tells the server what to do with an answer about name; nil from fn
// means no answer at all.
func (s *dnsServer) behave(name string, fn func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.special[dns.CanonicalName(name)] = fn
}

// asked counts the queries for a name.
func (s *dnsServer) asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, q := range s.queries {
		if strings.HasSuffix(q, " "+dns.CanonicalName(name)) {
			n++
		}
	}
	return n
}

func isTCP(w dns.ResponseWriter) bool {
	_, ok := w.RemoteAddr().(*net.TCPAddr)
	return ok
}

func addrs(list ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range list {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}
