package acme

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions by which a certificate of an IB1 framework says who its holder
// is.
var (
	oidIB1Roles  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 1}
	oidIB1Member = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 3}
)

// checkLeafHolder compares a leaf with the holder in the contract: everything
// that such a certificate says is the registry's, to the byte.
func checkLeafHolder(c Contract, leaf *x509.Certificate) error {
	h := c.Holder
	var subject []string
	for _, a := range leaf.Subject.Names {
		subject = append(subject, fmt.Sprintf("%s=%v", attributeName(a.Type), a.Value))
	}
	want := []string{"C=" + h.Country, "O=" + h.Organization, "2.5.4.3=" + h.Application}
	if len(subject) != len(want) || subject[0] != want[0] || subject[1] != want[1] || subject[2] != want[2] {
		return differs(0, "subject", quote(leaf.Subject.String()), "country, organization and application of the registry")
	}
	for _, x := range []struct {
		field string
		oid   asn1.ObjectIdentifier
		want  func(*cryptobyte.Builder)
	}{
		{"names", oidSubjectAltName, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(generalNameURI).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.Application)) })
			})
		}},
		{"roles", oidIB1Roles, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, r := range h.Roles {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(r)) })
				}
			})
		}},
		{"member", oidIB1Member, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.Member)) })
		}},
	} {
		var b cryptobyte.Builder
		x.want(&b)
		value, err := b.Bytes()
		if err != nil {
			return fmt.Errorf("acme: encode the %s of a holder: %w", x.field, err)
		}
		if got := leafExtension(leaf, x.oid); !bytes.Equal(got, value) {
			return differs(0, x.field, fmt.Sprintf("%x", got), fmt.Sprintf("%x, what the registry says", value))
		}
		for _, e := range leaf.Extensions {
			// Verifiers that do not know it would have to refuse it.
			if e.Id.Equal(x.oid) && e.Critical {
				return differs(0, x.field, "critical", "not critical")
			}
		}
	}
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		return differs(0, "key usage", orNone(keyUsageWords(leaf.KeyUsage)), "digitalSignature alone")
	}
	return nil
}
