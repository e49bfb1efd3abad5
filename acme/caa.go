package acme

import (
	"slices"
	"time"
)

// CAAWindow is for how long CAA records that were looked at allow a
// certificate: eight hours, whatever their TTL (R8659-BR-1).
const CAAWindow = 8 * time.Hour

// CAACheck is a look at CAA records that allowed a certificate.
type CAACheck struct {
	At time.Time `cbor:"1,keyasint,omitzero"`
	// Issuers are the names of the CA that the records had to allow.
	Issuers []string `cbor:"2,keyasint,omitempty"`
}

// WantsCAA reports whether CAA records decide about an identifier: addresses
// have none (R8738-P-1).
func (p Profile) WantsCAA(ident Identifier) bool { return p.CAA && ident.Type == DNSIdentifier }

// CAAFresh reports whether a certificate of the profile may rest on the latest
// look at the CAA records (R8555-7.4F-12). A look on behalf of another CA says
// nothing of this one.
func (a Authorization) CAAFresh(p Profile, now time.Time) bool {
	if !p.WantsCAA(a.Identifier) {
		return true
	}
	return a.CAA != nil && now.Sub(a.CAA.At) < CAAWindow && slices.Equal(a.CAA.Issuers, p.IssuerDomainNames)
}
