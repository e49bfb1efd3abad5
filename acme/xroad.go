package acme

import (
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// XRoadUsage is one of the two kinds of certificate of an X-Road Security
// Server. The zero value is everything that has nothing to do with X-Road.
type XRoadUsage string

const (
	// XRoadAuth certificates authenticate a Security Server by its DNS name.
	XRoadAuth XRoadUsage = "auth"
	// XRoadSign certificates seal the messages of a member. Their subject is
	// the identity of the member.
	XRoadSign XRoadUsage = "sign"
)

// XRoadSubject is how an X-Road instance writes members into subjects.
type XRoadSubject string

const (
	// XRoadBasic is the profile BasicACME: country, organization, member code as
	// serial number, and for signing the member class as business category.
	XRoadBasic XRoadSubject = "basic_acme"
	// XRoadFinnish is the profile FiVRK: instance, server code and member class
	// in the serial number, and for signing the member code as common name.
	XRoadFinnish XRoadSubject = "fivrk"
)

// XRoadRule makes a profile one for X-Road: the subject of the CSR is kept as
// it is, after it was held against the member that the account is bound to.
// http-01 proves the name of a Security Server and says nothing of the member,
// so without this whoever has an account could sign as everybody (SP-3).
type XRoadRule struct {
	Usage   XRoadUsage
	Subject XRoadSubject
}

// KeyUsageRule says which key usage a certificate has.
type KeyUsageRule string

const (
	// KeyUsageHandshake is what TLS needs of the key (the zero value).
	KeyUsageHandshake KeyUsageRule = ""
	// KeyUsageAuthentication is for X-Road authentication: handshakes, and never
	// nonRepudiation, by which a Security Server knows signing certificates.
	KeyUsageAuthentication KeyUsageRule = "authentication"
	// KeyUsageSigning is nonRepudiation and nothing else.
	KeyUsageSigning KeyUsageRule = "signing"
)

// keyUsage returns what the certificate's key will be for.
func (r XRoadRule) keyUsage() KeyUsageRule {
	switch r.Usage {
	case XRoadAuth:
		return KeyUsageAuthentication
	case XRoadSign:
		return KeyUsageSigning
	default:
		return KeyUsageHandshake
	}
}

// xroadMember is a member of an X-Road instance.
type xroadMember struct{ instance, class, code string }

// parseXRoadMember reads INSTANCE:CLASS:CODE, which is how a Security Server
// writes it, or INSTANCE/CLASS/CODE.
func parseXRoadMember(id MemberID) (m xroadMember, ok bool) {
	separator := ":"
	if !strings.Contains(string(id), separator) {
		separator = "/"
	}
	parts := strings.Split(string(id), separator)
	if len(parts) != 3 || slices.Contains(parts, "") {
		return m, false
	}
	return xroadMember{parts[0], parts[1], parts[2]}, true
}

// checkXRoad holds a CSR against its order under an X-Road profile.
func checkXRoad(o Order, rule XRoadRule, csr CSR) *Problem {
	if err := rule.checkKeyUsage(csr.Extensions); err != nil {
		return Problemf(BadCSR, "%v", err)
	}
	member, ok := parseXRoadMember(o.Member)
	if !ok {
		return Problemf(Unauthorized,
			"this account is bound to no member of an X-Road instance, so nothing tells whose certificate this would be; ask the operator for an external account key of a member written INSTANCE:CLASS:CODE")
	}
	parts, err := subjectParts(csr.Subject)
	if err != nil {
		return Problemf(BadCSR, "%v", err)
	}
	fields, err := rule.fields(member)
	if err != nil {
		return Problemf(BadCSR, "%v", err)
	}
	for _, oid := range slices.Sorted(maps.Keys(parts)) {
		if _, wanted := fields[oid]; !wanted {
			return Problemf(BadCSR, "the subject of the CSR has %s, which X-Road %s certificates of the profile %s do not have", xroadFieldName(oid), rule.Usage, rule.Subject)
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(fields)) {
		value, there := parts[oid]
		if !there {
			return Problemf(BadCSR, "the subject of the CSR has no %s, which X-Road %s certificates of the profile %s need", xroadFieldName(oid), rule.Usage, rule.Subject)
		}
		if p := fields[oid](o, value); p != nil {
			p.Detail = fmt.Sprintf("the %s %s of the CSR's subject %s", xroadFieldName(oid), quote(value), p.Detail)
			return p
		}
	}
	return nil
}

// subjectParts returns the attributes of a subject, each once and as text. A
// renewal reverses their order, so they are a set.
func subjectParts(subject pkix.Name) (map[string]string, error) {
	parts := map[string]string{}
	for _, a := range subject.Names {
		text, ok := a.Value.(string)
		oid := a.Type.String()
		if _, twice := parts[oid]; twice {
			return nil, fmt.Errorf("the subject of the CSR has %s twice", xroadFieldName(oid))
		}
		if !ok || strings.TrimSpace(text) == "" || len(text) > maxMemberText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == '\ufffd' }) {
			return nil, fmt.Errorf("the %s of the CSR's subject is empty, too long or no text", xroadFieldName(oid))
		}
		parts[oid] = text
	}
	return parts, nil
}

