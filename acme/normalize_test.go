package acme

import (
	"slices"
	"strings"
	"testing"
)

func labels(n int, label string) string { return strings.TrimSuffix(strings.Repeat(label+".", n), ".") }

func TestParseIdentifierDNS(t *testing.T) {
	t.Parallel()
	open := IdentifierPolicy{Wildcard: true, SingleLabel: true}
	within := IdentifierPolicy{Wildcard: true, SingleLabel: true, Suffixes: []string{"Example.net", ".members.test"}}
	l63 := strings.Repeat("a", 63)
	tests := []struct {
		name   string
		sent   string
		policy IdentifierPolicy
		want   string // normal form; empty: refused
		typ    ProblemType
		why    string
	}{
		{"plain", "www.example.net", IdentifierPolicy{}, "www.example.net", "", ""},
		{"R8555-7.4-13 upper case", "WWW.Example.NET", IdentifierPolicy{}, "www.example.net", "", ""},
		{"digits", "1.example.net", IdentifierPolicy{}, "1.example.net", "", ""},
		{"inner hyphens", "a--b.a-b.net", IdentifierPolicy{}, "a--b.a-b.net", "", ""},
		{"A-label", "xn--bcher-kva.example", IdentifierPolicy{}, "xn--bcher-kva.example", "", ""},
		{"A-label in capitals", "XN--BCHER-KVA.example", IdentifierPolicy{}, "xn--bcher-kva.example", "", ""},
		{"label of 63", l63 + ".net", IdentifierPolicy{}, l63 + ".net", "", ""},
		{"ten labels", labels(10, "a"), IdentifierPolicy{}, labels(10, "a"), "", ""},
		{"R8555-7.4-6 wildcard", "*.Example.net", open, "*.example.net", "", ""},
		{"single label", "LocalHost", open, "localhost", "", ""},
		{"suffix itself", "example.net", within, "example.net", "", ""},
		{"below suffix", "a.b.EXAMPLE.net", within, "a.b.example.net", "", ""},
		{"wildcard below suffix", "*.example.net", within, "*.example.net", "", ""},
		{"below dotted suffix", "a.members.test", within, "a.members.test", "", ""},
		{"wildcard below dotted suffix", "*.members.test", within, "*.members.test", "", ""},

		{"R8555-7.4-5 trailing dot", "example.net.", open, "", Malformed, "remove the dot"},
		{"dot alone", ".", open, "", Malformed, "remove the dot"},
		{"leading dot", ".example.net", open, "", Malformed, "empty label"},
		{"R8555-7.4-18 two dots", "www..example.net", open, "", Malformed, "two dots"},
		{"underscore", "_acme.example.net", open, "", Malformed, "underscore"},
		{"hyphen in front", "-a.example.net", open, "", Malformed, "hyphen"},
		{"hyphen behind", "a-.example.net", open, "", Malformed, "hyphen"},
		{"reserved LDH", "ab--cd.example.net", open, "", Malformed, "only xn--"},
		{"label of 64", l63 + "a.net", open, "", Malformed, "more than 63"},
		{"254 characters", labels(4, l63)[:252] + ".a", open, "", Malformed, "longer than 253"},
		{"253 and a wildcard", "*." + labels(4, l63)[:251] + "a", open, "", Malformed, "longer than 253"},
		{"eleven labels", labels(11, "a"), open, "", Malformed, "more than 10 labels"},
		{"port", "example.net:443", open, "", Malformed, "without scheme, port"},
		{"URL", "https://example.net/", open, "", Malformed, "without scheme, port"},
		{"R8555-7.4-18 IPv4", "192.0.2.1", open, "", Malformed, "type ip"},
		{"IPv6", "2001:db8::1", open, "", Malformed, "type ip"},
		{"IPv6 in brackets", "[2001:db8::1]", open, "", Malformed, `'['`},
		{"short IPv4", "127.1", open, "", Malformed, "last label is a number"},
		{"hex IPv4", "127.0x1", open, "", Malformed, "last label is a number"},
		{"long IPv4", "2130706433", open, "", Malformed, "last label is a number"},
		{"space", "a b.net", open, "", Malformed, "white space"},
		{"space in front", " a.net", open, "", Malformed, "white space"},
		{"line end", "a.net\n", open, "", Malformed, "white space"},
		{"NUL", "a.net\x00.example", open, "", Malformed, "control"},
		{"delete", "a\x7f.net", open, "", Malformed, "control"},
		{"at", "me@example.net", open, "", Malformed, `'@'`},
		{"U-label", "bücher.example", open, "", Malformed, "xn--bcher-kva.example"},
		{"U-label in capitals", "BÜCHER.example", open, "", Malformed, "xn--bcher-kva.example"},
		{"Kelvin sign", "\u212a.example", open, "", Malformed, "k.example"},
		{"not UTF-8", "a\xff.example", open, "", Malformed, ""},
		{"bad punycode", "xn--zzzzzzzzzz99999.example", open, "", Malformed, "internationalized"},
		{"A-label of ASCII", "xn--foo-.example", open, "", Malformed, "hyphen"},
		{"A-label without text", "xn--.example", open, "", Malformed, "hyphen"},
		{"A-label not composed", "xn--bucher-xyd.example", open, "", Malformed, "internationalized"},
		{"A-label of a look-alike (Angstrom)", "xn--72g.example", open, "", Malformed, "internationalized"},
		{"A-label of a zero-width joiner", "xn--ab-m1t.example", open, "", Malformed, "internationalized"},
		{"PX-10 A-label of mixed direction", "xn--a1-uld.example", open, "", Malformed, "internationalized"},
		{"A-label with a mapped letter", "xn--bcher-kvA", open, "xn--bcher-kva", "", ""},
		{"wildcard not leftmost", "www.*.net", open, "", Malformed, "asterisk"},
		{"two wildcards", "*.*.net", open, "", Malformed, "asterisk"},
		{"partial wildcard", "w*.example.net", open, "", Malformed, "asterisk"},
		{"wildcard alone", "*", open, "", Malformed, "asterisk"},
		{"wildcard of nothing", "*.", open, "", Malformed, "empty"},
		{"wildcard of an address", "*.192.0.2.1", open, "", Malformed, "type ip"},
		{"wildcard below one label", "*.net", open, "", Malformed, "single label"},

		{"R9799-1 onion service", "abcdefghij234567.onion", open, "", RejectedIdentifier, "onion service"},
		{"R9799-1 below one", "www.abcdefghij234567.Onion", open, "", RejectedIdentifier, "onion service"},
		{"R9799-1 all of them", "onion", open, "", RejectedIdentifier, "onion service"},
		{"R9799-1 their wildcard", "*.abcdefghij234567.onion", open, "", RejectedIdentifier, "onion service"},
		{"no onion service", "onion.example", open, "onion.example", "", ""},
		{"nor is this", "x.red-onion", open, "x.red-onion", "", ""},
		{"wildcard not offered", "*.example.net", IdentifierPolicy{}, "", RejectedIdentifier, "wildcard"},
		{"single label not offered", "localhost", IdentifierPolicy{}, "", RejectedIdentifier, "single label"},
		{"R8555-7.4-19 outside", "example.org", within, "", RejectedIdentifier, "outside"},
		{"suffix without its dot", "badexample.net", within, "", RejectedIdentifier, "outside"},
		{"dotted suffix itself", "members.test", within, "", RejectedIdentifier, "outside"},
		{"empty suffix admits nothing", "example.org", IdentifierPolicy{Suffixes: []string{""}}, "", RejectedIdentifier, "outside"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, wildcard, p := ParseIdentifier(Identifier{Type: DNSIdentifier, Value: tt.sent}, tt.policy)
			if tt.want == "" {
				if p == nil {
					t.Fatalf("%q became %q, want %s", tt.sent, id.Value, tt.typ)
				}
				if p.Type != tt.typ || !strings.Contains(p.Detail, tt.why) || p.Status != 400 {
					t.Errorf("got %d %v, want 400 %s saying %q", p.Status, p, tt.typ, tt.why)
				}
				return
			}
			if p != nil {
				t.Fatalf("refused: %v", p)
			}
			if id.Value != tt.want || id.Type != DNSIdentifier || id.Wire() != tt.sent {
				t.Errorf("got %+v, want %q with wire form %q", id, tt.want, tt.sent)
			}
			if (id.Sent != "") != (tt.want != tt.sent) {
				t.Errorf("Sent = %q; it is for a spelling that differs (C-LG-3)", id.Sent)
			}
			base, ok := id.Wildcard()
			if is := strings.HasPrefix(tt.want, "*."); wildcard != is || ok != is || base.Value != strings.TrimPrefix(tt.want, "*.") {
				t.Errorf("wildcard %v, Wildcard() = %q, %v, want %v", wildcard, base.Value, ok, is)
			}
		})
	}
}

