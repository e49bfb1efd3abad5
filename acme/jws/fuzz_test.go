package jws_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"acmebridge/acme/jws"
)

// FuzzParse (SP-6): what is accepted, go-jose reads the same way, from the full
// JSON, and there is exactly one source of the key. What verifies here
// verifies there.
func FuzzParse(f *testing.F) {
	ec, ed := newEC(f, elliptic.P256()), newEd25519(f)
	for _, seed := range [][]byte{
		sign(f, ec, byKeyID(nil), `{"identifiers":[]}`),
		sign(f, ec, byJWK(f, ec, nil), `{}`),
		sign(f, ed, byJWK(f, ed, nil), ""),
		sign(f, ed, byKeyID(headers{"typ": "x", "extra": map[string]any{"a": []int{1}}}), ""),
		sign(f, ed, byKeyID(headers{"b64": false, "crit": []string{"b64"}}), ""),
		sign(f, ed, byKeyID(headers{"jwk": publicJWK(f, ed.Public())}), ""),
		[]byte(`{"protected":"e30","payload":"","signature":"AAAA"}`),
		[]byte(`{"protected":"eyJhbGciOiJub25lIn0","payload":"","signatures":[]}`),
		[]byte(`e30.e30.AAAA`),
	} {
		f.Add(seed)
	}
	f.Fuzz(checkAgainstGoJose)
}

// FuzzHeader is FuzzParse with the base64url and the signature done, so that
// the fuzzer gets at the header and the key.
func FuzzHeader(f *testing.F) {
	signer := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	ec := newEC(f, elliptic.P256())
	for _, h := range []headers{
		byKeyID(headers{"alg": "EdDSA"}),
		byJWK(f, signer, headers{"alg": "EdDSA"}),
		byJWK(f, ec, headers{"alg": "ES256"}),
		byJWK(f, newRSA(f), headers{"alg": "RS256"}),
		byJWK(f, signer, headers{"alg": "EdDSA", "kid": accountURL}),
		byJWK(f, signer, headers{"alg": "EdDSA", "jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA"}}),
		byKeyID(headers{"alg": "EdDSA", "crit": []string{"b64"}, "b64": false}),
		byKeyID(headers{"alg": "none", "Alg": "EdDSA"}),
	} {
		f.Add(marshal(f, h), "{}")
	}
	f.Add([]byte(`{"alg":"EdDSA","alg":"none","kid":"\u0061","nonce":"AAAA","url":"https:\/\/ca.example"}`), "")
	f.Fuzz(func(t *testing.T, header []byte, payload string) {
		checkAgainstGoJose(t, flatten(t, signer, header, payload))
	})
}

func checkAgainstGoJose(t *testing.T, body []byte) {
	algorithms := []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
	m, p := jws.Parse(body)
	if (m == nil) == (p == nil) {
		t.Fatal("neither a message nor a problem, or both")
	}
	if p != nil {
		if p.Status != 400 || p.Detail == "" {
			t.Fatalf("problem %+v", p)
		}
		return
	}
	if (m.KeyID() == "") == (m.Key() == nil) {
		t.Fatalf("kid %q and key %v", m.KeyID(), m.Key())
	}
	theirs, err := jose.ParseSigned(string(body), algorithms)
	if err != nil {
		// go-jose may be pickier about members that we ignore; then nothing
		// may verify.
		if m.Key() != nil {
			if _, p := m.Verify(m.Key()); p == nil {
				t.Fatalf("verifies, but go-jose cannot read it: %v", err)
			}
		}
		return
	}
	h := theirs.Signatures[0].Protected
	if len(theirs.Signatures) != 1 || h.Algorithm != m.Alg() || h.KeyID != m.KeyID() || h.Nonce != m.Nonce() || h.ExtraHeaders["url"] != m.URL() || (h.JSONWebKey == nil) != (m.Key() == nil) {
		t.Fatalf("go-jose reads %+v, we %q %q %q %q", h, m.Alg(), m.KeyID(), m.Nonce(), m.URL())
	}
	if m.Key() == nil {
		return
	}
	ours := keyOfPublic(t, h.JSONWebKey.Key)
	if ours.Hash != m.Key().Hash || ours.Thumbprint != m.Key().Thumbprint {
		t.Fatalf("go-jose reads key %+v, we %+v", ours, m.Key())
	}
	v, p := m.Verify(m.Key())
	payload, err := theirs.Verify(h.JSONWebKey)
	if (p == nil) != (err == nil) || !bytes.Equal(v.Payload(), payload) {
		t.Fatalf("go-jose says %q %v, we %q %v", payload, err, v.Payload(), p)
	}
}

