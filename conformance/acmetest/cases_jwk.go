package acmetest

import (
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
)

// signatureCases is about what signs a request.
func signatureCases() []Case {
	return []Case{
		{"R8555-6.2-1", "signature-with-a-flipped-bit", malformedRead(func(m *message) { m.signature = flip })},
		{"R8555-6.2-1", "signature-of-another-key", func(t *T) {
			stranger := t.newKey()
			t.read(func(m *message) { m.key = stranger }).refused(400, "malformed")
		}},
		{"R8555-6.2-1", "signature-is-empty", malformedRead(func(m *message) {
			m.signature = func([]byte) []byte { return nil }
		})},
		{"R8555-6.2-1", "signature-is-missing", malformedRead(members(func(o *object) { o.remove("signature") }))},
		{"R8555-6.2-1", "signature-is-cut-short", malformedRead(func(m *message) {
			m.signature = func(b []byte) []byte { return b[:len(b)-1] }
		})},
		{"R8555-6.2-1", "signature-is-longer", malformedRead(func(m *message) {
			m.signature = func(b []byte) []byte { return append(b, 0) }
		})},
		{"R8555-6.2-1", "signature-of-zeros", malformedRead(func(m *message) {
			m.signature = func(b []byte) []byte { return make([]byte, len(b)) }
		})},
		{"R8555-6.2-1", "signature-over-other-text", malformedRead(func(m *message) {
			m.signInput = func(b []byte) []byte { return append(slices.Clone(b), '.') }
		})},
		{"R8555-6.2-1", "payload-changed-after-signing", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.members = func(o *object) { o.set("payload", b64([]byte(`{"status":"deactivated"}`))) }
			t.send(a.ep, m).refused(400, "malformed")
			a.read(a.url).want(200)
		}},
		{"R8555-6.2-21", "ecdsa-signature-in-der", malformedRead(func(m *message) {
			m.signature = func(b []byte) []byte {
				der, err := asn1.Marshal(struct{ R, S *big.Int }{
					new(big.Int).SetBytes(b[:len(b)/2]), new(big.Int).SetBytes(b[len(b)/2:]),
				})
				if err != nil {
					panic(err) // two integers
				}
				return der
			}
		})},
		{"R8555-6.2-21", "ecdsa-signature-without-a-leading-zero", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.signature = func(b []byte) []byte { return b[1:] }
			m.key = a.key.signingUntil(func(sig []byte) bool { return sig[0] == 0 })
			t.send(a.ep, m).refused(400, "malformed")
		}},
		{"R8555-6.2-21", "ecdsa-signature-with-a-leading-zero-is-fine", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.key = a.key.signingUntil(func(sig []byte) bool { return sig[0] == 0 })
			t.send(a.ep, m).want(200)
		}},
		{"R8555-6.2-8", "alg-none", algorithmRefused(func(m *message) {
			m.header = func(h *object) { h.set("alg", "none") }
			m.signature = func([]byte) []byte { return nil }
		})},
		{"R8555-6.2-8", "alg-none-with-a-signature", algorithmRefused(func(m *message) {
			m.header = func(h *object) { h.set("alg", "none") }
		})},
		{"R8555-6.2-8", "alg-none-in-capitals", algorithmRefused(func(m *message) {
			m.header = func(h *object) { h.set("alg", "NONE") }
			m.signature = func([]byte) []byte { return nil }
		})},
		{"R8555-6.2-8", "alg-hs256-keyed-with-the-public-key", func(t *T) {
			a := t.newAccount()
			m := a.message(a.url, nil)
			m.key = hmacKey("HS256", []byte(a.key.thumbprint()))
			wantAlgorithms(t.send(a.ep, m))
		}},
		{"R8555-6.2-8", "alg-hs512-at-new-account", func(t *T) {
			k := hmacKey("HS512", []byte(strings.Repeat("k", 64)))
			wantAlgorithms(t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, t.accountRequest(t.suite.main, k))))
		}},
		{"R8555-6.2-14", "alg-unknown", algorithmRefused(func(m *message) {
			m.header = func(h *object) { h.set("alg", "XX999") }
		})},
		{"R8555-6.2-14", "alg-in-lower-case", algorithmRefused(func(m *message) {
			m.header = func(h *object) { h.set("alg", "es256") }
		})},
		{"R8555-6.2-14", "alg-rsa1-5-of-encryption", algorithmRefused(func(m *message) {
			m.header = func(h *object) { h.set("alg", "RSA1_5") }
		})},
		{"R8555-6.2-17", "rs256-with-an-ec-key", malformedRead(func(m *message) {
			m.header = func(h *object) { h.set("alg", "RS256") }
		})},
		{"R8555-6.2-17", "es384-with-a-p256-key", malformedRead(func(m *message) {
			m.header = func(h *object) { h.set("alg", "ES384") }
		})},
		{"R8555-6.2-17", "es256-with-an-rsa-key", func(t *T) {
			k := *t.sharedRSAKey()
			k.alg = "ES256"
			t.send(t.suite.main, t.newAccountMessage(t.suite.main, &k, t.accountRequest(t.suite.main, &k))).refused(400, "malformed")
		}},
		{"R8555-6.2-9", "es256-account", func(t *T) { t.accountWorks(t.newKey()) }},
		{"R8555-6.2-9", "es384-account", func(t *T) { t.accountWorks(t.newECKey(elliptic.P384())) }},
		{"R8555-6.2-9", "es512-account", func(t *T) { t.accountWorks(t.newECKey(elliptic.P521())) }},
		{"R8555-6.2-9", "rs256-account", func(t *T) { t.accountWorks(t.newRSAKey(2048)) }},
		{"R8555-6.2-10", "eddsa-account", func(t *T) { t.accountWorks(t.newEd25519Key()) }},
	}
}

