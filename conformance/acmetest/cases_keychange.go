package acmetest

import "net/http"

// keyChange is the request of R8555-7.3.5 that gives the account the key next.
// bend may change the inner JWS.
func (a *account) keyChange(next *key, bend func(inner *message)) message {
	url := a.ep.dir.KeyChange
	inner := message{url: url, key: next, payload: a.t.encode(object{{"account", a.url}, {"oldKey", a.key.jwk}})}
	if bend != nil {
		bend(&inner)
	}
	return a.message(url, a.t.nested(inner))
}

func keyChangeCases() []Case {
	return []Case{
		{"R8555-7.3.5-12", "rollover", func(t *T) {
			a := t.newAccount()
			next := t.newKey()
			t.send(a.ep, a.keyChange(next, nil)).must(200).wantNonce().wantIndex(a.ep.url)
			old := *a
			a.key = next
			var obj accountObject
			a.read(a.url).must(200).decode(&obj)
			if obj.Status != "valid" {
				t.Errorf("status after the rollover is %q", obj.Status)
			}
			old.read(a.url).refused(400, "malformed") // R8555-7.3.5-14: its signature is wrong now
		}},
		{"R8555-7.3.5-12", "rollover-from-ec-to-rsa", func(t *T) {
			a := t.newAccount()
			next := t.newRSAKey(2048)
			t.send(a.ep, a.keyChange(next, nil)).must(200)
			a.key = next
			a.read(a.url).want(200)
		}},
		{"R8555-7.3.5-14", "new-key-finds-the-account", func(t *T) {
			a := t.newAccount()
			next := t.newKey()
			t.send(a.ep, a.keyChange(next, nil)).must(200)
			resp := t.send(a.ep, t.newAccountMessage(a.ep, next, object{{"onlyReturnExisting", true}})).must(200)
			if resp.location() != a.url {
				resp.fail("Location differs from %s", a.url)
			}
		}},
		{"R8555-7.3.5-14", "old-key-may-open-another-account", func(t *T) {
			a := t.newAccount()
			t.send(a.ep, a.keyChange(t.newKey(), nil)).must(200)
			if b := t.newAccountWith(a.key); b.url == a.url {
				t.Errorf("the old key opened %s, the account it was taken from", b.url)
			}
		}},
		{"R8555-7.3.5-12", "orders-survive-and-use-the-new-key", func(t *T) {
			a := t.newAccount()
			o := a.newOrder()
			// R8555-7.3.5-13: the key authorization is that of the key at response time.
			next := t.newKey()
			t.send(a.ep, a.keyChange(next, nil)).must(200)
			a.key = next
			o.authorize().issue(t.newKey())
		}},
		{"R8555-7.3.5-10", "key-of-another-account", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			resp := t.send(a.ep, a.keyChange(b.key, nil))
			if got := resp.header.Get("Location"); got != b.url {
				resp.fail("Location %q, want the account that has the key, %s", got, b.url)
			}
			resp.refused(http.StatusConflict, "malformed")
			a.read(a.url).want(200)
		}},
		{"R8555-7.3.5-11", "new-key-is-the-old-key", func(t *T) {
			a := t.newAccount()
			t.send(a.ep, a.keyChange(a.key, nil)).refused(400, "malformed")
		}},
		{"R8555-7.3.5-11", "new-key-is-too-small", func(t *T) {
			a := t.newAccount()
			t.send(a.ep, a.keyChange(t.newRSAKey(1024), nil)).refused(400, "badPublicKey")
			a.read(a.url).want(200)
		}},
		{"R8555-7.3.5-1", "outer-signed-by-the-new-key", func(t *T) {
			a := t.newAccount()
			next := t.newKey()
			m := a.keyChange(next, nil)
			m.key = next
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-7.3.5-1", "outer-with-jwk", func(t *T) {
			a := t.newAccount()
			m := a.keyChange(t.newKey(), nil)
			m.kid = ""
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-7.3.5-1", "concurrent-rollovers-to-one-key", func(t *T) {
			accounts := []*account{t.newAccount(), t.newAccount(), t.newAccount()}
			next := t.newKey()
			changed := 0
			for _, resp := range t.together(len(accounts), func(i int) *response {
				return t.send(accounts[i].ep, accounts[i].keyChange(next, nil))
			}) {
				if resp.status == 200 {
					changed++
					continue
				}
				resp.refused(http.StatusConflict, "malformed")
			}
			if changed != 1 {
				t.Errorf("%d of 3 accounts took the same key, want 1", changed)
			}
		}},
	}
}

