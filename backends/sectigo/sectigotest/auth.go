package sectigotest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	roleUser    = "ROLE_USER"
	roleRefresh = "ROLE_REFRESH_TOKEN"
)

// claims are those of the real tokens.
type claims struct {
	Subject    string   `json:"sub"`
	Scopes     []string `json:"scopes"`
	FirstLogin *bool    `json:"first-login,omitempty"`
	Issuer     string   `json:"iss"`
	ID         string   `json:"jti,omitempty"`
	IssuedAt   int64    `json:"iat"`
	ExpiresAt  int64    `json:"exp"`
}

func (ca *CA) sign(c claims) string {
	payload, _ := json.Marshal(c) // strings and numbers
	text := b64([]byte(`{"alg":"HS512"}`)) + "." + b64(payload)
	return text + "." + b64(ca.mac(text))
}

func (ca *CA) mac(text string) []byte {
	h := hmac.New(sha512.New, ca.secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// verify returns the claims of a token of that role that is good now.
func (ca *CA) verify(token, role string) (claims, bool) {
	var c claims
	text, signature, ok := cutLast(token, ".")
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	if !ok || err != nil || !hmac.Equal(mac, ca.mac(text)) {
		return c, false
	}
	_, encoded, _ := strings.Cut(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return c, false
	}
	return c, slices.Contains(c.Scopes, role) && ca.now().Before(time.Unix(c.ExpiresAt, 0))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// authenticate takes access tokens, and only those.
func (ca *CA) authenticate(c *call) bool {
	token, ok := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	_, ok = ca.verify(token, roleUser)
	c.user = ca.tenant.LastUser
	return ok
}

// pair answers with new tokens.
func (ca *CA) pair(c *call, withRefresh bool) {
	now, first := ca.now(), false
	subject := fmt.Sprintf("/account/42/user/%d", ca.tenant.LastUser)
	answer := map[string]string{"accessToken": ca.sign(claims{
		Subject: subject, Scopes: []string{roleUser}, FirstLogin: &first, Issuer: "https://iot.sectigo.com/",
		IssuedAt: now.Unix(), ExpiresAt: now.Add(ca.cfg.AccessLifetime).Unix(),
	})}
	if withRefresh {
		answer["refreshToken"] = ca.sign(claims{
			Subject: subject, Scopes: []string{roleRefresh}, Issuer: "https://iot.sectigo.com/", ID: newUUID(),
			IssuedAt: now.Unix(), ExpiresAt: now.Add(ca.cfg.RefreshLifetime).Unix(),
		})
	}
	c.json(http.StatusOK, answer)
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (ca *CA) login(c *call) {
	var given struct{ Username, Password string }
	if json.Unmarshal(c.body, &given) != nil {
		ca.fail(c, http.StatusBadRequest, "Malformed request")
		return
	}
	locked := ca.cfg.LockAfter > 0 && ca.tenant.FailedLogins >= ca.cfg.LockAfter
	mode, says := ca.tenant.LoginMode, ""
	switch {
	case mode == "307":
		c.header.Set("Location", "https://login.invalid/auth/certificate")
		c.status, says = http.StatusTemporaryRedirect, "certificate wanted"
	case mode == "403":
		ca.fail(c, http.StatusForbidden, "Access is denied")
		says = "forbidden"
	case locked:
		ca.fail(c, http.StatusUnauthorized, "The account is locked")
		says = "locked"
	case mode == "401" || given.Username != ca.cfg.Username || given.Password != ca.tenant.Password:
		ca.tenant.FailedLogins++
		ca.fail(c, http.StatusUnauthorized, "Bad credentials")
		says = "refused"
	default:
		ca.tenant.FailedLogins = 0
		ca.pair(c, true)
		says = "accepted"
	}
	_ = ca.saveTenant() // a forgotten failure is no harm
	ca.log(Event{Kind: "login", Status: c.status, Reason: says})
}

func (ca *CA) refresh(c *call) {
	// The body is the bare token: quotes around it, or an object, would be
	// read as another token.
	got, ok := ca.verify(string(c.body), roleRefresh)
	if !ok || ca.tenant.Used[got.ID] {
		ca.fail(c, http.StatusUnauthorized, "Invalid refresh token")
		return
	}
	if ca.cfg.SingleUse {
		ca.tenant.Used[got.ID] = true
		_ = ca.saveTenant() // a token that works twice after a restart is no harm
	}
	ca.pair(c, !ca.cfg.KeepRefreshToken)
}
