package memberapi_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/internal/memberapi"
	"acmebridge/internal/ratelimit"
	"acmebridge/storage"
)

// TestSign: a CSR becomes a certificate for its key; the same CSR is the same
// order; and the records say who brought it.
func TestSign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	csr, key := newCSR(t, "a.m1.example")
	a := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr, Name: `../we"ird`})
	leaf := leafOf(t, a.object.Certificate)
	if !key.PublicKey.Equal(leaf.PublicKey) || leaf.DNSNames[0] != "a.m1.example" || a.object.Serial != leaf.SerialNumber.String() {
		t.Errorf("the certificate is for %v, serial %s", leaf.DNSNames, a.object.Serial)
	}
	if a.object.DownloadName != "_we_ird.pem" {
		t.Errorf("the file is called %q", a.object.DownloadName)
	}
	again := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr, Profile: "members"})
	if !again.object.Known || again.object.Order != a.object.Order || again.object.Certificate != a.object.Certificate {
		t.Errorf("the same CSR is order %s, after %s", again.object.Order, a.object.Order)
	}
	x, err := w.engine.Operator().Explain(t.Context(), acme.OrderID(a.object.Order))
	if err != nil || x.Order.Submitted == nil || x.Order.Submitted.By != "token ci" || x.Order.Submitted.Via != acme.ByMemberAPI || x.Order.Member != "m1" {
		t.Errorf("submitted by %+v, %v", x.Order.Submitted, err)
	}
	file := w.ask(http.StatusOK, token, "GET", "/certificates/"+a.object.ID+".pem", nil)
	if string(file.body) != a.object.Certificate || !strings.Contains(file.header.Get("Content-Disposition"), "a.m1.example-members.pem") {
		t.Errorf("the file is %q, %s", file.header.Get("Content-Disposition"), file.body)
	}
	if o := w.ask(http.StatusOK, token, "GET", "/orders/"+a.object.Order, nil); o.object.Status != "valid" || o.object.Certificate != a.object.Certificate {
		t.Errorf("the order is %s", o.body)
	}
}

// TestSignReplaces: what is renewed leaves its place to what renews it.
func TestSignReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	first, _ := newCSR(t, "a.m1.example")
	second, _ := newCSR(t, "a.m1.example")
	old := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: first}).object
	w.ask(http.StatusNotFound, w.enrol("m2"), "POST", "/certificates", signRequest{CSR: first, Replaces: old.ID})
	next := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: second, Replaces: old.ID}).object
	x, err := w.engine.Operator().Explain(t.Context(), acme.OrderID(next.Order))
	if err != nil || x.Order.Replaces == "" || next.ID == old.ID {
		t.Errorf("the order replaces %q, %v", x.Order.Replaces, err)
	}
	third, _ := newCSR(t, "a.m1.example")
	if a := w.ask(http.StatusConflict, token, "POST", "/certificates", signRequest{CSR: third, Replaces: old.ID}); !strings.HasSuffix(a.object.Type, "alreadyReplaced") {
		t.Errorf("a second successor: %s", a.body)
	}
}

// TestSignLater: where somebody has to look at it first, the answer says where
// to look again.
func TestSignLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	csr, _ := newCSR(t, "a.m1.example")
	a := w.ask(http.StatusAccepted, token, "POST", "/certificates", signRequest{CSR: csr, Profile: "watched"})
	if a.object.Status != "processing" || a.header.Get("Retry-After") == "" || !strings.HasSuffix(a.header.Get("Location"), "/orders/"+a.object.Order) {
		t.Fatalf("the answer is %v %s", a.header, a.body)
	}
	if err := w.engine.Operator().Approve(t.Context(), acme.OrderID(a.object.Order), "bob", "fine"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for a.object.Status != "valid" {
		if time.Now().After(deadline) {
			t.Fatalf("the order stays %s", a.body)
		}
		a = w.ask(http.StatusOK, token, "GET", a.header.Get("Location"), nil)
	}
	_ = leafOf(t, a.object.Certificate)
}

