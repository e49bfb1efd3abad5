package egress

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/internal/egress/dnstest"
)

func mustResolver(t testing.TB, timeout time.Duration, servers ...string) *Resolver {
	t.Helper()
	r, err := NewResolver(ResolverConfig{Servers: servers, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// chainZone is names c0, c1, ... each an alias of the next, and an address at
// the end of n aliases.
func chainZone(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("c" + string(rune('a'+i)) + ".chain.example. 60 IN CNAME c" + string(rune('a'+i+1)) + ".chain.example.\n")
	}
	b.WriteString("c" + string(rune('a'+n)) + ".chain.example. 60 IN A 192.0.2.99\n")
	return b.String()
}

func TestLookupAddrs(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, chainZone(11)+`
		both.example.    60 IN A     192.0.2.1
		both.example.    60 IN AAAA  2001:db8::1
		four.example.    60 IN A     192.0.2.2
		text.example.    60 IN TXT   "no address"
		alias.example.   60 IN CNAME both.example.
		dangling.example. 60 IN CNAME nothing.example.
		round.example.   60 IN CNAME trip.example.
		trip.example.    60 IN CNAME round.example.
		far.example.     60 IN CNAME four.example.
		big.example.     60 IN A     192.0.2.3
		half.example.    60 IN A     192.0.2.4
		broken.example.  60 IN A     192.0.2.5
		refused.example. 60 IN A     192.0.2.6
		silent.example.  60 IN A     192.0.2.7
		lossy.example.   60 IN A     192.0.2.8
		forged.example.  60 IN A     192.0.2.9
		extra.example.   60 IN TXT   "something else comes along"
		shout.example.   60 IN A     192.0.2.10
	`)
	s.On("far.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Answer = reply.Answer[:1] // the alias alone, as an authoritative server does
		return reply
	})
	s.On("big.example", func(w dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		if !dnstest.OverTCP(w) {
			reply.Truncated, reply.Answer = true, nil
		}
		return reply
	})
	s.On("half.example", func(_ dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		if query.Question[0].Qtype == dns.TypeAAAA {
			reply.Rcode = dns.RcodeServerFailure
		}
		return reply
	})
	fails := func(rcode int) func(dns.ResponseWriter, *dns.Msg, *dns.Msg) *dns.Msg {
		return func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
			reply.Rcode, reply.Answer = rcode, nil
			return reply
		}
	}
	s.On("broken.example", fails(dns.RcodeServerFailure))
	s.On("refused.example", fails(dns.RcodeRefused))
	s.On("silent.example", func(dns.ResponseWriter, *dns.Msg, *dns.Msg) *dns.Msg { return nil })
	s.On("lossy.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		if s.Asked("lossy.example") <= 2 {
			return nil
		}
		return reply
	})
	s.On("forged.example", func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		// What a forger sends who does not know the id, then one who does not
		// know the question, then one who echoes a query (SD-2).
		forged, _ := dns.NewRR("forged.example. 60 IN A 198.51.100.66")
		wrong := reply.Copy()
		wrong.Answer = []dns.RR{forged}
		wrong.Id++
		_ = w.WriteMsg(wrong)
		wrong = wrong.Copy()
		wrong.Id--
		wrong.Question[0].Name = "other.example."
		_ = w.WriteMsg(wrong)
		wrong = wrong.Copy()
		wrong.Question[0].Name = "forged.example."
		wrong.Response = false
		_ = w.WriteMsg(wrong)
		return reply
	})
	s.On("extra.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		rr, _ := dns.NewRR("someone-else.example. 60 IN A 198.51.100.66")
		reply.Answer = append(reply.Answer, rr)
		return reply
	})
	s.On("shout.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		for _, rr := range reply.Answer {
			rr.Header().Name = "SHOUT.example."
		}
		return reply
	})
	r := mustResolver(t, 150*time.Millisecond, s.Addr())

	for _, tt := range []struct {
		host string
		want []netip.Addr
		err  error
	}{
		{"both.example", addrs("2001:db8::1", "192.0.2.1"), nil},
		{"BOTH.example.", addrs("2001:db8::1", "192.0.2.1"), nil},
		{"four.example", addrs("192.0.2.2"), nil},
		{"alias.example", addrs("2001:db8::1", "192.0.2.1"), nil},
		{"far.example", addrs("192.0.2.2"), nil},
		{"big.example", addrs("192.0.2.3"), nil},
		{"shout.example", addrs("192.0.2.10"), nil},
		{"forged.example", addrs("192.0.2.9"), nil},
		{"extra.example", nil, ErrNoAddress},
		{"text.example", nil, ErrNoAddress},
		{"nothing.example", nil, ErrNoSuchName},
		{"dangling.example", nil, ErrNoSuchName},
		// R8555-8.3-2: one family is enough.
		{"half.example", addrs("192.0.2.4"), nil},
		// SD-4: what is no answer is no "no record".
		{"broken.example", nil, ErrServerFailed},
		{"refused.example", nil, ErrServerFailed},
		{"silent.example", nil, ErrNoAnswer},
		{"lossy.example", addrs("192.0.2.8"), nil},
		// SD-3: ten aliases and no more, and no circles.
		{"cb.chain.example", addrs("192.0.2.99"), nil},
		{"ca.chain.example", nil, ErrBadAlias},
		{"round.example", nil, ErrBadAlias},
		// RFC 6761, 6.3.
		{"localhost", addrs("::1", "127.0.0.1"), nil},
		{"a.LocalHost.", addrs("::1", "127.0.0.1"), nil},
		{"notlocalhost", nil, ErrNoSuchName},
		{"", nil, ErrNoSuchName},
		{".", nil, ErrNoSuchName},
		{strings.Repeat("a", 64) + ".example", nil, ErrNoSuchName},
	} {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			got, err := r.LookupAddrs(t.Context(), tt.host)
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
			if strings.Contains(strings.ToLower(tt.host), ".localhost") && s.Asked(tt.host) > 0 {
				t.Errorf("somebody was asked about %s", tt.host)
			}
		})
	}
}

