package acmetest

import (
	"crypto/elliptic"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/acme"
)

// TestMessagesAreGoodJWS checks the suite's own JOSE against another library: an
// attack is only worth something when the request around it is right.
func TestMessagesAreGoodJWS(t *testing.T) {
	t.Parallel()
	c := &T{suite: &suite{}, ctx: t.Context()}
	algorithms := []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.EdDSA}
	for _, k := range []*key{
		c.newKey(), c.newECKey(elliptic.P384()), c.newECKey(elliptic.P521()), c.newRSAKey(2048), c.newEd25519Key(),
	} {
		m := message{url: "https://acme.test/new-account", key: k, payload: []byte(`{"a":1}`)}
		body, _, err := m.encode("nonce")
		if err != nil {
			t.Fatalf("%s: %v", k.alg, err)
		}
		parsed, err := jose.ParseSigned(string(body), algorithms)
		if err != nil {
			t.Fatalf("%s: %v in %s", k.alg, err, body)
		}
		header := parsed.Signatures[0].Protected
		payload, err := parsed.Verify(header.JSONWebKey)
		if err != nil || string(payload) != `{"a":1}` || header.Nonce != "nonce" || header.ExtraHeaders["url"] != m.url {
			t.Errorf("%s: payload %q, header %+v, %v", k.alg, payload, header, err)
		}
		if k.alg == "EdDSA" {
			continue // the next check's library has none
		}
		want, err := acme.JWKThumbprint(k.signer.Public())
		if err != nil || k.thumbprint() != want {
			t.Errorf("%s: thumbprint %s, want %s (%v)", k.alg, k.thumbprint(), want, err)
		}
	}
}

// recorder is a testing.TB that remembers whether it failed.
type recorder struct {
	testing.TB
	failed bool
	text   strings.Builder
}

func (r *recorder) Helper() {}

func (r *recorder) Logf(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

func (r *recorder) Error(args ...any) { r.failed = true; fmt.Fprintln(&r.text, args...) }

func (r *recorder) Errorf(format string, args ...any) { r.failed = true; r.Logf(format, args...) }

// TestVerdicts is the contract of Config.Differences.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	broken := func(t *T) { t.Errorf("it is broken") }
	fatal := func(t *T) { t.Fatalf("it is broken"); t.Errorf("not reached") }
	fine := func(*T) {}
	absent := func(t *T) { t.NotApplicable("not offered") }
	for _, v := range []struct {
		name       string
		run        func(*T)
		difference string
		fails      bool
		list       func(*Report) *[]string
		says       string
	}{
		{"passes", fine, "", false, func(r *Report) *[]string { return &r.Passed }, ""},
		{"fails", broken, "", true, func(r *Report) *[]string { return &r.Failed }, "it is broken"},
		{"stops", fatal, "", true, func(r *Report) *[]string { return &r.Failed }, "it is broken"},
		{"differs as listed", broken, "by design", false, func(r *Report) *[]string { return &r.Different }, "by design"},
		{"listed and passes", fine, "by design", true, func(r *Report) *[]string { return &r.Failed }, "stale difference"},
		{"a race that was won", fine, "sometimes: a race", false, func(r *Report) *[]string { return &r.Passed }, ""},
		{"a race that was lost", broken, "sometimes: a race", false, func(r *Report) *[]string { return &r.Different }, "a race"},
		{"not applicable", absent, "", false, func(r *Report) *[]string { return &r.NotApplicable }, "not offered"},
		{"listed and not applicable", absent, "by design", true, func(r *Report) *[]string { return &r.Failed }, "stale difference"},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			s := &suite{}
			got := s.run(t.Context(), Case{"R-1", "case", v.run})
			var report Report
			out := &recorder{TB: t}
			list := got.judge(out, v.difference, &report)
			if out.failed != v.fails || list != v.list(&report) || !strings.Contains(out.text.String(), v.says) {
				t.Errorf("failed %v, said %q; want failed %v and %q", out.failed, out.text.String(), v.fails, v.says)
			}
			if strings.Contains(out.text.String(), "not reached") {
				t.Error("Fatalf did not end the case")
			}
		})
	}
}

func TestDifferencesMustNameCases(t *testing.T) {
	t.Parallel()
	cases := []Case{{"R-1", "a", nil}, {"R-1", "b", nil}}
	if got := checkNames(cases, map[string]string{"R-1/a": "reason"}); len(got) != 0 {
		t.Errorf("a good list was refused: %q", got)
	}
	if got := checkNames(cases, map[string]string{"R-1/c": "reason"}); len(got) != 1 {
		t.Errorf("a name that is no case gave %q", got)
	}
	if got := checkNames(cases, map[string]string{"R-1/a": ""}); len(got) != 1 {
		t.Errorf("a difference without reason gave %q", got)
	}
	if got := checkNames(append(cases, cases[0]), nil); len(got) != 1 {
		t.Errorf("a name used twice gave %q", got)
	}
}

// TestUnknownSibling: the URL must differ and stay a URL of the same shape, in the
// server's own alphabet.
func TestUnknownSibling(t *testing.T) {
	t.Parallel()
	for u, want := range map[string]string{
		"https://a/order/0123456789abcdefgh": "https://a/order/012356789abcdef4gh",
		"https://a/order/abababababab":       "https://a/order/bababababaab",
		"https://a/acct/7":                   "https://a/acct/77777777",
		"https://a/acct/11111111":            "https://a/acct/1111111111111111",
		"kid-0042":                           "id-00k42",
	} {
		if got := unknownSibling(u); got != want {
			t.Errorf("unknownSibling(%q) = %q, want %q", u, got, want)
		}
	}
}
