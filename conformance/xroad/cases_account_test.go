package xroad_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"acmebridge/conformance/xroad"
)

// wantRefusal wants the phase that the operator sees and the problem behind it.
func wantRefusal(t *testing.T, err error, code, kind string) {
	t.Helper()
	var seen *xroad.Error
	var refusal *xroad.Refusal
	if code != "" && (!errors.As(err, &seen) || seen.Code != code) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want the problem %s", err, kind)
	}
	if got, detail := refusal.Problem(); got != kind || len(detail) < 20 {
		t.Errorf("the problem is %s (%s), want %s with a detail that explains itself", got, detail, kind)
	}
}

func wantLogin(t *testing.T, s *xroad.SecurityServer, renewal bool, status int) string {
	t.Helper()
	a, err := s.Login(t.Context(), renewal)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status || !json.Valid(a.Body) {
		t.Fatalf("newAccount: HTTP %d, want %d, with %s", a.Status, status, a.Body)
	}
	return s.Account()
}

// send makes a request that no Security Server makes.
func send(t *testing.T, client *http.Client, method, url string) (status int, header http.Header, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if body, err = io.ReadAll(got.Body); err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, got.Header, body
}

func case1(t *testing.T, s *site) {
	for _, name := range []string{"xroad", "products"} {
		status, header, body := send(t, s.client, http.MethodGet, s.directory(name))
		var o map[string]any
		if err := json.Unmarshal(body, &o); err != nil || status != http.StatusOK || header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: HTTP %d, %s, %v", name, status, header.Get("Content-Type"), err)
		}
		for _, resource := range []string{"newNonce", "newAccount", "newOrder", "keyChange", "renewalInfo"} {
			if url, _ := o[resource].(string); !strings.HasPrefix(url, "https://") {
				t.Errorf("%s: %s is at %q", name, resource, url)
			}
		}
		if meta, _ := o["meta"].(map[string]any); meta["externalAccountRequired"] != true {
			t.Errorf("%s: it wants no binding: %v", name, meta)
		}
	}
	server := s.securityServer(t, "xroad", "auth", member)
	wantLogin(t, server, false, http.StatusCreated)
	for range 3 {
		if _, _, err := server.Begin(t.Context(), "kept.localhost", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, directories := server.Requests(); directories != 1 {
		t.Errorf("the directory was read %d times in a session, want once", directories)
	}
}

func case2(t *testing.T, s *site) {
	var o struct{ NewNonce string }
	_, _, body := send(t, s.client, http.MethodGet, s.directory("xroad"))
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	status, header, _ := send(t, s.client, http.MethodHead, o.NewNonce)
	if _, err := base64.RawURLEncoding.DecodeString(header.Get("Replay-Nonce")); err != nil || header.Get("Replay-Nonce") == "" || status != http.StatusOK && status != http.StatusNoContent {
		t.Errorf("newNonce: HTTP %d with the nonce %q", status, header.Get("Replay-Nonce"))
	}
	server := s.securityServer(t, "xroad", "auth", member)
	wantLogin(t, server, false, http.StatusCreated)
	before, _ := server.Requests()
	server.UseNonce("c3RhbGU")
	if _, _, err := server.Begin(t.Context(), "stale.localhost", ""); err != nil {
		t.Fatal(err)
	}
	if after, _ := server.Requests(); after-before != 2 {
		t.Errorf("a stale nonce cost %d requests, want 2: the refusal has a fresh one", after-before)
	}
}

func case3(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "auth", member)
	if url := wantLogin(t, server, false, http.StatusCreated); !strings.HasPrefix(url, "https://") {
		t.Errorf("the account is at %q", url)
	}
}

func case4(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "auth", member)
	first := wantLogin(t, server, false, http.StatusCreated)
	for _, renewal := range []bool{false, true, true} {
		if again := wantLogin(t, server, renewal, http.StatusOK); again != first {
			t.Errorf("the account became %s", again)
		}
	}
}