// signingUntil signs until the signature is of the wanted kind.
func (k *key) signingUntil(wanted func([]byte) bool) *key {
	changed := *k
	changed.sign = func(input []byte) []byte {
		for {
			if sig := k.sign(input); wanted(sig) {
				return sig
			}
		}
	}
	return &changed
}

func (t *T) accountWorks(k *key) {
	a := t.newAccountWith(k)
	a.read(a.url).want(200)
}

// algorithmRefused is R8555-6.2-14: the refusal lists what would be accepted.
func algorithmRefused(bend func(*message)) func(*T) {
	return func(t *T) { wantAlgorithms(t.read(bend)) }
}

func wantAlgorithms(resp *response) {
	p := resp.refused(400, "badSignatureAlgorithm")
	if !slices.Contains(p.Algorithms, "ES256") {
		resp.fail("algorithms is %q, want a list with at least ES256 (R8555-6.2-14)", p.Algorithms)
	}
}

// jwkCases is about the key a newAccount brings along.
func jwkCases() []Case {
	// refused posts a newAccount whose jwk is as given, signed by k.
	refused := func(t *T, k *key, types ...string) {
		t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, t.accountRequest(t.suite.main, k))).refused(400, types...)
	}
	// shown signs with an ordinary key and shows jwk instead.
	shown := func(jwk any, types ...string) func(*T) {
		return func(t *T) {
			m := t.newAccountMessage(t.suite.main, t.newKey(), object{{"termsOfServiceAgreed", true}})
			m.header = func(h *object) { h.set("jwk", jwk) }
			t.send(t.suite.main, m).refused(400, types...)
		}
	}
	return []Case{
		{"R8555-6.2-12", "jwk-is-null", shown(nil, "malformed")},
		{"R8555-6.2-12", "jwk-is-a-string", shown("key", "malformed")},
		{"R8555-6.2-12", "jwk-is-empty", shown(object{}, "malformed", "badPublicKey")},
		{"R8555-6.2-12", "jwk-of-another-key", func(t *T) {
			m := t.newAccountMessage(t.suite.main, t.newKey(), object{{"termsOfServiceAgreed", true}})
			m.header = func(h *object) { h.set("jwk", t.newKey().jwk) }
			t.send(t.suite.main, m).refused(400, "malformed")
		}},
		{"R8555-6.2-18", "jwk-is-private", func(t *T) {
			k := t.newKey()
			refused(t, k.with("d", b64(make([]byte, 31))), "malformed")
		}},
		{"R8555-6.2-18", "jwk-is-private-and-complete", func(t *T) {
			k := t.newKey()
			refused(t, k.with("d", k.privateScalar(t)), "malformed")
		}},
		{"R8555-6.2-18", "jwk-is-symmetric", shown(object{{"kty", "oct"}, {"k", b64([]byte("0123456789abcdef0123456789abcdef"))}}, "malformed", "badPublicKey")},
		{"R8555-6.2-21", "jwk-alg-disagrees", func(t *T) { refused(t, t.newKey().with("alg", "ES384"), "malformed") }},
		{"R8555-6.2-21", "jwk-alg-agrees", func(t *T) {
			k := t.newKey().with("alg", "ES256")
			t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, t.accountRequest(t.suite.main, t.plain(k)))).want(201)
		}},
		{"R8555-6.2-15", "rsa-1024", func(t *T) { refused(t, t.newRSAKey(1024), "badPublicKey") }},
		{"R8555-6.2-15", "curve-p224", func(t *T) {
			k := t.newECKey(elliptic.P224())
			refused(t, k, "badPublicKey")
		}},
		{"R8555-6.2-15", "curve-unknown", func(t *T) { refused(t, t.newKey().with("crv", "P-999"), "badPublicKey") }},
		{"R8555-6.2-15", "key-type-unknown", func(t *T) { refused(t, t.newKey().with("kty", "XY"), "badPublicKey") }},
		{"R8555-6.2-15", "point-not-on-the-curve", func(t *T) {
			k := t.newKey()
			refused(t, k.with("y", k.jwk["x"]), "badPublicKey")
		}},
		{"R8555-6.2-15", "rsa-exponent-one", func(t *T) {
			refused(t, t.sharedRSAKey().with("e", b64([]byte{1})), "badPublicKey")
		}},
		{"R8555-6.1-6", "coordinate-with-padding", func(t *T) {
			k := t.newKey()
			refused(t, k.with("x", pad(k.jwk["x"].(string))), "malformed", "badPublicKey")
		}},
		{"R8555-6.2-15", "coordinate-too-short", func(t *T) {
			k := t.newKey()
			x := k.jwk["x"].(string)
			refused(t, k.with("x", x[:20]), "malformed", "badPublicKey")
		}},
	}
}