// TestSignRefused: what the registry does not give, and what is no request.
func TestSignRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	mine, _ := newCSR(t, "a.m1.example")
	other, _ := newCSR(t, "a.m2.example")
	for name, x := range map[string]struct {
		body   any
		status int
		want   string
	}{
		"a name of somebody else":  {signRequest{CSR: other}, 400, "rejectedIdentifier"},
		"a profile that is none":   {signRequest{CSR: mine, Profile: "gold"}, 400, "invalidProfile"},
		"what has to be proved":    {signRequest{CSR: mine, Profile: "proved"}, 403, "unauthorized"},
		"no CSR":                   {signRequest{CSR: "hello"}, 400, "badCSR"},
		"two CSRs":                 {signRequest{CSR: mine + mine}, 400, "badCSR"},
		"an unknown member":        {map[string]string{"csr": mine, "validity": "10y"}, 400, "malformed"},
		"two objects":              {`{"csr":""}{}`, 400, "malformed"},
		"no JSON":                  {"csr", 400, "malformed"},
		"more than anybody needs":  {map[string]string{"csr": strings.Repeat("x", 60_000)}, 413, "malformed"},
		"a word that only one has": {map[string]string{"csr": mine, "vouch": "trust me"}, 400, "malformed"},
	} {
		if a := w.ask(x.status, token, "POST", "/certificates", x.body); !strings.HasSuffix(a.object.Type, ":"+x.want) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	w.ask(http.StatusUnsupportedMediaType, token, "POST", "/certificates", signRequest{CSR: mine}, "Content-Type", "text/plain")
	w.ask(http.StatusNotFound, token, "POST", "/applications/x/certificates/client/sign", signRequest{CSR: mine})
	if orders, _, err := w.engine.Operator().Orders(t.Context(), "", storage.Page{}); err != nil || len(orders) > 0 {
		t.Errorf("%d orders are left, %v", len(orders), err)
	}
}

// TestOwnOnly: what is another member's is not there (SP-1).
func TestOwnOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, stranger := w.enrol("m1"), w.enrol("m2")
	csr, _ := newCSR(t, "a.m1.example")
	a := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr})
	for _, path := range []string{"/certificates/" + a.object.ID, "/certificates/" + a.object.ID + ".pem", "/orders/" + a.object.Order, "/serials/" + a.object.Serial} {
		w.ask(http.StatusNotFound, stranger, "GET", path, nil)
		w.ask(http.StatusOK, token, "GET", path, nil)
	}
	w.ask(http.StatusNotFound, stranger, "POST", "/certificates/"+a.object.ID+"/revoke", nil)
	w.ask(http.StatusNotFound, "", "GET", "/serials/"+a.object.Serial, nil) // of no framework
	if list := w.ask(http.StatusOK, stranger, "GET", "/certificates", nil); len(list.object.Certificates) > 0 {
		t.Errorf("a stranger sees %s", list.body)
	}
	w.ask(http.StatusForbidden, stranger, "GET", "/me", nil, "X-Organization", "m1")
	me := w.ask(http.StatusOK, token, "GET", "/me", nil, "X-Organization", "m1")
	if !bytes.Contains(me.body, []byte(`"as":"token ci"`)) {
		t.Errorf("me is %s", me.body)
	}
}

// TestSerialHex: a leading zero stays, as openssl writes it, and the octet that
// keeps a number positive is left out, as there.
func TestSerialHex(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{1: "01", 0x8b: "8b", 0x8bd: "08bd", 0x12ab: "12ab"} {
		if got := memberapi.SerialHex(big.NewInt(n)); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// TestSerials: decimal without leading zeros, and hexadecimal where it says so.
func TestSerials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	csr, _ := newCSR(t, "a.m1.example")
	a := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr})
	hex := a.object.SerialHex
	colons := hex
	for i := len(colons) - 2; i > 0; i -= 2 {
		colons = colons[:i] + ":" + colons[i:]
	}
	for _, good := range []string{a.object.Serial, "0x" + hex, "0X" + strings.ToUpper(hex), "0x00" + colons[:2] + strings.ReplaceAll(colons[2:], ":", ""), colons, a.object.Serial + ".pem"} {
		if got := w.ask(http.StatusOK, token, "GET", "/serials/"+good, nil); string(got.body) != a.object.Certificate {
			t.Errorf("%s is %s", good, got.body)
		}
	}
	for _, bad := range []string{"0" + a.object.Serial, "+" + a.object.Serial, "-1", "0", "0x", "0xzz", "1e5", strings.Repeat("9", 60), "0x" + strings.Repeat("f", 60), "12%2034"} {
		w.ask(http.StatusBadRequest, token, "GET", "/serials/"+bad, nil)
	}
	w.ask(http.StatusNotFound, token, "GET", "/serials/1", nil)
}

