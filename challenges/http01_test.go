package challenges_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/challenges/http01test"
	"acmebridge/conformance/testport"
	"acmebridge/internal/egress"
)

const (
	token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
	proof = token + ".nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
)

// names is a DNS in memory. A look-up takes the next answer for the name; the
// last one stays.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	errs    map[string]error
	lookups int
}

func (n *names) LookupAddrs(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lookups++
	if err := n.errs[host]; err != nil {
		return nil, err
	}
	left, ok := n.answers[host]
	if !ok {
		return nil, fmt.Errorf("look up %s: %w", host, egress.ErrNoSuchName)
	}
	if len(left) > 1 {
		n.answers[host] = left[1:]
	}
	return left[0], nil
}

// at makes a DNS in which every host has one fixed answer.
func at(hosts map[string]string) *names {
	n := &names{answers: make(map[string][][]netip.Addr)}
	for host, list := range hosts {
		n.answers[host] = [][]netip.Addr{addrs(list)}
	}
	return n
}

func addrs(list string) []netip.Addr {
	var as []netip.Addr
	for s := range strings.FieldsSeq(list) {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// setup is what a test varies.
type setup struct {
	names *names
	// resolver takes the place of names.
	resolver egress.AddrResolver
	allow    string
	own      []netip.AddrPort
	port     uint16
	tlsPort  uint16
	timeout  time.Duration
}

func newValidator(t testing.TB, s setup) *challenges.HTTP01 {
	t.Helper()
	dialer := newDialer(t, &s)
	v, err := challenges.NewHTTP01(challenges.HTTP01Config{Dialer: dialer, Port: s.port, TLSPort: s.tlsPort, Timeout: s.timeout})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newDialer makes the dialer of a setup, and fills in what the setup left out.
func newDialer(t testing.TB, s *setup) *egress.Dialer {
	t.Helper()
	if s.names == nil {
		s.names = at(map[string]string{"example.org": "127.0.0.1"})
	}
	if s.allow == "" {
		s.allow = "127.0.0.1/32"
	}
	if s.timeout == 0 {
		s.timeout = 20 * time.Second
	}
	var allow []netip.Prefix
	for p := range strings.FieldsSeq(s.allow) {
		allow = append(allow, netip.MustParsePrefix(p))
	}
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: allow, Own: func() []netip.AddrPort { return s.own }})
	if err != nil {
		t.Fatal(err)
	}
	if s.resolver == nil {
		s.resolver = s.names
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: s.resolver, PerTarget: 32})
	if err != nil {
		t.Fatal(err)
	}
	return dialer
}

func target(host string) challenges.Target {
	kind := acme.DNSIdentifier
	if _, err := netip.ParseAddr(host); err == nil {
		kind = acme.IPIdentifier
	}
	return challenges.Target{Identifier: acme.Identifier{Type: kind, Value: host}, Token: token, KeyAuthorization: proof}
}

// expect is what an outcome has to be.
type expect struct {
	kind  acme.ProblemType // empty: valid
	retry bool
	says  string
}

func check(t *testing.T, got acme.Outcome, want expect) {
	t.Helper()
	switch {
	case want.kind == "":
		if !got.Valid || got.Problem != nil || got.Retry {
			t.Errorf("got %+v, %v; want valid", got, got.Problem)
		}
	case got.Valid || got.Problem == nil:
		t.Errorf("got %+v, want %s", got, want.kind)
	case got.Problem.Type != want.kind || got.Retry != want.retry || !strings.Contains(got.Problem.Detail, want.says):
		t.Errorf("got %v (retry %v), want %s that says %q (retry %v)", got.Problem, got.Retry, want.kind, want.says, want.retry)
	}
}

