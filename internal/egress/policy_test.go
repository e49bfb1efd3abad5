package egress

import (
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func mustPolicy(t testing.TB, cfg PolicyConfig) *Policy {
	t.Helper()
	p, err := NewPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func prefixes(list ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// verdict is the class of a refusal, or "ok".
func verdict(err error) string {
	var denied *DeniedError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &denied) && errors.Is(err, ErrDenied):
		return string(denied.Class)
	default:
		return "unexpected error: " + err.Error()
	}
}

// SV-2, R8555-10.4-1: over 300 spellings of addresses, with verdicts that were
// worked out apart from this code.
func TestSpellings(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, PolicyConfig{})
	table, err := os.ReadFile("testdata/spellings.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(table)) {
		spelling, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		got := "not an address"
		if addr, err := netip.ParseAddr(spelling); err == nil {
			got = verdict(p.Check(addr))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", spelling, got, want)
		}
	}
	if rows < 200 {
		t.Errorf("the table has %d rows, want 200 at least", rows)
	}
}

// What an operator opens is open, and nothing beside it: private networks open
// prefix by prefix (SV-5, R8555-10.4-2), and what is closed for good stays closed.
func TestAllowAndDeny(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		allow, deny []string
		nat64       []string
		addr, want  string
	}{
		{"a named prefix opens", []string{"10.1.0.0/16"}, nil, nil, "10.1.2.3", "ok"},
		{"and nothing beside it", []string{"10.1.0.0/16"}, nil, nil, "10.2.0.1", "private"},
		{"mapped form of an opened one", []string{"10.1.0.0/16"}, nil, nil, "::ffff:10.1.2.3", "ok"},
		{"mapped form of a prefix", []string{"::ffff:10.1.0.0/112"}, nil, nil, "10.1.2.3", "ok"},
		// SV-5: each of the soft ranges opens by a prefix in it, and by that alone.
		{"shared address space", []string{"100.64.0.0/10"}, nil, nil, "100.64.0.1", "ok"},
		{"unique local addresses", []string{"fd12:3456::/32"}, nil, nil, "fd12:3456::1", "ok"},
		{"and not their neighbours", []string{"fd12:3456::/32"}, nil, nil, "fd12:3457::1", "private"},
		{"networks for benchmarks", []string{"198.18.0.0/15"}, nil, nil, "198.19.255.255", "ok"},
		{"one address of a private network", []string{"192.168.7.9/32"}, nil, nil, "192.168.7.8", "private"},
		{"IPv4 opens no IPv6", []string{"0.0.0.0/0"}, nil, nil, "fd00::1", "private"},
		{"deny wins", []string{"10.0.0.0/8"}, []string{"10.9.0.0/16"}, nil, "10.9.0.1", "denied"},
		{"deny closes public ones", nil, []string{"8.8.8.0/24"}, nil, "8.8.8.8", "denied"},
		{"deny reaches inside", []string{"2002::/16"}, []string{"8.8.8.0/24"}, nil, "2002:808:808::1", "denied"},
		{"SV-4: hard deny wins over its own name", []string{"169.254.0.0/16"}, nil, nil, "169.254.169.254", "link-local"},
		{"SV-4: and over everything", []string{"0.0.0.0/0"}, nil, nil, "169.254.169.254", "link-local"},
		{"SV-4: metadata in an opened private range", []string{"fd00::/8"}, nil, nil, "fd00:ec2::254", "cloud control plane"},
		{"SV-4: metadata in an opened shared range", []string{"100.64.0.0/10"}, nil, nil, "100.100.100.200", "cloud control plane"},
		{"loopback by its prefix", []string{"127.0.0.0/8"}, nil, nil, "127.0.0.1", "ok"},
		{"loopback by part of its prefix", []string{"127.0.0.1/32"}, nil, nil, "127.0.0.2", "loopback"},
		{"loopback not by a wide prefix", []string{"0.0.0.0/0"}, nil, nil, "127.0.0.1", "loopback"},
		{"loopback 6", []string{"::1/128"}, nil, nil, "::1", "ok"},
		{"loopback 6 not by a wide prefix", []string{"::/0"}, nil, nil, "::1", "loopback"},
		{"loopback 6 opens no neighbour", []string{"::1/128"}, nil, nil, "::2", "IPv4-compatible"},
		{"loopback 6 can be denied", []string{"::1/128"}, []string{"::1/128"}, nil, "::1", "denied"},
		{"6to4 opened, inside public", []string{"2002::/16"}, nil, nil, "2002:808:808::1", "ok"},
		{"6to4 opened, inside metadata", []string{"2002::/16"}, nil, nil, "2002:a9fe:a9fe::1", "link-local"},
		{"Teredo opened, client private", []string{"2001::/32"}, nil, nil, "2001:0:808:808:0:ffff:f5ff:fffe", "private"},
		{"Teredo opened, both public", []string{"2001::/32"}, nil, nil, "2001:0:808:808:0:ffff:f7f7:f7f7", "ok"},
		{"NAT64 opened, inside public", []string{"64:ff9b::/96"}, nil, nil, "64:ff9b::8.8.8.8", "ok"},
		{"NAT64 opened, inside metadata", []string{"64:ff9b::/96"}, nil, nil, "64:ff9b::a9fe:a9fe", "link-local"},
		{"NAT64 opened, inside private and opened", []string{"64:ff9b::/96", "10.0.0.0/8"}, nil, nil, "64:ff9b::10.0.0.1", "ok"},
		{"NAT64 of local use, /48 layout", []string{"64:ff9b:1::/48"}, nil, nil, "64:ff9b:1:a9fe:a9:fe00::", "link-local"},
		{"NAT64 of local use, /48 layout, public", []string{"64:ff9b:1::/48"}, nil, nil, "64:ff9b:1:808:8:800::", "ok"},
		{"NAT64 of local use, /96 layout", []string{"64:ff9b:1::/96"}, nil, nil, "64:ff9b:1::a9fe:a9fe", "link-local"},
		{"NAT64 of the network's own", nil, nil, []string{"2606:4700:64::/96"}, "2606:4700:64::7f00:1", "loopback"},
		{"NAT64 of the network's own, /64 layout", nil, nil, []string{"2606:4700:64::/64"}, "2606:4700:64:0:a9:fea9:fe00::", "link-local"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := mustPolicy(t, PolicyConfig{Allow: prefixes(tt.allow...), Deny: prefixes(tt.deny...), NAT64: prefixes(tt.nat64...)})
			if got := verdict(p.Check(netip.MustParseAddr(tt.addr))); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.addr, got, tt.want)
			}
		})
	}
}