// TestState: the last second is of the life of a certificate, as for whoever
// verifies it (RFC 5280, section 4.1.2.5).
func TestState(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC)
	c := acme.Certificate{NotAfter: end}
	for after, want := range map[time.Duration]string{-time.Hour: "valid", 0: "valid", 999 * time.Millisecond: "valid", time.Second: "expired", time.Hour: "expired"} {
		if got := memberapi.State(c, end.Add(after)); got != want {
			t.Errorf("%s after its end it is %s, want %s", after, got, want)
		}
	}
	c.Revocation = &acme.Revocation{At: end}
	if got := memberapi.State(c, end); got != "revoked" {
		t.Errorf("revoked, it is %s", got)
	}
}

// TestLostRoles: an application whose member has lost all of its roles has an
// empty list of them, as openapi.json says, and not none.
func TestLostRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const member, role = "https://directory.example.org/m/1", "https://registry.example.org/role/reader"
	application := acme.Application{URL: "https://directory.example.org/a/1", Roles: []string{role}, Trees: []acme.IB1Tree{acme.IB1Client}}
	m, err := w.engine.Operator().CreateMember(t.Context(), acme.Member{ID: member, Name: "Example Ltd", Country: "GB", Roles: []string{role}, Applications: []acme.Application{application}})
	if err != nil {
		t.Fatal(err)
	}
	token := w.token(member, "ci", 24*time.Hour)
	if m, err = w.engine.Operator().Member(t.Context(), member); err != nil {
		t.Fatal(err)
	}
	m.Roles = []string{}
	if _, err = w.engine.Operator().UpdateMember(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := w.ask(http.StatusOK, token, "GET", "/me", nil); !strings.Contains(string(got.body), `"roles":[]`) {
		t.Errorf("%s", got.body)
	}
}

// TestList: filters, and pages that lead to the end.
func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	var ids []string
	for n := range 5 {
		csr, _ := newCSR(t, fmt.Sprintf("n%d.m1.example", n))
		ids = append(ids, w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr}).object.ID)
	}
	slices.Sort(ids) // those of one moment have no order among them
	w.ask(http.StatusOK, token, "POST", "/certificates/"+ids[1]+"/revoke", map[string]int{"reason": 4})
	walk := func(query string) (found []string) {
		next := "/certificates?limit=2&" + query
		for next != "" {
			page := w.ask(http.StatusOK, token, "GET", next, nil)
			for _, c := range page.object.Certificates {
				found = append(found, c.ID)
			}
			next = page.object.Next
		}
		return found
	}
	if got := walk(""); fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("all are %v, want %v", got, ids)
	}
	if got := walk("state=revoked"); len(got) != 1 || got[0] != ids[1] {
		t.Errorf("revoked are %v", got)
	}
	if got := walk("state=valid&profile=members"); len(got) != 4 {
		t.Errorf("valid are %v", got)
	}
	for _, none := range []string{"type=client", "profile=gold", "application=x", "state=expired"} {
		if got := walk(none); len(got) > 0 {
			t.Errorf("%s: %v", none, got)
		}
	}
	for _, bad := range []string{"limit=0", "limit=x", "limit=1001", "state=fine", "after=../x", "member=m2"} {
		w.ask(http.StatusBadRequest, token, "GET", "/certificates?"+bad, nil)
	}
}