// R8555-8.3-6 to -9, DH-2, DH-6, DH-13: answers, good and bad.
func TestHTTP01Answers(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-7f3a"
	for _, tt := range []struct {
		name   string
		answer http01test.Behaviour
		want   expect
	}{
		{"the key authorization", http01test.Status(200, proof), expect{}},
		{"with white space behind", http01test.Status(200, proof+"\r\n\t \u2003\n"), expect{}},
		{"of HTTP/1.0", http01test.Raw("HTTP/1.0 200 OK\r\n\r\n" + proof), expect{}},
		{"in chunks", http01test.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n57\r\n" + proof + "\r\n0\r\n\r\n"), expect{}},
		{"after an interim answer", http01test.Raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + proof), expect{}},
		{"with white space before", http01test.Status(200, " "+proof), expect{acme.Unauthorized, false, "not the key authorization: 88 bytes"}},
		{"another one", http01test.Status(200, token+"."+strings.Repeat("x", 43)), expect{acme.Unauthorized, false, "looks like another key authorization"}},
		{"a prefix", http01test.Status(200, proof[:80]), expect{acme.Unauthorized, false, "80 bytes"}},
		{"empty", http01test.Status(200, ""), expect{acme.Unauthorized, false, "0 bytes, empty"}},
		{"a page", http01test.Status(200, "<html>"+canary), expect{acme.Unauthorized, false, "looks like HTML"}},
		{"text", http01test.Status(200, canary+" text"), expect{acme.Unauthorized, false, "something else"}},
		{"127 bytes", http01test.Status(200, proof+strings.Repeat("\n", 127-len(proof))), expect{}},
		{"128 bytes", http01test.Status(200, proof+strings.Repeat("\n", 128-len(proof))), expect{acme.Unauthorized, false, "at least 128 bytes"}},
		{"a huge body", http01test.Endless(canary), expect{acme.Unauthorized, false, "at least 128 bytes"}},
		{"202", http01test.Status(202, proof), expect{acme.Unauthorized, false, "status 202"}},
		{"206", http01test.Status(206, proof), expect{acme.Unauthorized, false, "status 206"}},
		{"303", http01test.Redirect(303, "/"+token), expect{acme.Unauthorized, false, "status 303"}},
		{"403", http01test.Status(403, canary), expect{acme.Unauthorized, false, "status 403"}},
		{"404", http01test.Status(404, canary), expect{acme.Unauthorized, false, "status 404"}},
		{"500", http01test.Status(500, canary), expect{acme.Unauthorized, true, "status 500"}},
		{"503", http01test.Status(503, canary), expect{acme.Unauthorized, true, "status 503"}},
		{"a header of 20 KiB", http01test.Raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat(canary, 2000) + "\r\n\r\n" + proof), expect{acme.Connection, false, "larger than 16384"}},
		{"a status line without end", http01test.Raw(strings.Repeat(canary, 2000)), expect{acme.Connection, false, "larger than 16384"}},
		{"interim answers without end", http01test.Raw(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2000)), expect{acme.Connection, false, "larger than 16384"}},
		{"not HTTP", http01test.Raw("SSH-2.0-" + canary + "\r\n"), expect{acme.Connection, false, "not HTTP"}},
		{"a broken header", http01test.Raw("HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n"), expect{acme.Connection, false, "not HTTP"}},
		{"a reset", http01test.Reset(), expect{acme.Connection, true, "reset"}},
		{"nothing", http01test.Raw(""), expect{acme.Connection, true, "closed"}},
		{"a body that breaks off", http01test.Raw("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + proof), expect{acme.Connection, true, "closed while reading"}},
		{"chunks that break off", http01test.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n57\r\n" + proof + "\r\n"), expect{acme.Connection, true, "closed while reading"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := http01test.New(t, "127.0.0.1:0")
			s.On(token, tt.answer)
			v := newValidator(t, setup{port: s.Addr().Port()})
			got := v.Validate(t.Context(), target("example.org"))
			check(t, got, tt.want)
			// SV-8, R8555-10.4-3, R8555-6.7-7: whatever came back, none of it is passed on.
			if text, _ := json.Marshal(got); strings.Contains(string(text), canary) {
				t.Errorf("the outcome shows what was fetched: %s", text)
			}
			if want := s.Addr().String(); len(got.Tried) != 1 || got.Tried[0] != want {
				t.Errorf("tried %v, want %s", got.Tried, want)
			}
			// R8555-8.3-10: URL and address are in the message.
			if got.Problem != nil && !strings.HasPrefix(got.Problem.Detail, "http://example.org/.well-known/acme-challenge/"+token+" at "+s.Addr().String()+": ") {
				t.Errorf("detail %q", got.Problem.Detail)
			}
		})
	}
}

// SV-12: every way to be slow is bounded by the whole time-out.
func TestHTTP01SlowTargets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer http01test.Behaviour
		says   string
	}{
		"no answer":       {http01test.Silent(), "time ran out while waiting for the answer"},
		"half an answer":  {http01test.Trickle(proof[:10]), "time ran out while reading the answer"},
		"a slow redirect": {http01test.Redirect(302, "/silent"), "after 1 redirect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := http01test.New(t, "127.0.0.1:0")
			s.On(token, tt.answer)
			s.On("/silent", http01test.Silent())
			v := newValidator(t, setup{port: s.Addr().Port(), timeout: 100 * time.Millisecond})
			check(t, v.Validate(t.Context(), target("example.org")), expect{acme.Connection, true, tt.says})
		})
	}
	t.Run("the caller leaves", func(t *testing.T) {
		t.Parallel()
		s := http01test.New(t, "127.0.0.1:0")
		ctx, cancel := context.WithCancel(t.Context())
		s.On(token, func(w http.ResponseWriter, r *http.Request) { cancel(); http01test.Silent()(w, r) })
		v := newValidator(t, setup{port: s.Addr().Port()})
		check(t, v.Validate(ctx, target("example.org")), expect{acme.ServerInternal, true, "interrupted"})
	})
}

