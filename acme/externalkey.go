package acme

import (
	"log/slog"
	"time"
)

// ExternalAccountKey is the credential by which an account is bound to a
// member (RFC 8555, section 7.3.4), and everything that binding allows.
type ExternalAccountKey struct {
	ID        KeyID         `cbor:"1,keyasint,omitempty"`
	Directory DirectoryName `cbor:"2,keyasint,omitempty"`
	Member    MemberID      `cbor:"3,keyasint,omitempty"`
	// Sealed is the MAC key, encrypted at rest (SK-3); empty once a single-use
	// key has been used.
	Sealed []byte `cbor:"4,keyasint,omitempty"`
	// Profiles and Identifiers bound what accounts of this key may order;
	// empty means whatever the directory allows. An identifier starting with
	// a dot admits everything below it, "*" admits every name.
	Profiles    []ProfileName `cbor:"5,keyasint,omitempty"`
	Identifiers []string      `cbor:"6,keyasint,omitempty"`
	// Uses is how many accounts the key may bind; 0 means any number. Used
	// counts them.
	Uses      int       `cbor:"7,keyasint,omitempty"`
	Used      int       `cbor:"8,keyasint,omitempty"`
	CreatedAt time.Time `cbor:"9,keyasint,omitzero"`
	Expires   time.Time `cbor:"10,keyasint,omitzero"`
	RevokedAt time.Time `cbor:"11,keyasint,omitzero"`
}

// LogValue keeps the sealed key out of every log line.
func (k ExternalAccountKey) LogValue() slog.Value { return slog.StringValue(string(k.ID)) }

// ExternalKeyUsable returns nil when k may bind one more account in directory
// d at now. Whatever is wrong, the answer is the same text as for an unknown
// key, so that nobody can probe for keys (R8555-7.3.4-11); cause says the
// truth, for the log.
func ExternalKeyUsable(k ExternalAccountKey, d DirectoryName, now time.Time) (p *Problem, cause string) {
	switch {
	case k.Directory != d:
		cause = "it belongs to directory " + string(k.Directory)
	case !k.RevokedAt.IsZero():
		cause = "it was revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		cause = "it has expired"
	case k.Uses > 0 && k.Used >= k.Uses:
		cause = "it is used up"
	default:
		return nil, ""
	}
	return UnknownExternalKey(), cause
}

// UnknownExternalKey is the answer for every external account key that cannot
// be used, whatever the reason.
func UnknownExternalKey() *Problem {
	return Problemf(Unauthorized, "the external account binding was not accepted; ask the operator for a current key id and HMAC key")
}

// ExternalKeyStanding returns nil while k still carries the accounts that it
// bound: revoking a key freezes what hangs on it.
func ExternalKeyStanding(k ExternalAccountKey, now time.Time) *Problem {
	if !k.RevokedAt.IsZero() {
		return Problemf(Unauthorized, "the external account key of this account was revoked; ask the operator for a new one")
	}
	return nil
}
