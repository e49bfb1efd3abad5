package acme

import (
	"crypto/sha256"
	"slices"
	"time"
)

// AccountStatus is the status of an account (RFC 8555, section 7.1.6).
type AccountStatus string

// The statuses of an account.
const (
	// AccountValid accounts may order.
	AccountValid AccountStatus = "valid"
	// AccountDeactivated is the account's own, final decision.
	AccountDeactivated AccountStatus = "deactivated"
	// AccountRevoked is the operator's, final too.
	AccountRevoked AccountStatus = "revoked"
)

// KeyHash is the SHA-256 of a SubjectPublicKeyInfo. Account keys and
// certificate keys share this one form, so that neither can be used as the
// other (EK-13).
type KeyHash [sha256.Size]byte

// Account is a key that may order, in one directory.
type Account struct {
	ID        AccountID     `cbor:"1,keyasint,omitempty"`
	Directory DirectoryName `cbor:"2,keyasint,omitempty"`
	Status    AccountStatus `cbor:"3,keyasint,omitempty"`
	// Key is the SubjectPublicKeyInfo, KeyHash its SHA-256 and Thumbprint its
	// RFC 7638 thumbprint, of which key authorizations are made.
	Key        []byte    `cbor:"4,keyasint,omitempty"`
	KeyHash    KeyHash   `cbor:"5,keyasint,omitempty"`
	Thumbprint string    `cbor:"6,keyasint,omitempty"`
	Contact    []string  `cbor:"7,keyasint,omitempty"`
	CreatedAt  time.Time `cbor:"8,keyasint,omitzero"`
	// TermsAgreedAt is when the terms were agreed to, zero when never.
	TermsAgreedAt time.Time `cbor:"9,keyasint,omitzero"`
	// ExternalKey and Member say on whose behalf the account orders; empty
	// without external account binding. Binding is the JWS that proved it,
	// returned in the account object (R8555-7.3.4-10).
	ExternalKey KeyID    `cbor:"10,keyasint,omitempty"`
	Member      MemberID `cbor:"11,keyasint,omitempty"`
	Binding     []byte   `cbor:"12,keyasint,omitempty"`
	// EarlierThumbprints are those of the keys before the present one, the
	// latest last: records in the DNS may name the account by one of them
	// (dns-persist-01).
	EarlierThumbprints []string `cbor:"13,keyasint,omitempty"`
	// ForCSRs says that the account stands for CSRs that come without ACME. It
	// has no key that could sign anything, see [CSRAccount].
	ForCSRs bool `cbor:"14,keyasint,omitempty"`
	// Application is what an account for CSRs orders for. That of others is in
	// their external account key.
	Application string `cbor:"15,keyasint,omitempty"`
	// Products are the profiles that a Security Server has asked for by their
	// profile id, one for each usage. Renewals ask for none, and get these.
	Products []ProfileName `cbor:"16,keyasint,omitempty"`
}

// maxEarlier is how many earlier keys an account remembers. Who changes keys
// more often than the records of its domains has to publish them anew.
const maxEarlier = 8

// ChangeKey gives the account another key.
func (a *Account) ChangeKey(key []byte, hash KeyHash, thumbprint string) {
	earlier := slices.DeleteFunc(append(slices.Clone(a.EarlierThumbprints), a.Thumbprint), func(t string) bool { return t == thumbprint })
	a.EarlierThumbprints = earlier[max(0, len(earlier)-maxEarlier):]
	a.Key, a.KeyHash, a.Thumbprint = key, hash, thumbprint
}
