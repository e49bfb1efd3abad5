package jws_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/jws"
)

const (
	accountURL = "https://ca.example/acme/account/1"
	orderURL   = "https://ca.example/acme/new-order"
	aNonce     = "q83vEjRWeJA"
)

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyOf(t testing.TB, signer crypto.Signer) *jws.Key {
	t.Helper()
	k, p := jws.NewKey(signer.Public())
	if p != nil {
		t.Fatal(p)
	}
	return k
}

// byKeyID is the header of an ordinary request.
func byKeyID(changes headers) headers {
	h := headers{"kid": accountURL, "nonce": aNonce, "url": orderURL}
	maps.Copy(h, changes)
	return h
}

// byJWK is the header of a newAccount request.
func byJWK(t testing.TB, signer crypto.Signer, changes headers) headers {
	h := headers{"jwk": publicJWK(t, signer.Public()), "nonce": aNonce, "url": orderURL}
	maps.Copy(h, changes)
	return h
}

// rewrite changes the outer object of a request.
func rewrite(t testing.TB, body []byte, change func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	return marshal(t, m)
}

// expect compares a problem with the checklist's type; all of these are 400
// (A.22, column "Us").
func expect(t *testing.T, p *acme.Problem, want acme.ProblemType) {
	t.Helper()
	switch {
	case want == "" && p != nil:
		t.Fatalf("refused: %v", p)
	case want == "":
	case p == nil:
		t.Fatalf("accepted, want %s", want)
	case p.Type != want || p.Status != http.StatusBadRequest:
		t.Fatalf("got %d %v, want 400 %s", p.Status, p, want)
	case p.Detail == "":
		t.Fatal("the problem has no detail")
	case want == acme.BadSignatureAlgorithm && !slices.Equal(p.Algorithms, jws.Algorithms()):
		t.Fatalf("algorithms %v, want %v", p.Algorithms, jws.Algorithms())
	}
}

// EK-11, R8555-6.2-9, -10: every key type, named and brought along.
func TestGoodRequests(t *testing.T) {
	t.Parallel()
	signers := map[string]crypto.Signer{
		"RS256": newRSA(t),
		"ES256": newEC(t, elliptic.P256()),
		"ES384": newEC(t, elliptic.P384()),
		"ES512": newEC(t, elliptic.P521()),
		"EdDSA": newEd25519(t),
	}
	for alg, signer := range signers {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			const payload = `{"identifiers":[]}`
			key := keyOf(t, signer)
			stored, err := jws.ParseSPKI(key.SPKI, key.Thumbprint)
			if err != nil {
				t.Fatal(err)
			}
			m, p := jws.Parse(sign(t, signer, byKeyID(nil), payload))
			expect(t, p, "")
			if m.Alg() != alg || m.KeyID() != accountURL || m.Key() != nil || m.Nonce() != aNonce || m.URL() != orderURL {
				t.Errorf("read %q %q %v %q %q", m.Alg(), m.KeyID(), m.Key(), m.Nonce(), m.URL())
			}
			v, p := m.Verify(stored)
			expect(t, p, "")
			if string(v.Payload()) != payload || v.Key() != stored || v.KeyID() != accountURL || v.BroughtKey() || v.PostAsGet() || v.URL() != orderURL || v.Nonce() != aNonce {
				t.Errorf("verified %+v", v)
			}

			m, p = jws.Parse(sign(t, signer, byJWK(t, signer, nil), payload))
			expect(t, p, "")
			if m.KeyID() != "" || m.Key() == nil || m.Key().Hash != key.Hash || m.Key().Thumbprint != key.Thumbprint || !bytes.Equal(m.Key().SPKI, key.SPKI) {
				t.Errorf("key %+v, want %+v", m.Key(), key)
			}
			v, p = m.Verify(m.Key())
			expect(t, p, "")
			if !v.BroughtKey() || v.KeyID() != "" {
				t.Errorf("verified %+v", v)
			}
		})
	}
}

// R8555-6.3-2, -4: a payload of zero octets, and only that.
func TestPostAsGet(t *testing.T) {
	t.Parallel()
	signer := newEd25519(t)
	for payload, want := range map[string]bool{"": true, "{}": false} {
		v := mustVerify(t, sign(t, signer, byKeyID(nil), payload), keyOf(t, signer))
		if v.PostAsGet() != want {
			t.Errorf("payload %q: PostAsGet is %v", payload, v.PostAsGet())
		}
	}
}

