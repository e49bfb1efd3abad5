package acme

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Limits of names (R8555-7.4-18). Ten labels are more than anybody has, and
// fewer than a chain of CAA look-ups should climb.
const (
	maxNameLength  = 253
	maxLabelLength = 63
	maxLabels      = 10
	// defaultMaxIdentifiers bounds an order whose profile does not (SL-8).
	defaultMaxIdentifiers = 100
	// maxQuoted is how much of a client's value a problem repeats.
	maxQuoted = 100
)

const wildcardPrefix = "*."

// aLabels decodes and encodes labels by the rules for registering them, which
// are stricter than those for looking names up: whatever passes has exactly
// one spelling (R8555-7.4-5, PX-10).
var aLabels = idna.New(idna.ValidateForRegistration())

// Wildcard returns the name below which a wildcard identifier holds, and
// whether i is one.
func (i Identifier) Wildcard() (base Identifier, ok bool) {
	name, ok := strings.CutPrefix(i.Value, wildcardPrefix)
	if !ok || i.Type != DNSIdentifier {
		return i, false
	}
	return Identifier{Type: i.Type, Value: name}, true
}

// ParseIdentifiers turns what newOrder lists into identifiers in normal form,
// in the order they came, each once. One refused identifier refuses the order,
// and each gets its own subproblem, so that a person mends all at once
// (R8555-7.4-15).
func ParseIdentifiers(sent []Identifier, policy IdentifierPolicy) ([]Identifier, *Problem) {
	if len(sent) == 0 {
		return nil, Problemf(Malformed, "the order lists no identifiers") // R8555-7.4-3
	}
	most := policy.Max
	if most <= 0 {
		most = defaultMaxIdentifiers
	}
	if len(sent) > most {
		return nil, Problemf(Malformed, "the order lists %d identifiers; at most %d are allowed, so split it", len(sent), most)
	}
	ids := make([]Identifier, 0, len(sent))
	var refused []Subproblem
	for n, s := range sent {
		if s.Type == "" || s.Value == "" { // R8555-7.4-3
			return nil, Problemf(Malformed, "identifier %d has no type or no value", n+1)
		}
		id, _, p := ParseIdentifier(s, policy)
		if p != nil {
			refused = append(refused, Subproblem{Type: p.Type, Detail: p.Detail, Identifier: Identifier{Type: s.Type, Value: s.Value}})
			continue
		}
		// R8555-7.4-13: the same name in another spelling is the same name.
		if !slices.ContainsFunc(ids, id.Same) {
			ids = append(ids, id)
		}
	}
	if len(refused) > 0 {
		return nil, refusedIdentifiers(refused, len(sent))
	}
	return ids, nil
}

// refusedIdentifiers puts the common type of the parts on top, or compound
// when they differ (R8555-6.7-5).
func refusedIdentifiers(parts []Subproblem, of int) *Problem {
	t := parts[0].Type
	for _, part := range parts {
		if part.Type != t {
			t = Compound
		}
	}
	p := Problemf(t, "%s", parts[0].Detail)
	if len(parts) > 1 {
		p.Detail = fmt.Sprintf("%d of %d identifiers are refused; the first: %s", len(parts), of, parts[0].Detail)
	}
	return p.WithSubproblems(parts...)
}

// ParseIdentifier turns one identifier, as the client sent it, into normal
// form. A wildcard keeps its prefix in Value and is reported. Bad spelling is
// malformed, what the policy forbids is rejectedIdentifier, and a type that
// the policy does not list is unsupportedIdentifier.
func ParseIdentifier(sent Identifier, policy IdentifierPolicy) (id Identifier, wildcard bool, p *Problem) {
	if sent.Type == "" || sent.Value == "" {
		return Identifier{}, false, Problemf(Malformed, "an identifier needs a type and a value")
	}
	if !policy.offers(sent.Type) { // R8555-7.4-4
		return Identifier{}, false, Problemf(UnsupportedIdentifier, "identifiers of type %s are not offered here; use %s",
			quote(string(sent.Type)), strings.Join(policy.types(), " or "))
	}
	switch sent.Type {
	case DNSIdentifier:
		id, wildcard, p = parseName(sent.Value, policy)
	case IPIdentifier:
		id, p = parseAddress(sent.Value)
	default: // a policy may list only what is written here (SP-3)
		p = Problemf(UnsupportedIdentifier, "identifiers of type %s are not known here", quote(string(sent.Type)))
	}
	if p != nil {
		return Identifier{}, false, p
	}
	if id.Value != sent.Value {
		id.Sent = sent.Value // C-LG-3
	}
	return id, wildcard, nil
}

func (p IdentifierPolicy) offers(t IdentifierType) bool {
	if len(p.Types) == 0 {
		return t == DNSIdentifier
	}
	return slices.Contains(p.Types, t)
}

func (p IdentifierPolicy) types() []string {
	if len(p.Types) == 0 {
		return []string{string(DNSIdentifier)}
	}
	names := make([]string, len(p.Types))
	for i, t := range p.Types {
		names[i] = string(t)
	}
	return names
}

