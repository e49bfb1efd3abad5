package ib1

import (
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"acmebridge/internal/country"
)

// Name is the subject of a certificate: these three attributes in this order,
// each in an RDN of its own (section 1.3).
type Name struct{ Country, Organization, CommonName string }

// maxName is the bound of X.520 for organizations and common names.
const maxName = 64

func (n Name) check() error {
	// UK is in use and is no country of ISO 3166-1; GB is.
	if !country.Known(n.Country) {
		return fmt.Errorf("the country %q is not a code of ISO 3166-1 in capital letters, such as GB", n.Country)
	}
	for what, s := range map[string]string{"organization": n.Organization, "common name": n.CommonName} {
		if s == "" || s != strings.TrimSpace(s) || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("the %s %q is empty, or has spaces around it or control characters within", what, s)
		}
		if length := utf8.RuneCountInString(s); length > maxName {
			return fmt.Errorf("the %s %q has %d characters, and %d is the most that a certificate can hold", what, s, length, maxName)
		}
	}
	return nil
}

// pkix returns the name. Each slice has one value: two would share an RDN.
func (n Name) pkix() pkix.Name {
	return pkix.Name{Country: []string{n.Country}, Organization: []string{n.Organization}, CommonName: n.CommonName}
}

// nameOf reads a name that is made of these three attributes and nothing else.
func nameOf(parsed pkix.Name) (n Name, ok bool) {
	types := []string{"2.5.4.6", "2.5.4.10", "2.5.4.3"}
	if len(parsed.Names) != len(types) {
		return n, false
	}
	values := make([]string, len(types))
	for i, a := range parsed.Names {
		value, isString := a.Value.(string)
		if a.Type.String() != types[i] || !isString {
			return n, false
		}
		values[i] = value
	}
	return Name{values[0], values[1], values[2]}, true
}
