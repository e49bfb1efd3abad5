package sectigotest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/sectigo/sectigotest"
)

// TestTokens: each token opens its own door only, and for its time (F-2).
func TestTokens(t *testing.T) {
	t.Parallel()
	ca, c := start(t, sectigotest.Config{AccessLifetime: time.Second, RefreshLifetime: time.Minute, SingleUse: true})
	access, refresh := c.login()
	try := func(token string) int {
		c.token = token
		status, _ := c.do("GET", "/api/v1/devices", "", "")
		return status
	}
	renew := func(body string) int {
		c.token = ""
		status, _ := c.do("POST", "/auth/refresh", "application/json", body)
		return status
	}
	for name, got := range map[string][2]int{
		"the access token":        {try(access), 200},
		"the refresh token":       {try(refresh), 401},
		"no token":                {try(""), 401},
		"a changed token":         {try(access[:len(access)-3] + "AAA"), 401},
		"access as refresh":       {renew(access), 401},
		"refresh in quotes":       {renew(`"` + refresh + `"`), 401},
		"refresh in an object":    {renew(`{"refreshToken":"` + refresh + `"}`), 401},
		"refresh":                 {renew(refresh), 200},
		"the same refresh again":  {renew(refresh), 401},
		"another way of the verb": {first(c.do("GET", "/auth/pwd", "", "")), 405},
		"nowhere":                 {first(c.do("GET", "/api/v1/nowhere", "", "")), 404},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", name, got[0], got[1])
		}
	}
	ca.Advance(time.Second)
	if got := try(access); got != 401 {
		t.Errorf("an old access token: %d", got)
	}
	_, refresh = c.login()
	ca.Advance(time.Minute)
	if got := renew(refresh); got != 401 {
		t.Errorf("an old refresh token: %d", got)
	}
}

func first(status int, _ []byte) int { return status }

func TestLockout(t *testing.T) {
	t.Parallel()
	ca, c := start(t, sectigotest.Config{LockAfter: 3})
	c.token = ""
	for range 3 {
		if status, _ := c.do("POST", "/auth/pwd", "application/json", `{"username":"bridge","password":"wrong"}`); status != 401 {
			t.Fatal(status)
		}
	}
	right := `{"username":"bridge","password":"bridge-password"}`
	if status, body := c.do("POST", "/auth/pwd", "application/json", right); status != 401 || !strings.Contains(string(body), "locked") {
		t.Errorf("%d %s", status, body)
	}
	ca.SetPassword("bridge-password")
	if status, _ := c.do("POST", "/auth/pwd", "application/json", right); status != 200 {
		t.Errorf("once unlocked: %d", status)
	}
}

// TestBalance: every certificate costs one, at once (F-11).
func TestBalance(t *testing.T) {
	t.Parallel()
	for _, refund := range []bool{false, true} {
		ca, c := start(t, sectigotest.Config{Balance: 3, RefundRejected: refund})
		ca.Next(sectigotest.Outcome{Kind: sectigotest.Rejected})
		if status, _, body := c.upload(upload(423, csr(t, "a.example.org"), csr(t, "b.example.org"))); status != 201 {
			t.Fatal(status, body)
		}
		want := int64(1)
		if refund {
			want = 3
		}
		if got := ca.Balance(23); got != want {
			t.Errorf("refund %v: %d left, want %d", refund, got, want)
		}
		ca.SetBalance(23, 0)
		if status, _, body := c.upload(upload(423, csr(t, "a.example.org"))); status != 400 || !strings.Contains(body, "balance") {
			t.Errorf("at zero: %d %s", status, body)
		}
		if err := ca.EditProfile(489, func(p *sectigotest.Profile) { p.Disabled = true }); err != nil {
			t.Fatal(err)
		}
		if status, _, _ := c.upload(upload(489, csr(t, "a.example.org"))); status != 403 {
			t.Errorf("switched off: %d", status)
		}
	}
}

// TestProfileChanges: an administrator makes a parameter mandatory, and
// requests that were good are no more (F-12).
func TestProfileChanges(t *testing.T) {
	t.Parallel()
	ca, c := start(t, sectigotest.Config{})
	if err := ca.EditProfile(423, func(p *sectigotest.Profile) {
		p.Params = append(p.Params, sectigotest.Param{Name: "dNSName2", Required: true, ValidationPattern: "^x+$", Scopes: []string{"CSR"}})
		p.Keys = []string{"RSA"}
	}); err != nil {
		t.Fatal(err)
	}
	parts := upload(423, csr(t, "a.example.org"))
	if status, _, body := c.upload(parts); status != 400 || !strings.Contains(body, "dNSName2 is required") {
		t.Errorf("%d %s", status, body)
	}
	parts[1].body = strings.Replace(parts[1].body, `{}`, `{"dNSName2":"y"}`, 1)
	if status, _, body := c.upload(parts); status != 400 || !strings.Contains(body, "invalid") {
		t.Errorf("%d %s", status, body)
	}
	parts[1].body = strings.Replace(parts[1].body, `"y"`, `"xx"`, 1)
	_, b, _ := c.upload(parts)
	var got batch
	c.get(fmt.Sprintf("/api/v1/batches/%d", b.BatchID), &got)
	if got.Status != "BROKEN" || !strings.Contains(got.RejectReason, "Key algorithm") {
		t.Errorf("an EC key for a profile of RSA keys: %+v", got)
	}
}