// SD-4: an empty answer of one family does not hide the failure of the other,
// and neither does "no such name".
func TestLookupReportsFailureOverEmptiness(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `host.example. 60 IN A 192.0.2.1`)
	for _, host := range []string{"host.example", "missing.example"} {
		s.On(host, func(_ dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
			if query.Question[0].Qtype == dns.TypeA {
				reply.Rcode, reply.Answer = dns.RcodeServerFailure, nil
			}
			return reply
		})
		if _, err := mustResolver(t, time.Second, s.Addr()).LookupAddrs(t.Context(), host); !errors.Is(err, ErrServerFailed) {
			t.Errorf("%s: got %v, want %v", host, err, ErrServerFailed)
		}
	}
}

func TestLookupAsksTheNextServer(t *testing.T) {
	t.Parallel()
	broken := dnstest.New(t, "")
	broken.On("host.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Rcode = dns.RcodeServerFailure
		return reply
	})
	good := dnstest.New(t, `host.example. 60 IN A 192.0.2.1`)
	r := mustResolver(t, time.Second, broken.Addr(), good.Addr())
	got, err := r.LookupAddrs(t.Context(), "host.example")
	if err != nil || !slices.Equal(got, addrs("192.0.2.1")) {
		t.Errorf("got %v, %v", got, err)
	}
	if n := broken.Asked("host.example"); n != 2 {
		t.Errorf("the first server was asked %d times, want A and AAAA once each", n)
	}
}

// SD-3: a server that sends us from name to name is left alone at some point.
func TestLookupGivesUp(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	endless := func(_ dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		name := query.Question[0].Name
		rr, _ := dns.NewRR(name + " 60 IN CNAME x" + name)
		reply.Rcode, reply.Answer = dns.RcodeSuccess, []dns.RR{rr}
		return reply
	}
	for i := range 40 {
		s.On(strings.Repeat("x", i)+"y.example", endless)
	}
	_, err := mustResolver(t, time.Second, s.Addr()).LookupAddrs(t.Context(), "y.example")
	if !errors.Is(err, ErrBadAlias) && !errors.Is(err, ErrLimit) {
		t.Errorf("got %v", err)
	}
	if n := len(s.Queries()); n > maxQueries {
		t.Errorf("%d queries, want %d at most", n, maxQueries)
	}
}

