package acme

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"
)

const (
	// maxSerialOctets is RFC 5280's bound; minSerialBits tells random serials
	// from counted ones. CAs draw at least 64 bits, and a draw of 64 is below
	// 48 once in 65,000 times.
	maxSerialOctets = 20
	minSerialBits   = 48
	// maxBackdate is how long before the contract a certificate may begin:
	// CAs start at the beginning of their day, wherever that is.
	maxBackdate = 48 * time.Hour
)

// checkLeaf compares a leaf with the contract, field by field.
func checkLeaf(c Contract, leaf *x509.Certificate, now time.Time) error {
	if got := HashKey(leaf.RawSubjectPublicKeyInfo); got != c.KeyHash {
		return differs(0, "key", fmt.Sprintf("%x", got[:8]), fmt.Sprintf("%x, the key of the CSR", c.KeyHash[:8]))
	}
	checks := []func(Contract, *x509.Certificate) error{
		checkLeafNames, checkLeafSubject, checkLeafUsages, checkLeafKeyUsage, checkLeafIdentity,
	}
	if c.Holder != nil && c.Holder.Tree.Member() {
		checks = []func(Contract, *x509.Certificate) error{checkLeafHolder, checkLeafUsages, checkLeafKeyUsage, checkLeafIdentity}
	}
	for _, check := range checks {
		if err := check(c, leaf); err != nil {
			return err
		}
	}
	return checkLeafValidity(c, leaf, now)
}

// checkLeafNames reads the raw extension, so that an entry which the parser
// drops is seen (PX-2), and wants each identifier once.
func checkLeafNames(c Contract, leaf *x509.Certificate) error {
	var names sanNames
	if raw := leafExtension(leaf, oidSubjectAltName); raw != nil {
		var err error
		if names, err = parseSAN(raw); err != nil {
			return differs(0, "names", err.Error(), "a list of names")
		}
	}
	if len(names.others) > 0 {
		return differs(0, "names", list(names.others), "only DNS names and addresses")
	}
	var got, want []string
	for _, id := range names.ids {
		got = append(got, string(id.Type)+":"+lowerASCII(id.Value))
	}
	for _, id := range c.Identifiers {
		want = append(want, string(id.Type)+":"+id.Value)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return differs(0, "names", nameDifference(got, want), nameDifference(want, got))
	}
	return nil
}

// nameDifference says what a list has that the other has not, each as often as
// it has it more: of a hundred names the one that matters.
func nameDifference(these, others []string) string {
	left := slices.Clone(others)
	var only []string
	for _, name := range these {
		if i := slices.Index(left, name); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		only = append(only, quote(name))
	}
	if len(only) == 0 {
		return "nothing else"
	}
	return list(only)
}

// checkLeafSubject wants the common name of the contract and nothing beside
// it. Without a subject the names are all there is, and must be critical
// (RFC 5280, 4.2.1.6).
func checkLeafSubject(c Contract, leaf *x509.Certificate) error {
	want := c.CommonName
	switch c.Subject {
	case SubjectCommonName, "":
	case SubjectEmpty:
		want = ""
	case SubjectByCA:
		return checkLeafSubjectByCA(c, leaf)
	case SubjectRegistry:
		return checkLeafSubjectRegistry(c, leaf)
	case SubjectRequested:
		return checkLeafSubjectRequested(c, leaf)
	default:
		return differs(0, "subject", "the unknown rule "+quote(string(c.Subject)), "a rule of the profile")
	}
	parts := leaf.Subject.Names
	if want == "" {
		if len(parts) > 0 {
			return differs(0, "subject", quote(leaf.Subject.String()), "an empty one")
		}
		for _, e := range leaf.Extensions {
			if e.Id.Equal(oidSubjectAltName) && !e.Critical {
				return differs(0, "names", "not critical", "critical, because the subject is empty")
			}
		}
		return nil
	}
	if len(parts) == 1 && parts[0].Type.Equal(oidCommonName) {
		if name, ok := parts[0].Value.(string); ok && lowerASCII(name) == want {
			return nil
		}
	}
	return differs(0, "subject", quote(leaf.Subject.String()), "CN="+want+" alone")
}

