package jws_test

import (
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/jws"
)

const newAccountURL = "https://ca.example/acme/new-account"

var macKey = []byte("0123456789abcdef0123456789abcdef")

// R8555-7.3.4-2 to -8
func TestBinding(t *testing.T) {
	t.Parallel()
	signer, stranger := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	outer := mustVerify(t, sign(t, signer, byJWK(t, signer, headers{"url": newAccountURL}), "{}"), nil)
	own := string(marshal(t, publicJWK(t, signer.Public())))
	header := func(changes headers) headers {
		h := headers{"alg": "HS256", "kid": "member-7", "url": newAccountURL}
		maps.Copy(h, changes)
		for name, value := range changes {
			if value == nil {
				delete(h, name)
			}
		}
		return h
	}
	made := func(changes headers) []byte { return signMAC(t, crypto.SHA256, macKey, header(changes), own) }
	with := func(name string, value any) []byte {
		return rewrite(t, made(nil), func(m map[string]any) { m[name] = value })
	}
	unknown := acme.UnknownExternalKey()
	tests := []struct {
		id, name   string
		raw        []byte
		key        []byte
		wantType   acme.ProblemType
		wantStatus int
	}{
		{"R8555-7.3.4-3", "HS256", made(nil), macKey, "", 0},
		{"R8555-7.3.4-3", "HS384", signMAC(t, crypto.SHA384, macKey, header(headers{"alg": "HS384"}), own), macKey, "", 0},
		{"R8555-7.3.4-3", "HS512 with a key of 32 bytes", signMAC(t, crypto.SHA512, macKey, header(headers{"alg": "HS512"}), own), macKey, "", 0},
		// C-XR-8: secrets may be plain text, shorter than the hash.
		{"R8555-7.3.4-7", "short key", signMAC(t, crypto.SHA256, []byte("short"), header(nil), own), []byte("short"), "", 0},
		{"R8555-7.3.4-2", "not an object", []byte(`"e30.e30.AAAA"`), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-2", "null", []byte(`null`), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-2", "signatures", with("signatures", []any{}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-2", "header", with("header", map[string]any{}), macKey, acme.Malformed, 400},
		{"R8555-6.1-6", "padding", with("signature", "AAA="), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-3", "asymmetric", sign(t, signer, header(headers{"alg": "ES256"}), own), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-3", "none", made(headers{"alg": "none"}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-3", "no alg", made(headers{"alg": nil}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-4", "no kid", made(headers{"kid": nil}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-4", "kid is not ASCII", made(headers{"kid": "mémber"}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-4", "jwk instead", made(headers{"kid": nil, "jwk": publicJWK(t, signer.Public())}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-4", "jwk as well", made(headers{"jwk": publicJWK(t, signer.Public())}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-5", "nonce", made(headers{"nonce": aNonce}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-5", "empty nonce", made(headers{"nonce": ""}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-6", "no url", made(headers{"url": nil}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-6", "another url", made(headers{"url": newAccountURL + "/"}), macKey, acme.Malformed, 400},
		{"R8555-6.2-4", "b64", made(headers{"b64": false}), macKey, acme.Malformed, 400},
		{"R8555-7.3.4-7", "another MAC key", made(nil), []byte("another key"), acme.Unauthorized, 403},
		{"R8555-7.3.4-11", "no such key", made(nil), nil, acme.Unauthorized, 403},
		{"R8555-7.3.4-11", "no such key, MAC with the empty key", signMAC(t, crypto.SHA256, nil, header(nil), own), nil, acme.Unauthorized, 403},
		{"R8555-7.3.4-7", "truncated MAC", with("signature", encode([]byte("short"))), macKey, acme.Unauthorized, 403},
		{"R8555-7.3.4-7", "MAC of another hash", signMAC(t, crypto.SHA512, macKey, header(nil), own), macKey, acme.Unauthorized, 403},
		{"R8555-7.3.4-7", "changed payload", with("payload", encode(marshal(t, publicJWK(t, stranger.Public())))), macKey, acme.Unauthorized, 403},
		{"R8555-7.3.4-8", "key of somebody else", signMAC(t, crypto.SHA256, macKey, header(nil), string(marshal(t, publicJWK(t, stranger.Public())))), macKey, acme.Unauthorized, 403},
		{"R8555-7.3.4-8", "key of an unknown type", signMAC(t, crypto.SHA256, macKey, header(nil), `{"kty":"AKP"}`), macKey, acme.Unauthorized, 403},
		{"R8555-7.3.4-8", "no key", signMAC(t, crypto.SHA256, macKey, header(nil), ""), macKey, acme.Malformed, 400},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			b, p := jws.ParseBinding(tt.raw, outer)
			if p == nil {
				if b.KeyID() != "member-7" {
					t.Errorf("kid %q", b.KeyID())
				}
				p = b.Verify(tt.key)
			}
			switch {
			case tt.wantType == "" && p != nil:
				t.Fatalf("refused: %v", p)
			case tt.wantType == "":
			case p == nil:
				t.Fatalf("accepted, want %s", tt.wantType)
			case p.Type != tt.wantType || p.Status != tt.wantStatus:
				t.Fatalf("got %d %v, want %d %s", p.Status, p, tt.wantStatus, tt.wantType)
			// One text for all, or a stranger could find out which keys exist.
			case (tt.id == "R8555-7.3.4-7" || tt.id == "R8555-7.3.4-11") && !reflect.DeepEqual(p, unknown):
				t.Fatalf("got %+v, want %+v", p, unknown)
			}
		})
	}
}

// R8555-7.3.5-2 to -9 and -11
func TestKeyChange(t *testing.T) {
	t.Parallel()
	const url = "https://ca.example/acme/key-change"
	current, next, stranger := newRSA(t), newEC(t, elliptic.P384()), newEC(t, elliptic.P256())
	oldJWK := publicJWK(t, current.Public())
	innerHeader := func(signer crypto.Signer, changes headers) headers {
		h := headers{"jwk": publicJWK(t, signer.Public()), "url": url}
		maps.Copy(h, changes)
		return h
	}
	payload := func(changes map[string]any) string {
		m := map[string]any{"account": accountURL, "oldKey": oldJWK}
		maps.Copy(m, changes)
		for name, value := range changes {
			if value == nil {
				delete(m, name)
			}
		}
		return string(marshal(t, m))
	}
	good := sign(t, next, innerHeader(next, nil), payload(nil))
	tests := []struct {
		id, name string
		inner    []byte
		want     acme.ProblemType
	}{
		{"R8555-7.3.5-2", "good", good, ""},
		{"R8555-7.3.5-2", "empty", nil, acme.Malformed},
		{"R8555-7.3.5-2", "no JWS", []byte(payload(nil)), acme.Malformed},
		{"R8555-7.3.5-2", "unprotected header", rewrite(t, good, func(m map[string]any) { m["header"] = 1 }), acme.Malformed},
		{"R8555-7.3.5-3", "kid", sign(t, next, innerHeader(next, headers{"jwk": nil, "kid": accountURL}), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-3", "jwk and kid", sign(t, next, innerHeader(next, headers{"kid": accountURL}), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-4", "signed with another key", sign(t, newEC(t, elliptic.P384()), innerHeader(next, nil), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-4", "changed payload", rewrite(t, good, func(m map[string]any) { m["payload"] = encode([]byte("{}")) }), acme.Malformed},
		{"R8555-7.3.5-4", "MAC", signMAC(t, crypto.SHA256, macKey, innerHeader(next, headers{"alg": "HS256"}), payload(nil)), acme.BadSignatureAlgorithm},
		{"R8555-7.3.5-4", "alg does not suit", sign(t, next, innerHeader(next, headers{"alg": "ES256"}), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-11", "new key of an unknown type", sign(t, next, innerHeader(next, headers{"jwk": map[string]any{"kty": "AKP"}}), payload(nil)), acme.BadPublicKey},
		{"R8555-7.3.5-5", "payload is no object", sign(t, next, innerHeader(next, nil), `[]`), acme.Malformed},
		{"R8555-7.3.5-5", "no payload", sign(t, next, innerHeader(next, nil), ""), acme.Malformed},
		{"R8555-7.3.5-5", "no account", sign(t, next, innerHeader(next, nil), payload(map[string]any{"account": nil})), acme.Malformed},
		{"R8555-7.3.5-5", "no oldKey", sign(t, next, innerHeader(next, nil), payload(map[string]any{"oldKey": nil})), acme.Malformed},
		{"R8555-7.3.5-5", "oldKey is null", sign(t, next, innerHeader(next, nil), payload(map[string]any{"oldKey": json.RawMessage("null")})), acme.Malformed},
		{"R8555-7.3.5-5", "oldKey of an unknown type", sign(t, next, innerHeader(next, nil), payload(map[string]any{"oldKey": map[string]any{"kty": "AKP"}})), acme.Malformed},
		{"R8555-7.3.5-6", "no url", sign(t, next, innerHeader(next, headers{"url": nil}), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-6", "another url", sign(t, next, innerHeader(next, headers{"url": orderURL}), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-7", "nonce", sign(t, next, innerHeader(next, headers{"nonce": aNonce}), payload(nil)), acme.Malformed},
		{"R8555-7.3.5-8", "another account", sign(t, next, innerHeader(next, nil), payload(map[string]any{"account": accountURL + "0"})), acme.Malformed},
		{"R8555-7.3.5-9", "another old key", sign(t, next, innerHeader(next, nil), payload(map[string]any{"oldKey": publicJWK(t, stranger.Public())})), acme.Malformed},
		{"R8555-7.3.5-11", "new key is the old key", sign(t, current, innerHeader(current, nil), payload(nil)), acme.Malformed},
		{"SP-5", "account twice", sign(t, next, innerHeader(next, nil), `{"account":"x",`+payload(nil)[1:]), acme.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			outer := mustVerify(t, sign(t, current, byKeyID(headers{"url": url}), string(tt.inner)), keyOf(t, current))
			c, p := jws.ParseKeyChange(outer)
			expect(t, p, tt.want)
			if p != nil {
				if c != (jws.KeyChange{}) {
					t.Errorf("a refused change gave %+v", c)
				}
				return
			}
			if c.Account != accountURL || c.OldKey != outer.Key() || c.NewKey.Hash != keyOf(t, next).Hash {
				t.Errorf("read %+v", c)
			}
		})
	}
	t.Run("R8555-7.3.5-1 outer by jwk", func(t *testing.T) {
		t.Parallel()
		outer := mustVerify(t, sign(t, current, byJWK(t, current, headers{"url": url}), string(good)), nil)
		_, p := jws.ParseKeyChange(outer)
		expect(t, p, acme.Malformed)
		if p.Status != http.StatusBadRequest {
			t.Errorf("status %d", p.Status)
		}
	})
}