func keyOfPublic(t *testing.T, pub any) *jws.Key {
	t.Helper()
	k, p := jws.NewKey(pub)
	if p != nil {
		t.Fatal(p)
	}
	return k
}

// FuzzStrictJSON (SP-5): what is accepted, the standard decoder reads the same way
// whether into a struct or into maps. It does not when a name comes twice or
// in another case. Nothing accepted changes when written and read again.
func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "csr" : "x" } `, `{"csr":"a","CSR":"b"}`, `{"csr":"a","csr":"b"}`, `{"c\u0073r":"a"}`,
		`{"identifiers":[{"type":"dns","value":"a"},{"Type":"ip"}],"notAfter":"x"}`,
		`{"x":[1,-0.5e7,true,null,{"a":"\ud83d\ude00"}]}`, `{"x":"\ud83d"}`, `{"x":01}`, `{"x":1}}`, "{\"k\":1,\"\u212a\":2}",
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"Q":1}`,
	} {
		f.Add([]byte(seed))
	}
	type payload struct {
		CSR         string `json:"csr"`
		Identifiers []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"identifiers"`
		NotAfter string `json:"notAfter"`
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := slices.Clone(data)
		var strict map[string]json.RawMessage
		p := jws.DecodePayload(data, &strict)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		if p != nil {
			return
		}
		var std map[string]any
		if err := json.Unmarshal(data, &std); err != nil {
			t.Fatalf("accepted, the standard decoder says %v", err)
		}
		if len(std) != len(strict) {
			t.Fatalf("%d members, the standard decoder sees %d", len(strict), len(std))
		}
		again, err := json.Marshal(std)
		if err != nil {
			t.Fatal(err)
		}
		var second map[string]any
		if err := json.Unmarshal(again, &second); err != nil || !reflect.DeepEqual(std, second) {
			t.Fatalf("%s reads as %s", data, again)
		}

		var typed payload
		if jws.DecodePayload(data, &typed) != nil {
			return
		}
		for name, got := range map[string]string{"csr": typed.CSR, "notAfter": typed.NotAfter} {
			if want, _ := std[name].(string); got != want {
				t.Fatalf("%s is %q in the struct, %q in the map", name, got, want)
			}
		}
		list, _ := std["identifiers"].([]any)
		for i, id := range typed.Identifiers {
			m, _ := list[i].(map[string]any)
			kind, _ := m["type"].(string)
			value, _ := m["value"].(string)
			if id.Type != kind || id.Value != value {
				t.Fatalf("identifier %d is %+v in the struct, %v in the map", i, id, m)
			}
		}
	})
}

// FuzzBinding (SP-10): only the true MAC over the true key verifies, and without the
// MAC key nothing does.
func FuzzBinding(f *testing.F) {
	signer := newEd25519(f)
	outer := mustVerify(f, sign(f, signer, byJWK(f, signer, headers{"url": newAccountURL}), "{}"), nil)
	header := headers{"alg": "HS256", "kid": "member-7", "url": newAccountURL}
	good := goodBinding(f, header, publicJWK(f, signer.Public()))
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("payload"), []byte("Payload"), 1))
	f.Add(sign(f, signer, byKeyID(nil), "{}"))
	f.Add([]byte(`{"protected":"e30","payload":"e30","signature":""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, p := jws.ParseBinding(raw, outer)
		if (b == nil) == (p == nil) {
			t.Fatal("neither a binding nor a problem, or both")
		}
		if p != nil {
			return
		}
		if b.KeyID() == "" {
			t.Fatal("no kid")
		}
		if b.Verify(nil) == nil {
			t.Fatal("verifies without a MAC key")
		}
		if b.Verify(macKey) == nil {
			theirs, err := jose.ParseSigned(string(raw), []jose.SignatureAlgorithm{jose.HS256})
			if err != nil {
				t.Fatalf("verifies, but go-jose cannot read it: %v", err)
			}
			if _, err := theirs.Verify(macKey); err != nil {
				t.Fatalf("verifies, but not with go-jose: %v", err)
			}
		}
	})
}
