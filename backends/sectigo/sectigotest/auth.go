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

	"acmebridge/internal/standin"
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
	return c, slices.Contains(c.Scopes, role) && ca.Time().Before(time.Unix(c.ExpiresAt, 0))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// authenticate takes access tokens, and only those.
func (ca *CA) authenticate(c *standin.Call) bool {
	token, ok := strings.CutPrefix(c.Request.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	_, ok = ca.verify(token, roleUser)
	return ok
}

// pair answers with new tokens.
func (ca *CA) pair(c *standin.Call, withRefresh bool) {
	now, first := ca.Time(), false
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
	c.JSON(http.StatusOK, answer)
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (ca *CA) login(c *standin.Call) {
	var given struct{ Username, Password string }
	if json.Unmarshal(c.Content, &given) != nil {
		ca.fail(c, http.StatusBadRequest, "Malformed request")
		return
	}
	locked := ca.cfg.LockAfter > 0 && ca.tenant.FailedLogins >= ca.cfg.LockAfter
	mode, status, says := ca.tenant.LoginMode, http.StatusUnauthorized, ""
	switch {
	case mode == "307":
		c.Head().Set("Location", "https://login.invalid/auth/certificate")
		status, says = http.StatusTemporaryRedirect, "certificate wanted"
		c.Status(status)
	case mode == "403":
		status, says = http.StatusForbidden, "forbidden"
		ca.fail(c, status, "Access is denied")
	case locked:
		says = "locked"
		ca.fail(c, status, "The account is locked")
	case mode == "401" || given.Username != ca.cfg.Username || given.Password != ca.tenant.Password:
		ca.tenant.FailedLogins++
		says = "refused"
		ca.fail(c, status, "Bad credentials")
	default:
		ca.tenant.FailedLogins = 0
		status, says = http.StatusOK, "accepted"
		ca.pair(c, true)
	}
	_ = ca.saveTenant() // a forgotten failure is no harm
	ca.Log(standin.Event{Kind: "login", Status: status, Reason: says})
}

func (ca *CA) refresh(c *standin.Call) {
	// The body is the bare token: quotes around it, or an object, would be
	// read as another token.
	got, ok := ca.verify(string(c.Content), roleRefresh)
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