// R8555-8.3-2, -3, -8, DH-12, R8738-4-1, R8738-5-1: exactly one request, and what it looks like. The
// Host field has no port (lego compares it with the name by prefix), and has
// the spelling that the client knows. An address is gone to without asking any
// DNS, and is the Host, IPv6 in brackets.
func TestHTTP01Request(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, sent, host string }{
		{"example.org", "", "example.org"},
		{"example.org", "Example.ORG", "Example.ORG"},
		{"example.org", "example.org.", "example.org"},
		// The Kelvin sign is a k to some, and has no place in a request.
		{"kiosk.example", "\u212aiosk.example", "kiosk.example"},
		{"127.0.0.1", "", "127.0.0.1"},
		{"::1", "", "[::1]"},
	} {
		t.Run(tt.host+" "+tt.sent, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:0"
			if tt.value == "::1" {
				address = "[::1]:0"
			}
			s := http01test.New(t, address)
			s.Answer(token, proof)
			n := at(map[string]string{"example.org": "127.0.0.1", "kiosk.example": "127.0.0.1"})
			v := newValidator(t, setup{names: n, port: s.Addr().Port(), allow: "127.0.0.1/32 ::1/128"})
			to := target(tt.value)
			to.Identifier.Sent = tt.sent
			check(t, v.Validate(t.Context(), to), expect{})
			if want := to.Identifier.Type == acme.DNSIdentifier; (n.lookups > 0) != want {
				t.Errorf("%d look-ups for %s %s", n.lookups, to.Identifier.Type, tt.value)
			}
			requests := s.Requests()
			if len(requests) != 1 || s.Connections() != 1 {
				t.Fatalf("%d requests on %d connections, want one", len(requests), s.Connections())
			}
			r := requests[0]
			if r.Method != "GET" || r.RequestURI != "/.well-known/acme-challenge/"+token || r.Host != tt.host || r.Proto != "HTTP/1.1" {
				t.Errorf("got %s %s of %s (%s)", r.Method, r.RequestURI, r.Host, r.Proto)
			}
			want := http.Header{"User-Agent": {"acmebridge-validation"}, "Accept": {"*/*"}, "Connection": {"close"}}
			if fmt.Sprint(r.Header) != fmt.Sprint(want) {
				t.Errorf("header %v, want %v", r.Header, want)
			}
		})
	}
}

func TestHTTP01RefusesTargets(t *testing.T) {
	t.Parallel()
	s := http01test.New(t, "127.0.0.1:0")
	for says, change := range map[string]func(*challenges.Target){
		"wildcard":             func(t *challenges.Target) { t.Wildcard = true },
		"token is not":         func(t *challenges.Target) { t.Token = "a/../b" },
		"key authorization":    func(t *challenges.Target) { t.KeyAuthorization = "" },
		"begin with its token": func(t *challenges.Target) { t.KeyAuthorization = "other.x" },
		"neither a DNS name":   func(t *challenges.Target) { t.Identifier.Value = "exa mple.org" },
		"is a number":          func(t *challenges.Target) { t.Identifier.Value = "2130706433" },
		"of type \"dns\"":      func(t *challenges.Target) { t.Identifier.Value = "127.0.0.1" },
		"canonical form":       func(t *challenges.Target) { t.Identifier = acme.Identifier{Type: acme.IPIdentifier, Value: "::0001"} },
		"zone":                 func(t *challenges.Target) { t.Identifier = acme.Identifier{Type: acme.IPIdentifier, Value: "::1%lo"} },
		"of type \"ip\"":       func(t *challenges.Target) { t.Identifier.Type = acme.IPIdentifier },
	} {
		to := target("example.org")
		change(&to)
		v := newValidator(t, setup{port: s.Addr().Port()})
		check(t, v.Validate(t.Context(), to), expect{acme.Malformed, false, says})
	}
	if s.Connections() != 0 {
		t.Errorf("%d connections for targets that cannot be validated", s.Connections())
	}
}

// R8555-8.3-9, SD-4: what a failed look-up means.
func TestHTTP01Lookup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want expect
	}{
		{egress.ErrNoSuchName, expect{acme.DNS, false, "NXDOMAIN"}},
		{egress.ErrNoAddress, expect{acme.DNS, false, "neither an A nor an AAAA"}},
		{egress.ErrBadAlias, expect{acme.DNS, false, "CNAME"}},
		{egress.ErrServerFailed, expect{acme.DNS, true, "SERVFAIL"}},
		{egress.ErrNoAnswer, expect{acme.DNS, true, "no DNS server answered"}},
	} {
		n := &names{errs: map[string]error{"example.org": fmt.Errorf("wrapped: %w", tt.err)}}
		got := newValidator(t, setup{names: n, port: 1}).Validate(t.Context(), target("example.org"))
		check(t, got, tt.want)
		if len(got.Tried) != 0 {
			t.Errorf("tried %v without an address", got.Tried)
		}
	}
}

