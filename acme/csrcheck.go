package acme

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxCommonName is the upper bound that X.520 sets, in characters.
const maxCommonName = 64

// usageOIDs are the extended key usages that profiles can grant.
var usageOIDs = map[Usage]asn1.ObjectIdentifier{
	ServerAuth:      {1, 3, 6, 1, 5, 5, 7, 3, 1},
	ClientAuth:      {1, 3, 6, 1, 5, 5, 7, 3, 2},
	CodeSigning:     {1, 3, 6, 1, 5, 5, 7, 3, 3},
	EmailProtection: {1, 3, 6, 1, 5, 5, 7, 3, 4},
}

// usageName is the profile's word for an extended key usage, or its number.
func usageName(oid asn1.ObjectIdentifier) string {
	for usage, known := range usageOIDs {
		if known.Equal(oid) {
			return string(usage)
		}
	}
	return oid.String()
}

// keyUsageNames are the bits of RFC 5280, section 4.2.1.3, in order.
var keyUsageNames = [...]string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
	"keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly"}

// requestableKeyUsages are the bits that a CSR may ask for. The configuration
// that OpenSSL ships, and acme.sh for years, asks for nonRepudiation without
// anybody meaning it, and an X-Road Security Server for dataEncipherment in every
// authentication key; none of the five gives the certificate power over others.
var requestableKeyUsages = map[string]bool{
	"digitalSignature": true, "nonRepudiation": true, "keyEncipherment": true, "dataEncipherment": true, "keyAgreement": true,
}

// CheckCSR compares a CSR with the order that it would finalize, under the
// order's profile. What the certificate must be is the contract that comes
// back; the engine adds the validity. Everything that the CSR asks for and the
// certificate will not have is refused by name, rather than dropped
// (R8555-7.4-2, R8555-7.4F-5).
func CheckCSR(o Order, p Profile, csr CSR) (Contract, *Problem) {
	if problem := CheckCertificateKey(csr.PublicKey, p.Keys); problem != nil {
		return Contract{}, problem
	}
	checks := []func() error{
		func() error { return checkNames(o, csr) },
		func() error { return checkCommonName(o, csr) },
		func() error {
			if p.Subject == SubjectRegistry {
				return nil // held against the registry, by CheckRequestedNames
			}
			return checkSubject(csr.Subject)
		},
		func() error { return checkExtensions(csr.Extensions, p.Usages, checkRequestedKeyUsage) },
	}
	if p.XRoad.Usage == XRoadSign {
		p.Usages = nil // with clientAuth, a Security Server takes it for both kinds and imports it as none
	}
	if p.XRoad.Usage != "" {
		checks = []func() error{
			func() error { return checkNames(o, csr) },
			func() error {
				return checkExtensions(csr.Extensions, p.Usages, func([]byte) error { return nil }) // checkXRoad looks at keyUsage
			},
		}
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return Contract{}, Problemf(BadCSR, "%v", err)
		}
	}
	contract := Contract{
		Profile:     p.Name,
		Identifiers: o.Identifiers,
		KeyHash:     csr.KeyHash,
		Usages:      p.Usages,
		Subject:     p.Subject,
		CommonName:  contractCommonName(o, p, csr),
	}
	if p.XRoad.Usage != "" {
		if problem := checkXRoad(o, p.XRoad, csr); problem != nil {
			return Contract{}, problem
		}
		contract.Subject, contract.RequestedSubject, contract.KeyUsage = SubjectRequested, csr.RawSubject, p.XRoad.keyUsage()
		contract.CommonName = csr.CommonName
	}
	return contract, nil
}

// checkNames wants exactly the identifiers of the order (R8555-7.4F-3).
func checkNames(o Order, csr CSR) error {
	if len(csr.OtherNames) > 0 { // R8555-7.4F-11
		return fmt.Errorf("the CSR asks for a subject alternative name that no order covers: %s", list(csr.OtherNames))
	}
	var extra, missing []string
	for _, id := range csr.Identifiers {
		if !slices.ContainsFunc(o.Identifiers, id.Same) {
			extra = append(extra, quote(id.Value))
		}
	}
	for _, id := range o.Identifiers {
		if !slices.ContainsFunc(csr.Identifiers, id.Same) {
			missing = append(missing, quote(id.Value))
		}
	}
	switch {
	case len(extra) > 0 && len(missing) > 0:
		return fmt.Errorf("the CSR names %s, which the order does not list, and not %s, which it does", list(extra), list(missing))
	case len(extra) > 0:
		return fmt.Errorf("the CSR names %s, which the order does not list", list(extra))
	case len(missing) > 0:
		return fmt.Errorf("the CSR does not name %s, which the order lists", list(missing))
	}
	return nil
}

// checkCommonName wants an identifier of the order, in the subject alternative
// names as well when there are any (R8555-7.4F-4); checkNames has seen to it
// that these are the same.
func checkCommonName(o Order, csr CSR) error {
	name := lowerASCII(csr.CommonName)
	switch {
	case name == "":
		return nil
	case len(name) > maxCommonName:
		return fmt.Errorf("the common name of the CSR is longer than %d characters; leave it out", maxCommonName)
	case !slices.ContainsFunc(o.Identifiers, func(id Identifier) bool { return id.Value == name }):
		return fmt.Errorf("the common name %s of the CSR is not an identifier of the order", quote(csr.CommonName))
	case !slices.ContainsFunc(csr.Identifiers, func(id Identifier) bool { return id.Value == name }):
		return fmt.Errorf("the common name %s of the CSR is missing among its subject alternative names", quote(csr.CommonName))
	}
	return nil
}

