package acme

import (
	"log/slog"
	"slices"
	"strings"
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
	// Application is the URL of the application of the member that its accounts
	// order for; empty outside of IB1 frameworks.
	Application string `cbor:"12,keyasint,omitempty"`
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

// ExternalKeyAllows returns nil when accounts of k may order those identifiers
// under that profile. The registry decides who may have what, before anything
// is proved.
func ExternalKeyAllows(k ExternalAccountKey, profile ProfileName, identifiers []Identifier) *Problem {
	if len(k.Profiles) > 0 && !slices.Contains(k.Profiles, profile) {
		return Problemf(Unauthorized, "your external account key does not allow profile %q; it allows %s", profile, joinNames(k.Profiles))
	}
	var refused []Subproblem
	for _, id := range identifiers {
		if len(k.Identifiers) > 0 && !coveredBy(k.Identifiers, id) {
			refused = append(refused, Subproblem{
				Type: RejectedIdentifier, Identifier: id,
				Detail: "your external account key does not cover " + id.Value + "; ask the operator for one that does",
			})
		}
	}
	if len(refused) > 0 {
		return Problemf(RejectedIdentifier, "%s", refused[0].Detail).WithSubproblems(refused...)
	}
	return nil
}

func joinNames(names []ProfileName) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = string(n)
	}
	return strings.Join(parts, ", ")
}

// CheckIdentifierPattern refuses what could never match an identifier: an
// operator who writes "*.example.org" means ".example.org", and one who writes
// "Example.org" should not wonder why nothing matches.
func CheckIdentifierPattern(pattern string) *Problem {
	name, below := strings.CutPrefix(pattern, wildcardPrefix)
	if !below {
		name, below = strings.CutPrefix(pattern, ".")
	}
	switch {
	case pattern == "*":
		return nil
	case name != lowerASCII(name):
		return Problemf(Malformed, "%.300q has capital letters: identifiers are compared in lower case", pattern)
	}
	if !below && isAddress(name) {
		_, p := parseAddress(name)
		return p
	}
	if why := nameFault(name); why != "" {
		return Problemf(Malformed, "%.300q is no identifier: %s. Write a name, an address, a domain with a leading dot for everything below it, or * for everything", pattern, why)
	}
	return nil
}
