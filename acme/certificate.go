package acme

import (
	"math/big"
	"time"
)

// Certificate is one issued, checked certificate. It never changes, but for
// its revocation.
type Certificate struct {
	ID        CertificateID `cbor:"1,keyasint,omitempty"`
	Order     OrderID       `cbor:"2,keyasint,omitempty"`
	Account   AccountID     `cbor:"3,keyasint,omitempty"`
	Directory DirectoryName `cbor:"4,keyasint,omitempty"`
	Member    MemberID      `cbor:"5,keyasint,omitempty"`
	Backend   string        `cbor:"6,keyasint,omitempty"`
	Profile   ProfileName   `cbor:"7,keyasint,omitempty"`
	// Leaf is the DER of the certificate; Chain names the rest of the chain,
	// which is stored once for all leaves that share it.
	Leaf  []byte    `cbor:"8,keyasint,omitempty"`
	Chain ChainHash `cbor:"9,keyasint,omitzero"`
	// Serial is the content octets of the serial number and AuthorityKeyID
	// that of the issuer; together they make the RFC 9773 id.
	Serial         []byte       `cbor:"10,keyasint,omitempty"`
	AuthorityKeyID []byte       `cbor:"11,keyasint,omitempty"`
	KeyHash        KeyHash      `cbor:"12,keyasint,omitempty"`
	Identifiers    []Identifier `cbor:"13,keyasint,omitempty"`
	NotBefore      time.Time    `cbor:"14,keyasint,omitzero"`
	NotAfter       time.Time    `cbor:"15,keyasint,omitzero"`
	IssuedAt       time.Time    `cbor:"16,keyasint,omitzero"`
	Revocation     *Revocation  `cbor:"17,keyasint,omitempty"`
	// Renewal is the window that was decided for this certificate alone, nil
	// without one; ReplacedBy is the order that says it replaces it (RFC 9773).
	Renewal    *Renewal `cbor:"18,keyasint,omitempty"`
	ReplacedBy OrderID  `cbor:"19,keyasint,omitempty"`
	// RenewalAdvice is what its CA said of its renewal, nil when it never did.
	RenewalAdvice *RenewalAdvice `cbor:"20,keyasint,omitempty"`
	// RenewedAt is when a certificate was issued that renews this one, so that
	// only the other counts from there on (SL-22).
	RenewedAt time.Time `cbor:"21,keyasint,omitzero"`
	// CountsNames says that it was issued while certificates for one set of names
	// were limited, and counts (SL-21). Nobody else pays for an index.
	CountsNames bool `cbor:"23,keyasint,omitempty"`
	// Alternates are further chains for this leaf, each to another root
	// (R8555-7.4.2-2).
	Alternates []ChainHash `cbor:"22,keyasint,omitempty"`
	// Holder is whom a certificate of an IB1 framework is for.
	Holder *IB1Holder `cbor:"24,keyasint,omitempty"`
}

// ChainHash is the SHA-256 over the concatenated DER of a chain without its leaf.
type ChainHash KeyHash

// Chain is the certificates above a leaf, each certifying the one before.
type Chain struct {
	Hash         ChainHash `cbor:"1,keyasint,omitempty"`
	Certificates [][]byte  `cbor:"2,keyasint,omitempty"`
}

// Ended reports whether a certificate is past its end. Its last second is still of
// its life (RFC 5280, section 4.1.2.5).
func (c Certificate) Ended(now time.Time) bool { return !now.Before(c.NotAfter.Add(time.Second)) }

// Revocation records that a certificate was revoked, by whom and why.
type Revocation struct {
	At     time.Time        `cbor:"1,keyasint,omitzero"`
	Reason RevocationReason `cbor:"2,keyasint,omitempty"`
	// By says on whose word: "account", "key", "authorizations",
	// "operator", "member API" with who used it or, when the whole member is out,
	// "member".
	By string `cbor:"3,keyasint,omitempty"`
	// DoneAt is when the CA knew; zero while it is queued.
	DoneAt time.Time `cbor:"4,keyasint,omitzero"`
}

// ByClient reports whether somebody asked for it who can use the protocol, and
// not the operator.
func (r Revocation) ByClient() bool { return r.By != "operator" && r.By != "member" }

// RevocationReason is a CRLReason of RFC 5280, section 5.3.1.
type RevocationReason int

// The reasons. Clients may give the four that only they can know; an operator
// may give more.
const (
	Unspecified          RevocationReason = 0
	KeyCompromise        RevocationReason = 1
	CACompromise         RevocationReason = 2
	AffiliationChanged   RevocationReason = 3
	Superseded           RevocationReason = 4
	CessationOfOperation RevocationReason = 5
	CertificateHold      RevocationReason = 6
	RemoveFromCRL        RevocationReason = 8
	PrivilegeWithdrawn   RevocationReason = 9
	AACompromise         RevocationReason = 10
)

// SerialOctets returns the content octets of a serial number in DER, with the
// leading zero that keeps a positive number positive.
func SerialOctets(serial *big.Int) []byte {
	b := serial.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}