// checkSubject refuses everything but a common name: the certificate will have
// nothing else, and a client that asked for an organization should know.
func checkSubject(subject pkix.Name) error {
	var others []string
	for _, part := range subject.Names {
		if !part.Type.Equal(oidCommonName) {
			others = append(others, attributeName(part.Type))
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("the subject of the CSR has %s, which the certificate will not have; leave out everything but the common name", list(others))
	}
	return nil
}

// attributeName is how people write a subject attribute, or its number.
func attributeName(oid asn1.ObjectIdentifier) string {
	switch oid.String() {
	case "2.5.4.4":
		return "SN"
	case "2.5.4.5":
		return "serialNumber"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "street"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "2.5.4.15":
		return "businessCategory"
	case "2.5.4.17":
		return "postalCode"
	case "2.5.4.42":
		return "GN"
	case "2.5.4.97":
		return "organizationIdentifier"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	case "1.2.840.113549.1.9.1":
		return "emailAddress"
	}
	return oid.String()
}

// checkExtensions goes through everything that the CSR asks for. An extension
// that is not named here is refused (SP-3).
func checkExtensions(extensions []pkix.Extension, usages []Usage, keyUsage func([]byte) error) error {
	for _, e := range extensions {
		var err error
		switch {
		case e.Id.Equal(oidSubjectAltName): // checkNames
		case e.Id.Equal(oidKeyUsage):
			err = keyUsage(e.Value)
		case e.Id.Equal(oidExtKeyUsage):
			err = checkRequestedUsages(e.Value, usages)
		case e.Id.Equal(oidBasicConstraints):
			err = checkRequestedConstraints(e.Value)
		default:
			err = fmt.Errorf("the CSR asks for the extension %s, which the certificate will not have; leave it out", extensionName(e.Id))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkRequestedKeyUsage(value []byte) error {
	asked, err := readKeyUsage(value)
	if err != nil {
		return err
	}
	refused := slices.DeleteFunc(asked, func(name string) bool { return requestableKeyUsages[name] })
	if len(refused) > 0 {
		return fmt.Errorf("the CSR asks for the keyUsage %s, which the certificate will not have", list(refused))
	}
	return nil
}

// readKeyUsage returns the bits of a keyUsage that are set, by name.
func readKeyUsage(value []byte) (asked []string, err error) {
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(value, &bits); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("the keyUsage that the CSR asks for cannot be read")
	}
	for i := range bits.BitLength {
		if bits.At(i) == 0 {
			continue
		}
		name := fmt.Sprintf("bit %d", i)
		if i < len(keyUsageNames) {
			name = keyUsageNames[i]
		}
		asked = append(asked, name)
	}
	return asked, nil
}

func checkRequestedUsages(value []byte, usages []Usage) error {
	oids, ok := readOIDs(value)
	if !ok {
		return fmt.Errorf("the extKeyUsage that the CSR asks for cannot be read")
	}
	var refused []string
	for _, oid := range oids {
		if !slices.ContainsFunc(usages, func(u Usage) bool { return usageOIDs[u].Equal(oid) }) {
			refused = append(refused, usageName(oid))
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("the CSR asks for the extKeyUsage %s, which this profile does not grant; it grants %s", list(refused), list(usages))
	}
	return nil
}

func readOIDs(value []byte) (oids []asn1.ObjectIdentifier, ok bool) {
	input, seq := cryptobyte.String(value), cryptobyte.String(nil)
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		var oid asn1.ObjectIdentifier
		if !seq.ReadASN1ObjectIdentifier(&oid) {
			return nil, false
		}
		oids = append(oids, oid)
	}
	return oids, true
}

func checkRequestedConstraints(value []byte) error {
	input, seq := cryptobyte.String(value), cryptobyte.String(nil)
	var ca bool
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() ||
		seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&ca) {
		return fmt.Errorf("the basicConstraints that the CSR asks for cannot be read")
	}
	if ca {
		return fmt.Errorf("the CSR asks to become a CA (basicConstraints CA:TRUE), which no order gives")
	}
	return nil
}

// contractCommonName decides what the certificate's common name will be. An
// address does not belong there (R8738-P-1), so one that the CSR has put there
// is passed over; it stays in the subject alternative names.
func contractCommonName(o Order, p Profile, csr CSR) string {
	if p.Subject == SubjectEmpty {
		return ""
	}
	name := lowerASCII(csr.CommonName)
	for _, id := range o.Identifiers {
		if id.Type == DNSIdentifier && len(id.Value) <= maxCommonName && (name == "" || id.Value == name) {
			return id.Value
		}
	}
	return ""
}

// list joins what it is given for a sentence, cut short: a problem is read by
// a person.
func list[T ~string](parts []T) string {
	const most = 5
	var b strings.Builder
	for i, part := range parts {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(parts)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(part))
	}
	return b.String()
}