// The serialization (A.2, A.22).
func TestParseShape(t *testing.T) {
	t.Parallel()
	signer := newEC(t, elliptic.P256())
	good := sign(t, signer, byKeyID(nil), "{}")
	with := func(name string, value any) []byte {
		return rewrite(t, good, func(m map[string]any) { m[name] = value })
	}
	without := func(name string) []byte {
		return rewrite(t, good, func(m map[string]any) { delete(m, name) })
	}
	var parts map[string]string
	if err := json.Unmarshal(good, &parts); err != nil {
		t.Fatal(err)
	}
	end := func(extra string) []byte { return append(good[:len(good)-1:len(good)-1], extra...) }
	tests := []struct {
		id, name string
		body     []byte
		want     acme.ProblemType
	}{
		{"R8555-6.2-2", "good", good, ""},
		{"R8555-6.2-2", "white space around", []byte(" \r\n" + string(good) + "\t\n"), ""},
		{"A.22", "no body", nil, acme.Malformed},
		{"A.22", "not JSON", []byte("hello"), acme.Malformed},
		{"A.22", "array", []byte("[" + string(good) + "]"), acme.Malformed},
		{"A.22", "null", []byte("null"), acme.Malformed},
		{"A.22", "truncated", good[:len(good)-1], acme.Malformed},
		{"R8555-6.2-2", "compact", []byte(parts["protected"] + "." + parts["payload"] + "." + parts["signature"]), acme.Malformed},
		{"R8555-6.2-2", "general", marshal(t, map[string]any{"payload": parts["payload"], "signatures": []any{map[string]any{"protected": parts["protected"], "signature": parts["signature"]}}}), acme.Malformed},
		{"R8555-6.2-3", "signatures added", with("signatures", []any{}), acme.Malformed},
		{"R8555-6.2-5", "header", with("header", map[string]any{"kid": "x"}), acme.Malformed},
		{"R8555-6.2-5", "empty header", with("header", map[string]any{}), acme.Malformed},
		{"R8555-6.2-2", "unknown member", with("more", 1), acme.Malformed},
		{"R8555-6.2-6", "no payload", without("payload"), acme.Malformed},
		{"R8555-6.2-6", "null payload", with("payload", nil), acme.Malformed},
		{"R8555-6.2-2", "no protected", without("protected"), acme.Malformed},
		{"R8555-6.2-2", "no signature", without("signature"), acme.Malformed},
		{"R8555-6.2-2", "empty protected", with("protected", ""), acme.Malformed},
		{"R8555-6.2-2", "empty signature", with("signature", ""), acme.Malformed},
		{"R8555-6.2-2", "number", with("protected", 1), acme.Malformed},
		{"SP-5", "duplicate", end(`,"payload":""}`), acme.Malformed},
		{"SP-5", "duplicate with escapes", end(`,"p\u0061yload":""}`), acme.Malformed},
		{"SP-5", "other case", end(`,"Payload":""}`), acme.Malformed},
		{"SP-5", "trailing data", append(slices.Clone(good), "{}"...), acme.Malformed},
		{"SP-5", "invalid UTF-8", end(",\"\xff\":1}"), acme.Malformed},
		{"SP-5", "byte order mark", append([]byte("\xef\xbb\xbf"), good...), acme.Malformed},
		{"R8555-6.1-6", "padded payload", with("payload", "e30="), acme.Malformed},
		{"R8555-6.1-6", "standard alphabet", with("payload", "+/+/"), acme.Malformed},
		{"R8555-6.1-6", "line break", with("payload", "e3\n0"), acme.Malformed},
		{"F-5", "stray bits in the payload", with("payload", "e31"), acme.Malformed},
		{"F-5", "stray bits in the signature", with("signature", strayBits(parts["signature"])), acme.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			m, p := jws.Parse(tt.body)
			expect(t, p, tt.want)
			if p != nil {
				return
			}
			_, p = m.Verify(keyOf(t, signer))
			expect(t, p, "")
		})
	}
}

// strayBits spells the same bytes differently. The last character of s must
// carry unused bits.
func strayBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(s) - 1
	return s[:last] + string(alphabet[strings.IndexByte(alphabet, s[last])|1])
}