func TestParseIdentifierIP(t *testing.T) { // R8738-3-1
	t.Parallel()
	both := IdentifierPolicy{Types: []IdentifierType{DNSIdentifier, IPIdentifier}, Suffixes: []string{"example.net"}}
	for _, sent := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1", "::1", "2001:db8:0:1:1:1:1:1"} {
		id, wildcard, p := ParseIdentifier(Identifier{Type: IPIdentifier, Value: sent}, both)
		if p != nil || wildcard || id != (Identifier{Type: IPIdentifier, Value: sent}) {
			t.Errorf("%s: got %+v, %v", sent, id, p)
		}
	}
	tests := []struct {
		sent string
		typ  ProblemType
		why  string
	}{
		{"example.net", Malformed, "not an IP address"},
		{"192.0.2.01", Malformed, "not an IP address"},
		{"192.0.2.1:80", Malformed, "not an IP address"},
		{"192.0.2.0/24", Malformed, "not an IP address"},
		{"[::1]", Malformed, "not an IP address"},
		{" ::1", Malformed, "not an IP address"},
		{"2001:DB8::1", Malformed, "write 2001:db8::1"},
		{"2001:db8:0:0:0:0:0:1", Malformed, "write 2001:db8::1"},
		{"::ffff:192.0.2.1", Malformed, "write 192.0.2.1"},
		{"fe80::1%eth0", Malformed, "zone"},
		{"0.0.0.0", RejectedIdentifier, "not the address of a host"},
		{"::", RejectedIdentifier, "not the address of a host"},
		{"224.0.0.1", RejectedIdentifier, "not the address of a host"},
		{"255.255.255.255", RejectedIdentifier, "not the address of a host"},
		{"ff02::1", RejectedIdentifier, "not the address of a host"},
	}
	for _, tt := range tests {
		_, _, p := ParseIdentifier(Identifier{Type: IPIdentifier, Value: tt.sent}, both)
		if p == nil || p.Type != tt.typ || !strings.Contains(p.Detail, tt.why) {
			t.Errorf("%s: got %v, want %s saying %q", tt.sent, p, tt.typ, tt.why)
		}
	}
}