// TestRevoke: for the reasons that a holder can know, once, and it says who.
func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	csr, _ := newCSR(t, "a.m1.example")
	id := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr}).object.ID
	for _, reason := range []int{2, 3, 6, 8, 9, 10, 77, -1} {
		if a := w.ask(http.StatusBadRequest, token, "POST", "/certificates/"+id+"/revoke", map[string]int{"reason": reason}); !strings.HasSuffix(a.object.Type, "badRevocationReason") {
			t.Errorf("reason %d: %s", reason, a.body)
		}
	}
	w.ask(http.StatusForbidden, w.token("m1", "reader", time.Hour, acme.ScopeRead, acme.ScopeSign), "POST", "/certificates/"+id+"/revoke", nil)
	a := w.ask(http.StatusOK, w.token("m1", "guard", time.Hour, acme.ScopeRevoke), "POST", "/certificates/"+id+"/revoke", map[string]int{"reason": 1})
	if a.object.Revoked == "" {
		t.Errorf("the answer is %s", a.body)
	}
	c, _, err := w.engine.Operator().Certificate(t.Context(), acme.CertificateID(id))
	if err != nil || c.Revocation == nil || c.Revocation.Reason != acme.KeyCompromise || c.Revocation.By != "member API, token guard" || !c.Revocation.ByClient() {
		t.Errorf("the revocation is %+v, %v", c.Revocation, err)
	}
	if a := w.ask(http.StatusBadRequest, token, "POST", "/certificates/"+id+"/revoke", nil); !strings.HasSuffix(a.object.Type, "alreadyRevoked") {
		t.Errorf("the second time: %s", a.body)
	}
	w.ask(http.StatusBadRequest, token, "POST", "/certificates", signRequest{CSR: csr}) // the key is blocked
	if got := w.ask(http.StatusOK, token, "GET", "/certificates/"+id, nil); got.object.State != "revoked" {
		t.Errorf("the certificate is %s", got.body)
	}
}

// TestTokens: who has no token in force is nobody, whatever is wrong with it;
// and none is ever stored or logged (LG-2, SA-9).
func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	short := w.token("m1", "short", time.Hour)
	revoked, text, err := w.engine.Operator().CreateMemberToken(t.Context(), engine.NewMemberToken{Member: "m1", Name: "revoked", Expires: w.now().Add(time.Hour), By: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	w.ask(http.StatusOK, text, "GET", "/me", nil)
	if _, err := w.engine.Operator().RevokeMemberToken(t.Context(), "m1", revoked.ID, "alice"); err != nil {
		t.Fatal(err)
	}
	w.later(2 * time.Hour)
	parts := strings.Split(token, ".")
	for name, bad := range map[string]string{
		"none": "", "revoked": text, "expired": short, "cut": token[:len(token)-1], "longer": token + "A", "text": "hello", "three parts": "a.b.c",
		"of nobody": strings.Join([]string{parts[0], "eHl6", parts[2], parts[3]}, "."), "of no id": strings.Join([]string{parts[0], parts[1], "00", parts[3]}, "."),
	} {
		a := w.ask(http.StatusUnauthorized, bad, "GET", "/me", nil)
		if a.header.Get("WWW-Authenticate") == "" || strings.Contains(a.object.Detail, "m1") {
			t.Errorf("%s: %v %s", name, a.header, a.body)
		}
	}
	w.ask(http.StatusUnauthorized, "", "GET", "/me", nil, "Authorization", "Basic "+token)
	w.ask(http.StatusOK, token, "GET", "/me", nil)
	m, err := w.engine.Operator().Member(t.Context(), "m1")
	if err != nil || m.Version != 1 || len(m.Tokens) != 3 {
		t.Errorf("version %d, %d tokens, %v", m.Version, len(m.Tokens), err)
	}
	record, err := storage.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, parts[3]} {
		if bytes.Contains(record, []byte(secret)) || strings.Contains(w.log.text(), secret) {
			t.Error("a token is in the store or in the log")
		}
	}
	for _, line := range []string{`"event":"member_token.created"`, `"event":"member_token.revoked"`, `"event":"member_api.stranger"`} {
		if !strings.Contains(w.log.text(), line) {
			t.Errorf("the log has no %s", line)
		}
	}
}

// TestStanding: a member that is frozen signs nothing and may still revoke; one
// that is gone is nobody.
func TestStanding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.enrol("m1")
	csr, _ := newCSR(t, "a.m1.example")
	id := w.ask(http.StatusCreated, token, "POST", "/certificates", signRequest{CSR: csr}).object.ID
	if _, err := w.engine.Operator().FreezeMember(t.Context(), "m1", engine.Measures{}); err != nil {
		t.Fatal(err)
	}
	other, _ := newCSR(t, "b.m1.example")
	w.ask(http.StatusForbidden, token, "POST", "/certificates", signRequest{CSR: other})
	w.ask(http.StatusOK, token, "POST", "/certificates/"+id+"/revoke", nil)
	if _, err := w.engine.Operator().RemoveMember(t.Context(), "m1", engine.Measures{}); err != nil {
		t.Fatal(err)
	}
	w.ask(http.StatusUnauthorized, token, "GET", "/me", nil)
}