func TestPolicyRefusesUnclearPrefixes(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]PolicyConfig{
		"write 10.0.0.0/8, or 10.1.2.3/32": {Allow: prefixes("10.1.2.3/8")},
		"write fc00::/7":                   {Deny: prefixes("fd00::/7")},
		"is not a prefix":                  {Allow: []netip.Prefix{{}}},
		"length 32, 40, 48, 56, 64 or 96":  {Allow: prefixes("64:ff9b:1:2::/65")},
		"use an IPv6 prefix":               {NAT64: prefixes("10.0.0.0/32")},
	} {
		if _, err := NewPolicy(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that says %q", err, name)
		}
	}
}

// SV-4, SA-13: what is dangerous or useless about the configuration is said.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow []string
		want  []string
	}{
		{nil, nil},
		{[]string{"10.0.0.0/8", "fd12::/16", "64:ff9b::/96"}, nil},
		{[]string{"127.0.0.0/8"}, []string{"opens loopback"}},
		{[]string{"127.0.0.1/32", "::1/128"}, []string{"opens loopback", "opens loopback"}},
		{[]string{"169.254.169.254/32"}, []string{"has no effect"}},
		{[]string{"0.0.0.0/0"}, []string{"opens 13 special ranges"}},
	} {
		got := mustPolicy(t, PolicyConfig{Allow: prefixes(tt.allow...)}).Warnings()
		if len(got) != len(tt.want) {
			t.Errorf("allow %v: %q, want %d warnings", tt.allow, got, len(tt.want))
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tt.want[i]) {
				t.Errorf("allow %v: %q, want it to say %q", tt.allow, got[i], tt.want[i])
			}
		}
	}
}

