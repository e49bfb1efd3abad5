package acme

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// MemberToken lets its bearer use the member API on behalf of a member. Only a
// hash of it is kept (SA-9).
type MemberToken struct {
	ID   string            `cbor:"1,keyasint,omitempty"`
	Hash [sha256.Size]byte `cbor:"2,keyasint,omitzero"`
	// Name is what the operator calls it; it tells in records who did something.
	Name      string       `cbor:"3,keyasint,omitempty"`
	Scopes    []TokenScope `cbor:"4,keyasint,omitempty"`
	CreatedAt time.Time    `cbor:"5,keyasint,omitzero"`
	CreatedBy string       `cbor:"6,keyasint,omitempty"`
	Expires   time.Time    `cbor:"7,keyasint,omitzero"`
	RevokedAt time.Time    `cbor:"8,keyasint,omitzero"`
}

// TokenScope is something that the bearer of a token may do.
type TokenScope string

// The scopes.
const (
	ScopeRead   TokenScope = "read"
	ScopeSign   TokenScope = "sign"
	ScopeRevoke TokenScope = "revoke"
)

// Scopes lists them all.
func Scopes() []TokenScope { return []TokenScope{ScopeRead, ScopeSign, ScopeRevoke} }

const (
	// MaxTokenLife bounds how long a token may be good for.
	MaxTokenLife = 366 * 24 * time.Hour
	// maxTokens bounds those of one member, which lie in its record, and
	// tokensStay is for how long it says of one that it has ended.
	maxTokens  = 32
	tokensStay = 90 * 24 * time.Hour
	// tokenPrefix makes tokens that got into the open easy to find.
	tokenPrefix = "amt"
)

// NewMemberToken makes a token for a member. The text is what its bearer shows;
// it names the member, so that no index of tokens is needed to find the record.
func NewMemberToken(member MemberID, name string, scopes []TokenScope, by string, now, expires time.Time, random io.Reader) (t MemberToken, text string, err error) {
	switch {
	case strings.TrimSpace(name) == "" || len(name) > 100 || strings.ContainsFunc(name, unicode.IsControl):
		return t, "", Problemf(Malformed, "a token needs a name of at most 100 bytes, which tells in records who did something")
	case !expires.After(now) || expires.After(now.Add(MaxTokenLife)):
		return t, "", Problemf(Malformed, "a token is good for at most %d days", int(MaxTokenLife.Hours()/24))
	case len(scopes) == 0:
		return t, "", Problemf(Malformed, "a token needs a scope: read, sign, revoke")
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			return t, "", Problemf(Malformed, "there is no scope %.40q; there are read, sign and revoke", string(s))
		}
	}
	var drawn [8 + 32]byte
	if _, err := io.ReadFull(random, drawn[:]); err != nil {
		return t, "", fmt.Errorf("draw a token: %w", err)
	}
	id := hex.EncodeToString(drawn[:8]) // which no command takes for a flag
	text = strings.Join([]string{tokenPrefix, encodeText(string(member)), id, base64.RawURLEncoding.EncodeToString(drawn[8:])}, ".")
	return MemberToken{
		ID: id, Hash: sha256.Sum256([]byte(text)), Name: name, Scopes: slices.Compact(slices.Sorted(slices.Values(scopes))),
		CreatedAt: now, CreatedBy: by, Expires: expires,
	}, text, nil
}

func encodeText(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// MemberOfToken says whose a token claims to be. Nothing is proved by that.
func MemberOfToken(text string) (MemberID, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 || parts[0] != tokenPrefix || len(text) > 1024 {
		return "", false
	}
	id, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	return MemberID(id), err == nil && len(id) > 0
}

// TokenBearer returns the token of a member that a text is, if it is one that is
// in force. All are compared, so that the time it takes tells nothing.
func (m Member) TokenBearer(text string, now time.Time) (t MemberToken, ok bool) {
	hash := sha256.Sum256([]byte(text))
	for _, x := range m.Tokens {
		if subtle.ConstantTimeCompare(hash[:], x.Hash[:]) == 1 && x.Standing(now) == "valid" {
			t, ok = x, true
		}
	}
	return t, ok
}

// Standing is how a token stands: valid, expired or revoked.
func (t MemberToken) Standing(now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case !now.Before(t.Expires):
		return "expired"
	}
	return "valid"
}

// WithToken returns the record with one more token. What ended long ago goes.
func (m Member) WithToken(t MemberToken, now time.Time) (Member, *Problem) {
	m.Tokens = slices.DeleteFunc(slices.Clone(m.Tokens), func(x MemberToken) bool {
		return now.After(x.Expires.Add(tokensStay)) || !x.RevokedAt.IsZero() && now.After(x.RevokedAt.Add(tokensStay))
	})
	live := 0
	for _, x := range m.Tokens {
		if x.Name == t.Name && x.Standing(now) == "valid" {
			return m, Problemf(Malformed, "member %s has a token called %q; revoke it, or choose another name", m.ID, t.Name)
		}
		if x.Standing(now) == "valid" {
			live++
		}
	}
	if live >= maxTokens || len(m.Tokens) >= 4*maxTokens {
		return m, Problemf(Malformed, "member %s has %d tokens, and %d in force is the most; revoke what is not needed", m.ID, len(m.Tokens), maxTokens)
	}
	m.Tokens = append(m.Tokens, t)
	return m, nil
}
