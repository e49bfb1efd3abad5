package sectigotest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/backends/sectigo/sectigotest"
)

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
	// What was set from outside is not forgotten either.
	again.SetBalance(23, 77)
	again.SetPassword("another-password")
	again.SetLogin("403")
	last, err := sectigotest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if last.Balance(23) != 77 {
		t.Errorf("the balance is %d", last.Balance(23))
	}
	if got := login(t, last, "another-password"); got != 403 {
		t.Errorf("the login is answered with %d", got)
	}
	last.SetLogin("ok")
	if got := login(t, last, "another-password"); got != 200 {
		t.Errorf("the new password is answered with %d", got)
	}
}

// login is the status of a login.
func login(t *testing.T, ca *sectigotest.CA, password string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/auth/pwd", strings.NewReader(`{"username":"bridge","password":"`+password+`"}`))
	w := httptest.NewRecorder()
	ca.Handler().ServeHTTP(w, r)
	return w.Code
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
