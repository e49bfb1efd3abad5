package server_test

import (
	"bytes"
	"net/http"
	"testing"

	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// FuzzRequest posts arbitrary bodies to every route: as they are, and as the
// payload of a request with a good signature. Whatever they are, the server
// has no internal error, and every refusal is a problem document with a nonce
// for the next attempt (R8555-6.5-1, R8555-6.7-1).
func FuzzRequest(f *testing.F) {
	srv := start(f, servertest.Options{Server: func(c *server.Config) { c.BadSignatures = -1 }})
	rows := []server.Row{{Path: "directory"}}
	for _, row := range server.Rows() {
		if takes(row, http.MethodPost) {
			rows = append(rows, row)
		}
	}
	for i := range rows {
		for _, payload := range []string{"", "{}", "[]", `{"status":"deactivated"}`, orderFor("a.localhost"), `{"csr":"MAA"}`, `{"certificate":"MAA","reason":1}`} {
			f.Add(uint8(i), true, []byte(payload))
		}
		f.Add(uint8(i), false, []byte(`{"protected":"e30","payload":"","signature":"AA"}`))
		f.Add(uint8(i), false, []byte{})
	}
	f.Add(uint8(2), true, []byte(`{"contact":["mailto:a@example.org"],"termsOfServiceAgreed":true,"onlyReturnExisting":true,"externalAccountBinding":{}}`))
	f.Add(uint8(3), true, []byte(`{"identifiers":[{"type":"dns","value":"*.a.localhost"},{"type":"ip","value":"::1"}],"notBefore":"2027-01-01T00:00:00Z","notAfter":"","profile":"tls"}`))
	f.Add(uint8(9), true, []byte(csrFor(f, "a.localhost")))

	f.Fuzz(func(t *testing.T, which uint8, signed bool, body []byte) {
		row := rows[int(which)%len(rows)]
		// Everything is new in each run, so that a finding can be repeated.
		c := srv.registered(t, "default")
		o := c.newOrder(t, "a.localhost")
		url := map[string]string{
			"directory":                 srv.DirectoryURL("default"),
			"/account/{account}":        c.kid,
			"/account/{account}/orders": c.kid + "/orders",
			"/order/{order}":            o.url,
			"/order/{order}/finalize":   o.Finalize,
			"/authz/{authz}":            o.Authorizations[0],
			"/challenge/{authz}/{type}": challengeOf(t, c.post(t, o.Authorizations[0], "")),
		}[row.Path]
		if row.Path == "/order/{order}/finalize" {
			if r := c.post(t, challengeOf(t, c.post(t, o.Authorizations[0], "")), "{}"); r.status != http.StatusOK {
				t.Fatalf("challenge: %d", r.status)
			}
		}
		if url == "" {
			url = urlFor(srv, "default", row)
		}
		sent := body
		switch {
		case signed && row.Auth == "key":
			sent = c.withKey(t, url, string(body))
		case signed:
			sent = c.withAccount(t, url, string(body))
		}
		r := srv.do(t, post(url, sent))
		if r.status >= 500 || r.status < 200 {
			t.Fatalf("%s: %d %s", row.Path, r.status, r.body)
		}
		if len(r.header.Values("Replay-Nonce")) != 1 || srv.nonces.Redeem(r.header.Get("Replay-Nonce")) != nil {
			t.Errorf("%s: nonces %q", row.Path, r.header.Values("Replay-Nonce"))
		}
		if r.status >= 300 {
			checkProblem(t, r)
		}
		if !signed && r.status < 400 {
			t.Errorf("%s: status %d without a signature", row.Path, r.status)
		}
		if bytes.Contains(r.body, []byte("goroutine")) || len(r.body) > 64<<10 {
			t.Errorf("%s answers %d bytes: %.200s", row.Path, len(r.body), r.body)
		}
	})
}
