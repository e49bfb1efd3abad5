package challenges

import (
	"errors"
	"strings"
)

// issueValue is the value of a CAA record that names an issuer (RFC 8659,
// section 4.2): also the form of a dns-persist-01 record.
type issueValue struct {
	issuer     string // in lower case; empty: nobody
	parameters []parameter
}

type parameter struct{ tag, value string }

var errGrammar = errors.New("the value does not follow the grammar of RFC 8659, section 4.2")

// issuerOf returns what stands before the first semicolon, in lower case. It
// is meaningful also when the rest is not well formed.
func issuerOf(s string) string {
	issuer, _, _ := strings.Cut(s, ";")
	return strings.ToLower(strings.Trim(issuer, " \t"))
}

// parseIssueValue reads a value to the letter of the grammar (R8659-4.2-2).
func parseIssueValue(s string) (issueValue, error) {
	v := issueValue{issuer: issuerOf(s)}
	if v.issuer != "" && !isIssuer(v.issuer) {
		return issueValue{}, errGrammar
	}
	_, rest, more := strings.Cut(s, ";")
	if !more || strings.Trim(rest, " \t") == "" {
		return v, nil
	}
	for field := range strings.SplitSeq(rest, ";") {
		tag, value, ok := strings.Cut(strings.Trim(field, " \t"), "=")
		tag, value = strings.TrimRight(tag, " \t"), strings.TrimLeft(value, " \t")
		if !ok || !isTag(tag) || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' }) {
			return issueValue{}, errGrammar
		}
		v.parameters = append(v.parameters, parameter{tag, value})
	}
	return v, nil
}

// all returns the values of a parameter. Tags are compared without regard to
// case: reading one that somebody spelled differently can only restrict.
func (v issueValue) all(tag string) []string {
	var values []string
	for _, p := range v.parameters {
		if strings.EqualFold(p.tag, tag) {
			values = append(values, p.value)
		}
	}
	return values
}

// duplicate reports whether a tag occurs twice.
func (v issueValue) duplicate() bool {
	for i, p := range v.parameters {
		for _, q := range v.parameters[:i] {
			if strings.EqualFold(p.tag, q.tag) {
				return true
			}
		}
	}
	return false
}

func isIssuer(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 || !isTag(label) {
			return false
		}
	}
	return true
}

// isTag accepts letters and digits, with hyphens between them. A label of an
// issuer's name has the same form.
func isTag(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}
