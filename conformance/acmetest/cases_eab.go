package acmetest

import (
	"encoding/json"
	"strings"
)

// boundTo is the directory that requires external accounts and a fresh key for it.
func (t *T) boundTo() (*endpoint, ExternalAccountKey) {
	if t.suite.bound == nil {
		t.NotApplicable("Config.ExternalAccounts names no directory that requires binding")
	}
	external, err := t.suite.cfg.ExternalAccounts.NewKey()
	if err != nil {
		t.Fatalf("Config.ExternalAccounts.NewKey: %v", err)
	}
	return t.suite.bound, external
}

// bind posts a newAccount for k whose binding is eab.
func (t *T) bind(e *endpoint, k *key, eab any) *response {
	return t.send(e, t.newAccountMessage(e, k, object{
		{"termsOfServiceAgreed", true}, {"contact", []string{t.suite.cfg.Contact}}, {"externalAccountBinding", eab},
	}))
}

// wantNoAccount checks R8555-7.3.4-9: a refused binding leaves nothing behind.
func (t *T) wantNoAccount(e *endpoint, k *key) {
	t.send(e, t.newAccountMessage(e, k, object{{"onlyReturnExisting", true}})).refused(400, "accountDoesNotExist")
}

// badBinding posts a binding bent by change and expects the refusal.
func badBinding(status int, kind string, change func(t *T, m *message)) func(*T) {
	return func(t *T) {
		e, external := t.boundTo()
		k := t.newKey()
		m := binding(e, external, k)
		change(t, &m)
		t.bind(e, k, t.nested(m)).refused(status, kind)
		t.wantNoAccount(e, k)
	}
}

