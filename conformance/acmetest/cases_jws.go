package acmetest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// read is the harmless request most of these cases bend: an account reading itself.
func (t *T) read(bend func(*message)) *response {
	a := t.newAccount()
	return t.send(a.ep, a.message(a.url, nil).bent(bend))
}

// malformedRead expects the bent request to be refused as malformed.
func malformedRead(bend func(*message)) func(*T) {
	return func(t *T) { t.read(bend).refused(400, "malformed") }
}

// body replaces the finished request body.
func body(fn func(flattened []byte) []byte) func(*message) {
	return func(m *message) { m.body = fn }
}

// members changes the members of the flattened JWS.
func members(fn func(*object)) func(*message) {
	return func(m *message) { m.members = fn }
}

// header changes the protected header.
func header(fn func(*object)) func(*message) {
	return func(m *message) { m.header = fn; m.once = true }
}

// envelopeCases is about the shape of the JWS around the request.
func envelopeCases() []Case {
	return []Case{
		{"R8555-6.2-1", "empty-body", malformedRead(body(func([]byte) []byte { return nil }))},
		{"R8555-6.2-1", "body-is-not-json", malformedRead(body(func([]byte) []byte { return []byte("hello") }))},
		{"R8555-6.2-1", "body-is-null", malformedRead(body(func([]byte) []byte { return []byte("null") }))},
		{"R8555-6.2-1", "body-is-an-empty-object", malformedRead(body(func([]byte) []byte { return []byte("{}") }))},
		{"R8555-6.2-1", "body-is-a-string", malformedRead(body(func([]byte) []byte { return []byte(`"jws"`) }))},
		{"R8555-6.2-1", "body-is-an-array-of-jws", malformedRead(body(func(b []byte) []byte { return []byte("[" + string(b) + "]") }))},
		{"R8555-6.2-1", "body-is-cut-short", malformedRead(body(func(b []byte) []byte { return b[:len(b)-3] }))},
		{"R8555-6.2-1", "body-goes-on-after-the-jws", malformedRead(body(func(b []byte) []byte { return append(b, b...) }))},
		{"R8555-5-1", "body-is-not-utf-8", malformedRead(body(func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "{", "{\"\xff\xfe\":1,", 1))
		}))},
		{"R8555-6.2-2", "compact-serialization", malformedRead(body(func(b []byte) []byte {
			var j struct{ Protected, Payload, Signature string }
			if err := json.Unmarshal(b, &j); err != nil {
				panic(err) // made by encode
			}
			return []byte(j.Protected + "." + j.Payload + "." + j.Signature)
		}))},
		{"R8555-6.2-2", "general-serialization", malformedRead(members(func(o *object) {
			one := object{{"protected", o.value("protected")}, {"signature", o.value("signature")}}
			*o = object{{"payload", o.value("payload")}, {"signatures", []object{one}}}
		}))},
		{"R8555-6.2-3", "two-signatures", malformedRead(members(func(o *object) {
			one := object{{"protected", o.value("protected")}, {"signature", o.value("signature")}}
			*o = object{{"payload", o.value("payload")}, {"signatures", []object{one, one}}}
		}))},
		{"R8555-6.2-3", "signatures-beside-signature", malformedRead(members(func(o *object) {
			o.add("signatures", []object{{{"protected", o.value("protected")}, {"signature", o.value("signature")}}})
		}))},
		{"R8555-6.2-3", "empty-signatures-beside-signature", malformedRead(members(func(o *object) {
			o.add("signatures", []object{})
		}))},
		{"R8555-6.2-5", "unprotected-header", malformedRead(members(func(o *object) {
			o.add("header", object{{"x", "y"}})
		}))},
		{"R8555-6.2-5", "empty-unprotected-header", malformedRead(members(func(o *object) {
			o.add("header", object{})
		}))},
		{"R8555-6.2-5", "kid-moved-to-the-unprotected-header", func(t *T) {
			var kid any
			t.read(func(m *message) {
				m.header = func(h *object) { kid = h.value("kid"); h.remove("kid") }
				m.members = func(o *object) { o.add("header", object{{"kid", kid}}) }
			}).refused(400, "malformed")
		}},
		{"R8555-6.2-5", "nonce-in-the-unprotected-header", func(t *T) {
			var nonce any
			t.read(func(m *message) {
				m.once = true
				m.header = func(h *object) { nonce = h.value("nonce"); h.remove("nonce") }
				m.members = func(o *object) { o.add("header", object{{"nonce", nonce}}) }
			}).refused(400, "malformed")
		}},
		{"R8555-6.2-6", "payload-is-missing", malformedRead(members(func(o *object) { o.remove("payload") }))},
		{"R8555-6.2-6", "payload-is-null", malformedRead(members(func(o *object) { o.set("payload", nil) }))},
		{"R8555-6.2-6", "payload-is-an-object", malformedRead(members(func(o *object) { o.set("payload", object{}) }))},
		{"R8555-6.2-7", "protected-is-missing", malformedRead(members(func(o *object) { o.remove("protected") }))},
		{"R8555-6.2-7", "protected-is-empty", malformedRead(members(func(o *object) { o.set("protected", "") }))},
		{"R8555-6.2-7", "payload-twice", malformedRead(members(func(o *object) { o.add("payload", o.value("payload")) }))},
		{"R8555-6.2-7", "member-name-in-capitals", malformedRead(members(func(o *object) {
			for i := range *o {
				(*o)[i].name = strings.ToUpper((*o)[i].name)
			}
		}))},
		{"R8555-6.1-6", "padded-protected", malformedRead(func(m *message) {
			// The header is made longer until its text would carry padding.
			m.header = func(h *object) {
				for text, _ := json.Marshal(h); len(text)%3 == 0; text, _ = json.Marshal(h) {
					h.set("pad", strings.Repeat("x", len(text)%7+1))
				}
			}
			m.protectedText = pad
		})},
		{"R8555-6.1-6", "padded-payload", func(t *T) {
			a := t.newAccount()
			m := a.message(a.ep.dir.NewOrder, []byte(`{"identifiers":[] }`))
			if len(m.payload)%3 == 0 {
				m.payload = append(m.payload, ' ')
			}
			m.payloadText = pad
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.1-6", "padded-signature", malformedRead(func(m *message) { m.signatureText = pad })},
		{"R8555-6.1-6", "signature-in-the-standard-alphabet", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			// Most signatures hold one of the two letters that differ; sign until one does.
			for range 20 {
				changed := false
				m.signatureText = func(s string) string {
					out := strings.NewReplacer("-", "+", "_", "/").Replace(s)
					changed = out != s
					return out
				}
				resp := t.send(a.ep, m)
				if changed {
					resp.refused(400, "malformed")
					return
				}
			}
			t.Fatalf("20 signatures without - or _")
		}},
		{"R8555-6.1-6", "signature-with-a-line-break", malformedRead(func(m *message) {
			m.signatureText = func(s string) string { return s[:20] + "\n" + s[20:] }
		})},
		{"R8555-6.1-6", "signature-with-trailing-bits", malformedRead(func(m *message) { m.signatureText = trailingBits })},
	}
}

