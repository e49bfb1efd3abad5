package acme

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// checkPlainName wants a subject that every reader reads alike: one attribute in
// each RDN, as text of the two kinds that Security Servers write. Of an RDN with
// two, some take the first for whichever they look for: a member could put the
// code of another one before its own.
func checkPlainName(raw []byte) error {
	unreadable := fmt.Errorf("the subject of the CSR cannot be read")
	in, name := cryptobyte.String(raw), cryptobyte.String(nil)
	if !in.ReadASN1(&name, cbasn1.SEQUENCE) || !in.Empty() {
		return unreadable
	}
	for !name.Empty() {
		var rdn, attribute, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var kind cbasn1.Tag
		if !name.ReadASN1(&rdn, cbasn1.SET) || !rdn.ReadASN1(&attribute, cbasn1.SEQUENCE) ||
			!attribute.ReadASN1ObjectIdentifier(&oid) || !attribute.ReadAnyASN1(&value, &kind) || !attribute.Empty() {
			return unreadable
		}
		if !rdn.Empty() {
			return fmt.Errorf("the %s and another attribute of the CSR's subject share one RDN; give each its own", xroadFieldName(oid.String()))
		}
		if kind != cbasn1.UTF8String && kind != cbasn1.PrintableString {
			return fmt.Errorf("the %s of the CSR's subject is no UTF8String or PrintableString", xroadFieldName(oid.String()))
		}
	}
	return nil
}
