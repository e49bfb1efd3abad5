package acme

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// SubjectNames are the attributes of a subject that say who and where somebody
// is. In a profile each says where in the record of a member it comes from:
// "name", or the name of an attribute; empty is not at all. In a contract each is
// the value itself.
type SubjectNames struct {
	Country      string `cbor:"1,keyasint,omitempty"`
	State        string `cbor:"2,keyasint,omitempty"`
	Locality     string `cbor:"3,keyasint,omitempty"`
	Organization string `cbor:"4,keyasint,omitempty"`
	Unit         string `cbor:"5,keyasint,omitempty"`
}

// subjectName is one of them.
type subjectName struct {
	oid         asn1.ObjectIdentifier
	what, value string
}

// all are the attributes in the order in which subjects have them.
func (n SubjectNames) all() []subjectName {
	return []subjectName{
		{placeOIDs[0], "country", n.Country}, {placeOIDs[2], "state", n.State}, {placeOIDs[1], "locality", n.Locality},
		{placeOIDs[3], "organization", n.Organization}, {placeOIDs[4], "organizational unit", n.Unit},
	}
}

// maxSubjectName bounds an organization and the like (RFC 5280, appendix A.1); a
// locality may be longer there, and nobody's is.
const maxSubjectName = 64

// SubjectFor takes the subject that a profile wants from a member's record. What
// is missing there is not made up: whoever reads the certificate believes it.
func SubjectFor(p Profile, m *Member) (SubjectNames, *Problem) {
	if m == nil {
		return SubjectNames{}, Problemf(Unauthorized, "this account is bound to no member, and certificates of profile %q name one; ask the operator for an external account key", p.Name)
	}
	from := p.SubjectFrom
	for _, n := range []struct {
		what string
		at   *string
	}{{"country", &from.Country}, {"state", &from.State}, {"locality", &from.Locality}, {"organization", &from.Organization}, {"organizational unit", &from.Unit}} {
		if *n.at == "" {
			continue
		}
		source, value := *n.at, m.Attributes[*n.at]
		if source == "name" {
			value = m.Name
		}
		switch {
		case strings.TrimSpace(value) == "":
			return SubjectNames{}, Problemf(Unauthorized, "the registry has no %s of your member, which certificates of profile %q name as its %s; ask the operator to add it", source, p.Name, n.what)
		case strings.TrimSpace(value) != value || len([]rune(value)) > maxSubjectName || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '\ufffd' }):
			return SubjectNames{}, Problemf(Unauthorized, "the %s of your member in the registry does not fit into a certificate: it is longer than %d characters, or has spaces around it or characters that are not for print; ask the operator to correct it", source, maxSubjectName)
		case n.what == "country" && !isCountry(value):
			return SubjectNames{}, Problemf(Unauthorized, "the %s of your member in the registry is %s, and a country is written with two capital letters; ask the operator to correct it", source, quote(value))
		}
		*n.at = value
	}
	return from, nil
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// CheckRequestedNames lets a CSR say of its subject what the registry says, and
// nothing else. It may say less.
func (n SubjectNames) CheckRequestedNames(subject pkix.Name) *Problem {
	for _, part := range subject.Names {
		if part.Type.Equal(oidCommonName) {
			continue
		}
		text, _ := part.Value.(string)
		if want, ok := n.value(part.Type); !ok || text != want {
			has := "does not have one in the certificate"
			if ok {
				has = "is " + quote(want) + " in the registry"
			}
			return Problemf(BadCSR, "the subject of the CSR has %s %s, and your member's %s; leave out everything but the common name", attributeName(part.Type), quote(text), has)
		}
	}
	return nil
}

func (n SubjectNames) value(oid asn1.ObjectIdentifier) (string, bool) {
	for _, x := range n.all() {
		if x.oid.Equal(oid) {
			return x.value, x.value != ""
		}
	}
	return "", false
}

// Encode returns the DER of the subject with a common name, which may be empty.
func (n SubjectNames) Encode(commonName string) ([]byte, error) {
	var names pkix.RDNSequence
	for _, x := range append(n.all(), subjectName{oidCommonName, "common name", commonName}) {
		if x.value != "" {
			names = append(names, pkix.RelativeDistinguishedNameSET{{Type: x.oid, Value: x.value}})
		}
	}
	return asn1.Marshal(names)
}

// checkLeafSubjectRegistry wants what the registry said of the member, to the
// letter and nothing beside it, and a common name that was ordered.
func checkLeafSubjectRegistry(c Contract, leaf *x509.Certificate) error {
	if err := checkLeafSubjectByCA(c, leaf); err != nil {
		return err
	}
	left := c.Names
	for _, part := range leaf.Subject.Names {
		if part.Type.Equal(oidCommonName) {
			continue
		}
		text, _ := part.Value.(string)
		want, ok := left.value(part.Type)
		if !ok || text != want {
			return differs(0, "subject", quote(leaf.Subject.String()), "what the registry says of the member: "+c.Names.String())
		}
		left = left.without(part.Type)
	}
	if left != (SubjectNames{}) {
		return differs(0, "subject", quote(leaf.Subject.String()), "all that the registry says of the member: "+c.Names.String())
	}
	return nil
}

func (n SubjectNames) without(oid asn1.ObjectIdentifier) SubjectNames {
	for i, at := range []*string{&n.Country, &n.Locality, &n.State, &n.Organization, &n.Unit} {
		if placeOIDs[i].Equal(oid) {
			*at = ""
		}
	}
	return n
}

// String is for people.
func (n SubjectNames) String() string {
	var parts []string
	for _, x := range n.all() {
		if x.value != "" {
			parts = append(parts, fmt.Sprintf("%s %s", x.what, quote(x.value)))
		}
	}
	return strings.Join(parts, ", ")
}