// SD-3: two names that point at each other cost one question each.
func TestLookupNoticesCircles(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
		one.example. 60 IN CNAME two.example.
		two.example. 60 IN CNAME one.example.
	`)
	aliasOnly := func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Answer = reply.Answer[:1]
		return reply
	}
	s.On("one.example", aliasOnly)
	s.On("two.example", aliasOnly)
	if _, err := mustResolver(t, time.Second, s.Addr()).LookupAddrs(t.Context(), "one.example"); !errors.Is(err, ErrBadAlias) {
		t.Errorf("got %v, want %v", err, ErrBadAlias)
	}
	if n := s.Asked("one.example"); n != 2 {
		t.Errorf("asked %d times, want A and AAAA once each", n)
	}
}

func TestLookupEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	s.On("host.example", func(dns.ResponseWriter, *dns.Msg, *dns.Msg) *dns.Msg { cancel(); return nil })
	start := time.Now()
	_, err := mustResolver(t, time.Minute, s.Addr()).LookupAddrs(ctx, "host.example")
	if !errors.Is(err, ErrNoAnswer) || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestResolverConfig(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"dns.example:53", "192.0.2.1:0", "192.0.2.1:", "192.0.2.1:99999", "::1:53:x"} {
		if _, err := NewResolver(ResolverConfig{Servers: []string{bad}}); err == nil || !strings.Contains(err.Error(), "192.0.2.53:53") {
			t.Errorf("%s: got %v, want an error that shows how to write it", bad, err)
		}
	}
	r := mustResolver(t, 0, "192.0.2.1", "[2001:db8::1]:5353", "2001:db8::2")
	want := []string{"192.0.2.1:53", "[2001:db8::1]:5353", "[2001:db8::2]:53"}
	for i, server := range r.servers {
		if server.String() != want[i] {
			t.Errorf("server %d is %s, want %s", i, server, want[i])
		}
	}
}

func TestSystemServers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# comment\nsearch corp.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions ndots:5\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("[2001:db8::53]:53")}
	if got := systemServers(file); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	want = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	if got := systemServers(filepath.Join(t.TempDir(), "none")); !slices.Equal(got, want) {
		t.Errorf("without the file: got %v, want %v", got, want)
	}
}

// FuzzReply (F12): whatever a server sends, only records that belong to the
// question become addresses, and a chase ends or moves on.
func FuzzReply(f *testing.F) {
	for _, zone := range []string{"a.example. 60 IN A 192.0.2.1", "a.example. 60 IN CNAME b.example.", "a.example. 60 IN CNAME a.example.", "b.example. 60 IN A 192.0.2.1"} {
		m := new(dns.Msg)
		m.SetQuestion("a.example.", dns.TypeA)
		m.Response = true
		rr, err := dns.NewRR(zone)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := newChase("a.example.", dns.TypeA)
		c.question = question{name: c.name, asked: c.name, qtype: c.qtype}
		if len(raw) >= 2 {
			c.question.id = uint16(raw[0])<<8 | uint16(raw[1])
		}
		q, reply := match(raw, []*question{&c.question})
		if q == nil {
			return
		}
		if q.settle(reply); q.reply == nil && q.err == nil {
			t.Fatal("neither a reply nor an error")
		}
		c.take(DNSSECRecord)
		if !c.done && c.name == "a.example." {
			t.Error("the same question would be asked again")
		}
		if c.err != nil && len(c.records) > 0 {
			t.Errorf("records %v with error %v", c.records, c.err)
		}
		for _, rr := range c.records {
			if h := rr.Header(); h.Rrtype != dns.TypeA || dns.CanonicalName(h.Name) != c.name || !slices.Contains(reply.Answer, rr) {
				t.Errorf("%v is not an address of %s in %v", rr, c.name, reply)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	s := dnstest.New(b, `host.example. 60 IN A 192.0.2.1`)
	r := mustResolver(b, time.Second, s.Addr())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupAddrs(b.Context(), "host.example"); err != nil {
			b.Fatal(err)
		}
	}
}
