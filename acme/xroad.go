package acme

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
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

// XRoadRule makes a profile one for X-Road: the subject of the CSR is kept as
// it is, after it was held against the member that the account is bound to.
// http-01 proves the name of a Security Server and says nothing of the member,
// so without this whoever has an account could sign as everybody (SP-3).
type XRoadRule struct {
	Usage   XRoadUsage
	Subject XRoadSubject
	// ProfileID is what the Central Server has as certificate profile id of the
	// CA for certificates of this profile; see [Profile.ProductID].
	ProfileID string
	// Instance is the one whose members may have certificates of the profile;
	// empty is any. Most subjects do not say of which instance they are.
	Instance string
}

// Admits reports whether the profile is for members of the instance that a member
// belongs to.
func (r XRoadRule) Admits(id MemberID) bool {
	m, ok := parseXRoadMember(id)
	return r.Instance == "" || ok && m.instance == r.Instance
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
	if !rule.Admits(o.Member) {
		return Problemf(Unauthorized, "the certificates of this profile are for members of instance %s, and this account is bound to member %s; give the Security Server the keys of its own instance (auth-kid, sign-kid) in acme.yml, or the address of that instance's directory",
			quote(rule.Instance), quote(string(o.Member)))
	}
	if err := checkPlainName(csr.RawSubject); err != nil {
		return Problemf(BadCSR, "%v", err)
	}
	parts, err := subjectParts(csr.Subject)
	if err != nil {
		return Problemf(BadCSR, "%v", err)
	}
	fields, err := rule.fields()
	if err != nil {
		return Problemf(BadCSR, "%v", err)
	}
	for _, oid := range slices.Sorted(maps.Keys(parts)) {
		if _, wanted := fields[oid]; !wanted {
			return Problemf(BadCSR, "the subject of the CSR has %s, which X-Road %s certificates of the profile %s do not have; the CA must have the same certificate profile at the Central Server as here (xroad.subject)", xroadFieldName(oid), rule.Usage, rule.Subject)
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(fields)) {
		value, there := parts[oid]
		if !there {
			return Problemf(BadCSR, "the subject of the CSR has no %s, which X-Road %s certificates of the profile %s need; the CA must have the same certificate profile at the Central Server as here (xroad.subject)", xroadFieldName(oid), rule.Usage, rule.Subject)
		}
		if p := fields[oid](o, member, value); p != nil {
			p.Detail = fmt.Sprintf("the %s %s of the CSR's subject %s", xroadFieldName(oid), quote(value), p.Detail)
			return p
		}
	}
	return nil
}

// maxXRoadText is how many characters an attribute may have: a Central Server
// takes names of members of up to 255, in whatever alphabet.
const maxXRoadText = 256

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
		if !ok || strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > maxXRoadText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == '\ufffd' }) {
			return nil, fmt.Errorf("the %s of the CSR's subject is empty, too long or no text", xroadFieldName(oid))
		}
		parts[oid] = text
	}
	return parts, nil
}

func extensionIs(oid asn1.ObjectIdentifier) func(pkix.Extension) bool {
	return func(e pkix.Extension) bool { return e.Id.Equal(oid) }
}

// checkKeyUsage refuses a CSR for a key of the other usage: whoever sent it
// has chosen the wrong external account key.
func (r XRoadRule) checkKeyUsage(extensions []pkix.Extension) error {
	i := slices.IndexFunc(extensions, extensionIs(oidKeyUsage))
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
	sign, auth := has("nonRepudiation"), has(authenticationBits...)
	// Every Security Server asks for keyCertSign in signing keys. It is dropped:
	// refusing it would refuse them all.
	allowed := []string{"nonRepudiation", "keyCertSign"}
	if r.Usage == XRoadAuth {
		allowed = []string{"digitalSignature", "keyEncipherment", "dataEncipherment", "keyAgreement"}
	}
	switch {
	case r.Usage == XRoadAuth && sign:
		return fmt.Errorf("the CSR is for a signing key (nonRepudiation), and this order is for an authentication certificate; use the external account key for signing: it is the sign-kid in acme.yml")
	case r.Usage == XRoadSign && auth:
		return fmt.Errorf("the CSR is for an authentication key, and this order is for a signing certificate; use the external account key for authentication: it is the auth-kid in acme.yml")
	case r.Usage == XRoadSign && !sign:
		return fmt.Errorf("the CSR does not ask for nonRepudiation, which is what a signing key is for")
	}
	if refused := slices.DeleteFunc(asked, func(n string) bool { return slices.Contains(allowed, n) }); len(refused) > 0 {
		return fmt.Errorf("the CSR asks for the keyUsage %s, which the certificate will not have", list(refused))
	}
	return nil
}
