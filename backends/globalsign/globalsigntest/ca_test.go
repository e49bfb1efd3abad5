package globalsigntest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/internal/standin"
)

// caller speaks with the stand-in without any client of ours.
type caller struct {
	t     *testing.T
	http  *http.Client
	url   string
	token string
}

func (c caller) do(method, path, contentType, body string) (answered, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answered{res.Status, res.StatusCode, res.Header}, string(answer)
}

// answered is the head of an answer.
type answered struct {
	Status     string
	StatusCode int
	Header     http.Header
}

const jsonUTF8 = "application/json;charset=UTF-8"

// TestService: a certificate, the charset and a token are demanded, and a token
// ages out.
func TestService(t *testing.T) {
	t.Parallel()
	var journal bytes.Buffer
	ca, err := globalsigntest.New(globalsigntest.Config{Journal: &journal})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	cert, err := ca.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Machines()}}}
	if res, err := stranger.Get(url + "/trustchain"); err == nil {
		t.Errorf("without a client certificate: %s", res.Status)
		_ = res.Body.Close()
	}
	known := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Machines(), Certificates: []tls.Certificate{cert}}}
	defer known.CloseIdleConnections()
	c := caller{t: t, http: &http.Client{Transport: known}, url: url}
	const login = `{"api_key":"hvca-key","api_secret":"hvca-secret"}`
	if res, _ := c.do("POST", "/login", "application/json", login); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("without a charset: %s", res.Status)
	}
	if res, text := c.do("POST", "/login", jsonUTF8, strings.Replace(login, "hvca-s", "x", 1)); res.StatusCode != http.StatusUnauthorized || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("another secret: %s %s", res.Status, text)
	}
	_, text := c.do("POST", "/login", jsonUTF8, login)
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Token == "" {
		t.Fatalf("%s: %v", text, err)
	}
	if res, _ := c.do("GET", "/trustchain", jsonUTF8, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %s", res.Status)
	}
	c.token = got.Token
	if res, text := c.do("GET", "/validationpolicy", jsonUTF8, ""); res.StatusCode != http.StatusOK || !strings.Contains(text, "1.3.6.1.5.5.7.3.2") {
		t.Errorf("the policy: %s %s", res.Status, text)
	}
	ca.SetServerOnly(true)
	if _, text := c.do("GET", "/validationpolicy", jsonUTF8, ""); strings.Contains(text, "1.3.6.1.5.5.7.3.2") {
		t.Errorf("the policy of an account for servers: %s", text)
	}
	ca.Advance(10 * time.Minute)
	if res, _ := c.do("GET", "/trustchain", jsonUTF8, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("with an old token: %s", res.Status)
	}
	if strings.Contains(journal.String(), "hvca-secret") || strings.Contains(journal.String(), got.Token) {
		t.Error("the journal has a secret")
	}
}

// TestControl: what methods do is done from outside, too.
func TestControl(t *testing.T) {
	t.Parallel()
	ca, err := globalsigntest.New(globalsigntest.Config{Clock: standin.Stopped(time.Unix(1_800_000_000, 0)), NoCertificate: true, Clear: true})
	if err != nil {
		t.Fatal(err)
	}
	control := ca.Control()
	do := func(method, path, body string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		control.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return rec
	}
	for path, body := range map[string]string{
		"/next": `{"kind":"stuck"}`, "/plans": `{"pattern":"*.bad.example","kind":"refused","reason":"no"}`, "/hold": "", "/release": "", "/expire": "",
		"/server-only": `{"only":true}`, "/quota": `{"left":3}`, "/domain": `{"name":"example.net","until":"2030-01-01T00:00:00Z"}`,
		"/advance": `{"by":"10m"}`, "/faults": `{"endpoint":"order","kind":"not-ready","count":1}`,
	} {
		if rec := do("POST", path, body); rec.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	for path, body := range map[string]string{
		"/next": `{"kind":"nonsense"}`, "/plans": `{"pattern":"[","kind":"stuck"}`, "/faults": `{"kind":"nonsense"}`, "/quota": `{"right":3}`,
	} {
		if rec := do("POST", path, body); rec.Code != http.StatusBadRequest {
			t.Errorf("%s %s: %d", path, body, rec.Code)
		}
	}
	for _, path := range []string{"/roots.pem", "/machines.pem"} {
		if rec := do("GET", path, ""); !strings.Contains(rec.Body.String(), "BEGIN CERTIFICATE") {
			t.Errorf("%s: %s", path, rec.Body)
		}
	}
	if ca.Now().Unix() != 1_800_000_600 {
		t.Errorf("it is %s", ca.Now())
	}
}