// The protected header (A.2).
func TestParseHeader(t *testing.T) {
	t.Parallel()
	signer := newEC(t, elliptic.P256())
	jwk := publicJWK(t, signer.Public())
	tests := []struct {
		id, name string
		header   headers
		want     acme.ProblemType
	}{
		{"R8555-6.2-4", "b64", byKeyID(headers{"b64": false}), acme.Malformed},
		{"R8555-6.2-4", "b64 true", byKeyID(headers{"b64": true}), acme.Malformed},
		{"R8555-6.2-4", "b64 in crit", byKeyID(headers{"b64": false, "crit": []string{"b64"}}), acme.Malformed},
		{"F-2", "crit", byKeyID(headers{"crit": []string{"exp"}}), acme.Malformed},
		{"F-2", "empty crit", byKeyID(headers{"crit": []string{}}), acme.Malformed},
		{"R8555-6.2-7", "no alg", byKeyID(headers{"alg": nil}), acme.Malformed},
		{"R8555-6.2-7", "alg is no string", byKeyID(headers{"alg": 256}), acme.Malformed},
		{"R8555-6.2-7", "no key", byKeyID(headers{"kid": nil}), acme.Malformed},
		{"R8555-6.2-7", "empty kid", byKeyID(headers{"kid": ""}), acme.Malformed},
		{"R8555-6.2-7", "kid is no string", byKeyID(headers{"kid": 1}), acme.Malformed},
		{"R8555-6.2-7", "jwk is no object", byJWK(t, signer, headers{"jwk": "key"}), acme.Malformed},
		{"R8555-6.2-8", "none", byKeyID(headers{"alg": "none"}), acme.BadSignatureAlgorithm},
		{"R8555-6.2-8", "MAC", byKeyID(headers{"alg": "HS256"}), acme.BadSignatureAlgorithm},
		{"R8555-6.2-8", "MAC with a symmetric jwk", byJWK(t, signer, headers{"alg": "HS256", "jwk": map[string]any{"kty": "oct", "k": "AAAA"}}), acme.BadSignatureAlgorithm},
		{"R8555-6.2-14", "PS256", byKeyID(headers{"alg": "PS256"}), acme.BadSignatureAlgorithm},
		{"R8555-6.2-14", "other case", byKeyID(headers{"alg": "es256"}), acme.BadSignatureAlgorithm},
		{"R8555-6.2-11", "jwk and kid", byKeyID(headers{"jwk": jwk}), acme.Malformed},
		{"R8555-6.2-11", "jwk and empty kid", byKeyID(headers{"jwk": jwk, "kid": ""}), acme.Malformed},
		{"R8555-6.2-17", "alg for another curve", byJWK(t, signer, headers{"alg": "ES384"}), acme.Malformed},
		{"R8555-6.2-17", "alg for another type", byJWK(t, signer, headers{"alg": "RS256"}), acme.Malformed},
		{"R8555-6.5-4", "no nonce", byKeyID(headers{"nonce": nil}), acme.BadNonce},
		{"R8555-6.5-4", "empty nonce", byKeyID(headers{"nonce": ""}), acme.BadNonce},
		{"R8555-6.5-8", "nonce padded", byKeyID(headers{"nonce": "q83vEjRWeJA="}), acme.Malformed},
		{"R8555-6.5-8", "nonce of another alphabet", byKeyID(headers{"nonce": "not a nonce!"}), acme.Malformed},
		{"R8555-6.5-8", "nonce is no string", byKeyID(headers{"nonce": 1}), acme.Malformed},
		{"R8555-6.4-3", "no url", byKeyID(headers{"url": nil}), acme.Malformed},
		{"R8555-6.4-3", "url is no string", byKeyID(headers{"url": []string{orderURL}}), acme.Malformed},
		{"R8555-6.4-3", "url is null", byKeyID(headers{"url": json.RawMessage("null")}), acme.Malformed},
		{"R8555-6.2-7", "key by certificate", byKeyID(headers{"x5c": []string{"AAAA"}}), acme.Malformed},
		{"R8555-6.2-7", "key by URL", byKeyID(headers{"jku": "https://evil.example"}), acme.Malformed},
		{"SP-5", "name in another case", byKeyID(headers{"Alg": "none"}), acme.Malformed},
		{"SP-5", "lone name in another case", byKeyID(headers{"kid": nil, "KID": accountURL}), acme.Malformed},
		{"SP-5", "forbidden name in another case", byKeyID(headers{"B64": false}), acme.Malformed},
		{"SP-5", "name with the Kelvin sign", byKeyID(headers{"\u212aid": accountURL}), acme.Malformed},
		{"RFC 7515, 4", "unknown member", byKeyID(headers{"typ": "acme", "x": []any{1, nil, "a"}}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			m, p := jws.Parse(sign(t, signer, tt.header, "{}"))
			expect(t, p, tt.want)
			if p != nil {
				if p.Type == acme.BadNonce && !strings.Contains(p.Detail, "JWS has an invalid anti-replay nonce") {
					t.Errorf("D6: acme.sh does not understand %q", p.Detail)
				}
				return
			}
			_, p = m.Verify(keyOf(t, signer))
			expect(t, p, "")
		})
	}
	for name, text := range map[string]string{
		"duplicate":     `{"alg":"ES256","alg":"ES256","kid":"k","nonce":"AAAA","url":"u"}`,
		"not an object": `["alg"]`,
		"empty":         `{}`,
		"trailing data": `{"alg":"ES256","kid":"k","nonce":"AAAA","url":"u"} x`,
		"invalid UTF-8": "{\"alg\":\"ES256\",\"kid\":\"\xc3\",\"nonce\":\"AAAA\",\"url\":\"u\"}",
		"half a pair":   `{"alg":"ES256","kid":"\ud83d","nonce":"AAAA","url":"u"}`,
	} {
		t.Run("SP-5 "+name, func(t *testing.T) {
			t.Parallel()
			_, p := jws.Parse(flatten(t, signer, []byte(text), "{}"))
			expect(t, p, acme.Malformed)
		})
	}
}