// R8555-8.3-4, DH-7: IPv6 first; IPv4 when IPv6 cannot be connected to, but not when it
// answers, and not after a redirect.
func TestHTTP01AddressChoice(t *testing.T) {
	t.Parallel()
	hosts := map[string]string{"example.org": "127.0.0.1 127.0.0.2 ::1", "four.example": "127.0.0.1"}
	const allow = "127.0.0.0/8 ::1/128"

	t.Run("IPv6 cannot be connected to", func(t *testing.T) {
		t.Parallel()
		s := http01test.New(t, testport.Address(t))
		s.Answer(token, proof)
		got := newValidator(t, setup{names: at(hosts), allow: allow, port: s.Addr().Port()}).Validate(t.Context(), target("example.org"))
		check(t, got, expect{})
		if want := []string{fmt.Sprintf("[::1]:%d", s.Addr().Port()), s.Addr().String()}; !slices.Equal(got.Tried, want) {
			t.Errorf("tried %v, want %v", got.Tried, want)
		}
	})
	t.Run("IPv6 gives the wrong answer", func(t *testing.T) {
		t.Parallel()
		six := http01test.New(t, fmt.Sprintf("[::1]:%d", testport.Port(t)))
		four := http01test.New(t, fmt.Sprintf("127.0.0.1:%d", six.Addr().Port()))
		four.Answer(token, proof)
		got := newValidator(t, setup{names: at(hosts), allow: allow, port: six.Addr().Port()}).Validate(t.Context(), target("example.org"))
		check(t, got, expect{acme.Unauthorized, false, "404"})
		if four.Connections() != 0 {
			t.Error("IPv4 was asked although IPv6 had answered")
		}
	})
	t.Run("neither can be connected to", func(t *testing.T) {
		t.Parallel()
		port := uint16(testport.Port(t))
		got := newValidator(t, setup{names: at(hosts), allow: allow, port: port}).Validate(t.Context(), target("example.org"))
		check(t, got, expect{acme.Connection, true, fmt.Sprintf(" at [::1]:%d and 127.0.0.1:%d: the connection was refused", port, port)})
	})
	t.Run("after a redirect", func(t *testing.T) {
		t.Parallel()
		s := http01test.New(t, testport.Address(t))
		s.On(token, http01test.Redirect(302, "http://example.org/"+token))
		got := newValidator(t, setup{names: at(hosts), allow: allow, port: s.Addr().Port()}).Validate(t.Context(), target("four.example"))
		check(t, got, expect{acme.Connection, true, fmt.Sprintf("after 1 redirect at [::1]:%d: the connection was refused", s.Addr().Port())})
	})
	t.Run("IPv6 is not allowed", func(t *testing.T) {
		t.Parallel()
		s := http01test.New(t, "127.0.0.1:0")
		s.Answer(token, proof)
		got := newValidator(t, setup{names: at(hosts), port: s.Addr().Port()}).Validate(t.Context(), target("example.org"))
		check(t, got, expect{})
	})
}

func TestNewHTTP01(t *testing.T) {
	t.Parallel()
	policy, err := egress.NewPolicy(egress.PolicyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: at(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for says, cfg := range map[string]challenges.HTTP01Config{
		"needs a dialer":     {},
		"cannot be negative": {Dialer: dialer, Timeout: -1},
		"printable ASCII":    {Dialer: dialer, UserAgent: "a\r\nb: c"},
	} {
		if _, err := challenges.NewHTTP01(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
	if v, err := challenges.NewHTTP01(challenges.HTTP01Config{Dialer: dialer}); err != nil || v.Type() != acme.HTTP01 {
		t.Errorf("got %v, %v", v, err)
	}
}

func BenchmarkHTTP01(b *testing.B) {
	s := http01test.New(b, "127.0.0.1:0")
	s.Answer(token, proof)
	v := newValidator(b, setup{port: s.Addr().Port()})
	to := target("example.org")
	b.ReportAllocs()
	for b.Loop() {
		if got := v.Validate(b.Context(), to); !got.Valid {
			b.Fatal(got.Problem)
		}
	}
}

// BenchmarkPlainGet is what the same exchange costs with net/http alone.
func BenchmarkPlainGet(b *testing.B) {
	s := http01test.New(b, "127.0.0.1:0")
	s.Answer(token, proof)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	url := "http://" + s.Addr().String() + "/.well-known/acme-challenge/" + token
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}