// bindingCases is R8555-7.3.4 as a whole.
func bindingCases() []Case {
	good := func(alg string) func(*T) {
		return func(t *T) {
			e, external := t.boundTo()
			k := t.newKey()
			m := binding(e, external, k)
			m.key = hmacKey(alg, external.HMAC)
			t.bind(e, k, t.nested(m)).want(201)
		}
	}
	raw := func(eab any) func(*T) {
		return func(t *T) {
			e, _ := t.boundTo()
			k := t.newKey()
			t.bind(e, k, eab).refused(400, "malformed")
			t.wantNoAccount(e, k)
		}
	}
	return []Case{
		{"R8555-7.1.1-5", "bound-directory-says-so", func(t *T) {
			e, _ := t.boundTo()
			if !e.dir.Meta.ExternalAccountRequired {
				t.Errorf("meta.externalAccountRequired is not true in %s", e.url)
			}
		}},
		{"R8555-7.3.4-1", "binding-is-missing", func(t *T) {
			e, _ := t.boundTo()
			k := t.newKey()
			t.send(e, t.newAccountMessage(e, k, object{{"termsOfServiceAgreed", true}})).refused(403, "externalAccountRequired")
			t.wantNoAccount(e, k)
		}},
		{"R8555-7.3.4-1", "binding-is-null", func(t *T) {
			e, _ := t.boundTo()
			k := t.newKey()
			t.bind(e, k, nil).refusedWith([]int{400, 403}, "externalAccountRequired", "malformed")
			t.wantNoAccount(e, k)
		}},
		{"R8555-7.3.4-3", "binding-with-hs256", good("HS256")},
		{"R8555-7.3.4-10", "binding-is-echoed", func(t *T) {
			e, external := t.boundTo()
			k := t.newKey()
			eab := t.nested(binding(e, external, k))
			resp := t.bind(e, k, eab).must(201)
			var obj accountObject
			resp.decode(&obj)
			var sent, got map[string]string
			if json.Unmarshal(eab, &sent) != nil || json.Unmarshal(obj.Binding, &got) != nil ||
				sent["signature"] != got["signature"] || sent["payload"] != got["payload"] || sent["protected"] != got["protected"] {
				resp.fail("externalAccountBinding is %s, want what was sent", obj.Binding)
			}
		}},
		{"R8555-7.3.4-2", "binding-is-a-string", raw("eab")},
		{"R8555-7.3.4-2", "binding-is-an-empty-object", raw(object{})},
		{"R8555-7.3.4-2", "binding-is-a-list", raw([]string{})},
		{"R8555-7.3.4-2", "unprotected-header", badBinding(400, "malformed", func(_ *T, m *message) {
			m.members = func(o *object) { o.add("header", object{{"x", 1}}) }
		})},
		{"R8555-7.3.4-2", "general-serialization", badBinding(400, "malformed", func(_ *T, m *message) {
			m.members = func(o *object) {
				one := object{{"protected", o.value("protected")}, {"signature", o.value("signature")}}
				*o = object{{"payload", o.value("payload")}, {"signatures", []object{one}}}
			}
		})},
		{"R8555-7.3.4-2", "payload-missing", badBinding(400, "malformed", func(_ *T, m *message) {
			m.members = func(o *object) { o.remove("payload") }
		})},
		{"R8555-7.3.4-2", "signature-missing", badBinding(400, "malformed", func(_ *T, m *message) {
			m.members = func(o *object) { o.remove("signature") }
		})},
		{"R8555-7.3.4-2", "signature-padded", badBinding(400, "malformed", func(_ *T, m *message) { m.signatureText = pad })},
		{"R8555-7.3.1-1", "bound-account-is-found-again-with-the-same-binding", func(t *T) {
			e, external := t.boundTo()
			k := t.newKey()
			eab := t.nested(binding(e, external, k))
			created := t.bind(e, k, eab).must(201)
			// X-Road posts its used binding on every renewal (C-XR-4).
			if again := t.bind(e, k, eab).must(200); again.location() != created.location() {
				again.fail("Location differs from %s", created.location())
			}
		}},
		{"R8555-7.3.4-11", "key-that-is-bound-already", func(t *T) {
			e, external := t.boundTo()
			if t.suite.cfg.ExternalAccounts.Reusable {
				t.NotApplicable("keys may bind several accounts here")
			}
			first, second := t.newKey(), t.newKey()
			t.bind(e, first, t.nested(binding(e, external, first))).must(201)
			t.bind(e, second, t.nested(binding(e, external, second))).refused(403, "unauthorized")
			t.wantNoAccount(e, second)
		}},
		{"R8555-7.3.4-12", "concurrent-accounts-with-one-key", func(t *T) {
			e, external := t.boundTo()
			if t.suite.cfg.ExternalAccounts.Reusable {
				t.NotApplicable("keys may bind several accounts here")
			}
			created := 0
			for _, resp := range t.together(6, func(int) *response {
				k := t.newKey()
				return t.bind(e, k, t.nested(binding(e, external, k)))
			}) {
				if resp.status == 201 {
					created++
					continue
				}
				resp.refused(403, "unauthorized")
			}
			if created != 1 {
				t.Errorf("one key bound %d of 6 concurrent accounts, want 1", created)
			}
		}},
		{"R8555-7.3.4-12", "refused-binding-does-not-use-the-key-up", func(t *T) {
			e, external := t.boundTo()
			k := t.newKey()
			m := binding(e, external, k)
			m.signature = flip
			t.bind(e, k, t.nested(m)).refused(403, "unauthorized")
			t.bind(e, k, t.nested(binding(e, external, k))).want(201)
		}},
		{"R8555-7.3.4-12", "used-key-and-unknown-key-read-alike", func(t *T) {
			e, external := t.boundTo()
			if t.suite.cfg.ExternalAccounts.Reusable {
				t.NotApplicable("keys may bind several accounts here")
			}
			first, second := t.newKey(), t.newKey()
			t.bind(e, first, t.nested(binding(e, external, first))).must(201)
			used := t.bind(e, second, t.nested(binding(e, external, second))).refused(403, "unauthorized")
			m := binding(e, external, second)
			m.kid = unknownSibling(external.KID)
			unknown := t.bind(e, second, t.nested(m)).refused(403, "unauthorized")
			if a, b := strings.ReplaceAll(used.Detail, external.KID, ""), strings.ReplaceAll(unknown.Detail, m.kid, ""); a != b {
				t.Errorf("a stranger can tell a used key (%q) from an unknown one (%q)", a, b)
			}
		}},
		{"R8555-7.3.4-13", "unwanted-binding-is-verified-all-the-same", func(t *T) {
			e := t.suite.main
			if e.dir.Meta.ExternalAccountRequired {
				t.NotApplicable("the main directory requires binding")
			}
			k := t.newKey()
			external := ExternalAccountKey{KID: "acmetest-no-such-key", HMAC: []byte("0123456789abcdef0123456789abcdef")}
			t.bind(e, k, t.nested(binding(e, external, k))).refused(403, "unauthorized")
			t.wantNoAccount(e, k)
		}},
	}
}