// SP-4: what is cheap to refuse is refused before what is dear, so a stranger
// with an impossible algorithm causes no work on the key.
func TestParseOrder(t *testing.T) {
	t.Parallel()
	signer := newEC(t, elliptic.P256())
	badKey := map[string]any{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}
	_, p := jws.Parse(sign(t, signer, byJWK(t, signer, headers{"alg": "none", "jwk": badKey}), ""))
	expect(t, p, acme.BadSignatureAlgorithm)
	_, p = jws.Parse(sign(t, signer, byKeyID(headers{"jwk": badKey}), ""))
	expect(t, p, acme.Malformed)
}

// Signatures (R8555-6.2-1, -12, -17, -21).
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	signer, stranger := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	good := sign(t, signer, byKeyID(nil), `{"a":1}`)
	tests := []struct {
		id, name string
		body     []byte
		key      *jws.Key
	}{
		{"R8555-6.2-1", "key of another account", good, keyOf(t, stranger)},
		{"R8555-6.2-1", "changed payload", rewrite(t, good, func(m map[string]any) { m["payload"] = encode([]byte(`{"a":2}`)) }), keyOf(t, signer)},
		{"R8555-6.2-1", "emptied payload", rewrite(t, good, func(m map[string]any) { m["payload"] = "" }), keyOf(t, signer)},
		{"R8555-6.2-1", "changed header", rewrite(t, good, func(m map[string]any) {
			m["protected"] = encode(marshal(t, byKeyID(headers{"alg": "ES256", "url": "https://ca.example/other"})))
		}), keyOf(t, signer)},
		{"R8555-6.2-1", "zero signature", rewrite(t, good, func(m map[string]any) { m["signature"] = encode(make([]byte, 64)) }), keyOf(t, signer)},
		{"R8555-6.2-21", "short signature", rewrite(t, good, func(m map[string]any) { m["signature"] = encode(make([]byte, 63)) }), keyOf(t, signer)},
		{"R8555-6.2-17", "stored key of another type", good, keyOf(t, newRSA(t))},
		{"R8555-6.2-17", "stored key of another curve", good, keyOf(t, newEC(t, elliptic.P384()))},
		{"R8555-6.2-12", "jwk of somebody else", sign(t, stranger, byJWK(t, signer, nil), "{}"), keyOf(t, signer)},
		{"R8555-6.2-12", "jwk of somebody else, signed with the expected key", sign(t, signer, byJWK(t, stranger, nil), "{}"), keyOf(t, signer)},
		{"R8555-6.2-12", "jwk, but another key is expected", sign(t, signer, byJWK(t, signer, nil), "{}"), keyOf(t, stranger)},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			m, p := jws.Parse(tt.body)
			expect(t, p, "")
			v, p := m.Verify(tt.key)
			expect(t, p, acme.Malformed)
			if tt.id == "R8555-6.2-17" && !strings.Contains(p.Detail, "does not suit the key") {
				t.Errorf("the text leaves open what to do: %s", p.Detail)
			}
			if v.Key() != nil || v.Payload() != nil {
				t.Errorf("a refused request gave %+v", v)
			}
		})
	}
}

// SP-2: without a signature there is nothing to be had.
func TestZeroVerifiedIsDenied(t *testing.T) {
	t.Parallel()
	var v jws.Verified
	if v.Key() != nil || v.Payload() != nil || v.KeyID() != "" || v.URL() != "" || v.Nonce() != "" || v.PostAsGet() || v.BroughtKey() {
		t.Errorf("the zero value says %+v", v)
	}
	if _, p := jws.ParseKeyChange(v); p == nil {
		t.Error("a key change without a signature was accepted")
	}
	if _, p := jws.ParseBinding([]byte("{}"), v); p == nil {
		t.Error("a binding without a signature was accepted")
	}
	m, p := jws.Parse(sign(t, newEd25519(t), byKeyID(nil), ""))
	expect(t, p, "")
	if _, p := m.Verify(nil); p == nil {
		t.Error("a request verified without a key")
	}
}