// plain is the key without members that are no part of its thumbprint.
func (t *T) plain(k *key) *key {
	changed := *k
	changed.jwk = map[string]any{}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if v, ok := k.jwk[name]; ok {
			changed.jwk[name] = v
		}
	}
	return &changed
}

// payloadCases is about the payload as JSON, before it means anything.
func payloadCases() []Case {
	order := func(payload func(t *T) string) func(*T) {
		return func(t *T) {
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, []byte(payload(t))).refused(400, "malformed")
		}
	}
	fixed := func(payload string) func(*T) { return order(func(*T) string { return payload }) }
	return []Case{
		{"R8555-6.2-1", "payload-is-not-json", fixed("hello")},
		{"R8555-6.2-1", "payload-is-an-array", fixed("[]")},
		{"R8555-6.2-1", "payload-is-a-string", fixed(`"order"`)},
		{"R8555-6.2-1", "payload-is-null", fixed("null")},
		{"R8555-6.2-1", "payload-is-cut-short", fixed(`{"identifiers":[`)},
		{"R8555-6.2-1", "payload-goes-on-after-the-object", order(func(t *T) string {
			return `{"identifiers":[{"type":"dns","value":"` + t.newName() + `"}]} {}`
		})},
		{"R8555-6.2-1", "payload-names-a-member-twice", order(func(t *T) string {
			ids := `"identifiers":[{"type":"dns","value":"` + t.newName() + `"}]`
			return "{" + ids + "," + ids + "}"
		})},
		{"R8555-6.2-1", "payload-is-nested-too-deep", order(func(t *T) string {
			return `{"identifiers":[{"type":"dns","value":"` + t.newName() + `"}],"x":` +
				strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}"
		})},
		{"R8555-5-1", "payload-is-not-utf-8", order(func(t *T) string {
			return `{"identifiers":[{"type":"dns","value":"` + t.newName() + "\"}],\"x\":\"\xff\xfe\"}"
		})},
		{"R8555-6.3-2", "new-order-as-post-as-get", func(t *T) {
			a := t.newAccount()
			a.read(a.ep.dir.NewOrder).refused(400, "malformed")
		}},
		{"R8555-6.3-2", "new-account-as-post-as-get", func(t *T) {
			t.send(t.suite.main, t.newAccountMessage(t.suite.main, t.newKey(), nil)).refused(400, "malformed")
		}},
		{"R8555-6.3-2", "key-change-as-post-as-get", func(t *T) {
			a := t.newAccount()
			a.read(a.ep.dir.KeyChange).refused(400, "malformed")
		}},
		{"R8555-6.3-2", "revoke-as-post-as-get", func(t *T) {
			a := t.newAccount()
			a.read(a.ep.dir.RevokeCert).refused(400, "malformed")
		}},
		{"R8555-6.3-2", "finalize-as-post-as-get", func(t *T) {
			o := t.ready()
			o.acct.read(o.obj.Finalize).refused(400, "malformed")
		}},
	}
}
