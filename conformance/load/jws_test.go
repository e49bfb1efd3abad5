package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func newAccountKey(t *testing.T) (*ecdsa.PrivateKey, jwk) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := publicJWK(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, public
}

// The signature is checked by the library that ACME servers use. Several keys, because
// a lost leading zero shows only in one of some hundred.
func TestSignedRequestsVerify(t *testing.T) {
	t.Parallel()
	for range 300 {
		key, public := newAccountKey(t)
		raw, err := signES256(key, protected{URL: "https://ca.test/new-acct", Nonce: "n1", Key: &public}, map[string]int{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jose.ParseSigned(string(raw), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatalf("parse %s: %v", raw, err)
		}
		payload, err := parsed.Verify(parsed.Signatures[0].Protected.JSONWebKey)
		if err != nil {
			t.Fatalf("verify with the embedded key: %v", err)
		}
		if string(payload) != `{"a":1}` {
			t.Fatalf("payload %s", payload)
		}
		header := parsed.Signatures[0].Protected
		if header.Nonce != "n1" || header.ExtraHeaders["url"] != "https://ca.test/new-acct" || header.KeyID != "" {
			t.Fatalf("header %+v", header)
		}
	}
}

// R8555-6.3: a POST-as-GET has an empty payload, not an empty object.
func TestPostAsGetHasAnEmptyPayload(t *testing.T) {
	t.Parallel()
	key, _ := newAccountKey(t)
	for _, c := range []struct {
		payload any
		want    string
	}{{nil, ""}, {struct{}{}, base64.RawURLEncoding.EncodeToString([]byte("{}"))}} {
		raw, err := signES256(key, protected{URL: "u", Nonce: "n", KeyID: "k"}, c.payload)
		if err != nil {
			t.Fatal(err)
		}
		var message flattened
		if err := json.Unmarshal(raw, &message); err != nil || message.Payload != c.want {
			t.Errorf("payload of %v is %q (%v), want %q", c.payload, message.Payload, err, c.want)
		}
	}
}

func TestThumbprintIsThatOfRFC7638(t *testing.T) {
	t.Parallel()
	key, public := newAccountKey(t)
	want, err := (&jose.JSONWebKey{Key: &key.PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if got := public.thumbprint(); got != base64.RawURLEncoding.EncodeToString(want) {
		t.Errorf("thumbprint %s, want %s", got, base64.RawURLEncoding.EncodeToString(want))
	}
}

// R8555-7.3.4: the inner JWS is signed with the CA's key over the account's public key,
// names newAccount as its URL and carries no nonce.
func TestExternalAccountBindingVerifies(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret of thirty-two bytes....")
	_, public := newAccountKey(t)
	raw, err := bindExternalAccount("kid-1", base64.RawURLEncoding.EncodeToString(secret), "https://ca.test/new-acct", public)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSigned(string(raw), []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := parsed.Verify(secret)
	if err != nil {
		t.Fatalf("verify with the CA's key: %v", err)
	}
	var bound jwk
	if err := json.Unmarshal(payload, &bound); err != nil || bound != public {
		t.Errorf("bound key %s, want %+v", payload, public)
	}
	header := parsed.Signatures[0].Protected
	if header.KeyID != "kid-1" || header.Nonce != "" || header.ExtraHeaders["url"] != "https://ca.test/new-acct" {
		t.Errorf("header %+v", header)
	}
	if _, err := bindExternalAccount("kid-1", "padded==", "u", public); err == nil {
		t.Error("a key with padding was accepted")
	}
}