// SV-6: our own listeners stay out of reach inside an allowed prefix.
func TestOwnListeners(t *testing.T) {
	t.Parallel()
	own := []netip.AddrPort{
		netip.MustParseAddrPort("127.0.0.1:14000"),
		netip.MustParseAddrPort("[::]:5432"),
	}
	p := mustPolicy(t, PolicyConfig{
		Allow: prefixes("127.0.0.0/8", "::1/128", "10.0.0.0/8"),
		Own:   func() []netip.AddrPort { return own },
	})
	p.machine = func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, 7), Mask: net.CIDRMask(24, 32)}}, nil
	}
	for to, want := range map[string]string{
		"127.0.0.1:14000":          "own",
		"[::ffff:127.0.0.1]:14000": "own",
		"127.0.0.1:14001":          "ok",
		"127.0.0.2:14000":          "ok",
		"127.0.0.9:5432":           "own",
		"[::1]:5432":               "own",
		"10.0.0.7:5432":            "own",
		"10.0.0.8:5432":            "ok",
		"192.168.0.1:5432":         "private",
	} {
		if got := verdict(p.CheckAddrPort(netip.MustParseAddrPort(to))); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	p.machine = func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
	if got := verdict(p.CheckAddrPort(netip.MustParseAddrPort("10.0.0.8:5432"))); got != "own" {
		t.Errorf("with unknown interfaces: %s, want own", got)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, PolicyConfig{})
	for host, want := range map[string]string{
		"metadata.google.internal":             "reserved name",
		"METADATA.google.internal.":            "reserved name",
		"a.metadata.goog":                      "reserved name",
		"instance-data":                        "reserved name",
		"kubernetes.default.svc.cluster.local": "reserved name",
		"xmetadata.goog":                       "ok",
		"metadata.goog.example":                "ok",
		"example.org":                          "ok",
	} {
		if got := verdict(p.CheckName(host)); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// The error is what an operator reads in the log.
func TestDeniedErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, PolicyConfig{})
	for addr, want := range map[string]string{
		"10.0.0.5":           "egress: 10.0.0.5 refused: private address (10.0.0.0/8); a prefix in validation.allow opens it",
		"169.254.169.254":    "egress: 169.254.169.254 refused: link-local address (169.254.0.0/16)",
		"64:ff9b::a9fe:a9fe": "egress: 64:ff9b::a9fe:a9fe refused: link-local address 169.254.169.254 inside (169.254.0.0/16)",
	} {
		if got := p.Check(netip.MustParseAddr(addr)).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// FuzzPolicy (F13, SV-2) compares the policy with another way to decide: every
// range as two big integers, and addresses as numbers.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "8.8.8.8", "10.1.2.3", "10.2.2.3", "::1", "::ffff:169.254.169.254", "64:ff9b::808:808", "2002:a01:203::1", "2001:0:808:808::1", "fd00:ec2::254", "2606:4700::1111", "64:ff9b:1::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	p := mustPolicy(f, PolicyConfig{
		Allow: prefixes("10.1.0.0/16", "::1/128", "2002::/16", "64:ff9b::/96", "fd00::/8"),
		Deny:  prefixes("9.9.9.0/24", "2606:4700::/64"),
	})
	oracle := newOracle()
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		if got, want := p.Check(addr) == nil, oracle.allows(addr.AsSlice()); got != want {
			t.Errorf("%s: allowed %v, the oracle says %v", addr, got, want)
		}
	})
}

