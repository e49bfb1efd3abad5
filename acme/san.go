package acme

import (
	"encoding/asn1"
	"fmt"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of extensions, attributes and algorithms that the checks
// look at.
var (
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTLSFeature       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	oidMicrosoftRequest = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}
	oidRSAEncryption    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

// maxSANs bounds the names that are read at all; X9 profiles use 250 (PX-1).
const maxSANs = 250

// The kinds of GeneralName that identifiers can be (RFC 5280, 4.2.1.6).
const (
	generalNameDNS = 2
	generalNameIP  = 7
)

// generalNameKinds are the words for the other kinds, by tag number.
var generalNameKinds = [...]string{"otherName", "e-mail address", "DNS name", "X.400 address",
	"directory name", "EDI party name", "URI", "IP address", "registered id"}

// sanNames is the contents of a subject alternative name extension.
type sanNames struct {
	// ids are the DNS names and addresses, spelled as they are.
	ids []Identifier
	// others are the kinds of all further entries. The parser of the standard
	// library drops some of these in silence, which would let a name that
	// nobody checked slip through (PX-2, R8555-7.4F-11).
	others []string
}

// parseSAN reads the raw extension.
func parseSAN(value []byte) (sanNames, error) {
	var names sanNames
	input, list := cryptobyte.String(value), cryptobyte.String(nil)
	if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !input.Empty() {
		return names, fmt.Errorf("the subject alternative name extension is not a list of names")
	}
	for n := 0; !list.Empty(); n++ {
		if n == maxSANs {
			return names, fmt.Errorf("there are more than %d subject alternative names", maxSANs)
		}
		var entry cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&entry, &tag) {
			return names, fmt.Errorf("the subject alternative name extension is not a list of names")
		}
		switch tag {
		case cbasn1.Tag(generalNameDNS).ContextSpecific():
			names.ids = append(names.ids, Identifier{Type: DNSIdentifier, Value: string(entry)})
		case cbasn1.Tag(generalNameIP).ContextSpecific():
			a, ok := netip.AddrFromSlice(entry)
			if !ok {
				return names, fmt.Errorf("an address among the subject alternative names has %d bytes", len(entry))
			}
			names.ids = append(names.ids, Identifier{Type: IPIdentifier, Value: a.String()})
		default:
			names.others = append(names.others, generalNameKind(tag))
		}
	}
	return names, nil
}

func generalNameKind(tag cbasn1.Tag) string {
	const class, number = 0xc0, 0x1f
	if tag&class == 0x80 && int(tag&number) < len(generalNameKinds) {
		return generalNameKinds[tag&number]
	}
	return "unknown kind of name"
}