// checkLeafSubjectByCA wants a subject that names nobody else's host: at most
// one common name, which was ordered, and beside it only what says who and
// where. What that says is between the CA and the account that it belongs to.
func checkLeafSubjectByCA(c Contract, leaf *x509.Certificate) error {
	commonNames := 0
	for _, part := range leaf.Subject.Names {
		value, text := part.Value.(string)
		switch {
		case part.Type.Equal(oidCommonName):
			ordered := slices.ContainsFunc(c.Identifiers, func(id Identifier) bool { return id.Type == DNSIdentifier && id.Value == lowerASCII(value) })
			if commonNames++; commonNames > 1 || !text || !ordered {
				return differs(0, "subject", quote(leaf.Subject.String()), "one common name, and one that was ordered")
			}
		case !text || !slices.ContainsFunc(placeOIDs, part.Type.Equal):
			return differs(0, "subject", quote(leaf.Subject.String()), "a common name, organization and place")
		}
	}
	return nil
}

// checkLeafSubjectRequested wants each attribute of the CSR's subject, with its
// value, and no other. CAs may reorder them and choose another kind of string,
// but not put two into one RDN: see checkPlainName.
func checkLeafSubjectRequested(c Contract, leaf *x509.Certificate) error {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RequestedSubject, &sequence); err != nil || len(rest) > 0 || len(sequence) == 0 {
		return differs(0, "subject", "a contract without one", "that of the CSR")
	}
	var want pkix.Name
	want.FillFromRDNSequence(&sequence)
	if !slices.Equal(attributeTexts(leaf.Subject), attributeTexts(want)) {
		return differs(0, "subject", quote(leaf.Subject.String()), quote(want.String()))
	}
	var issued pkix.RDNSequence
	if _, err := asn1.Unmarshal(leaf.RawSubject, &issued); err != nil ||
		slices.ContainsFunc(issued, func(rdn pkix.RelativeDistinguishedNameSET) bool { return len(rdn) != 1 }) {
		return differs(0, "subject", quote(leaf.Subject.String()), "each attribute in an RDN of its own")
	}
	return nil
}

func attributeTexts(n pkix.Name) []string {
	var all []string
	for _, a := range n.Names {
		all = append(all, fmt.Sprintf("%s=%T:%v", a.Type, a.Value, a.Value))
	}
	slices.Sort(all)
	return all
}

// placeOIDs are country, locality, state, organization and its unit (X.520).
var placeOIDs = []asn1.ObjectIdentifier{{2, 5, 4, 6}, {2, 5, 4, 7}, {2, 5, 4, 8}, {2, 5, 4, 10}, {2, 5, 4, 11}}

// checkLeafUsages wants the contract's extended key usages, no more, no less.
func checkLeafUsages(c Contract, leaf *x509.Certificate) error {
	var oids []asn1.ObjectIdentifier
	if raw := leafExtension(leaf, oidExtKeyUsage); raw != nil {
		oids, _ = readOIDs(raw) // what crypto/x509 has parsed, reads here too
	}
	var got, want []string
	for _, oid := range oids {
		got = append(got, usageName(oid))
	}
	for _, usage := range c.Usages {
		want = append(want, string(usage))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return differs(0, "usages", orNone(got), orNone(want))
	}
	return nil
}