// span is a range of numbers; both ends are part of it.
type span struct{ from, to *big.Int }

type oracle struct {
	closed4, closed6, always4, always6, opened4, opened6 []span
}

func spans(list ...string) []span {
	var out []span
	for _, s := range list {
		ip, ipnet, err := net.ParseCIDR(s)
		if err != nil {
			panic(err)
		}
		ones, bits := ipnet.Mask.Size()
		raw := ip.To4()
		if bits == 128 {
			raw = ip.To16()
		}
		from := new(big.Int).SetBytes(raw)
		size := new(big.Int).Lsh(big.NewInt(1), uint(bits-ones))
		out = append(out, span{from, size.Add(size, from).Sub(size, big.NewInt(1))})
	}
	return out
}

func inAny(n *big.Int, list []span) bool {
	for _, s := range list {
		if n.Cmp(s.from) >= 0 && n.Cmp(s.to) <= 0 {
			return true
		}
	}
	return false
}

func newOracle() oracle {
	return oracle{
		always4: spans("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
			"127.0.0.0/8", "9.9.9.0/24"),
		closed4: spans("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24",
			"203.0.113.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24"),
		opened4: spans("10.1.0.0/16"),
		always6: spans("::/128", "::2/127", "::4/126", "::8/125", "::10/124", "::20/123", "::40/122", "::80/121", "::100/120", "::200/119", "::400/118", "::800/117", "::1000/116", "::2000/115", "::4000/114", "::8000/113", "::1:0/112", "::2:0/111", "::4:0/110", "::8:0/109", "::10:0/108", "::20:0/107", "::40:0/106", "::80:0/105", "::100:0/104", "::200:0/103", "::400:0/102", "::800:0/101", "::1000:0/100", "::2000:0/99", "::4000:0/98", "::8000:0/97",
			"fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128", "64:ff9b:1::/48", "2001::/32", "2606:4700::/64"),
		closed6: spans("fc00::/7", "2001::/23", "100::/64", "100:0:0:1::/64", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"),
		opened6: spans("fd00::/8"),
	}
}

func (o oracle) allows(raw []byte) bool {
	n := new(big.Int).SetBytes(raw)
	if len(raw) == 4 {
		return !inAny(n, o.always4) && (!inAny(n, o.closed4) || inAny(n, o.opened4))
	}
	switch {
	case inAny(n, spans6("0:0:0:0:0:ffff:0:0", 96)):
		return o.allows(raw[12:])
	case inAny(n, spans6("64:ff9b::", 96)):
		return o.allows(raw[12:])
	case inAny(n, spans6("2002::", 16)):
		return o.allows(raw[2:6])
	}
	return !inAny(n, o.always6) && (!inAny(n, o.closed6) || inAny(n, o.opened6))
}

// spans6 spares net.ParseCIDR, which takes IPv4-mapped prefixes for IPv4.
func spans6(first string, bits uint) []span {
	from := new(big.Int).SetBytes(net.ParseIP(first).To16())
	if first == "0:0:0:0:0:ffff:0:0" {
		from = new(big.Int).SetBytes([]byte{0xff, 0xff, 0, 0, 0, 0})
	}
	size := new(big.Int).Lsh(big.NewInt(1), 128-bits)
	return []span{{from, size.Add(size, from).Sub(size, big.NewInt(1))}}
}

func BenchmarkPolicy(b *testing.B) {
	p := mustPolicy(b, PolicyConfig{Allow: prefixes("127.0.0.0/8")})
	four, six := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2606:4700::1111")
	b.ReportAllocs()
	for b.Loop() {
		if p.Check(four) != nil || p.Check(six) != nil {
			b.Fatal("refused")
		}
	}
}