// TestScopes: a token does what it is for, and one that signs fetches what it
// ordered, and nothing else (SP-1).
func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all, foreign := w.enrol("m1"), w.enrol("m2")
	reads, signs := w.token("m1", "reads", time.Hour, acme.ScopeRead), w.token("m1", "signs", time.Hour, acme.ScopeSign)
	sibling, revokes := w.token("m1", "sibling", time.Hour, acme.ScopeSign), w.token("m1", "revokes", time.Hour, acme.ScopeRevoke)
	order := func(token, name, profile string) answer {
		t.Helper()
		csr, _ := newCSR(t, name)
		status := http.StatusCreated
		if profile == "watched" {
			status = http.StatusAccepted
		}
		return w.ask(status, token, "POST", "/certificates", signRequest{CSR: csr, Profile: profile})
	}
	// With the scope sign alone.
	mine, waiting := order(signs, "a.m1.example", "members"), order(signs, "b.m1.example", "watched")
	for _, path := range []string{"/orders/" + mine.object.Order, "/certificates/" + mine.object.ID} {
		if got := w.ask(http.StatusOK, signs, "GET", path, nil); got.object.Certificate != mine.object.Certificate {
			t.Errorf("%s is %s", path, got.body)
		}
		w.ask(http.StatusOK, reads, "GET", path, nil)
		w.ask(http.StatusForbidden, sibling, "GET", path, nil)
		w.ask(http.StatusForbidden, revokes, "GET", path, nil)
		w.ask(http.StatusNotFound, foreign, "GET", path, nil)
	}
	if got := w.ask(http.StatusOK, signs, "GET", "/certificates/"+mine.object.ID+".pem", nil); string(got.body) != mine.object.Certificate {
		t.Errorf("the file is %s", got.body)
	}
	if got := w.ask(http.StatusOK, signs, "GET", waiting.header.Get("Location"), nil); got.object.Status != "processing" {
		t.Errorf("the order is %s", got.body)
	}
	// What is not its own, or not there, has one answer.
	theirs := order(all, "c.m1.example", "members")
	for _, path := range []string{
		"/orders/" + theirs.object.Order, "/orders/" + order(foreign, "a.m2.example", "members").object.Order, "/orders/nothing",
		"/certificates/" + theirs.object.ID, "/certificates/" + theirs.object.ID + ".pem", "/certificates/nothing", "/certificates", "/me", "/serials/" + theirs.object.Serial,
	} {
		want := http.StatusForbidden
		got := w.ask(want, signs, "GET", path, nil)
		if !strings.Contains(got.object.Detail, "scope read") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	w.ask(http.StatusForbidden, signs, "POST", "/certificates/"+mine.object.ID+"/revoke", nil)
	// Both ways to sign are for those who may sign: what the second lacks here is the application.
	csr, _ := newCSR(t, "d.m1.example")
	for token, want := range map[string]int{signs: http.StatusNotFound, all: http.StatusNotFound, reads: http.StatusForbidden, revokes: http.StatusForbidden} {
		w.ask(want, token, "POST", "/applications/x/certificates/client/sign", signRequest{CSR: csr})
	}
	w.ask(http.StatusForbidden, reads, "POST", "/certificates", signRequest{CSR: csr})
	w.ask(http.StatusForbidden, revokes, "POST", "/certificates", signRequest{CSR: csr})
	w.ask(http.StatusForbidden, revokes, "GET", "/me", nil)
	w.ask(http.StatusOK, reads, "GET", "/certificates", nil)
	w.ask(http.StatusOK, reads, "GET", "/me", nil)
}

// TestScopesOfASuccessor: a token that took the place of another one gets at what
// that had ordered by the same CSR, as long as it is under way, and is not sent
// to where it may not look.
func TestScopesOfASuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol("m1")
	before, after := w.token("m1", "before", time.Hour, acme.ScopeSign), w.token("m1", "after", time.Hour, acme.ScopeSign)
	csr, _ := newCSR(t, "a.m1.example")
	body := signRequest{CSR: csr, Profile: "watched"}
	first, again := w.ask(http.StatusAccepted, before, "POST", "/certificates", body), w.ask(http.StatusAccepted, after, "POST", "/certificates", body)
	if !again.object.Known || again.object.Order != first.object.Order || again.header.Get("Location") != "" || again.header.Get("Retry-After") == "" {
		t.Errorf("the same CSR is %v %s", again.header, again.body)
	}
	if first.header.Get("Location") == "" {
		t.Error("whoever ordered does not learn where to look")
	}
}

