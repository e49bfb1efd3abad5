package jws_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/jws"
)

// everything has a field of each sort that the scan follows into.
type everything struct {
	newOrder
	CSR     string                     `json:"csr"`
	Contact []string                   `json:"contact,omitempty"`
	Agreed  *bool                      `json:"termsOfServiceAgreed"`
	Raw     json.RawMessage            `json:"raw"`
	When    time.Time                  `json:"when"`
	Named   map[string]struct{ A int } `json:"named"`
	Pair    *[2]struct {
		B int `json:"b"`
	} `json:"pair"`
	Plain  int
	Hidden int `json:"-"`
	secret int
}

// SP-5, SL-7
func TestDecodePayload(t *testing.T) {
	t.Parallel()
	nest := func(n int) string { return `{"raw":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"m%d":0`, i)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	elements := func(n int) string { return `{"raw":[` + strings.TrimSuffix(strings.Repeat("0,", n), ",") + `]}` }
	text := func(name string, n int) string { return `{"` + name + `":"` + strings.Repeat("a", n) + `"}` }
	tests := []struct {
		name, data string
		ok         bool
	}{
		{"empty object", `{}`, true},
		{"white space", " {\t\"csr\" :\r\n\"x\" , \"raw\": [ 1 , 2 ] } ", true},
		{"unknown members", `{"x":{"y":[1,-2.5e+3,true,false,null,"é"]}}`, true},
		{"the embedded struct", `{"identifiers":[{"type":"dns","value":"a"}]}`, true},
		{"null members", `{"csr":null,"contact":null,"pair":null}`, true},
		{"escapes", `{"csr":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, true},
		{"case differs between objects", `{"x":{"a":1},"y":{"A":1}}`, true},
		{"a map takes any name", `{"named":{"x":{"A":1}}}`, true},
		{"a raw member is nobody's business", `{"raw":{"B":1,"CSR":2}}`, true},
		{"a time", `{"when":"2030-01-02T03:04:05Z"}`, true},
		{"a field without a tag", `{"Plain":1}`, true},
		{"a name that no field has", `{"hidden":1,"secret":2}`, true},
		{"depth 16", nest(15), true},
		{"512 members", members(512), true},
		{"512 elements", elements(512), true},
		{"16 KiB", text("x", 16<<10), true},
		{"SL-10: a CSR of 24 KiB", text("csr", 32<<10), true},

		{"nothing", ``, false},
		{"only space", ` `, false},
		{"array", `[]`, false},
		{"string", `"{}"`, false},
		{"null", `null`, false},
		{"trailing object", `{}{}`, false},
		{"trailing word", `{} x`, false},
		{"byte order mark", "\ufeff{}", false},
		{"invalid UTF-8", "{\"x\":\"\xff\"}", false},
		{"overlong UTF-8", "{\"x\":\"\xc0\x80\"}", false},
		{"surrogate in UTF-8", "{\"x\":\"\xed\xa0\x80\"}", false},
		{"half a pair", `{"x":"\ud83d"}`, false},
		{"half a pair, then text", `{"x":"\ud83dabcdef"}`, false},
		{"the other half", `{"x":"\ude00"}`, false},
		{"two first halves", `{"x":"\ud83d\ud83d"}`, false},
		{"control character", "{\"x\":\"\n\"}", false},
		{"bad escape", `{"x":"\x"}`, false},
		{"short escape", `{"x":"\u12"}`, false},
		{"escape at the end", `{"x":"\`, false},
		{"duplicate", `{"csr":"a","csr":"b"}`, false},
		{"duplicate by escape", `{"csr":"a","\u0063sr":"b"}`, false},
		{"duplicate by case", `{"x":1,"X":2}`, false},
		{"duplicate by folding", `{"k":1,"` + "\u212a" + `":2}`, false},
		{"duplicate far down", `{"raw":[{"x":[{"y":1,"z":{},"y":2}]}]}`, false},
		{"duplicate among many", members(400)[:len(members(400))-1] + `,"M17":0}`, false},
		{"other case", `{"CSR":"a"}`, false},
		{"other case, below", `{"identifiers":[{"Type":"dns"}]}`, false},
		{"other case, in an array", `{"pair":[{"b":1},{"B":2}]}`, false},
		{"other case, in a map", `{"named":{"x":{"a":1}}}`, false},
		{"other case by folding", `{"c` + "\u017f" + `r":"a"}`, false},
		{"depth 17", nest(16), false},
		{"depth of objects", strings.Repeat(`{"a":`, 17) + "0" + strings.Repeat("}", 17), false},
		{"513 members", members(513), false},
		{"513 elements", elements(513), false},
		{"16 KiB and one", text("x", 16<<10+1), false},
		{"long name", text(strings.Repeat("n", 16<<10+1), 1), false},
		{"only the outermost csr may be long", `{"x":` + text("csr", 16<<10+1) + `}`, false},
		{"CSR over 24 KiB", text("csr", 32<<10+1), false},
		{"long number", `{"x":` + strings.Repeat("1", 65) + `}`, false},
		{"leading zero", `{"x":01}`, false},
		{"plus", `{"x":+1}`, false},
		{"bare point", `{"x":1.}`, false},
		{"bare exponent", `{"x":1e}`, false},
		{"bare minus", `{"x":-}`, false},
		{"NaN", `{"x":NaN}`, false},
		{"bad word", `{"x":nul}`, false},
		{"long word", `{"x":nulll}`, false},
		{"single quotes", `{'x':1}`, false},
		{"comment", `{/**/}`, false},
		{"trailing comma", `{"x":1,}`, false},
		{"trailing comma in an array", `{"x":[1,]}`, false},
		{"no comma", `{"x":1 "y":2}`, false},
		{"no colon", `{"x" 1}`, false},
		{"no value", `{"x":}`, false},
		{"no name", `{:1}`, false},
		{"wrong bracket", `{"x":[1}`, false},
		{"unterminated string", `{"x":"a}`, false},
		{"unterminated array", `{"x":[1`, false},
		{"wrong kind", `{"csr":1}`, false},
		{"wrong kind below", `{"identifiers":[{"type":[]}]}`, false},
		{"no time", `{"when":"tomorrow"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got everything
			p := jws.DecodePayload([]byte(tt.data), &got)
			if tt.ok {
				expect(t, p, "")
				return
			}
			expect(t, p, acme.Malformed)
			if len(p.Detail) > 300 {
				t.Errorf("the detail has %d bytes", len(p.Detail))
			}
		})
	}
}

// The name of the member helps more than that something is wrong.
func TestDecodePayloadNamesTheMember(t *testing.T) {
	t.Parallel()
	var o newOrder
	for data, want := range map[string]string{
		`{"notAfter":12}`:               `"notAfter"`,
		`{"identifiers":[{"value":1}]}`: `"identifiers`,
		`{"NotAfter":""}`:               `must be spelled "notAfter"`,
		`{"a":1,"b":2,"a":3}`:           `"a"`,
	} {
		p := jws.DecodePayload([]byte(data), &o)
		if p == nil || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %v does not say %s", data, p, want)
		}
	}
}

func TestDecodePayloadValues(t *testing.T) {
	t.Parallel()
	var got everything
	data := `{"identifiers":[{"type":"dns","value":"ex\u00e4mple.org"}],"notAfter":"x","contact":["a","b"],"named":{"n":{"A":3}},"pair":[{"b":1},{"b":2}]}`
	expect(t, jws.DecodePayload([]byte(data), &got), "")
	if got.Identifiers[0].Value != "exämple.org" || got.NotAfter != "x" || len(got.Contact) != 2 || got.Named["n"].A != 3 || got.Pair[1].B != 2 || got.secret != 0 {
		t.Errorf("got %+v", got)
	}
}

// A mistake of ours must not look like one of the client's.
func TestDecodePayloadIntoNothing(t *testing.T) {
	t.Parallel()
	for _, into := range []any{nil, newOrder{}, (*newOrder)(nil)} {
		if p := jws.DecodePayload([]byte("{}"), into); p == nil || p.Type != acme.ServerInternal {
			t.Errorf("into %T: %v", into, p)
		}
	}
}
