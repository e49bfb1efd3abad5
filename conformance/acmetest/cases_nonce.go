package acmetest

import (
	"net/http"
	"regexp"
	"strings"
)

// nonceCases is R8555-6.5 and R8555-7.2.
func nonceCases() []Case {
	return []Case{
		{"R8555-7.2-1", "head-new-nonce", func(t *T) {
			t.request(http.MethodHead, t.suite.main.dir.NewNonce).want(200).wantNonce()
		}},
		{"R8555-7.2-2", "get-new-nonce", func(t *T) {
			resp := t.request(http.MethodGet, t.suite.main.dir.NewNonce).want(204).wantNonce()
			if len(resp.body) > 0 {
				resp.fail("GET newNonce answered with a body")
			}
		}},
		{"R8555-7.2-4", "new-nonce-by-post-as-get", func(t *T) {
			a := t.newAccount()
			a.read(a.ep.dir.NewNonce).want(200).wantNonce()
		}},
		{"R8555-7.2-3", "head-new-nonce-is-not-cached", func(t *T) {
			wantNoStore(t.request(http.MethodHead, t.suite.main.dir.NewNonce))
		}},
		{"R8555-7.2-3", "get-new-nonce-is-not-cached", func(t *T) {
			wantNoStore(t.request(http.MethodGet, t.suite.main.dir.NewNonce))
		}},
		{"R8555-6.5-4", "nonce-is-missing", func(t *T) {
			t.read(header(func(h *object) { h.remove("nonce") })).refused(400, "badNonce")
		}},
		{"R8555-6.5-4", "nonce-is-empty", func(t *T) {
			t.read(header(func(h *object) { h.set("nonce", "") })).refused(400, "badNonce", "malformed")
		}},
		{"R8555-6.5-3", "nonce-never-issued", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = unknownSibling(t.newNonce(a.ep))
			t.send(a.ep, m).refused(400, "badNonce")
		}},
		{"R8555-6.5-3", "nonce-invented-here", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = b64([]byte("acmetest made this up"))
			t.send(a.ep, m).refused(400, "badNonce")
		}},
		{"R8555-6.5-8", "nonce-is-not-base64url", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = "not base64url!"
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.5-8", "nonce-with-padding", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = t.newNonce(a.ep) + "=="
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.5-3", "nonce-used-twice", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = t.newNonce(a.ep)
			t.send(a.ep, m).must(200)
			t.send(a.ep, m).refused(400, "badNonce")
		}},
		{"R8555-6.5-3", "nonce-used-by-a-request-that-failed", func(t *T) {
			a := t.newAccount()
			failing := a.message(a.ep.dir.NewOrder, object{{"identifiers", []string{}}})
			failing.nonce = t.newNonce(a.ep)
			t.send(a.ep, failing).must(400)
			again := a.message(a.url, nil)
			again.nonce = failing.nonce
			t.send(a.ep, again).refused(400, "badNonce")
		}},
		{"R8555-6.5-3", "nonce-used-by-another-account", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = t.newNonce(a.ep)
			t.send(a.ep, m).must(200)
			other := b.message(b.url, nil)
			other.nonce = m.nonce
			t.send(b.ep, other).refused(400, "badNonce")
		}},
		{"R8555-6.5-5", "bad-nonce-brings-a-good-one", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = b64([]byte("acmetest made this up"))
			resp := t.send(a.ep, m)
			resp.refused(400, "badNonce")
			m.nonce = resp.wantNonce().header.Get("Replay-Nonce")
			t.send(a.ep, m).want(200)
		}},
		{"R8555-6.5-4", "bad-nonce-detail-that-acme.sh-knows", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = b64([]byte("acmetest made this up"))
			resp := t.send(a.ep, m)
			// acme.sh finds out only by these words (C-SH-1).
			if p := resp.refused(400, "badNonce"); !strings.Contains(p.Detail, "JWS has an invalid anti-replay nonce") {
				resp.fail("detail lacks the words acme.sh looks for")
			}
		}},
		{"R8555-6.5-1", "every-post-brings-another-nonce", func(t *T) {
			a := t.newAccount()
			first, second := a.read(a.url).must(200), a.read(a.url).must(200)
			if n := first.header.Get("Replay-Nonce"); n == second.header.Get("Replay-Nonce") {
				t.Errorf("two answers brought the same nonce %q", n)
			}
		}},
		{"R8555-6.5-6", "nonces-are-unique", func(t *T) {
			seen := map[string]bool{}
			for range 50 {
				n := t.newNonce(t.suite.main)
				if seen[n] {
					t.Fatalf("nonce %q was handed out twice", n)
				}
				if !regexp.MustCompile(`^[A-Za-z0-9_-]{16,}$`).MatchString(n) {
					t.Errorf("nonce %q is too short to be unpredictable, or not base64url", n)
				}
				seen[n] = true
			}
		}},
		{"R8555-6.5-9", "nonce-serves-any-account-and-resource", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			first := a.message(a.url, nil)
			first.nonce = t.newNonce(a.ep) // chosen here, so that nobody else is given the answer's nonce
			resp := t.send(a.ep, first).must(200)
			m := b.message(b.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}})
			m.nonce = resp.header.Get("Replay-Nonce")
			t.send(b.ep, m).want(201)
		}},
		{"R8555-6.5-10", "concurrent-requests-with-one-nonce", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.nonce = t.newNonce(a.ep)
			passed := 0
			for _, resp := range t.together(8, func(int) *response { return t.send(a.ep, m) }) {
				if resp.status == 200 {
					passed++
					continue
				}
				resp.refused(400, "badNonce")
			}
			if passed != 1 {
				t.Errorf("%d of 8 concurrent requests with one nonce passed, want 1", passed)
			}
		}},
	}
}

func wantNoStore(resp *response) {
	if !strings.Contains(resp.header.Get("Cache-Control"), "no-store") {
		resp.fail("Cache-Control is %q, want no-store", resp.header.Get("Cache-Control"))
	}
}
