package sectigotest_test

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/backends/sectigo/sectigotest"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// caller is a client without any knowledge but the documents'.
type caller struct {
	t     testing.TB
	url   string
	token string
}

func start(t testing.TB, cfg sectigotest.Config) (*sectigotest.CA, *caller) {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = sectigotest.Stopped(begin)
	}
	ca, err := sectigotest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c := &caller{t: t, url: url}
	c.login()
	return ca, c
}

func (c *caller) login() (access, refresh string) {
	c.t.Helper()
	var got struct{ AccessToken, RefreshToken string }
	status, body := c.do("POST", "/auth/pwd", "application/json", `{"username":"bridge","password":"bridge-password"}`)
	if status != 200 || json.Unmarshal(body, &got) != nil {
		c.t.Fatalf("login: %d %s", status, body)
	}
	c.token = got.AccessToken
	return got.AccessToken, got.RefreshToken
}

func (c *caller) do(method, path, contentType, body string) (int, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, content
}

func (c *caller) get(path string, v any) {
	c.t.Helper()
	status, body := c.do("GET", path, "application/json", "")
	if status != 200 || json.Unmarshal(body, v) != nil {
		c.t.Fatalf("%s: %d %s", path, status, body)
	}
}

func csr(t testing.TB, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cn := "no-names.example"
	if len(names) > 0 {
		cn = names[0]
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// part is one of an upload.
type part struct{ name, file, kind, body string }

func upload(profile int, csrs ...string) []part {
	return []part{
		{"profileId", "", "", fmt.Sprint(profile)},
		{"csrBatchRequest", "blob", "application/json", fmt.Sprintf(`{"profileId":%d,"batchType":"BATCH","batchName":"n","profileParams":{}}`, profile)},
		{"files", "csr.pem", "text/plain", strings.Join(csrs, "")},
	}
}

type batch struct {
	BatchID      int64
	Status       string
	Active       bool
	RejectReason string
	Size         int
}

func (c *caller) upload(parts []part) (status int, b batch, body string) {
	c.t.Helper()
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	for _, p := range parts {
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
		if p.kind != "" {
			header.Set("Content-Type", p.kind)
		}
		out, err := w.CreatePart(header)
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := out.Write([]byte(p.body)); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	status, answer := c.do("POST", "/api/v1/batches/upload", w.FormDataContentType(), buffer.String())
	if status == 201 {
		if err := json.Unmarshal(answer, &b); err != nil {
			c.t.Fatal(err)
		}
	}
	return status, b, string(answer)
}

// TestLife follows a batch through its times (F-4).
func TestLife(t *testing.T) {
	t.Parallel()
	ca, c := start(t, sectigotest.Config{Created: time.Minute, Processing: 5 * time.Minute, TTL: time.Hour, AccessLifetime: 24 * time.Hour})
	_, b, _ := c.upload(upload(423, csr(t, "a.example.org")))
	path := fmt.Sprintf("/api/v1/batches/%d", b.BatchID)
	check := func(status, sentence string, active bool, counts string) {
		t.Helper()
		var got batch
		c.get(path, &got)
		_, text := c.do("GET", path+"/status", "", "")
		_, progress := c.do("GET", path+"/processing_info", "", "")
		if got.Status != status || string(text) != sentence || got.Active != active || strings.TrimSpace(string(progress)) != counts {
			t.Errorf("%q %q %v %s; want %q %q %v %s", got.Status, text, got.Active, progress, status, sentence, active, counts)
		}
	}
	check("CREATED", "Processing", false, `{"active":0,"failed":0,"success":0}`)
	if status, _ := c.do("GET", path+"/download", "", ""); status != 400 {
		t.Errorf("an early download: %d", status)
	}
	ca.Advance(time.Minute)
	check("PROCESSING", "Processing", true, `{"active":1,"failed":0,"success":0}`)
	ca.Hold()
	ca.Advance(10 * time.Minute)
	check("PROCESSING", "Processing", true, `{"active":1,"failed":0,"success":0}`)
	ca.Release()
	check("READY_FOR_DOWNLOAD", "Ready for download", false, `{"active":0,"failed":0,"success":1}`)
	if status, body := c.do("GET", path+"/download", "", ""); status != 200 || !bytes.HasPrefix(body, []byte("PK")) {
		t.Errorf("download: %d", status)
	}
	check("COLLECTED", "Ready for download", false, `{"active":0,"failed":0,"success":1}`)
	if status, _ := c.do("GET", path+"/download", "", ""); status != 200 {
		t.Errorf("a second download: %d", status)
	}
	ca.Advance(time.Hour)
	check("REMOVED_AFTER_EXPIRATION", "Not Acceptable. Status: REMOVED_AFTER_EXPIRATION", false, `{"active":0,"failed":0,"success":1}`)
	if status, _ := c.do("GET", path+"/download", "", ""); status != 400 {
		t.Errorf("a late download: %d", status)
	}
}

// TestOutcomes sees each outcome by script and by pattern (F-5).
func TestOutcomes(t *testing.T) {
	t.Parallel()
	want := map[sectigotest.Kind]struct{ status, sentence string }{
		sectigotest.Ready: {"READY_FOR_DOWNLOAD", "Ready for download"}, sectigotest.Partial: {"PARTIAL", "Not Acceptable. Status: PARTIAL"},
		sectigotest.Rejected: {"REJECTED", "Not Acceptable. Status: REJECTED"}, sectigotest.Broken: {"BROKEN", "Not Acceptable. Status: BROKEN"},
		sectigotest.Failed: {"FAILED", "Failed"}, sectigotest.Stuck: {"PROCESSING", "Processing"},
		sectigotest.Strange: {"AWAITING_MOONRISE", "Not Acceptable. Status: AWAITING_MOONRISE"}, sectigotest.Wordless: {"", "Ready for download"},
		sectigotest.Expired: {"REMOVED_AFTER_EXPIRATION", "Not Acceptable. Status: REMOVED_AFTER_EXPIRATION"}, sectigotest.Revoked: {"REVOKED", "Not Acceptable. Status: REVOKED"},
		sectigotest.DropName: {"READY_FOR_DOWNLOAD", "Ready for download"}, sectigotest.AddName: {"READY_FOR_DOWNLOAD", "Ready for download"},
		sectigotest.WrongKey: {"READY_FOR_DOWNLOAD", "Ready for download"}, sectigotest.WrongSubject: {"READY_FOR_DOWNLOAD", "Ready for download"},
	}
	ca, c := start(t, sectigotest.Config{})
	for _, kind := range sectigotest.Kinds() {
		ca.Next(sectigotest.Outcome{Kind: kind, Reason: "because"})
		_, byScript, _ := c.upload(upload(423, csr(t, "a.example.org"), csr(t, "b.example.org")))
		if err := ca.Plan(string(kind)+".*", sectigotest.Outcome{Kind: kind, Reason: "because"}); err != nil {
			t.Fatal(err)
		}
		_, byName, _ := c.upload(upload(423, csr(t, string(kind)+".example.org"), csr(t, "b.example.org")))
		for _, b := range []batch{byScript, byName} {
			path := fmt.Sprintf("/api/v1/batches/%d", b.BatchID)
			var got batch
			c.get(path, &got)
			_, text := c.do("GET", path+"/status", "", "")
			if got.Status != want[kind].status || string(text) != want[kind].sentence {
				t.Errorf("%s: %q %q", kind, got.Status, text)
			}
			if got.RejectReason != "because" && kind != sectigotest.Stuck {
				t.Errorf("%s: reason %q", kind, got.RejectReason)
			}
		}
	}
	_, b, _ := c.upload(upload(423, csr(t)))
	var got batch
	c.get(fmt.Sprintf("/api/v1/batches/%d", b.BatchID), &got)
	if got.Status != "BROKEN" || !strings.Contains(got.RejectReason, "dNSName") {
		t.Errorf("a CSR without names: %+v", got)
	}
}

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

// TestUploads: the form is checked as the real service does (F-10).
func TestUploads(t *testing.T) {
	t.Parallel()
	one := csr(t, "a.example.org")
	without := func(i int) []part { all := upload(423, one); return append(all[:i:i], all[i+1:]...) }
	with := func(i int, p part) []part { all := upload(423, one); all[i] = p; return all }
	for name, test := range map[string]struct {
		parts []part
		want  int
		says  string
	}{
		"good":                 {upload(423, one), 201, ""},
		"another label":        {upload(423, strings.ReplaceAll(one, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")), 201, ""},
		"no profile":           {without(0), 400, "profileId"},
		"no request":           {without(1), 400, "csrBatchRequest"},
		"no files":             {without(2), 400, "files"},
		"files twice":          {append(upload(423, one), part{"files", "b.pem", "text/plain", one}), 400, "twice"},
		"no file name":         {with(2, part{"files", "", "text/plain", one}), 400, "file name"},
		"another content type": {with(2, part{"files", "a", "image/png", one}), 400, "not allowed"},
		"a mislabelled zip":    {with(2, part{"files", "a.zip", "application/octet-stream", "PK\x03\x04"}), 400, "application/zip"},
		"no CSR":               {with(2, part{"files", "a", "text/plain", "hello"}), 400, "no CSR"},
		"two profiles":         {append(upload(489, one)[:1:1], upload(423, one)[1:]...), 400, "differ"},
		"unknown profile":      {upload(17, one), 404, "Profile"},
	} {
		ca, c := start(t, sectigotest.Config{})
		status, _, body := c.upload(test.parts)
		if status != test.want || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if bought := len(ca.Purchases()); bought != 0 == (status != 201) {
			t.Errorf("%s: %d purchases", name, bought)
		}
		var shape struct {
			Status    int
			Message   string
			ErrorCode int
			Timestamp int64
		}
		if status != 201 && (json.Unmarshal([]byte(body), &shape) != nil || shape.Status != status || shape.Message == "" || shape.Timestamp == 0) {
			t.Errorf("%s: the error is %s", name, body)
		}
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

// TestRestart: a service on the same folder is the same service (F-15).
func TestRestart(t *testing.T) {
	t.Parallel()
	cfg := sectigotest.Config{StateDir: t.TempDir(), Processing: time.Minute, Balance: 10}
	ca, c := start(t, cfg)
	_, done, _ := c.upload(upload(423, csr(t, "a.example.org")))
	ca.Advance(time.Minute)
	_, open, _ := c.upload(upload(423, csr(t, "b.example.org")))
	token := c.token
	var serials []string
	for range 2 {
		again, c := start(t, cfg)
		c.token = token // tokens of before are as good
		var a, b batch
		c.get(fmt.Sprintf("/api/v1/batches/%d", done.BatchID), &a)
		c.get(fmt.Sprintf("/api/v1/batches/%d", open.BatchID), &b)
		if a.Status != "READY_FOR_DOWNLOAD" || b.Status != "PROCESSING" || again.Balance(23) != 8 {
			t.Errorf("%+v %+v, balance %d", a, b, again.Balance(23))
		}
		var found struct {
			Items []struct{ SerialNumber string }
		}
		status, body := c.do("POST", "/api/v1/certificates/find", "application/json", `{"commonName":"a.example.org"}`)
		if status != 200 || json.Unmarshal(body, &found) != nil || len(found.Items) != 1 {
			t.Fatalf("find: %d %s", status, body)
		}
		serials = append(serials, found.Items[0].SerialNumber)
	}
	if serials[0] != serials[1] {
		t.Error("the certificate was issued again")
	}
	issuing, _ := ca.Roots()
	again, c := start(t, cfg)
	if other, _ := again.Roots(); !bytes.Equal(issuing, other) {
		t.Error("the CA is another one")
	}
	again.Advance(time.Minute)
	var b batch
	c.get(fmt.Sprintf("/api/v1/batches/%d", open.BatchID), &b)
	if b.Status != "READY_FOR_DOWNLOAD" {
		t.Errorf("what was open before: %+v", b)
	}
}

// TestThousand has as many batches in flight (F-15).
func TestThousand(t *testing.T) {
	t.Parallel()
	ca, c := start(t, sectigotest.Config{Processing: time.Minute})
	const n = 1000
	one := csr(t, "a.example.org")
	var g sync.WaitGroup
	for range 10 {
		g.Go(func() {
			for range n / 10 {
				if status, _, body := c.upload(upload(423, one)); status != 201 {
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	g.Wait()
	if len(ca.Purchases()) != n || ca.Balance(23) != 0 || ca.Count("certificate") != 0 {
		t.Errorf("%d purchases, %d left", len(ca.Purchases()), ca.Balance(23))
	}
	ca.Advance(time.Minute)
	if ca.Count("certificate") != n {
		t.Errorf("%d certificates", ca.Count("certificate"))
	}
}

// TestFaultsByCountAndChance: faults come as often as they should, and the
// same way again with the same seed (F-9).
func TestFaultsByCountAndChance(t *testing.T) {
	t.Parallel()
	pattern := func(seed uint64, f sectigotest.Fault) string {
		ca, c := start(t, sectigotest.Config{Seed: seed})
		if err := ca.Break(f); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for range 20 {
			status, _ := c.do("GET", "/api/v1/devices", "", "")
			b.WriteByte("x."[b2i(status == 200)])
		}
		return b.String()
	}
	if got := pattern(1, sectigotest.Fault{Endpoint: "licenses", Kind: "status", Status: 500, Skip: 2, Count: 3}); got != "..xxx..............." {
		t.Errorf("by count: %s", got)
	}
	if got := pattern(1, sectigotest.Fault{Endpoint: "find", Kind: "reset-before"}); strings.Contains(got, "x") {
		t.Errorf("at another endpoint: %s", got)
	}
	half := sectigotest.Fault{Kind: "reset-after", Probability: 0.5}
	a := pattern(7, half)
	if a != pattern(7, half) || a == pattern(8, half) || !strings.Contains(a, "x") || !strings.Contains(a, ".") {
		t.Errorf("by chance: %s", a)
	}
	ca, _ := start(t, sectigotest.Config{})
	for _, f := range []sectigotest.Fault{{Kind: "bogus"}, {Kind: "html", Endpoint: "bogus"}, {Kind: "status"}, {Kind: "html", Probability: 2}, {Kind: "html", Count: -1}} {
		if ca.Break(f) == nil {
			t.Errorf("the fault %+v was taken", f)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestControl does from outside what the methods do.
func TestControl(t *testing.T) {
	t.Parallel()
	var journal bytes.Buffer
	ca, c := start(t, sectigotest.Config{Processing: time.Hour, Journal: &journal, AccessLifetime: 24 * time.Hour})
	control := httptest.NewServer(ca.Control())
	t.Cleanup(control.Close)
	port := &caller{t: t, url: control.URL}
	tell := func(method, path, body string, want int) {
		t.Helper()
		if status, answer := port.do(method, path, "application/json", body); status != want {
			t.Errorf("%s %s %s: %d %s", method, path, body, status, answer)
		}
	}
	tell("POST", "/faults", `{"endpoint":"licenses","kind":"status","status":503,"retryAfter":"7"}`, 204)
	if status, _ := c.do("GET", "/api/v1/devices", "", ""); status != 503 {
		t.Errorf("with the fault: %d", status)
	}
	tell("DELETE", "/faults", "", 204)
	if status, _ := c.do("GET", "/api/v1/devices", "", ""); status != 200 {
		t.Errorf("without it: %d", status)
	}
	tell("POST", "/next", `{"kind":"failed"}`, 204)
	tell("POST", "/plans", `{"pattern":"*.bad.example","kind":"broken","reason":"no"}`, 204)
	_, failing, _ := c.upload(upload(423, csr(t, "a.example.org")))
	_, breaking, _ := c.upload(upload(423, csr(t, "x.bad.example")))
	_, rejected, _ := c.upload(upload(423, csr(t, "y.example.org")))
	tell("POST", "/reject", fmt.Sprintf(`{"batchId":%d,"reason":"not ours"}`, rejected.BatchID), 204)
	tell("POST", "/hold", "", 204)
	tell("POST", "/advance", `{"by":"1h"}`, 204)
	var b batch
	if c.get(fmt.Sprintf("/api/v1/batches/%d", failing.BatchID), &b); b.Status != "PROCESSING" {
		t.Errorf("held: %+v", b)
	}
	tell("POST", "/release", "", 204)
	for id, want := range map[int64]string{failing.BatchID: "FAILED", breaking.BatchID: "BROKEN", rejected.BatchID: "REJECTED"} {
		if c.get(fmt.Sprintf("/api/v1/batches/%d", id), &b); b.Status != want {
			t.Errorf("%+v, want %s", b, want)
		}
	}
	tell("POST", "/balance", `{"authority":23,"balance":5}`, 204)
	if ca.Balance(23) != 5 {
		t.Errorf("balance %d", ca.Balance(23))
	}
	tell("POST", "/login", `{"mode":"403"}`, 204)
	if status, _ := c.do("POST", "/auth/pwd", "application/json", `{}`); status != 403 {
		t.Errorf("login: %d", status)
	}
	for _, wrong := range []string{`{"kind":"bogus"}`, `{"bogus":1}`, `[`, `{"kind":1}`} {
		tell("POST", "/faults", wrong, 400)
		tell("POST", "/next", wrong, 400)
	}
	_, lines := port.do("GET", "/journal?kind=purchase", "", "")
	if strings.Count(string(lines), "\n") != 3 || !strings.Contains(string(lines), `"commonName":"x.bad.example"`) {
		t.Errorf("the journal: %s", lines)
	}
	if _, counts := port.do("GET", "/counts", "", ""); !strings.Contains(string(counts), `"purchase":3`) {
		t.Errorf("the counts: %s", counts)
	}
	if _, roots := port.do("GET", "/roots.pem", "", ""); strings.Count(string(roots), "BEGIN CERTIFICATE") != 2 {
		t.Errorf("the roots: %s", roots)
	}
	ca.Hold() // nobody writes to the journal while it is read
	d := json.NewDecoder(bytes.NewReader(journal.Bytes()))
	kinds := map[string]int{}
	for d.More() {
		var e sectigotest.Event
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
	}
	if kinds["purchase"] != 3 || kinds["request"] < 8 || kinds["login"] != 2 {
		t.Errorf("the journal has %v", kinds)
	}
	if bytes.Contains(journal.Bytes(), []byte("bridge-password")) || bytes.Contains(journal.Bytes(), []byte("eyJ")) {
		t.Error("the journal has a secret")
	}
}

func TestServeEnds(t *testing.T) {
	t.Parallel()
	ca, err := sectigotest.New(sectigotest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("it does not stop")
	}
}

// TestIssuance looks at the certificates: shaped like those that were seen,
// with whatever the profile fixes (F-6, F-7).
func TestIssuance(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"ec", "rsa"} {
		ca, c := start(t, sectigotest.Config{Key: key, Layout: sectigotest.LayoutPEMRoot})
		if err := ca.EditProfile(423, func(p *sectigotest.Profile) {
			p.Subject = map[string]string{"O": "Fixed Inc", "L": "Menlo Park", "ST": "California", "C": "US"}
		}); err != nil {
			t.Fatal(err)
		}
		_, b, _ := c.upload(upload(423, csr(t, "a.example.org", "b.example.org")))
		status, body := c.do("GET", fmt.Sprintf("/api/v1/batches/%d/download", b.BatchID), "", "")
		if status != 200 {
			t.Fatalf("download: %d", status)
		}
		z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil || len(z.File) != 1 || z.File[0].Name != "a.example.org.pem" {
			t.Fatalf("the archive: %v", err)
		}
		f, err := z.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		var chain []*x509.Certificate
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, cert)
		}
		if len(chain) != 3 {
			t.Fatalf("a chain of %d", len(chain))
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(chain[2])
		between.AddCert(chain[1])
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := chain[0].Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: between, DNSName: "b.example.org", CurrentTime: begin, KeyUsages: []x509.ExtKeyUsage{usage},
			}); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		if got := chain[0].Subject.String(); got != "CN=a.example.org,O=Fixed Inc,L=Menlo Park,ST=California,C=US" {
			t.Errorf("%s: the subject is %s", key, got)
		}
		if life := chain[0].NotAfter.Sub(chain[0].NotBefore); life != 396*24*time.Hour || chain[0].SerialNumber.BitLen() != 128 {
			t.Errorf("%s: it lives %s with a serial number of %d bits", key, life, chain[0].SerialNumber.BitLen())
		}
	}
}
