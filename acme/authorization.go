package acme

import "time"

// AuthorizationStatus is the status of an authorization (RFC 8555, 7.1.6).
type AuthorizationStatus string

// The statuses of an authorization.
const (
	AuthorizationPending     AuthorizationStatus = "pending"
	AuthorizationValid       AuthorizationStatus = "valid"
	AuthorizationInvalid     AuthorizationStatus = "invalid"
	AuthorizationDeactivated AuthorizationStatus = "deactivated"
	AuthorizationExpired     AuthorizationStatus = "expired"
	AuthorizationRevoked     AuthorizationStatus = "revoked"
)

// ChallengeStatus is the status of a challenge (RFC 8555, 7.1.6).
type ChallengeStatus string

// The statuses of a challenge.
const (
	ChallengePending ChallengeStatus = "pending"
	// ChallengeProcessing means that the client has responded and the engine
	// is trying, perhaps not for the first time.
	ChallengeProcessing ChallengeStatus = "processing"
	ChallengeValid      ChallengeStatus = "valid"
	ChallengeInvalid    ChallengeStatus = "invalid"
)

// ChallengeType names a way to prove control.
type ChallengeType string

// The challenge types that have a place in the protocol.
const (
	HTTP01    ChallengeType = "http-01"
	DNS01     ChallengeType = "dns-01"
	TLSALPN01 ChallengeType = "tls-alpn-01"
	// DNSAccount01 is dns-01 at a name that holds the account
	// (draft-ietf-acme-dns-account-label).
	DNSAccount01 ChallengeType = "dns-account-01"
	// DNSPersist01 is a record that stays (draft-ietf-acme-dns-persist). It has
	// no token.
	DNSPersist01 ChallengeType = "dns-persist-01"
)

// OverDNS reports whether control is proved by a record in the DNS: the only
// way for wildcards, and no way for addresses (R8555-7.5-8).
func (t ChallengeType) OverDNS() bool {
	return t == DNS01 || t == DNSAccount01 || t == DNSPersist01
}

// Authorization says whether an account may have certificates for an identifier.
type Authorization struct {
	ID        AuthorizationID `cbor:"1,keyasint,omitempty"`
	Account   AccountID       `cbor:"2,keyasint,omitempty"`
	Directory DirectoryName   `cbor:"3,keyasint,omitempty"`
	// Order is the order that this authorization was made for; empty when it was
	// asked for ahead of any (R8555-7.4.1).
	Order OrderID `cbor:"4,keyasint,omitempty"`
	// Identifier is without the wildcard prefix; Wildcard remembers it.
	Identifier Identifier          `cbor:"5,keyasint,omitzero"`
	Wildcard   bool                `cbor:"6,keyasint,omitempty"`
	Status     AuthorizationStatus `cbor:"7,keyasint,omitempty"`
	Expires    time.Time           `cbor:"8,keyasint,omitzero"`
	Challenges []Challenge         `cbor:"9,keyasint,omitempty"`
	// CAA is the latest look at the CAA records that allowed a certificate;
	// nil when nobody has looked.
	CAA *CAACheck `cbor:"10,keyasint,omitempty"`
	// Sharing are the orders that it serves besides, at most MaxSharing of them
	// open. Those that are over make room when it is needed.
	Sharing []OrderID `cbor:"11,keyasint,omitempty"`
	// ReuseUntil is when a proof ends for other orders than its own; zero means
	// when the authorization does (RDP-8).
	ReuseUntil time.Time `cbor:"12,keyasint,omitzero"`
	// Profile is by whose rules it is proved, where no order says that.
	Profile ProfileName `cbor:"13,keyasint,omitempty"`
}

// Challenge is one offered way to prove control. It lives in its authorization.
type Challenge struct {
	Type   ChallengeType   `cbor:"1,keyasint,omitempty"`
	Status ChallengeStatus `cbor:"2,keyasint,omitempty"`
	Token  string          `cbor:"3,keyasint,omitempty"`
	// KeyAuthorization is computed from the account's key when the response
	// arrives (R8555-8.3-1), so a later key change does not alter it. Without
	// a token it is a dot and the thumbprint of that key.
	KeyAuthorization string    `cbor:"4,keyasint,omitempty"`
	ValidatedAt      time.Time `cbor:"5,keyasint,omitzero"`
	Attempts         int       `cbor:"6,keyasint,omitempty"`
	// Problem is the last failure. It is shown when the challenge is invalid
	// (R8555-8-2).
	Problem *Problem `cbor:"7,keyasint,omitempty"`
	// IssuerDomainNames are the names that a dns-persist-01 record may give
	// for the CA, as they were offered (RDP-1).
	IssuerDomainNames []string `cbor:"8,keyasint,omitempty"`
	// Trials are the attempts that failed, oldest first.
	Trials []Trial `cbor:"9,keyasint,omitempty"`
}

// Proved reports whether control of the identifier was proved. A valid
// authorization without a proof is the registry's word, and good for nothing
// but its order.
func (a Authorization) Proved() bool {
	_, ok := a.Proof()
	return ok
}

// ProvedBy is the type of the challenge that proved control; empty when none did.
func (a Authorization) ProvedBy() ChallengeType {
	proof, _ := a.Proof()
	return proof.Type
}

// Challenge returns the position of the challenge of type t, or -1.
func (a Authorization) Challenge(t ChallengeType) int {
	for i := range a.Challenges {
		if a.Challenges[i].Type == t {
			return i
		}
	}
	return -1
}
