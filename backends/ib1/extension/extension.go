package extension

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"
)

// RolesOID is the type of the extension ib1Roles.
func RolesOID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 1} }

// MemberOID is the type of the extension ib1Member.
func MemberOID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 3} }

// What is wrong with the extensions of a certificate. An error is one of these.
var (
	ErrRolesMissing    = errors.New("the certificate has no ib1Roles extension")
	ErrRolesMalformed  = errors.New("the ib1Roles extension is malformed")
	ErrRolesEmpty      = errors.New("the ib1Roles extension names no role")
	ErrMemberMissing   = errors.New("the certificate has no ib1Member extension")
	ErrMemberMalformed = errors.New("the ib1Member extension is malformed")
)

// What is malformed. An error that is ErrRolesMalformed or ErrMemberMalformed
// is one of these besides.
var (
	ErrStructure   = errors.New("it is not the DER of the type that it must be")
	ErrStringType  = errors.New("a string has another type than UTF8String")
	ErrUTF8        = errors.New("a string is not valid UTF-8")
	ErrEmptyString = errors.New("a string is empty")
	ErrTrailing    = errors.New("something follows after the value")
	ErrRepeated    = errors.New("the extension or a role is there twice")
	ErrCritical    = errors.New("it is marked critical, so that software that does not know it must refuse the certificate")
	ErrURL         = errors.New("it is not an https URL with a host")
)

// Values is what the two extensions of a certificate say.
type Values struct {
	// Roles are opaque: they are compared whole, and their order means nothing.
	Roles []string
	// Member is the URL of the member.
	Member string
}

// FromExtensions reads both extensions. They must be there once each and not
// critical.
func FromExtensions(all []pkix.Extension) (Values, error) {
	var v Values
	member, err := one(all, MemberOID(), ErrMemberMissing, ErrMemberMalformed)
	if err != nil {
		return v, err
	}
	if v.Member, err = ParseMember(member); err != nil {
		return Values{}, err
	}
	roles, err := one(all, RolesOID(), ErrRolesMissing, ErrRolesMalformed)
	if err != nil {
		return Values{}, err
	}
	if v.Roles, err = ParseRoles(roles); err != nil {
		return Values{}, err
	}
	return v, nil
}

func one(all []pkix.Extension, oid asn1.ObjectIdentifier, missing, malformed error) (value []byte, err error) {
	found := false
	for _, e := range all {
		switch {
		case !e.Id.Equal(oid):
			continue
		case found:
			return nil, fmt.Errorf("%w: %w", malformed, ErrRepeated)
		case e.Critical:
			return nil, fmt.Errorf("%w: %w", malformed, ErrCritical)
		}
		found, value = true, e.Value
	}
	if !found {
		return nil, missing
	}
	return value, nil
}

// Extensions returns both extensions for a certificate.
func (v Values) Extensions() ([]pkix.Extension, error) {
	roles, err := MarshalRoles(v.Roles)
	if err != nil {
		return nil, err
	}
	member, err := MarshalMember(v.Member)
	if err != nil {
		return nil, err
	}
	return []pkix.Extension{{Id: RolesOID(), Value: roles}, {Id: MemberOID(), Value: member}}, nil
}

// MarshalRoles returns the value of an ib1Roles extension. Roles are https URLs
// and stand there once each; what is read may be laxer in both (section 3: a
// role is an opaque string).
func MarshalRoles(roles []string) ([]byte, error) {
	seen := make(map[string]bool, len(roles))
	for _, role := range roles {
		if err := httpsURL(role); err != nil {
			return nil, fmt.Errorf("%w: role %q: %w", ErrRolesMalformed, role, err)
		}
		if seen[role] {
			return nil, fmt.Errorf("%w: role %q: %w", ErrRolesMalformed, role, ErrRepeated)
		}
		seen[role] = true
	}
	return encodeRoles(roles)
}

// encodeRoles spells the strings out: the standard library would choose
// PrintableString for them, which readers of the specification refuse.
func encodeRoles(roles []string) ([]byte, error) {
	if len(roles) == 0 {
		return nil, ErrRolesEmpty
	}
	strings := make([]asn1.RawValue, len(roles))
	for i, role := range roles {
		strings[i] = asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(role)}
	}
	der, err := asn1.Marshal(strings)
	if err != nil {
		return nil, fmt.Errorf("encode ib1Roles: %w", err)
	}
	return der, nil
}

// ParseRoles reads the value of an ib1Roles extension.
func ParseRoles(der []byte) ([]string, error) {
	malformed := func(err error) error { return fmt.Errorf("%w: %w", ErrRolesMalformed, err) }
	var list asn1.RawValue
	rest, err := asn1.Unmarshal(der, &list)
	switch {
	case err != nil:
		return nil, malformed(fmt.Errorf("%w: %w", ErrStructure, err))
	case list.Class != asn1.ClassUniversal || list.Tag != asn1.TagSequence || !list.IsCompound:
		return nil, malformed(ErrStructure)
	case len(rest) > 0:
		return nil, malformed(ErrTrailing)
	case len(list.Bytes) == 0:
		return nil, ErrRolesEmpty
	}
	var roles []string
	for content := list.Bytes; len(content) > 0; {
		role, rest, err := parseString(content)
		if err != nil {
			return nil, malformed(fmt.Errorf("role %d: %w", len(roles)+1, err))
		}
		roles, content = append(roles, role), rest
	}
	return roles, nil
}

// MarshalMember returns the value of an ib1Member extension.
func MarshalMember(member string) ([]byte, error) {
	if err := httpsURL(member); err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrMemberMalformed, member, err)
	}
	der, err := asn1.MarshalWithParams(member, "utf8")
	if err != nil {
		return nil, fmt.Errorf("encode ib1Member: %w", err)
	}
	return der, nil
}

// ParseMember reads the value of an ib1Member extension.
func ParseMember(der []byte) (string, error) {
	malformed := func(err error) error { return fmt.Errorf("%w: %w", ErrMemberMalformed, err) }
	member, rest, err := parseString(der)
	if err != nil {
		return "", malformed(err)
	}
	if len(rest) > 0 {
		return "", malformed(ErrTrailing)
	}
	if err := httpsURL(member); err != nil {
		return "", malformed(err)
	}
	return member, nil
}

// parseString reads one UTF8String and returns what follows.
func parseString(der []byte) (s string, rest []byte, err error) {
	var v asn1.RawValue
	rest, err = asn1.Unmarshal(der, &v)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("%w: %w", ErrStructure, err)
	case v.Class != asn1.ClassUniversal || v.IsCompound:
		return "", nil, ErrStructure
	case v.Tag != asn1.TagUTF8String:
		return "", nil, ErrStringType
	case len(v.Bytes) == 0:
		return "", nil, ErrEmptyString
	case !utf8.Valid(v.Bytes):
		return "", nil, ErrUTF8
	}
	return string(v.Bytes), rest, nil
}

// httpsURL wants an absolute URL that no reader would write in another way. It
// is not normalised: case and a slash at the end count when URLs are compared.
func httpsURL(s string) error {
	if s == "" {
		return ErrEmptyString
	}
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return ErrURL
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return ErrURL
	}
	return nil
}