// keyChangeInnerCases bends the inner JWS; the account keeps its key each time.
func keyChangeInnerCases() []Case {
	refused := func(types []string, bend func(t *T, a *account, inner *message)) func(*T) {
		return func(t *T) {
			a := t.newAccount()
			m := a.keyChange(t.newKey(), func(inner *message) { bend(t, a, inner) })
			t.send(a.ep, m).refused(400, types...)
			a.read(a.url).want(200)
		}
	}
	malformed := func(bend func(t *T, a *account, inner *message)) func(*T) {
		return refused([]string{"malformed"}, bend)
	}
	payload := func(fn func(a *account) any) func(*T) {
		return malformed(func(t *T, a *account, inner *message) { inner.payload = t.encode(fn(a)) })
	}
	outer := func(text string) func(*T) {
		return func(t *T) {
			a := t.newAccount()
			a.post(a.ep.dir.KeyChange, []byte(text)).refused(400, "malformed")
		}
	}
	return []Case{
		{"R8555-7.3.5-2", "inner-is-not-json", outer("hello")},
		{"R8555-7.3.5-2", "inner-is-an-empty-object", outer("{}")},
		{"R8555-7.3.5-2", "inner-is-not-signed-at-all", outer(`{"account":"x","oldKey":{}}`)},
		{"R8555-7.3.5-2", "inner-has-an-unprotected-header", malformed(func(_ *T, _ *account, inner *message) {
			inner.members = func(o *object) { o.add("header", object{{"x", 1}}) }
		})},
		{"R8555-7.3.5-2", "inner-in-general-serialization", malformed(func(_ *T, _ *account, inner *message) {
			inner.members = func(o *object) {
				one := object{{"protected", o.value("protected")}, {"signature", o.value("signature")}}
				*o = object{{"payload", o.value("payload")}, {"signatures", []object{one}}}
			}
		})},
		{"R8555-7.3.5-3", "inner-has-kid", malformed(func(_ *T, a *account, inner *message) { inner.kid = a.url })},
		{"R8555-7.3.5-3", "inner-has-jwk-and-kid", malformed(func(_ *T, a *account, inner *message) {
			inner.header = func(h *object) { h.add("kid", a.url) }
		})},
		{"R8555-7.3.5-3", "inner-has-neither-jwk-nor-kid", malformed(func(_ *T, _ *account, inner *message) {
			inner.header = func(h *object) { h.remove("jwk") }
		})},
		{"R8555-7.3.5-4", "inner-signature-with-a-flipped-bit", malformed(func(_ *T, _ *account, inner *message) {
			inner.signature = flip
		})},
		{"R8555-7.3.5-4", "inner-signed-by-the-old-key", malformed(func(_ *T, a *account, inner *message) {
			next := inner.key.jwk
			inner.key = a.key
			inner.header = func(h *object) { h.set("jwk", next) }
		})},
		{"R8555-7.3.5-4", "inner-alg-none", refused([]string{"badSignatureAlgorithm"}, func(_ *T, _ *account, inner *message) {
			inner.header = func(h *object) { h.set("alg", "none") }
			inner.signature = func([]byte) []byte { return nil }
		})},
		{"R8555-7.3.5-4", "inner-alg-does-not-suit-the-key", malformed(func(_ *T, _ *account, inner *message) {
			inner.header = func(h *object) { h.set("alg", "ES384") }
		})},
		{"R8555-7.3.5-4", "inner-jwk-is-private", malformed(func(t *T, _ *account, inner *message) {
			inner.key = inner.key.with("d", inner.key.privateScalar(t))
		})},
		{"R8555-7.3.5-6", "inner-url-differs", malformed(func(t *T, _ *account, inner *message) { inner.url = t.suite.main.dir.NewOrder })},
		{"R8555-7.3.5-6", "inner-url-is-missing", malformed(func(_ *T, _ *account, inner *message) {
			inner.header = func(h *object) { h.remove("url") }
		})},
		{"R8555-7.3.5-7", "inner-has-a-nonce", malformed(func(t *T, a *account, inner *message) {
			nonce := t.newNonce(a.ep)
			inner.header = func(h *object) { h.add("nonce", nonce) }
		})},
		{"R8555-7.3.5-5", "inner-payload-is-empty", malformed(func(_ *T, _ *account, inner *message) { inner.payload = nil })},
		{"R8555-7.3.5-5", "inner-payload-is-no-object", payload(func(*account) any { return "x" })},
		{"R8555-7.3.5-8", "account-is-missing", payload(func(a *account) any { return object{{"oldKey", a.key.jwk}} })},
		{"R8555-7.3.5-8", "account-is-another", malformed(func(t *T, a *account, inner *message) {
			inner.payload = t.encode(object{{"account", t.newAccount().url}, {"oldKey", a.key.jwk}})
		})},
		{"R8555-7.3.5-8", "account-with-a-trailing-slash", payload(func(a *account) any {
			return object{{"account", a.url + "/"}, {"oldKey", a.key.jwk}}
		})},
		{"R8555-7.3.5-9", "old-key-is-missing", payload(func(a *account) any { return object{{"account", a.url}} })},
		{"R8555-7.3.5-9", "old-key-is-another", malformed(func(t *T, a *account, inner *message) {
			inner.payload = t.encode(object{{"account", a.url}, {"oldKey", t.newKey().jwk}})
		})},
		{"R8555-7.3.5-9", "old-key-is-the-new-key", malformed(func(t *T, a *account, inner *message) {
			inner.payload = t.encode(object{{"account", a.url}, {"oldKey", inner.key.jwk}})
		})},
	}
}