// parseName checks the spelling first and the policy second, so that a typing
// error is called one.
func parseName(sent string, policy IdentifierPolicy) (Identifier, bool, *Problem) {
	value := lowerASCII(sent)
	name, wildcard := strings.CutPrefix(value, wildcardPrefix) // R8555-7.4-6
	if why := nameFault(name); why != "" {
		return Identifier{}, false, Problemf(Malformed, "%s is not a DNS name: %s", quote(sent), why)
	}
	if len(value) > maxNameLength {
		return Identifier{}, false, Problemf(Malformed, "%s is longer than %d characters", quote(sent), maxNameLength)
	}
	single := !strings.Contains(name, ".")
	switch {
	case wildcard && single:
		return Identifier{}, false, Problemf(Malformed, "%s is a wildcard below a single label; at least two must follow the asterisk", quote(sent))
	case wildcard && !policy.Wildcard:
		return Identifier{}, false, Problemf(RejectedIdentifier, "%s is a wildcard, which is not offered here; list the names", quote(sent))
	case name == "onion" || strings.HasSuffix(name, ".onion"):
		// R9799-1: their challenge is not offered, and asking the DNS about them
		// would tell everybody on the way (RFC 7686).
		return Identifier{}, false, Problemf(RejectedIdentifier, "%s is an onion service; no challenge that is offered here proves one", quote(sent))
	case single && !policy.SingleLabel:
		return Identifier{}, false, Problemf(RejectedIdentifier, "%s has a single label; use a fully qualified name", quote(sent))
	case !policy.covers(value): // R8555-7.4-19
		return Identifier{}, false, Problemf(RejectedIdentifier, "%s is outside of the domains that this profile serves", quote(sent))
	}
	return Identifier{Type: DNSIdentifier, Value: value}, wildcard, nil
}

// covers reports whether a name lies in one of the policy's domains. A domain
// admits itself and all below it; written with a leading dot, only those below.
func (p IdentifierPolicy) covers(name string) bool {
	if len(p.Suffixes) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Suffixes, func(suffix string) bool {
		suffix = lowerASCII(suffix)
		below := suffix
		if !strings.HasPrefix(suffix, ".") {
			below = "." + suffix
		}
		return suffix != "" && (name == suffix || strings.HasSuffix(name, below))
	})
}

// nameFault says what is wrong with a name in lower case, in the words of
// somebody who wants it repaired (R8555-7.4-5, -14, -18).
func nameFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxNameLength:
		return fmt.Sprintf("it is longer than %d characters", maxNameLength)
	}
	if why := characterFault(name); why != "" {
		return why
	}
	switch {
	case strings.HasSuffix(name, "."):
		return "remove the dot at its end"
	case isAddress(name):
		return "it is an IP address; order it with type ip"
	}
	labels := 0
	for label := range strings.SplitSeq(name, ".") {
		if labels++; labels > maxLabels {
			return fmt.Sprintf("it has more than %d labels", maxLabels)
		}
		if why := labelFault(label); why != "" {
			return why
		}
	}
	// Resolvers read 127.1 and 0x7f.1 as addresses.
	if last := name[strings.LastIndexByte(name, '.')+1:]; numeric(last) {
		return "its last label is a number, as in an IP address"
	}
	return ""
}

func characterFault(name string) string {
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.':
		case c >= 0x80:
			if a, err := idna.Lookup.ToASCII(name); err == nil {
				return "write it in its ASCII form, " + quote(a)
			}
			return "it has characters outside of ASCII that no domain can have"
		case c <= ' ' || c == 0x7f:
			return "it contains white space or a control character"
		case c == '*':
			return "an asterisk can only be its first label"
		case c == '_':
			return "an underscore cannot be in the name of a host"
		case c == ':' && isAddress(name):
			return "it is an IP address; order it with type ip"
		case c == ':' || c == '/':
			return "give the name alone, without scheme, port or path"
		default:
			return fmt.Sprintf("it contains the character %q", c)
		}
	}
	return ""
}

func labelFault(label string) string {
	switch {
	case label == "":
		return "it has an empty label: two dots in a row, or a dot in front"
	case len(label) > maxLabelLength:
		return fmt.Sprintf("it has a label of more than %d characters", maxLabelLength)
	case label[0] == '-' || label[len(label)-1] == '-':
		return "a label starts or ends with a hyphen"
	case len(label) < 4 || label[2:4] != "--":
		return ""
	case !strings.HasPrefix(label, "xn--"):
		return fmt.Sprintf("%s has hyphens in the third and fourth place, which only xn-- may have", quote(label))
	}
	// An A-label must be the encoding of what it decodes to, or two spellings
	// would name one domain and none of our comparisons would see it.
	u, err := aLabels.ToUnicode(label)
	if err == nil {
		var again string
		again, err = aLabels.ToASCII(u)
		if err == nil && again == label && u != label {
			return ""
		}
	}
	return quote(label) + " is not a valid internationalized label"
}

// parseAddress accepts only the one canonical spelling of an address
// (R8738-3-1): clients compare the answer with what they sent (C-LG-3).
func parseAddress(sent string) (Identifier, *Problem) {
	a, err := netip.ParseAddr(sent)
	switch {
	case err != nil:
		return Identifier{}, Problemf(Malformed, "%s is not an IP address", quote(sent))
	case a.Zone() != "":
		return Identifier{}, Problemf(Malformed, "%s has a zone, which means nothing to others", quote(sent))
	case a.Is4In6():
		return Identifier{}, Problemf(Malformed, "%s is an IPv4 address in IPv6 clothes; write %s", quote(sent), a.Unmap())
	case a.String() != sent:
		return Identifier{}, Problemf(Malformed, "%s is not the canonical spelling; write %s", quote(sent), a)
	case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}): // R8738-P-1
		return Identifier{}, Problemf(RejectedIdentifier, "%s is not the address of a host", quote(sent))
	}
	return Identifier{Type: IPIdentifier, Value: sent}, nil
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}

func numeric(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for _, c := range []byte(digits) {
		if (c < '0' || c > '9') && (!hex || c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// lowerASCII leaves everything but A to Z alone: Unicode has letters whose
// lower case is ASCII, such as the Kelvin sign.
func lowerASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if b[j] >= 'A' && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// quote makes a client's text safe to repeat in one line.
func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%q", s)
}
