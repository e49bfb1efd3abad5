//go:build clients

package clients

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is what clients may change in the name server, with this key.
const (
	zone       = "clients.test."
	tsigName   = "clients-key."
	tsigSecret = "c2l4dGVlbiBieXRlcyBvZiBhIHRlc3Qga2V5Lg=="
)

// nameServer is the authority for everything. It says 127.0.0.1 to every question for
// an address, because no real one may do so for names that a test makes up, and takes
// updates of its zone (RFC 2136) signed with its key (RFC 8945), as the name server of
// somebody does who proves names by dns-01.
type nameServer struct {
	address string

	mu      sync.Mutex
	texts   map[string][]string // by name in lower case
	updates int
}

func startDNS(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{texts: map[string][]string{}}
	stream, packets := listenBoth(t)
	s.address = stream.Addr().String()
	for _, listening := range []*dns.Server{{Listener: stream}, {PacketConn: packets}} {
		listening.Handler, listening.TsigSecret = s, map[string]string{tsigName: tsigSecret}
		listening.MsgAcceptFunc = func(h dns.Header) dns.MsgAcceptAction {
			if opcode := int(h.Bits>>11) & 0xf; opcode == dns.OpcodeUpdate {
				return dns.MsgAccept // the library's own rule knows questions only
			}
			return dns.DefaultMsgAcceptFunc(h)
		}
		started, ended := make(chan struct{}), make(chan error, 1)
		listening.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- listening.ActivateAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatalf("name server: %v", err)
		}
		t.Cleanup(func() {
			_ = listening.Shutdown() // what serving ended with says the same
			if err := <-ended; err != nil {
				t.Errorf("name server: %v", err)
			}
		})
	}
	return s
}

// listenBoth finds a port that is free for TCP and for UDP.
func listenBoth(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", stream.Addr().String())
		if err == nil {
			return stream, packets
		}
		stream.Close()
	}
	t.Fatal("no port is free for both TCP and UDP")
	return nil, nil
}

// updated is the number of changes that clients have made, and whether one is left.
func (s *nameServer) updated() (changes int, left []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.texts {
		left = append(left, name)
	}
	return s.updates, left
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, asked *dns.Msg) {
	answer := new(dns.Msg).SetReply(asked)
	answer.Authoritative = true
	signature := asked.IsTsig()
	switch {
	case signature != nil && w.TsigStatus() != nil:
		answer.Rcode = dns.RcodeNotAuth
	case asked.Opcode == dns.OpcodeUpdate && signature == nil:
		answer.Rcode = dns.RcodeRefused
	case asked.Opcode == dns.OpcodeUpdate:
		answer.Rcode = s.update(asked)
	default:
		s.answer(answer, asked.Question[0])
	}
	if signature != nil && answer.Rcode != dns.RcodeNotAuth {
		answer.SetTsig(signature.Hdr.Name, signature.Algorithm, 300, time.Now().Unix())
	}
	w.WriteMsg(answer)
}

func (s *nameServer) answer(answer *dns.Msg, q dns.Question) {
	head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 1}
	name := strings.ToLower(q.Name)
	switch {
	case q.Qtype == dns.TypeA:
		answer.Answer = append(answer.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
	case q.Qtype == dns.TypeTXT:
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, text := range s.texts[name] {
			answer.Answer = append(answer.Answer, &dns.TXT{Hdr: head, Txt: []string{text}})
		}
	case q.Qtype == dns.TypeSOA && name == zone:
		answer.Answer = append(answer.Answer, authority())
	}
	if len(answer.Answer) == 0 && dns.IsSubDomain(zone, name) {
		answer.Ns = append(answer.Ns, authority())
	}
}

func authority() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1},
		Ns:  "ns." + zone, Mbox: "hostmaster." + zone, Serial: 1, Refresh: 60, Retry: 60, Expire: 600, Minttl: 1,
	}
}

// update applies RFC 2136, section 2.5, to TXT records.
func (s *nameServer) update(asked *dns.Msg) (rcode int) {
	if len(asked.Question) != 1 || !strings.EqualFold(asked.Question[0].Name, zone) {
		return dns.RcodeNotZone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rr := range asked.Ns {
		name := strings.ToLower(rr.Header().Name)
		var text string
		if record, is := rr.(*dns.TXT); is {
			text = strings.Join(record.Txt, "")
		}
		switch rr.Header().Class {
		case dns.ClassINET:
			if text == "" {
				return dns.RcodeRefused
			}
			if !slices.Contains(s.texts[name], text) {
				s.texts[name] = append(s.texts[name], text)
			}
		case dns.ClassNONE:
			s.texts[name] = slices.DeleteFunc(s.texts[name], func(have string) bool { return have == text })
		case dns.ClassANY:
			delete(s.texts, name)
		}
		if len(s.texts[name]) == 0 {
			delete(s.texts, name)
		}
		s.updates++
	}
	return dns.RcodeSuccess
}