// TestLimits: requests of an address, and tokens that were not accepted.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *memberapi.Config) {
		c.Limits = memberapi.Limits{Failures: ratelimit.Rate{Count: 3, Per: time.Hour}, Help: "https://help.example"}
	})
	token := w.enrol("m1")
	for range 3 {
		w.ask(http.StatusUnauthorized, "hello", "GET", "/me", nil)
	}
	a := w.ask(http.StatusTooManyRequests, token, "GET", "/me", nil)
	if a.header.Get("Retry-After") == "" || !strings.Contains(fmt.Sprint(a.header.Values("Link")), `rel="help"`) {
		t.Errorf("the refusal is %v", a.header)
	}
	w.later(time.Hour)
	w.ask(http.StatusOK, token, "GET", "/me", nil)

	w = newWorld(t, func(c *memberapi.Config) { c.Limits.Requests = ratelimit.Rate{Count: 2, Per: time.Hour} })
	for range 2 {
		w.ask(http.StatusOK, "", "GET", "/openapi.json", nil)
	}
	w.ask(http.StatusTooManyRequests, "", "GET", "/openapi.json", nil)
}

// TestAuthority: CA certificates are for anybody, as files.
func TestAuthority(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bundle := w.ask(http.StatusOK, "", "GET", "/ca/members.pem", nil)
	packed := w.ask(http.StatusOK, "", "GET", "/ca/members.zip", nil)
	z, err := zip.NewReader(bytes.NewReader(packed.body), int64(len(packed.body)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(b)
	}
	if files["bundle.pem"] != string(bundle.body) || files["root-ca.pem"]+files["intermediate.pem"] != string(bundle.body) || files["root-ca.pem"] == "" {
		t.Errorf("the archive has %v", files)
	}
	if dotted := w.ask(http.StatusOK, "", "GET", "/ca/members.v2.pem.pem", nil); !bytes.Equal(dotted.body, bundle.body) {
		t.Errorf("of a profile with dots in its name: %s", dotted.body)
	}
	for _, bad := range []string{"members", "members.v2.pem", "members.exe", "gold.pem", "client.pem"} {
		w.ask(http.StatusNotFound, "", "GET", "/ca/"+bad, nil)
	}
}

// TestMethods: a path that is there says what it takes (RFC 9110, section 15.5.6),
// whoever asks.
func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/me", "GET, HEAD"},
		{"DELETE", "/certificates", "POST, GET, HEAD"},
		{"PATCH", "/certificates/x", "GET, HEAD"},
		{"GET", "/certificates/x/revoke", "POST"},
		{"OPTIONS", "/ca/members.pem", "GET, HEAD"},
		{"PUT", "/applications/x/certificates/client/sign", "POST"},
	} {
		if got := w.ask(http.StatusMethodNotAllowed, "", c.method, c.path, nil).header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, got, c.allow)
		}
	}
}

// TestDescription: openapi.json has every route, and no other.
func TestDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.ask(http.StatusOK, "", "GET", "/openapi.json", nil)
	var d struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(a.body, &d); err != nil || !strings.HasPrefix(d.OpenAPI, "3.") || d.Servers[0].URL != w.url+"/member-api" {
		t.Fatalf("%v, %+v", err, d.Servers)
	}
	described := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			open := len(op.Security) > 0 && len(op.Security[0]) == 0
			described[fmt.Sprint(strings.ToUpper(method), " ", path, " ", open)] = true
			if op.OperationID == "" || op.Responses["4XX"] == nil {
				t.Errorf("%s %s lacks a name or its problems", method, path)
			}
		}
	}
	for _, r := range memberapi.Routes() {
		if !described[r] {
			t.Errorf("the description lacks %s", r)
		}
		delete(described, r)
	}
	for r := range described {
		t.Errorf("the description has %s, and there is none", r)
	}
	for _, path := range []string{"", "/", "/nothing", "/certificates/x/y"} {
		w.ask(http.StatusNotFound, "", "GET", path, nil)
	}
	if resp, err := http.Get(w.url + "/member-apix"); err != nil || resp.Header.Get("Content-Type") == "application/problem+json" {
		t.Errorf("what lies beside the API is answered by it: %v", err)
	} else {
		_ = resp.Body.Close()
	}
}