// bindingHeaderCases bends the protected header, the MAC and the payload.
func bindingHeaderCases() []Case {
	headerOf := func(fn func(*object)) func(*T, *message) {
		return func(_ *T, m *message) { m.header = fn }
	}
	payload := func(text string) func(*T, *message) {
		return func(_ *T, m *message) { m.payload = []byte(text) }
	}
	return []Case{
		{"R8555-7.3.4-3", "alg-none", badBinding(400, "malformed", func(_ *T, m *message) {
			m.header = func(h *object) { h.set("alg", "none") }
			m.signature = func([]byte) []byte { return nil }
		})},
		{"R8555-7.3.4-3", "alg-es256", badBinding(400, "malformed", func(t *T, m *message) { m.key = t.newKey() })},
		{"R8555-7.3.4-3", "alg-missing", badBinding(400, "malformed", headerOf(func(h *object) { h.remove("alg") }))},
		{"R8555-7.3.4-4", "kid-missing", badBinding(400, "malformed", headerOf(func(h *object) { h.remove("kid") }))},
		{"R8555-7.3.4-4", "kid-empty", badBinding(400, "malformed", headerOf(func(h *object) { h.set("kid", "") }))},
		{"R8555-7.3.4-4", "kid-is-a-number", badBinding(400, "malformed", headerOf(func(h *object) { h.set("kid", 1) }))},
		{"R8555-7.3.4-4", "kid-unknown", badBinding(403, "unauthorized", func(_ *T, m *message) { m.kid = "acmetest-no-such-key" })},
		{"R8555-7.3.4-4", "jwk-instead-of-kid", badBinding(400, "malformed", func(_ *T, m *message) {
			m.header = func(h *object) { h.remove("kid"); h.add("jwk", m.key.jwk) }
		})},
		{"R8555-7.3.4-5", "nonce-present", badBinding(400, "malformed", func(t *T, m *message) {
			nonce := t.newNonce(t.suite.bound)
			m.header = func(h *object) { h.add("nonce", nonce) }
		})},
		{"R8555-7.3.4-6", "url-missing", badBinding(400, "malformed", headerOf(func(h *object) { h.remove("url") }))},
		{"R8555-7.3.4-6", "url-differs", badBinding(400, "malformed", func(t *T, m *message) {
			m.url = t.suite.bound.dir.NewOrder
		})},
		{"R8555-7.3.4-6", "url-of-another-directory", badBinding(400, "malformed", func(t *T, m *message) {
			m.url = "https://elsewhere.acmetest.net/new-account"
		})},
		{"R8555-7.3.4-7", "mac-with-a-flipped-bit", badBinding(403, "unauthorized", func(_ *T, m *message) { m.signature = flip })},
		{"R8555-7.3.4-7", "mac-of-another-secret", badBinding(403, "unauthorized", func(_ *T, m *message) {
			m.key = hmacKey("HS256", []byte("0123456789abcdef0123456789abcdef"))
		})},
		{"R8555-7.3.4-7", "mac-cut-short", badBinding(403, "unauthorized", func(_ *T, m *message) {
			m.signature = func(b []byte) []byte { return b[:16] }
		})},
		{"R8555-7.3.4-7", "mac-empty", func(t *T) {
			e, external := t.boundTo()
			k := t.newKey()
			m := binding(e, external, k)
			m.signature = func([]byte) []byte { return nil }
			t.bind(e, k, t.nested(m)).refusedWith([]int{400, 403}, "malformed", "unauthorized")
			t.wantNoAccount(e, k)
		}},
		{"R8555-7.3.4-8", "payload-is-another-key", badBinding(403, "unauthorized", func(t *T, m *message) {
			m.payload = t.encode(t.newKey().jwk)
		})},
		{"R8555-7.3.4-8", "payload-is-no-key", badBinding(400, "malformed", payload("hello"))},
		{"R8555-7.3.4-8", "payload-is-empty", badBinding(400, "malformed", payload(""))},
		{"R8555-7.3.4-8", "payload-is-null", badBinding(400, "malformed", payload("null"))},
	}
}
