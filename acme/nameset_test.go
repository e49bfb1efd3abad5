package acme_test

import (
	"testing"

	"acmebridge/acme"
)

// TestNameSetOf: order, spelling and repetition do not matter, everything else
// does (SL-21).
func TestNameSetOf(t *testing.T) {
	t.Parallel()
	dns := func(v string) acme.Identifier { return acme.Identifier{Type: acme.DNSIdentifier, Value: v} }
	a, b := dns("a.example"), dns("b.example")
	set := acme.NameSetOf([]acme.Identifier{a, b})
	for name, same := range map[string][]acme.Identifier{
		"another order":    {b, a},
		"a repetition":     {b, a, b},
		"another spelling": {{Type: acme.DNSIdentifier, Value: "a.example", Sent: "A.example"}, b},
	} {
		if acme.NameSetOf(same) != set {
			t.Errorf("%s makes another set", name)
		}
	}
	for name, other := range map[string][]acme.Identifier{
		"one less":        {a},
		"one more":        {a, b, dns("c.example")},
		"none":            nil,
		"another kind":    {{Type: acme.IPIdentifier, Value: "a.example"}, b},
		"split elsewhere": {dns("a.example\x01b.example")},
	} {
		if acme.NameSetOf(other) == set {
			t.Errorf("%s makes the same set", name)
		}
	}
}
