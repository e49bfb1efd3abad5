package acme

import (
	"fmt"
	"slices"
	"strings"
)

// XRoadSubject is how an X-Road instance writes members into subjects: the
// certificate profile that its Central Server names.
type XRoadSubject string

const (
	// XRoadBasic is the profile BasicACME: country, organization, member code as
	// serial number, and for signing the member class as business category.
	XRoadBasic XRoadSubject = "basic_acme"
	// XRoadFinnish is the profile FiVRK: instance, server code and member class
	// in the serial number, and for signing the member code as common name.
	XRoadFinnish XRoadSubject = "fivrk"
	// XRoadPlain is the profile Basic, BasicACME before it knew ACME.
	XRoadPlain XRoadSubject = "basic"
	// XRoadEJBCA writes the instance as country, the class as organization, and
	// the member or the server code as common name.
	XRoadEJBCA XRoadSubject = "ejbca"
	// XRoadIceland and XRoadFaroe write instance, class and member code as
	// organization, unit and common name.
	XRoadIceland XRoadSubject = "is"
	XRoadFaroe   XRoadSubject = "fo"
	// XRoadSK is the profile SkKlass3: member code and member name, the same for
	// both usages.
	XRoadSK XRoadSubject = "sk_klass3"
)

// NamesServers reports whether CSRs of the profile carry the name of the
// Security Server in a subject alternative name. Those that do not order by
// common name, which is a DNS name at most in authentication CSRs.
func (s XRoadSubject) NamesServers() bool { return s == XRoadBasic || s == XRoadFinnish }

const (
	oidTextCommonName   = "2.5.4.3"
	oidTextSerialNumber = "2.5.4.5"
	oidTextCountry      = "2.5.4.6"
	oidTextOrganization = "2.5.4.10"
	oidTextUnit         = "2.5.4.11"
	oidTextCategory     = "2.5.4.15"
)

// field judges the value of a subject attribute; the detail of its problem
// continues the sentence that names both.
type field func(o Order, m xroadMember, value string) *Problem

// fields are the attributes of a subject, all of them mandatory.
func (r XRoadRule) fields() (map[string]field, error) {
	sign := r.Usage == XRoadSign
	either := func(signing, authentication field) field {
		if sign {
			return signing
		}
		return authentication
	}
	switch r.Subject {
	case XRoadBasic, XRoadPlain:
		all := map[string]field{oidTextCountry: anyText, oidTextOrganization: anyText, oidTextSerialNumber: memberCode, oidTextCommonName: either(anyText, orderedName)}
		if sign {
			all[oidTextCategory] = memberClass
		}
		return all, nil
	case XRoadFinnish:
		return map[string]field{
			oidTextCountry: exactly("FI"), oidTextOrganization: anyText, oidTextSerialNumber: serverOfClass, oidTextCommonName: either(memberCode, orderedName),
		}, nil
	case XRoadEJBCA: // C is no country here, so nothing is said of its length
		all := map[string]field{oidTextCountry: instanceName, oidTextCommonName: either(memberCode, anyText)}
		if sign {
			all[oidTextOrganization] = memberClass
		}
		return all, nil
	case XRoadIceland:
		if !sign {
			return map[string]field{oidTextCountry: exactly("IS"), oidTextCommonName: orderedName, oidTextSerialNumber: ownedServer}, nil
		}
		return classAsUnit("IS"), nil
	case XRoadFaroe:
		if !sign {
			return map[string]field{oidTextCountry: exactly("FO"), oidTextOrganization: instanceName, oidTextCommonName: ownedServer}, nil
		}
		return classAsUnit("FO"), nil
	case XRoadSK: // neither instance nor class is in it
		return map[string]field{oidTextSerialNumber: memberCode, oidTextCommonName: anyText}, nil
	default:
		return nil, fmt.Errorf("the profile writes subjects by %s, which is not known", quote(string(r.Subject)))
	}
}

// classAsUnit is the signing subject of two neighbours.
func classAsUnit(country string) map[string]field {
	return map[string]field{
		oidTextCountry: exactly(country), oidTextOrganization: instanceName, oidTextUnit: memberClass,
		oidTextCommonName: memberCode, oidTextSerialNumber: anyText,
	}
}

// anyText is the member's own word, of which nothing here knows better.
func anyText(Order, xroadMember, string) *Problem { return nil }

func instanceName(_ Order, m xroadMember, value string) *Problem {
	return ofMember("instance", m.instance, value)
}

func memberClass(_ Order, m xroadMember, value string) *Problem {
	return ofMember("class", m.class, value)
}

func memberCode(_ Order, m xroadMember, value string) *Problem {
	return ofMember("code", m.code, value)
}

func ofMember(what, want, value string) *Problem {
	if value != want {
		return Problemf(Unauthorized, "is not the %s %s of the member that this account is bound to; order for that member, or give the other one its own keys (auth-kid, sign-kid) in the acme.yml of its Security Server", what, quote(want))
	}
	return nil
}

// orderedName is the name that control was proved of.
func orderedName(o Order, _ xroadMember, value string) *Problem {
	if !slices.ContainsFunc(o.Identifiers, func(id Identifier) bool { return id.Type == DNSIdentifier && id.Value == lowerASCII(value) }) {
		return Problemf(BadCSR, "is not an identifier of the order")
	}
	return nil
}

// serverOfClass is instance/server code/class.
func serverOfClass(_ Order, m xroadMember, value string) *Problem {
	parts := strings.Split(value, "/")
	if len(parts) != 3 || parts[1] == "" {
		return Problemf(BadCSR, "is not of the form instance/server code/class")
	}
	if parts[0] != m.instance || parts[2] != m.class {
		return Problemf(Unauthorized, "does not have the instance %s and class %s of the member that this account is bound to; order for that member, or give the other one its own keys (auth-kid, sign-kid) in the acme.yml of its Security Server", quote(m.instance), quote(m.class))
	}
	return nil
}

// ownedServer is the identifier of a Security Server, which begins with that of
// its owner. Whoever calls it by another name says nothing of a member, and
// Security Servers look into no authentication certificate for one.
func ownedServer(_ Order, m xroadMember, value string) *Problem {
	parts := strings.FieldsFunc(value, func(r rune) bool { return r == '/' || r == ':' })
	if len(parts) == 4 && (xroadMember{parts[0], parts[1], parts[2]}) != m {
		return Problemf(Unauthorized, "is of a server that belongs to another member than %s, which this account is bound to; order at a server of that member, or give the other one its own keys (auth-kid, sign-kid) in the acme.yml of its Security Server",
			quote(strings.Join([]string{m.instance, m.class, m.code}, ":")))
	}
	return nil
}

func exactly(want string) field {
	return func(_ Order, _ xroadMember, value string) *Problem {
		if value != want {
			return Problemf(BadCSR, "is not %s", want)
		}
		return nil
	}
}

func xroadFieldName(oid string) string {
	switch oid {
	case oidTextCommonName:
		return "CN"
	case oidTextSerialNumber:
		return "serialNumber"
	case oidTextCountry:
		return "C"
	case oidTextOrganization:
		return "O"
	case oidTextUnit:
		return "OU"
	case oidTextCategory:
		return "businessCategory"
	}
	return "attribute " + oid
}
