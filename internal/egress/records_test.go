package egress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"acmebridge/internal/egress/dnstest"
)

func resolverWith(t testing.TB, cfg ResolverConfig) *Resolver {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	r, err := NewResolver(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// R8555-8.4-4, -5, SD-3, SD-4: what is found, what is not there, and what is
// not known are three things.
func TestLookupTXT(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, dnstest.Chain("ten.example.", 10, "TXT ten")+dnstest.Chain("eleven.example.", 11, "TXT eleven")+`
		one.example.     60 IN TXT "value"
		two.example.     60 IN TXT "first"
		two.example.     30 IN TXT "second"
		alias.example.   60 IN CNAME two.example.
		dead.example.    60 IN CNAME missing.example.
		loop.example.    60 IN CNAME loop2.example.
		loop2.example.   60 IN CNAME loop.example.
		self.example.    60 IN CNAME self.example.
		old.example.     60 IN DNAME new.example.
		a.new.example.   60 IN TXT "moved"
		bare.example.    60 IN DNAME new.example.
		turn.example.    60 IN DNAME x.turn.example.
		long.example.    60 IN DNAME `+strings.Repeat(strings.Repeat("l", 60)+".", 4)+`
		address.example. 60 IN A 192.0.2.1
		fails.example.   60 IN TXT "x"
		silent.example.  60 IN TXT "x"
		cut.example.     60 IN TXT "whole"
		never.example.   60 IN TXT "x"
		odd.example.     60 IN TXT "x"
		lost.example.    60 IN TXT "x"
	`)
	s.AddTXT("joined.example", "ab", "", "c d", `"\`, "\x00\xff;")
	long := strings.Repeat("x", 255)
	for i := range 40 {
		s.AddTXT("huge.example", fmt.Sprint(i), long)
		if i < 25 {
			s.AddTXT("fifty.example", "a", "b")
		}
	}
	s.On("a.bare.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Answer = reply.Answer[:1] // the DNAME, without the alias that follows from it
		return reply
	})
	s.On(strings.Repeat("a", 60)+".long.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		rr, _ := dns.NewRR("long.example. 60 IN DNAME " + strings.Repeat(strings.Repeat("l", 60)+".", 4))
		reply.Rcode, reply.Answer = dns.RcodeSuccess, []dns.RR{rr}
		return reply
	})
	s.On("fails.example", dnstest.Fail(dns.RcodeServerFailure))
	s.On("silent.example", dnstest.Drop())
	s.On("cut.example", dnstest.Truncate(false))
	s.On("never.example", dnstest.Truncate(true))
	s.On("odd.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.Rcode = dns.RcodeNameError // and a record
		return reply
	})
	s.On("lost.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		ns, _ := dns.NewRR("example. 60 IN NS ns.example.")
		reply.RecursionAvailable, reply.Answer, reply.Ns = false, nil, []dns.RR{ns}
		return reply
	})
	for _, tt := range []struct {
		name    string
		values  []string
		aliases string
		err     error
	}{
		{"one.example", []string{"value"}, "", nil},
		{"ONE.example.", []string{"value"}, "", nil},
		{"joined.example", []string{"abc d\"\\\x00\xff;"}, "", nil},
		{"two.example", []string{"first", "second"}, "", nil},
		{"alias.example", []string{"first", "second"}, "two.example", nil},
		{"c0.ten.example", []string{"ten"}, "c1.ten.example c2.ten.example c3.ten.example c4.ten.example c5.ten.example c6.ten.example c7.ten.example c8.ten.example c9.ten.example c10.ten.example", nil},
		{"c0.eleven.example", nil, "c1.eleven.example c2.eleven.example c3.eleven.example c4.eleven.example c5.eleven.example c6.eleven.example c7.eleven.example c8.eleven.example c9.eleven.example c10.eleven.example", ErrBadAlias},
		{"loop.example", nil, "loop2.example", ErrBadAlias},
		{"self.example", nil, "", ErrBadAlias},
		{"a.old.example", []string{"moved"}, "a.new.example", nil},
		{"a.bare.example", []string{"moved"}, "a.new.example", nil},
		{"a.turn.example", nil, "", ErrBadAlias},
		{strings.Repeat("a", 60) + ".long.example", nil, "", ErrBadAlias},
		{"missing.example", nil, "", ErrNoSuchName},
		{"dead.example", nil, "missing.example", ErrNoSuchName},
		{"address.example", nil, "", ErrNoRecord},
		{"cut.example", []string{"whole"}, "", nil},
		{"never.example", nil, "", ErrNoAnswer},
		{"fails.example", nil, "", ErrServerFailed},
		{"silent.example", nil, "", ErrNoAnswer},
		{"odd.example", nil, "", ErrServerFailed},
		{"lost.example", nil, "", ErrServerFailed},
		{"huge.example", nil, "", ErrLimit},
		{"fifty.example", slices.Repeat([]string{"ab"}, 25), "", nil},
		{"", nil, "", ErrNoSuchName},
		{strings.Repeat("a", 64) + ".example", nil, "", ErrNoSuchName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, tcpFirst := range []bool{false, true} {
				cfg := ResolverConfig{Servers: []string{s.Addr()}, TCPFirst: tcpFirst}
				if errors.Is(tt.err, ErrNoAnswer) {
					cfg.Timeout = 300 * time.Millisecond
				}
				r := resolverWith(t, cfg)
				got, err := r.LookupTXT(t.Context(), tt.name)
				if !slices.Equal(got.Values, tt.values) || !errors.Is(err, tt.err) {
					t.Errorf("TCP first %v: got %q, %v; want %q, %v", tcpFirst, got.Values, err, tt.values, tt.err)
				}
				if aliases := strings.Join(got.Aliases, " "); tt.name != "a.turn.example" && aliases != tt.aliases {
					t.Errorf("TCP first %v: aliases %q, want %q", tcpFirst, aliases, tt.aliases)
				}
			}
		})
	}
}

// SD-4: nothing that is no answer may read as "there is no such record".
func TestFailuresAreNotAbsence(t *testing.T) {
	t.Parallel()
	for _, err := range []error{ErrServerFailed, ErrNoAnswer, ErrBadAlias, ErrNotAuthenticated, ErrLimit, contradiction, referral} {
		if errors.Is(err, ErrNoSuchName) || errors.Is(err, ErrNoRecord) || errors.Is(err, ErrNoAddress) {
			t.Errorf("%v reads as absence", err)
		}
	}
}

// SD-2, DV-3: the case of the letters is random in every query; a server that
// does not echo it is asked again over TCP, where it may do as it likes.
func TestRandomCase(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `abcdefghijklmnopqrstuvwxyz.example. 60 IN TXT "here"`)
	const name = "abcdefghijklmnopqrstuvwxyz.example"
	var mu sync.Mutex
	seen := map[string]int{}
	overTCP := 0
	s.On(name, func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		mu.Lock()
		defer mu.Unlock()
		seen[query.Question[0].Name]++
		if dnstest.OverTCP(w) {
			overTCP++
		}
		return reply
	})
	lookup := func(cfg ResolverConfig) {
		t.Helper()
		cfg.Servers = []string{s.Addr()}
		got, err := resolverWith(t, cfg).LookupTXT(t.Context(), name)
		if err != nil || !slices.Equal(got.Values, []string{"here"}) {
			t.Errorf("got %q, %v", got.Values, err)
		}
	}
	for range 4 {
		lookup(ResolverConfig{})
	}
	mu.Lock()
	if len(seen) != 4 || overTCP != 0 {
		t.Errorf("spellings %v, %d times over TCP; want four, over UDP", seen, overTCP)
	}
	clear(seen)
	mu.Unlock()
	lookup(ResolverConfig{KeepCase: true})
	mu.Lock()
	if seen[name+"."] != 1 {
		t.Errorf("spellings %v, want lower case", seen)
	}
	mu.Unlock()
	s.On(name, dnstest.LowerCase())
	before := len(s.Queries())
	lookup(ResolverConfig{})
	if n := len(s.Queries()) - before; n != 2 {
		t.Errorf("%d queries, want one over UDP and one over TCP", n)
	}
	lookup(ResolverConfig{TCPFirst: true})
	lookup(ResolverConfig{KeepCase: true})
}

// SD-2, the race: ten thousand wrong answers come before the right one. They
// differ in id, in the question, or in the case of its letters; none counts.
func TestSpoofRace(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `_acme-challenge.victim.example. 60 IN TXT "right"`)
	const wrongs = 10_000
	var forged atomic.Int64
	s.On("_acme-challenge.victim.example", dnstest.Forge(100, func(i int, m *dns.Msg) {
		forged.Add(1)
		m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{"forged"}}}
		switch i % 5 {
		case 0, 1:
			m.Id += uint16(1 + rand.IntN(65535))
		case 2: // the id was guessed, the case was not
			m.Id += 1 + uint16(i)
			m.Question[0].Name = strings.ToLower(m.Question[0].Name)
		case 3:
			m.Question[0].Qtype = dns.TypeA
		case 4:
			m.Response = false
		}
	}))
	r := resolverWith(t, ResolverConfig{Servers: []string{s.Addr()}})
	accepted := 0
	for range wrongs / 100 {
		got, err := r.LookupTXT(t.Context(), "_acme-challenge.victim.example")
		if err != nil || len(got.Values) != 1 || got.Values[0] != "right" {
			accepted++
			t.Logf("got %q, %v", got.Values, err)
		}
	}
	if accepted != 0 || forged.Load() < wrongs {
		t.Errorf("%d of %d wrong answers were accepted", accepted, forged.Load())
	}
	// Id and question right, only the case wrong: TCP decides.
	s.On("_acme-challenge.victim.example", dnstest.Forge(1, func(_ int, m *dns.Msg) {
		m.Question[0].Name = strings.ToLower(m.Question[0].Name)
		m.Answer[0].(*dns.TXT).Txt[0] = "forged"
	}))
	if got, err := r.LookupTXT(t.Context(), "_acme-challenge.victim.example"); err != nil || got.Values[0] != "right" {
		t.Errorf("got %q, %v", got.Values, err)
	}
}

// SD-1, R8555-11.2-1: TCP comes first where it is asked to, which is the default of
// the configuration, and UDP steps in when there is no TCP.
func TestTCPFirst(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `host.example. 60 IN TXT "x"
		host.example. 60 IN A 192.0.2.1`)
	var tcp atomic.Int64
	s.On("host.example", func(w dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		if dnstest.OverTCP(w) {
			tcp.Add(1)
		}
		return reply
	})
	r := resolverWith(t, ResolverConfig{Servers: []string{s.Addr()}, TCPFirst: true})
	if _, err := r.LookupTXT(t.Context(), "host.example"); err != nil || tcp.Load() != 1 {
		t.Errorf("%v, %d times over TCP", err, tcp.Load())
	}
	if got, err := r.LookupAddrs(t.Context(), "host.example"); err != nil || len(got) != 1 || tcp.Load() != 3 {
		t.Errorf("%v, %v, %d times over TCP, want two more", got, err, tcp.Load())
	}
	udpOnly := udpServer(t)
	if got, err := resolverWith(t, ResolverConfig{Servers: []string{udpOnly}, TCPFirst: true}).LookupTXT(t.Context(), "host.example"); err != nil || got.Values[0] != "udp" {
		t.Errorf("without TCP: got %q, %v", got.Values, err)
	}
}

// SD-5: what the resolver says about signatures, as configured.
func TestDNSSECModes(t *testing.T) {
	t.Parallel()
	zone := `host.example. 60 IN TXT "x"
		host.example. 60 IN A 192.0.2.1
		alias.example. 60 IN CNAME host.example.`
	signed, plain := dnstest.New(t, zone), dnstest.New(t, zone)
	signed.Sign()
	var without atomic.Int64
	signed.On("host.example", func(_ dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		if !query.AuthenticatedData {
			without.Add(1)
		}
		return reply
	})
	for _, tt := range []struct {
		mode   DNSSEC
		server *dnstest.Server
		ad     bool
		err    error
	}{
		{"", signed, true, nil}, {"", plain, false, nil},
		{DNSSECRecord, signed, true, nil}, {DNSSECRecord, plain, false, nil},
		{DNSSECIgnore, signed, false, nil}, {DNSSECIgnore, plain, false, nil},
		{DNSSECRequire, signed, true, nil}, {DNSSECRequire, plain, false, ErrNotAuthenticated},
	} {
		r := resolverWith(t, ResolverConfig{Servers: []string{tt.server.Addr()}, DNSSEC: tt.mode})
		got, err := r.LookupTXT(t.Context(), "host.example")
		if got.Authenticated != tt.ad || !errors.Is(err, tt.err) {
			t.Errorf("%q: authenticated %v, %v; want %v, %v", tt.mode, got.Authenticated, err, tt.ad, tt.err)
		}
		if _, err := r.LookupAddrs(t.Context(), "host.example"); !errors.Is(err, tt.err) {
			t.Errorf("%q, addresses: %v, want %v", tt.mode, err, tt.err)
		}
		// "No such name" without signatures is no answer either.
		want := ErrNoSuchName
		if tt.err != nil {
			want = tt.err
		}
		if _, err := r.LookupTXT(t.Context(), "missing.example"); !errors.Is(err, want) {
			t.Errorf("%q, a missing name: %v, want %v", tt.mode, err, want)
		}
	}
	if n := without.Load(); n != 3 {
		t.Errorf("the AD bit was left out %d times, want by ignore alone", n)
	}
	// One part of the way that is not signed spoils all of it.
	signed.On("alias.example", func(_ dns.ResponseWriter, _, reply *dns.Msg) *dns.Msg {
		reply.AuthenticatedData, reply.Answer = false, reply.Answer[:1]
		return reply
	})
	if got, err := resolverWith(t, ResolverConfig{Servers: []string{signed.Addr()}}).LookupTXT(t.Context(), "alias.example"); err != nil || got.Authenticated {
		t.Errorf("authenticated %v, %v; the alias was not signed", got.Authenticated, err)
	}
}

// R8659-3-2: the levels are asked for at once and judged in order: whatever is
// farther than the first that decides is not even waited for.
func TestLookupCAA(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
		a.b.example.   60 IN TXT "no CAA"
		b.example.     60 IN CNAME policy.example.net.
		policy.example.net. 60 IN CAA 0 issue "ca.example; accounturi=x"
		policy.example.net. 60 IN CAA 128 tbs "?"
		example.       60 IN CAA 0 issue ";"
		ok.silent.     60 IN CAA 0 issue "ca.example"
		silent.        60 IN TXT "x"
		ok.broken.     60 IN TXT "x"
		broken.        60 IN CAA 0 issue ";"
	`)
	s.On("silent", dnstest.Drop())
	s.On("ok.broken", dnstest.Fail(dns.RcodeServerFailure))
	r := resolverWith(t, ResolverConfig{Servers: []string{s.Addr()}})
	got := r.LookupCAA(t.Context(), "x.a.b.example", "a.b.example", "b.example", "example")
	if len(got) != 3 || !errors.Is(got[0].Err, ErrNoSuchName) || got[1].Err != nil || len(got[1].Records) != 0 || got[2].Err != nil {
		t.Fatalf("got %+v", got)
	}
	want := []CAARecord{{0, "issue", "ca.example; accounturi=x"}, {128, "tbs", "?"}}
	if last := got[2]; !slices.Equal(last.Records, want) || last.Name != "b.example" || !slices.Equal(last.Aliases, []string{"policy.example.net"}) || last.TTL != time.Minute {
		t.Errorf("got %+v", last)
	}
	start := time.Now()
	if got := r.LookupCAA(t.Context(), "ok.silent", "silent"); len(got) != 1 || len(got[0].Records) != 1 || time.Since(start) > 2*time.Second {
		t.Errorf("got %+v after %v", got, time.Since(start))
	}
	if got := r.LookupCAA(t.Context(), "ok.broken", "broken"); len(got) != 1 || !errors.Is(got[0].Err, ErrServerFailed) {
		t.Errorf("an error does not end it: %+v", got)
	}
	for range 51 {
		s.Add(t, `many.example. 60 IN CAA 0 issue "ca.example"`)
	}
	if got := r.LookupCAA(t.Context(), "many.example"); !errors.Is(got[0].Err, ErrLimit) {
		t.Errorf("51 records: %+v", got)
	}
	// The limit takes the far ones, not the near one.
	deep := make([]string, 30)
	for i := range deep {
		deep[i] = strings.Repeat("d.", 30-i) + "deep"
	}
	s.Add(t, deep[18]+`. 60 IN CAA 0 issue "ca.example"`)
	if got := r.LookupCAA(t.Context(), deep...); len(got) != 19 || len(got[18].Records) != 1 {
		t.Errorf("got %d answers for thirty levels, want 19", len(got))
	}
	s.Remove(deep[18])
	if got := r.LookupCAA(t.Context(), deep...); len(got) != 21 || !errors.Is(got[20].Err, ErrLimit) {
		t.Errorf("got %d answers for thirty levels, want the 21st to exceed the limit", len(got))
	}
}

// SD-3: the look-ups of one validation count together, those of two do not.
func TestLookupsShareLimits(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `host.example. 60 IN TXT "x"`)
	r := resolverWith(t, ResolverConfig{Servers: []string{s.Addr()}})
	ctx, looked := WithLookups(t.Context())
	for i := range maxQueries {
		if _, err := r.LookupTXT(ctx, "host.example"); err != nil {
			t.Fatalf("look-up %d: %v", i, err)
		}
	}
	_, err := r.LookupTXT(ctx, "host.example")
	if !errors.Is(err, ErrLimit) || len(s.Queries()) != maxQueries {
		t.Errorf("got %v after %d queries", err, len(s.Queries()))
	}
	if _, err := r.LookupTXT(t.Context(), "host.example"); err != nil {
		t.Errorf("another validation: %v", err)
	}
	notes := looked.Take()
	if len(notes) != maxQueries+1 || notes[0].Name != "host.example" || notes[0].Type != "TXT" || notes[0].Records != 1 || notes[0].Outcome() != "" || notes[maxQueries].Outcome() != ErrLimit.Error() {
		t.Errorf("notes %+v", notes)
	}
	if len(looked.Take()) != 0 {
		t.Error("notes are given twice")
	}
}

func TestLookupsShareTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(Lookups)
		ask := func(d time.Duration) error {
			ctx, done := l.begin(t.Context())
			defer done()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		}
		together := make(chan error)
		for range 3 { // at once: this costs 8 s, not 24
			go func() { together <- ask(8 * time.Second) }()
		}
		for range 3 {
			if err := <-together; err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour) // nobody asks: this costs nothing
		start := time.Now()
		if err := ask(time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 7*time.Second {
			t.Errorf("got %v after %v, want the deadline after 7s", err, time.Since(start))
		}
	})
}

func TestEDNSSize(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "")
	s.AddTXT("host.example", strings.Repeat("x", 255), strings.Repeat("y", 255), strings.Repeat("z", 255))
	sizes := make(chan uint16, 10)
	s.On("host.example", func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		if !dnstest.OverTCP(w) {
			sizes <- query.IsEdns0().UDPSize()
		}
		return reply
	})
	for _, size := range []uint16{0, 512, 4096} {
		if got, err := resolverWith(t, ResolverConfig{Servers: []string{s.Addr()}, EDNSSize: size}).LookupTXT(t.Context(), "host.example"); err != nil || len(got.Values[0]) != 765 {
			t.Errorf("%d: %v", size, err)
		}
	}
	for _, want := range []uint16{1232, 512, 4096} {
		if got := <-sizes; got != want {
			t.Errorf("size %d, want %d", got, want)
		}
	}
	if n := len(s.Queries()); n != 4 {
		t.Errorf("%d queries, want TCP for the size of 512 alone", n)
	}
	for _, bad := range []ResolverConfig{{EDNSSize: 100}, {EDNSSize: 5000}, {DNSSEC: "maybe"}, {Timeout: -1}} {
		if _, err := NewResolver(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// FuzzRecords (F12): whatever bytes come back for TXT and CAA, what is taken
// from them belongs to the question and fits the limits.
func FuzzRecords(f *testing.F) {
	for _, zone := range []string{
		`a.example. 60 IN TXT "x" "y"`, `a.example. 60 IN CNAME b.example.`, `example. 60 IN DNAME net.`,
		`a.example. 60 IN CAA 0 issue "ca.example; a=b"`, `a.example. 60 IN CAA 128 tbs ""`,
	} {
		rr, err := dns.NewRR(zone)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg)
		m.SetQuestion("a.example.", rr.Header().Rrtype)
		m.Response, m.Answer = true, []dns.RR{rr}
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed, rr.Header().Rrtype == dns.TypeCAA)
	}
	f.Fuzz(func(t *testing.T, raw []byte, caa bool) {
		c := newChase("a.example.", dns.TypeTXT)
		if caa {
			c = newChase("a.example.", dns.TypeCAA)
		}
		c.question = question{name: c.name, asked: c.name, qtype: c.qtype}
		if len(raw) >= 2 {
			c.question.id = uint16(raw[0])<<8 | uint16(raw[1])
		}
		q, reply := match(raw, []*question{&c.question})
		if q == nil {
			return
		}
		q.settle(reply)
		c.take(DNSSECRecord)
		if !c.done && c.name == "a.example." {
			t.Fatal("the same question would be asked again")
		}
		if c.err != nil && len(c.records) > 0 || len(c.seen) > maxAliases+1 || len(c.aliases()) > maxAliases {
			t.Fatalf("%d records and %d aliases with error %v", len(c.records), len(c.seen), c.err)
		}
		values, err := textOf(c.records)
		if err == nil && (len(values) == 0 && !caa || len(values) > maxTXTStrings) {
			t.Fatalf("%d values without an error", len(values))
		}
	})
}

func BenchmarkLookupTXT(b *testing.B) {
	s := dnstest.New(b, `host.example. 60 IN TXT "x"`)
	r := resolverWith(b, ResolverConfig{Servers: []string{s.Addr()}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupTXT(b.Context(), "host.example"); err != nil {
			b.Fatal(err)
		}
	}
}

// udpServer answers every question with one TXT record, over UDP alone.
func udpServer(t *testing.T) string {
	t.Helper()
	server := &dns.Server{Addr: "127.0.0.1:0", Net: "udp", Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(query)
		rr, _ := dns.NewRR(query.Question[0].Name + ` 60 IN TXT "udp"`)
		reply.Answer = []dns.RR{rr}
		_ = w.WriteMsg(reply)
	})}
	ready := make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	go func() { _ = server.ListenAndServe() }()
	<-ready
	t.Cleanup(func() { _ = server.Shutdown() })
	return server.PacketConn.LocalAddr().String()
}