func case5(t *testing.T, s *site) {
	server := s.securityServer(t, "xroad", "auth", member)
	first := wantLogin(t, server, false, http.StatusCreated)
	server.Use(s.credential(t, "xroad", member, "xroad-sign"))
	if again := wantLogin(t, server, false, http.StatusOK); again != first {
		t.Errorf("the account became %s", again)
	}
	// It is bound as it was: what the other kid allows is refused.
	_, err := server.Order(t.Context(), xroad.SignKey(signer(t), signSubject(), "five.localhost", "five.localhost"))
	wantRefusal(t, err, "order_finalization_failure", "badCSR")
}

func case6(t *testing.T, s *site) {
	c, seen := s.credential(t, "xroad", member, "xroad-auth"), map[string]bool{}
	for range 21 {
		seen[wantLogin(t, with(t, s.config("xroad"), c), false, http.StatusCreated)] = true
	}
	if len(seen) != 21 {
		t.Errorf("%d accounts, want 21", len(seen))
	}
}

func case7(t *testing.T, s *site) {
	c := s.credential(t, "xroad", member, "xroad-auth")
	before := wantLogin(t, with(t, s.config("xroad"), c), false, http.StatusCreated)
	if after := wantLogin(t, with(t, s.config("xroad"), c), true, http.StatusCreated); after == before {
		t.Error("the new key has the old account")
	}
}

func case8(t *testing.T, s *site) {
	cfg := s.config("xroad")
	cfg.Contact = ""
	good := s.credential(t, "xroad", member, "xroad-auth")
	wantLogin(t, with(t, cfg, good), false, http.StatusCreated)
	for _, wrong := range []struct {
		c    xroad.Credential
		want string
	}{
		{xroad.Credential{}, "externalAccountRequired"},
		{xroad.Credential{KID: good.KID, MAC: []byte("another key, of the same length!")}, "unauthorized"},
		{xroad.Credential{KID: "nobody", MAC: good.MAC}, "unauthorized"},
	} {
		_, err := with(t, cfg, wrong.c).Login(t.Context(), false)
		wantRefusal(t, err, "", wrong.want)
	}
}

func case9(t *testing.T, s *site) {
	c := s.credential(t, "xroad", member, "xroad-auth")
	text := base64.RawURLEncoding.EncodeToString(c.MAC)
	if len(text) != 43 {
		t.Errorf("the key has %d characters, want 43", len(text))
	}
	for _, written := range []string{text, base64.URLEncoding.EncodeToString(c.MAC)} {
		mac, err := xroad.DecodeMAC(written)
		if err != nil {
			t.Fatal(err)
		}
		wantLogin(t, with(t, s.config("xroad"), xroad.Credential{KID: c.KID, MAC: mac}), false, http.StatusCreated)
	}
	// Without mac-key-base64-encoded the text is the key.
	wantLogin(t, with(t, s.config("xroad"), xroad.Credential{KID: c.KID, MAC: []byte(text)}), false, http.StatusCreated)
	for _, wrong := range []string{"", text[1:], text + "=", strings.ToUpper(text)} {
		_, err := with(t, s.config("xroad"), xroad.Credential{KID: c.KID, MAC: []byte(wrong)}).Login(t.Context(), false)
		wantRefusal(t, err, "", "unauthorized")
	}
}

func case10(t *testing.T, s *site) {
	auth, sign := s.securityServer(t, "xroad", "auth", member), s.securityServer(t, "xroad", "sign", member)
	elsewhere := s.securityServer(t, "fivrk", "sign", member)
	elsewhere.Key = sign.Key // it has one key for all CAs
	a, b, c := wantLogin(t, auth, false, http.StatusCreated), wantLogin(t, sign, false, http.StatusCreated), wantLogin(t, elsewhere, false, http.StatusCreated)
	if a == b || b == c || a == c {
		t.Errorf("these are three accounts: %s, %s, %s", a, b, c)
	}
}