func TestParseIdentifierType(t *testing.T) { // R8555-7.4-4
	t.Parallel()
	any := []IdentifierType{DNSIdentifier, IPIdentifier, "email"}
	tests := []struct {
		name  string
		sent  Identifier
		types []IdentifierType
		want  ProblemType
	}{
		{"ip by default", Identifier{Type: IPIdentifier, Value: "192.0.2.1"}, nil, UnsupportedIdentifier},
		{"dns where not listed", Identifier{Type: DNSIdentifier, Value: "a.net"}, []IdentifierType{IPIdentifier}, UnsupportedIdentifier},
		{"unknown", Identifier{Type: "onion", Value: "a"}, any, UnsupportedIdentifier},
		{"listed but not known (SP-3)", Identifier{Type: "email", Value: "a@b"}, any, UnsupportedIdentifier},
		{"case", Identifier{Type: "DNS", Value: "a.net"}, any, UnsupportedIdentifier},
		{"no type", Identifier{Value: "a.net"}, any, Malformed},
		{"no value", Identifier{Type: DNSIdentifier}, any, Malformed},
	}
	for _, tt := range tests {
		if _, _, p := ParseIdentifier(tt.sent, IdentifierPolicy{Types: tt.types}); p == nil || p.Type != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, p, tt.want)
		}
	}
}

func names(values ...string) []Identifier {
	ids := make([]Identifier, len(values))
	for i, v := range values {
		ids[i] = Identifier{Type: DNSIdentifier, Value: v}
	}
	return ids
}

func TestParseIdentifiers(t *testing.T) {
	t.Parallel()
	// R8555-7.4-13: order kept, duplicates merged whatever their case.
	got, p := ParseIdentifiers(names("B.net", "a.net", "b.net", "A.NET", "*.a.net"), IdentifierPolicy{Wildcard: true})
	want := []Identifier{
		{Type: DNSIdentifier, Value: "b.net", Sent: "B.net"},
		{Type: DNSIdentifier, Value: "a.net"},
		{Type: DNSIdentifier, Value: "*.a.net"},
	}
	if p != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, p, want)
	}
}

func TestParseIdentifiersRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		sent []Identifier
		max  int
		want ProblemType
		subs []ProblemType
	}{
		{"R8555-7.4-3 none", nil, 0, Malformed, nil},
		{"R8555-7.4-3 no type", []Identifier{{Value: "a.net"}}, 0, Malformed, nil},
		{"R8555-7.4-3 no value", []Identifier{{Type: DNSIdentifier}}, 0, Malformed, nil},
		{"SL-8 one too many", names("a.net", "b.net", "c.net"), 2, Malformed, nil},
		{"SL-8 too many by default", names(strings.Fields(strings.Repeat("a.net ", 101))...), 0, Malformed, nil},
		{"R8555-7.4-15 one of two", names("a.net", "*.b.net"), 0, RejectedIdentifier, []ProblemType{RejectedIdentifier}},
		{"R8555-7.4-15 two of three", names("a", "b.net", "c"), 0, RejectedIdentifier, []ProblemType{RejectedIdentifier, RejectedIdentifier}},
		{"syntax", names("a_b.net"), 0, Malformed, []ProblemType{Malformed}},
		{"R8555-6.7-5 two kinds", names("a_b.net", "c"), 0, Compound, []ProblemType{Malformed, RejectedIdentifier}},
		{"type", []Identifier{{Type: "onion", Value: "a"}}, 0, UnsupportedIdentifier, []ProblemType{UnsupportedIdentifier}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, p := ParseIdentifiers(tt.sent, IdentifierPolicy{Max: tt.max})
			if p == nil || p.Type != tt.want || p.Status != 400 || p.Detail == "" {
				t.Fatalf("got %+v, want %s", p, tt.want)
			}
			var subs []ProblemType
			for _, s := range p.Subproblems {
				subs = append(subs, s.Type)
				if !slices.Contains(tt.sent, s.Identifier) {
					t.Errorf("subproblem of %+v, which was not sent", s.Identifier)
				}
			}
			if !slices.Equal(subs, tt.subs) {
				t.Errorf("subproblems %v, want %v", subs, tt.subs)
			}
		})
	}
	if _, p := ParseIdentifiers(names(strings.Fields(strings.Repeat("a.net ", 100))...), IdentifierPolicy{}); p != nil {
		t.Errorf("100 identifiers: %v", p)
	}
}

func TestDetailIsShort(t *testing.T) {
	t.Parallel()
	_, _, p := ParseIdentifier(Identifier{Type: DNSIdentifier, Value: strings.Repeat("\x00", 5000)}, IdentifierPolicy{})
	if p == nil || len(p.Detail) > 600 || strings.ContainsRune(p.Detail, 0) {
		t.Errorf("detail: %v", p)
	}
}

// FuzzParseIdentifier: whatever is accepted is in normal form, so accepting it
// again changes nothing, and it is plain ASCII without capitals.
func FuzzParseIdentifier(f *testing.F) {
	for _, seed := range []string{"www.Example.net", "*.example.net", "localhost", "xn--bcher-kva.example", "bücher.example",
		"192.0.2.1", "2001:db8::1", "a..b", "xn--", "xn--foo-.net", "\u212a.net", "127.1", "a.net.", "xn--e1afmkfd.xn--p1ai"} {
		f.Add("dns", seed)
		f.Add("ip", seed)
	}
	policy := IdentifierPolicy{Types: []IdentifierType{DNSIdentifier, IPIdentifier}, Wildcard: true, SingleLabel: true}
	f.Fuzz(func(t *testing.T, kind, value string) {
		id, wildcard, p := ParseIdentifier(Identifier{Type: IdentifierType(kind), Value: value}, policy)
		if p != nil {
			if p.Detail == "" || p.Status != 400 {
				t.Errorf("problem without a reason: %+v", p)
			}
			return
		}
		if id.Wire() != value {
			t.Errorf("wire form %q of %q", id.Wire(), value)
		}
		if len(id.Value) > 253 {
			t.Errorf("%d characters", len(id.Value))
		}
		for _, c := range []byte(id.Value) {
			if c >= 0x80 || c <= ' ' || c >= 'A' && c <= 'Z' {
				t.Fatalf("%q is not in normal form", id.Value)
			}
		}
		again, wild, p := ParseIdentifier(Identifier{Type: id.Type, Value: id.Value}, policy)
		if p != nil || wild != wildcard || again != (Identifier{Type: id.Type, Value: id.Value}) {
			t.Errorf("%q: again %+v, %v", id.Value, again, p)
		}
	})
}