// checkLeafKeyUsage lets the CA choose within reason: the key must be able to
// do its work in a handshake and must not be able to sign for others.
func checkLeafKeyUsage(c Contract, leaf *x509.Certificate) error {
	const forbidden = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageEncipherOnly | x509.KeyUsageDecipherOnly
	usage := leaf.KeyUsage
	if leaf.IsCA {
		return differs(0, "basic constraints", "a CA", "not a CA")
	}
	if bad := usage & forbidden; bad != 0 {
		return differs(0, "key usage", list(keyUsageWords(bad)), "a key that signs nothing but handshakes")
	}
	switch c.KeyUsage {
	case KeyUsageHandshake:
	case KeyUsageAuthentication: // a Security Server imports no key of both usages, nor one of none
		if leafExtension(leaf, oidKeyUsage) == nil || usage&x509.KeyUsageContentCommitment != 0 {
			return differs(0, "key usage", orNone(keyUsageWords(usage)), "one for authentication, without nonRepudiation")
		}
	case KeyUsageSigning:
		if usage != x509.KeyUsageContentCommitment {
			return differs(0, "key usage", orNone(keyUsageWords(usage)), "nonRepudiation alone")
		}
		return nil
	default:
		return differs(0, "key usage", "the unknown rule "+quote(string(c.KeyUsage)), "a rule of the profile")
	}
	needed, words := x509.KeyUsageDigitalSignature, "digitalSignature"
	if _, ok := leaf.PublicKey.(*rsa.PublicKey); ok {
		needed, words = needed|x509.KeyUsageKeyEncipherment, words+" or keyEncipherment"
	}
	if leafExtension(leaf, oidKeyUsage) != nil && usage&needed == 0 {
		return differs(0, "key usage", orNone(keyUsageWords(usage)), words)
	}
	return nil
}

func keyUsageWords(usage x509.KeyUsage) []string {
	var words []string
	for i, word := range keyUsageNames {
		if usage&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return words
}

// checkLeafIdentity wants a certificate that can be told from all others: the
// serial for revocation, the key identifier of the issuer for ARI (R9773-4.1-3).
func checkLeafIdentity(_ Contract, leaf *x509.Certificate) error {
	serial := leaf.SerialNumber
	switch {
	case serial.Sign() <= 0:
		return differs(0, "serial number", serial.String(), "a positive one")
	case serial.BitLen()/8+1 > maxSerialOctets:
		return differs(0, "serial number", fmt.Sprintf("%d octets", serial.BitLen()/8+1), fmt.Sprintf("at most %d", maxSerialOctets))
	case serial.BitLen() < minSerialBits:
		return differs(0, "serial number", fmt.Sprintf("%d bits", serial.BitLen()), "64 random bits or more")
	case len(leaf.AuthorityKeyId) == 0:
		return differs(0, "authority key identifier", "none", "that of the issuer")
	case len(leaf.AuthorityKeyId) > maxCertIDPart:
		return differs(0, "authority key identifier", fmt.Sprintf("%d octets", len(leaf.AuthorityKeyId)), fmt.Sprintf("at most %d", maxCertIDPart))
	}
	return nil
}

// checkLeafValidity wants a certificate that works now and ends when it was
// promised to, neither later nor earlier. A contract without an end leaves
// that to the CA.
func checkLeafValidity(c Contract, leaf *x509.Certificate, now time.Time) error {
	begins := now
	if c.NotBefore.After(begins) {
		begins = c.NotBefore
	}
	switch {
	case leaf.NotBefore.After(begins.Add(clockSkew)):
		return differs(0, "validity", "valid from "+moment(leaf.NotBefore), "valid from "+moment(begins)+" at the latest")
	case !c.NotBefore.IsZero() && leaf.NotBefore.Before(c.NotBefore.Add(-maxBackdate)):
		return differs(0, "validity", "valid from "+moment(leaf.NotBefore), "valid from "+moment(c.NotBefore))
	case !leaf.NotAfter.After(begins):
		return differs(0, "validity", "valid until "+moment(leaf.NotAfter), "valid at "+moment(begins))
	case !c.NotAfter.IsZero() && leaf.NotAfter.Sub(c.NotAfter).Abs() >= time.Second: // certificates count whole seconds
		return differs(0, "validity", "valid until "+moment(leaf.NotAfter), "valid until "+moment(c.NotAfter))
	}
	return nil
}

func leafExtension(leaf *x509.Certificate, oid asn1.ObjectIdentifier) []byte {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oid) {
			return e.Value
		}
	}
	return nil
}

func orNone(parts []string) string {
	if len(parts) == 0 {
		return "none"
	}
	return list(parts)
}
