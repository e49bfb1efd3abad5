package sectigo

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"acmebridge/internal/secret"
)

// tokens are what a login gives. Lifetimes are known from the tokens
// themselves and from nowhere else.
type tokens struct {
	Access, Refresh secret.Secret
	// Subject is whose tokens they are, by the CA's number. Owner is the
	// username, when they came from a cache.
	Subject, Owner string
	// IssuedAt and ExpiresAt are those of the access token.
	IssuedAt, ExpiresAt time.Time
	// NotBefore and RefreshBy bound when the refresh token works. NotBefore is
	// zero when the token does not say.
	NotBefore, RefreshBy time.Time
}

// claims are what a token says of itself. It is signed with a key of the CA's
// (HS512), so it can be read and not checked; nothing but its own lifetime is
// believed of it.
type claims struct {
	Subject   string   `json:"sub"`
	IssuedAt  *float64 `json:"iat"`
	ExpiresAt *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
}

// maxToken bounds one token; real ones have less than 1 KiB.
const maxToken = 16 << 10

// readClaims decodes the middle part of a compact token.
func readClaims(token string) (claims, error) {
	var c claims
	if len(token) > maxToken {
		return c, errors.New("it is too long")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, fmt.Errorf("it has %d parts in place of 3", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return c, errors.New("its middle part is not base64url")
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return c, errors.New("its claims are not the JSON that they should be")
	}
	if c.IssuedAt == nil || c.ExpiresAt == nil {
		return c, errors.New("it does not say when it was issued and when it ends")
	}
	for _, n := range []*float64{c.IssuedAt, c.ExpiresAt, c.NotBefore} {
		if n != nil && (math.IsNaN(*n) || *n < 0 || *n > 1<<40) {
			return c, errors.New("one of its times is out of bounds")
		}
	}
	return c, nil
}

func moment(seconds *float64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(int64(*seconds), 0).UTC()
}

// readTokens puts an answer of the CA together. An absent refresh token means
// that the old one stays good.
func readTokens(access, refresh string, old tokens) (tokens, error) {
	c, err := readClaims(access)
	if err != nil {
		return tokens{}, fmt.Errorf("the access token: %w", err)
	}
	t := tokens{
		Access: secret.New([]byte(access)), Subject: c.Subject,
		IssuedAt: moment(c.IssuedAt), ExpiresAt: moment(c.ExpiresAt),
		Refresh: old.Refresh, NotBefore: old.NotBefore, RefreshBy: old.RefreshBy,
	}
	if refresh == "" {
		return t, nil
	}
	c, err = readClaims(refresh)
	if err != nil {
		return tokens{}, fmt.Errorf("the refresh token: %w", err)
	}
	t.Refresh, t.NotBefore, t.RefreshBy = secret.New([]byte(refresh)), moment(c.NotBefore), moment(c.ExpiresAt)
	return t, nil
}

// leeway is how long before its end a token is no longer used, so that it does
// not run out on the way. Short-lived tokens get a quarter of their life.
const leeway = 45 * time.Second

// usable reports whether the access token works at now.
func (t tokens) usable(now time.Time) bool {
	if t.Access.Empty() {
		return false
	}
	return now.Before(t.ExpiresAt.Add(-min(leeway, t.ExpiresAt.Sub(t.IssuedAt)/4)))
}

// refreshable reports whether the refresh token works at now.
func (t tokens) refreshable(now time.Time) bool {
	return !t.Refresh.Empty() && !now.Before(t.NotBefore) && now.Before(t.RefreshBy)
}