// pad completes a text to a multiple of four, as ordinary base64 would.
func pad(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }

// trailingBits sets a bit in the last letter that encodes nothing: a lenient
// decoder reads the same octets from a different text.
func trailingBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(s)%4 == 0 {
		return s
	}
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last^1])
}

// headerCases is about the members of the protected header.
func headerCases() []Case {
	cases := []Case{
		{"R8555-6.2-7", "header-is-not-json", malformedRead(func(m *message) {
			m.protectedText = func(string) string { return b64([]byte("hello")) }
		})},
		{"R8555-6.2-7", "header-is-an-array", malformedRead(func(m *message) {
			m.protectedText = func(string) string { return b64([]byte("[]")) }
		})},
		{"R8555-6.2-7", "no-alg", malformedRead(header(func(h *object) { h.remove("alg") }))},
		{"R8555-6.2-7", "alg-is-a-number", malformedRead(header(func(h *object) { h.set("alg", 256) }))},
		{"R8555-6.2-7", "neither-jwk-nor-kid", malformedRead(header(func(h *object) { h.remove("kid") }))},
		{"R8555-6.2-7", "nonce-is-a-number", malformedRead(header(func(h *object) { h.set("nonce", 42) }))},
		{"R8555-6.2-7", "alg-twice", malformedRead(header(func(h *object) { h.add("alg", h.value("alg")) }))},
		{"R8555-6.2-7", "url-twice", malformedRead(header(func(h *object) { h.add("url", h.value("url")) }))},
		{"R8555-6.2-7", "nonce-twice", malformedRead(header(func(h *object) { h.add("nonce", h.value("nonce")) }))},
		{"R8555-6.2-4", "b64-false", malformedRead(header(func(h *object) { h.add("b64", false) }))},
		{"R8555-6.2-4", "b64-false-listed-in-crit", malformedRead(header(func(h *object) {
			h.add("b64", false)
			h.add("crit", []string{"b64"})
		}))},
		{"R8555-6.2-4", "b64-true-listed-in-crit", malformedRead(header(func(h *object) {
			h.add("b64", true)
			h.add("crit", []string{"b64"})
		}))},
		{"R8555-6.2-4", "unencoded-payload", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, []byte(`{"status":"deactivated"}`))
			m.header = func(h *object) { h.add("b64", false); h.add("crit", []string{"b64"}) }
			m.payloadText = func(string) string { return string(m.payload) }
			t.send(a.ep, m).refused(400, "malformed")
			a.read(a.url).want(200)
		}},
		{"R8555-6.2-7", "crit-with-an-unknown-name", malformedRead(header(func(h *object) {
			h.add("x-acmetest", 1)
			h.add("crit", []string{"x-acmetest"})
		}))},
		{"R8555-6.2-7", "crit-is-empty", malformedRead(header(func(h *object) { h.add("crit", []string{}) }))},
		{"R8555-6.2-7", "unknown-header-is-ignored", func(t *T) {
			t.read(func(m *message) { m.header = func(h *object) { h.add("x-acmetest", 1) } }).want(200)
		}},
		{"R8555-6.4-1", "url-of-another-resource", func(t *T) {
			t.read(func(m *message) {
				m.header = func(h *object) { h.set("url", t.suite.main.dir.NewOrder) }
			}).refused(403, "unauthorized")
		}},
		{"R8555-6.4-1", "url-with-a-query", func(t *T) {
			t.read(func(m *message) {
				m.header = func(h *object) { h.set("url", m.url+"?a=b") }
			}).refused(403, "unauthorized")
		}},
		{"R8555-6.4-2", "url-with-a-host-in-capitals", func(t *T) {
			t.read(func(m *message) {
				m.header = func(h *object) { h.set("url", strings.Replace(m.url, "https://", "HTTPS://", 1)) }
			}).refused(403, "unauthorized")
		}},
		{"R8555-6.4-1", "url-of-another-host", func(t *T) {
			t.read(func(m *message) {
				m.header = func(h *object) { h.set("url", "https://elsewhere.acmetest.net/"+m.url[len("https://"):]) }
			}).refused(403, "unauthorized")
		}},
		{"R8555-6.4-3", "url-is-missing", malformedRead(header(func(h *object) { h.remove("url") }))},
		{"R8555-6.4-3", "url-is-empty", malformedRead(header(func(h *object) { h.set("url", "") }))},
		{"R8555-6.4-3", "url-is-a-number", malformedRead(header(func(h *object) { h.set("url", 1) }))},
		{"R8555-6.2-11", "jwk-and-kid", func(t *T) {
			t.read(func(m *message) {
				m.header = func(h *object) { h.add("jwk", m.key.jwk) }
			}).refused(400, "malformed")
		}},
		{"R8555-6.2-11", "jwk-and-kid-at-new-account", func(t *T) {
			a := t.newAccount()
			m := t.newAccountMessage(a.ep, a.key, t.accountRequest(a.ep, a.key))
			m.header = func(h *object) { h.add("kid", a.url) }
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.2-12", "kid-at-new-account", func(t *T) {
			a := t.newAccount()
			a.post(a.ep.dir.NewAccount, t.accountRequest(a.ep, a.key)).refused(400, "malformed")
		}},
		{"R8555-6.2-13", "jwk-at-new-order", func(t *T) {
			a := t.newAccount()
			m := a.message(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}})
			m.kid = ""
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.2-13", "jwk-at-account", malformedRead(func(m *message) { m.kid = "" })},
		{"R8555-6.2-13", "kid-of-an-unknown-account", func(t *T) {
			t.read(func(m *message) { m.kid = unknownSibling(m.kid) }).refused(400, "accountDoesNotExist")
		}},
		{"R8555-6.2-1", "kid-of-another-account", func(t *T) {
			other := t.newAccount()
			t.read(func(m *message) { m.kid = other.url }).refused(400, "malformed")
		}},
	}
	wrongKIDs := map[string]func(string) any{
		"with-a-foreign-prefix": func(string) any { return "https://elsewhere.acmetest.net/account/1" },
		"that-is-only-an-id":    func(u string) any { return u[strings.LastIndex(u, "/")+1:] },
		"that-is-empty":         func(string) any { return "" },
		"that-is-a-number":      func(string) any { return 1 },
		"of-another-resource":   func(u string) any { return u[:strings.LastIndex(u, "/")] },
	}
	for _, name := range slices.Sorted(maps.Keys(wrongKIDs)) {
		cases = append(cases, Case{"R8555-6.2-13", "kid-" + name, func(t *T) {
			t.read(func(m *message) {
				m.header = func(h *object) { h.set("kid", wrongKIDs[name](m.kid)) }
			}).refused(400, "malformed")
		}})
	}
	similarKIDs := map[string]func(string) string{
		"with-a-trailing-slash": func(u string) string { return u + "/" },
		"with-a-query":          func(u string) string { return u + "?a=b" },
		"with-a-fragment":       func(u string) string { return u + "#a" },
		"over-http":             func(u string) string { return strings.Replace(u, "https:", "http:", 1) },
	}
	for _, name := range slices.Sorted(maps.Keys(similarKIDs)) {
		// The URL is compared as issued; which of the two types fits is open.
		cases = append(cases, Case{"R8555-6.2-13", "kid-" + name, func(t *T) {
			t.read(func(m *message) { m.kid = similarKIDs[name](m.kid) }).refused(400, "malformed", "accountDoesNotExist")
		}})
	}
	return cases
}