const (
	oidTextCommonName   = "2.5.4.3"
	oidTextSerialNumber = "2.5.4.5"
	oidTextCountry      = "2.5.4.6"
	oidTextOrganization = "2.5.4.10"
	oidTextCategory     = "2.5.4.15"
)

// field judges the value of a subject attribute; the detail of its problem
// continues the sentence that names both.
type field func(o Order, value string) *Problem

// fields are the attributes of a subject, all of them mandatory.
func (r XRoadRule) fields(m xroadMember) (map[string]field, error) {
	free := func(Order, string) *Problem { return nil }
	member := func(what, want string) field {
		return func(_ Order, value string) *Problem {
			if value != want {
				return Problemf(Unauthorized, "is not the %s %s of the member that this account is bound to", what, quote(want))
			}
			return nil
		}
	}
	host := func(o Order, value string) *Problem {
		if !slices.ContainsFunc(o.Identifiers, func(id Identifier) bool { return id.Type == DNSIdentifier && id.Value == lowerASCII(value) }) {
			return Problemf(BadCSR, "is not an identifier of the order")
		}
		return nil
	}
	switch r.Subject {
	case XRoadBasic:
		all := map[string]field{oidTextCountry: free, oidTextOrganization: free, oidTextSerialNumber: member("code", m.code), oidTextCommonName: host}
		if r.Usage == XRoadSign {
			all[oidTextCommonName], all[oidTextCategory] = free, member("class", m.class)
		}
		return all, nil
	case XRoadFinnish:
		server := func(_ Order, value string) *Problem { // instance/serverCode/class
			parts := strings.Split(value, "/")
			if len(parts) != 3 || parts[1] == "" {
				return Problemf(BadCSR, "is not of the form instance/server code/class")
			}
			if parts[0] != m.instance || parts[2] != m.class {
				return Problemf(Unauthorized, "does not have the instance %s and class %s of the member that this account is bound to", quote(m.instance), quote(m.class))
			}
			return nil
		}
		country := func(_ Order, value string) *Problem {
			if value != "FI" {
				return Problemf(BadCSR, "is not FI")
			}
			return nil
		}
		all := map[string]field{oidTextCountry: country, oidTextOrganization: free, oidTextSerialNumber: server, oidTextCommonName: host}
		if r.Usage == XRoadSign {
			all[oidTextCommonName] = member("code", m.code)
		}
		return all, nil
	default:
		return nil, fmt.Errorf("the profile writes subjects by %s, which is not known", quote(string(r.Subject)))
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
	case oidTextCategory:
		return "businessCategory"
	}
	return "attribute " + oid
}

// checkKeyUsage refuses a CSR for a key of the other usage: whoever sent it
// has chosen the wrong external account key.
func (r XRoadRule) checkKeyUsage(extensions []pkix.Extension) error {
	i := slices.IndexFunc(extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidKeyUsage) })
	if i < 0 {
		return nil // the profile decides anyway
	}
	asked, err := readKeyUsage(extensions[i].Value)
	if err != nil {
		return err
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(asked, n) })
	}
	sign, auth := has("nonRepudiation"), has("digitalSignature", "keyEncipherment", "dataEncipherment")
	// Every Security Server asks for keyCertSign in signing keys. It is dropped:
	// refusing it would refuse them all.
	allowed := []string{"nonRepudiation", "keyCertSign"}
	if r.Usage == XRoadAuth {
		allowed = []string{"digitalSignature", "keyEncipherment", "dataEncipherment", "keyAgreement"}
	}
	switch {
	case r.Usage == XRoadAuth && sign:
		return fmt.Errorf("the CSR is for a signing key (nonRepudiation), and this order is for an authentication certificate; use the external account key for signing")
	case r.Usage == XRoadSign && auth:
		return fmt.Errorf("the CSR is for an authentication key, and this order is for a signing certificate; use the external account key for authentication")
	case r.Usage == XRoadSign && !sign:
		return fmt.Errorf("the CSR does not ask for nonRepudiation, which is what a signing key is for")
	}
	if refused := slices.DeleteFunc(asked, func(n string) bool { return slices.Contains(allowed, n) }); len(refused) > 0 {
		return fmt.Errorf("the CSR asks for the keyUsage %s, which the certificate will not have", list(refused))
	}
	return nil
}
